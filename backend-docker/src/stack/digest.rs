//! The digest of a stack: the same for the same content, whenever it was written and wherever it lies.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use freehold_core::{Error, Kind, Result};
use sha2::{Digest, Sha256};

use super::{Place, place};

/// How deep folders may nest: a link to a folder above itself nests without end.
const MAX_DEPTH: usize = 64;

/// SHA-256 over a stack's manifest, wherever it came from, and its files and folders, by their paths in its folder: kind,
/// path, whether it runs, and content. Data folders and what is not there count for nothing.
///
/// # Errors
/// `InvalidInput` for a link that leads out of the folder and for what cannot be read.
pub(super) fn of(folder: &Path, manifest: &str, files: &[PathBuf], data: &[String]) -> Result<String> {
    let data = data.iter().filter_map(|path| match place(path) {
        Place::Inside(path) => Some(path),
        Place::Outside(_) => None,
    });
    let mut walk = Walk { folder, data: data.collect(), hash: Sha256::new() };
    walk.content(b"manifest", Path::new(""), manifest.as_bytes());
    for file in files {
        walk.add(file, 0).map_err(|error| {
            Error::new(Kind::InvalidInput, format!("read {} of the stack", file.display())).because(error)
        })?;
    }
    let digest: String = walk.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("sha256:{digest}"))
}

struct Walk<'a> {
    folder: &'a Path,
    data: Vec<PathBuf>,
    hash: Sha256,
}

impl Walk<'_> {
    fn add(&mut self, path: &Path, depth: usize) -> io::Result<()> {
        if self.data.iter().any(|data| data == path) {
            return Ok(());
        }
        let real = match fs::canonicalize(self.folder.join(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            real => real?,
        };
        if !real.starts_with(self.folder) {
            return Err(io::Error::other(format!(
                "{} is a link that leads out of the stack's folder",
                path.display()
            )));
        }
        if depth > MAX_DEPTH {
            return Err(io::Error::other(format!("folders nest deeper than {MAX_DEPTH} levels")));
        }
        let about = fs::metadata(&real)?;
        if about.is_dir() {
            self.field(b"folder", path);
            let mut names =
                fs::read_dir(&real)?.map(|entry| Ok(entry?.file_name())).collect::<io::Result<Vec<_>>>()?;
            names.sort();
            for name in names.iter().filter(|name| *name != ".git") {
                self.add(&path.join(name), depth + 1)?;
            }
        } else if about.is_file() {
            let kind: &[u8] = if runs(&about) { b"program" } else { b"file" };
            self.content(kind, path, &fs::read(&real)?);
        }
        Ok(())
    }

    fn content(&mut self, kind: &[u8], path: &Path, content: &[u8]) {
        self.field(kind, path);
        self.hash.update((content.len() as u64).to_be_bytes());
        self.hash.update(content);
    }

    /// Text ends with a zero byte, which no path holds, so that no two lists of fields are the same bytes.
    fn field(&mut self, kind: &[u8], path: &Path) {
        self.hash.update(kind);
        self.hash.update([0]);
        self.hash.update(path.as_os_str().as_encoded_bytes());
        self.hash.update([0]);
    }
}

fn runs(about: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    about.permissions().mode() & 0o111 != 0
}
