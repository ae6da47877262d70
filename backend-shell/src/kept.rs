//! The stacks that are kept, each once per digest: hooks run from the kept copy, so that a project goes on with the ones
//! that it was made with when the operator changes the folder.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::Path,
};

use freehold_core::Result;
use sha2::{Digest as _, Sha256};

use crate::{error::Failure, stack::Stack};

/// One file of a stack's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct StackFile {
    /// Its path in the folder.
    pub(crate) path: String,
    pub(crate) executable: bool,
    pub(crate) content: Vec<u8>,
}

impl StackFile {
    pub(crate) fn new(path: impl Into<String>, executable: bool, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), executable, content: content.into() }
    }
}

/// All files of a folder, by path.
pub(crate) fn read_folder(folder: &Path) -> Result<Vec<StackFile>, Failure> {
    let mut files = Vec::new();
    collect(folder, "", &mut files)?;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(files)
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<StackFile>) -> Result<(), Failure> {
    let read = || Failure::touch("read", folder);
    for entry in fs::read_dir(folder).map_err(read())? {
        let entry = entry.map_err(read())?;
        let name = entry.file_name().into_string().map_err(|name| Failure::ReadStack {
            file: folder.join(name),
            problem: "its name is not UTF-8".to_owned(),
        })?;
        let (path, name) = (entry.path(), format!("{prefix}{name}"));
        let metadata = fs::metadata(&path).map_err(Failure::touch("read", &path))?;
        if metadata.is_dir() {
            collect(&path, &format!("{name}/"), files)?;
        } else {
            let content = fs::read(&path).map_err(Failure::touch("read", &path))?;
            files.push(StackFile::new(name, metadata.permissions().mode() & 0o111 != 0, content));
        }
    }
    Ok(())
}

/// The digest of files in the order of their paths.
fn digest(files: &[StackFile]) -> String {
    let mut hasher = Sha256::new();
    for file in files {
        // Lengths before texts: no two lists of files give the same bytes.
        hasher.update((file.path.len() as u64).to_be_bytes());
        hasher.update(&file.path);
        hasher.update([u8::from(file.executable)]);
        hasher.update((file.content.len() as u64).to_be_bytes());
        hasher.update(&file.content);
    }
    format!("sha256:{:x}", hasher.finalize())
}

/// Keeps the files below `stacks` under their digest, and reads the stack from there. A kept copy that was changed is
/// made anew.
pub(crate) fn keep(files: &[StackFile], stacks: &Path) -> Result<Stack> {
    let digest = digest(files);
    let folder = stacks.join(folder_name(&digest));
    let stack = Stack::read(files, digest, folder.clone())?;
    if read_folder(&folder).is_ok_and(|kept| kept == files) {
        return Ok(stack);
    }
    let making = tempfile::tempdir_in(stacks).map_err(Failure::touch("make a folder in", stacks))?;
    write_all(files, making.path())?;
    if folder.exists() {
        fs::rename(&folder, making.path().with_extension("old"))
            .map_err(Failure::touch("replace", &folder))?;
        let old = making.path().with_extension("old");
        fs::remove_dir_all(&old).map_err(Failure::touch("remove", &old))?;
    }
    match fs::rename(making.path(), &folder) {
        Ok(()) => {
            // It has moved: there is nothing left to remove.
            let _ = making.keep();
            Ok(stack)
        }
        // Somebody else kept the same at the same time.
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(stack),
        Err(error) => Err(Failure::touch("keep the stack in", &folder)(error).into()),
    }
}

/// The kept stack of a digest. Its hooks are about to be run, so it must be as it was kept.
pub(crate) fn find(digest: &str, stacks: &Path) -> Result<Stack> {
    let folder = stacks.join(folder_name(digest));
    if !folder.is_dir() {
        return Err(Failure::FindStack { digest: digest.to_owned(), folder: stacks.to_owned() }.into());
    }
    let files = read_folder(&folder)?;
    if self::digest(&files) != digest {
        return Err(Failure::Changed { digest: digest.to_owned(), folder }.into());
    }
    Stack::read(&files, digest.to_owned(), folder)
}

/// `sha256:0123…` without the colon, and nothing that leads out of the folder.
fn folder_name(digest: &str) -> String {
    digest.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

fn write_all(files: &[StackFile], folder: &Path) -> Result<(), Failure> {
    let open = |mode| fs::Permissions::from_mode(mode);
    fs::set_permissions(folder, open(0o755)).map_err(Failure::touch("open", folder))?;
    for file in files {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o755)
                .create(parent)
                .map_err(Failure::touch("make", parent))?;
        }
        fs::write(&path, &file.content).map_err(Failure::touch("write", &path))?;
        let mode = if file.executable { 0o755 } else { 0o644 };
        fs::set_permissions(&path, open(mode)).map_err(Failure::touch("open", &path))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shipped;

    #[test]
    fn a_stack_is_kept_once_and_found_by_its_digest() {
        let stacks = tempfile::tempdir().unwrap();
        let files = shipped::postgres();
        let stack = keep(&files, stacks.path()).unwrap();
        let again = keep(&files, stacks.path()).unwrap();
        assert_eq!(stack.spec, again.spec);
        assert_eq!(fs::read_dir(stacks.path()).unwrap().count(), 1);
        assert_eq!(find(&stack.spec.digest, stacks.path()).unwrap().spec, stack.spec);
        assert!(find("sha256:../../etc", stacks.path()).unwrap_err().to_string().contains("../../etc"));
    }

    #[test]
    fn a_kept_stack_that_was_changed_is_made_anew() {
        let stacks = tempfile::tempdir().unwrap();
        let files = shipped::postgres();
        let stack = keep(&files, stacks.path()).unwrap();
        let folder = stacks.path().join(folder_name(&stack.spec.digest));
        fs::write(folder.join("destroy"), "#!/bin/sh\nexit 0\n").unwrap();
        fs::write(folder.join("extra"), "").unwrap();
        keep(&files, stacks.path()).unwrap();
        assert_eq!(read_folder(&folder).unwrap(), files);
        assert_eq!(fs::read_dir(stacks.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_kept_stack_that_was_changed_is_not_used_and_named_with_the_way_out() {
        let stacks = tempfile::tempdir().unwrap();
        let stack = keep(&shipped::postgres(), stacks.path()).unwrap();
        let folder = stacks.path().join(folder_name(&stack.spec.digest));
        fs::set_permissions(folder.join("health"), fs::Permissions::from_mode(0o644)).unwrap();
        let error = find(&stack.spec.digest, stacks.path()).unwrap_err();
        assert_eq!(error.kind(), freehold_core::Kind::Conflict);
        assert!(error.to_string().contains(&folder.display().to_string()), "{error}");
    }

    #[test]
    fn another_mode_is_another_digest() {
        let mut files = shipped::postgres();
        let before = digest(&files);
        files[0].executable = !files[0].executable;
        assert_ne!(digest(&files), before);
    }
}
