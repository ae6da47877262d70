//! What a stack mounts of its folder and does not have. Compose makes an empty folder of it, which is right for data, and a
//! riddle where a file was forgotten: the service says that its script or configuration "is a directory".

use std::path::Path;

use super::{Place, Stack, place};
use crate::compose::{Service, problem::Result};

impl Stack {
    /// Fails if a path is mounted that is not there and is meant to be a file.
    pub(crate) fn refuse_absent_file(&self, service: &Service, path: &Path, target: &str) -> Result<()> {
        if !self.absent.contains(path) || !(names_file(path) || names_file(Path::new(target))) {
            return Ok(());
        }
        let (path, name) = (path.display(), &service.name);
        let message = format!(
            "{path} is not in the stack's folder, and is a file by its name, so that {name} would find an empty folder at \
             {target}: put the file there, make the folder if it is meant to be one, or exclude {name}"
        );
        Err(self.problem(name.as_str(), "volumes", message))
    }

    /// Fails if the file of a config or secret is not there.
    pub(crate) fn refuse_absent_grant(&self, service: &Service, key: &str, path: &str) -> Result<()> {
        match place(path) {
            Place::Inside(inside) if self.absent.contains(&inside) => {
                let name = &service.name;
                let message =
                    format!("{path} is not in the stack's folder: put the file there, or exclude {name}");
                Err(self.problem(name.as_str(), key, message))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a name is a file's: it ends in letters behind a dot. `conf.d` is a folder everywhere, and `data-1.5` may be one.
fn names_file(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    extension != "d" && extension.starts_with(|first: char| first.is_ascii_alphabetic())
}
