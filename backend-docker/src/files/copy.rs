//! Copying a folder so that containers of any user can read the copy.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use freehold_core::{Error, Kind, Result};

use super::failed;

/// Makes a folder, and those above it, that other users of the machine cannot enter.
pub(super) async fn private_folder(path: &Path) -> Result<()> {
    let path = path.to_owned();
    blocking(move || {
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&path);
        made.and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o700)))
            .map_err(|error| failed("make", &path, error))
    })
    .await
}

/// Copies a folder that is not there yet, but for what is `skipped`.
pub(super) async fn tree(from: &Path, to: &Path, skipped: Vec<PathBuf>) -> Result<()> {
    let (from, to) = (from.to_owned(), to.to_owned());
    blocking(move || Copy::new(&from, &skipped).entry(&from, &to)).await
}

/// Puts a file or folder in place of what is there. A path that the stack mounts without having it is a folder, as it
/// is for Compose. A container that may write to a part of the project's folder may have left links there; they are
/// replaced, never followed.
pub(super) async fn replace(from: &Path, to: &Path) -> Result<()> {
    let (from, to) = (from.to_owned(), to.to_owned());
    blocking(move || {
        if let Some(parent) = to.parent() {
            folder(parent)?;
        }
        match fs::symlink_metadata(&from) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => folder(&to),
            Err(error) => Err(failed("read", &from, error)),
            Ok(_) => Copy::new(&from, &[]).entry(&from, &to),
        }
    })
    .await
}

/// How open the copy of a file is: to whoever comes this far, and run by all if it runs at all.
pub(super) fn mode(original: &fs::Metadata) -> u32 {
    if original.permissions().mode() & 0o111 != 0 { 0o755 } else { 0o644 }
}

/// A copy under way.
struct Copy<'a> {
    /// What links may not lead out of.
    root: &'a Path,
    skipped: &'a [PathBuf],
    /// The folders that it is in, all links followed: a link to one of them has no end.
    inside: Vec<PathBuf>,
}

impl<'a> Copy<'a> {
    fn new(root: &'a Path, skipped: &'a [PathBuf]) -> Self {
        Self { root, skipped, inside: Vec::new() }
    }

    fn entry(&mut self, from: &Path, to: &Path) -> Result<()> {
        if self.skipped.iter().any(|skipped| skipped == from) {
            return Ok(());
        }
        let read = |error| failed("read", from, error);
        if fs::symlink_metadata(from).map_err(read)?.is_symlink() {
            let target = fs::canonicalize(from).map_err(read)?;
            if !target.starts_with(fs::canonicalize(self.root).map_err(read)?) {
                let problem =
                    format_args!("{} is a link that leads out of the stack's folder", from.display());
                return Err(Error::invalid("stack", problem));
            }
            if self.inside.contains(&target) {
                let problem = format_args!("{} is a link to a folder that it is in", from.display());
                return Err(Error::invalid("stack", problem));
            }
            return self.entry(&target, to);
        }
        if fs::symlink_metadata(to).is_ok_and(|there| there.is_symlink()) {
            fs::remove_file(to).map_err(|error| failed("replace", to, error))?;
        }
        let data = fs::metadata(from).map_err(read)?;
        if data.is_dir() {
            folder(to)?;
            self.inside.push(fs::canonicalize(from).map_err(read)?);
            for entry in fs::read_dir(from).map_err(read)? {
                let entry = entry.map_err(read)?;
                if entry.file_name() != ".git" {
                    self.entry(&entry.path(), &to.join(entry.file_name()))?;
                }
            }
            self.inside.pop();
            return Ok(());
        }
        if !data.is_file() {
            return Ok(()); // A socket or pipe that some program left: nothing to copy.
        }
        fs::copy(from, to).map_err(|error| failed("write", to, error))?;
        let open = fs::Permissions::from_mode(mode(&data));
        fs::set_permissions(to, open).map_err(|error| failed("write", to, error))
    }
}

/// Makes a folder that everybody who comes this far may read.
fn folder(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .map_err(|error| failed("make", path, error))
}

/// File work goes to the threads that are there for it.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Error::internal("work on files").because(error))?
}

/// Fails if a path, with all links followed, leads out of a folder. One that is not there leads nowhere.
pub(super) async fn stays_inside(folder: &Path, path: &Path) -> Result<()> {
    let (folder, path) = (folder.to_owned(), path.to_owned());
    blocking(move || {
        let root = fs::canonicalize(&folder).map_err(|error| failed("look at", &folder, error))?;
        // Of a path that is not there, the part that is there matters: what would be made would be made in it.
        let there = path.ancestors().find_map(|part| fs::canonicalize(part).ok());
        if there.is_some_and(|real| real.starts_with(&root)) {
            return Ok(());
        }
        let message = format!("mount {}: a link leads out of the project's folder", path.display());
        Err(Error::new(Kind::Conflict, message))
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[tokio::test]
    async fn a_link_to_a_folder_that_it_is_in_is_refused_and_any_other_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let stack = folder.path().join("stack");
        fs::create_dir_all(stack.join("a")).unwrap();
        fs::create_dir_all(stack.join("b")).unwrap();
        fs::write(stack.join("b/file"), "content").unwrap();
        symlink("../b", stack.join("a/b")).unwrap();
        tree(&stack, &folder.path().join("copy"), Vec::new()).await.unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("copy/a/b/file")).unwrap(), "content");
        for (number, (link, target)) in [("b/a", "../a"), ("a/up", "..")].into_iter().enumerate() {
            symlink(target, stack.join(link)).unwrap();
            let copied = tree(&stack, &folder.path().join(number.to_string()), Vec::new()).await;
            assert!(copied.unwrap_err().to_string().contains("that it is in"), "{link}");
            fs::remove_file(stack.join(link)).unwrap();
        }
    }
}
