//! Which folders of a tree this process cannot empty: a container of another user made them, or closed them.

use std::{
    fs, io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// Those that can be seen, by their paths in `root`, whose owner is us. What lies in one that cannot be listed is seen once
/// that is open.
pub(super) fn folders(root: &Path, us: u32) -> io::Result<Vec<PathBuf>> {
    let (mut closed, mut open) = (Vec::new(), vec![PathBuf::new()]);
    while let Some(folder) = open.pop() {
        let path = root.join(&folder);
        let data = fs::symlink_metadata(&path)?;
        let (mode, needed) = (data.permissions().mode(), if data.uid() == us { 0o700 } else { 0o007 });
        if mode & needed != needed {
            closed.push(folder.clone());
        }
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => continue,
            other => other?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                open.push(folder.join(entry.file_name()));
            }
        }
    }
    closed.sort();
    Ok(closed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_closed_that_its_owner_or_others_may_not_change() {
        let root = tempfile::tempdir().unwrap();
        let us = fs::metadata(root.path()).unwrap().uid();
        for (name, mode) in
            [("open", 0o700), ("closed", 0o500), ("closed/below", 0o700), ("everybodys", 0o777)]
        {
            let path = root.path().join(name);
            if name == "closed/below" {
                fs::set_permissions(root.path().join("closed"), fs::Permissions::from_mode(0o700)).unwrap();
            }
            fs::create_dir(&path).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::set_permissions(root.path().join("closed"), fs::Permissions::from_mode(0o500)).unwrap();
        std::os::unix::fs::symlink("/", root.path().join("link")).unwrap();
        assert_eq!(folders(root.path(), us).unwrap(), [Path::new("closed")]);
        let others = folders(root.path(), us + 1).unwrap();
        assert_eq!(others, ["", "closed", "closed/below", "open"].map(Path::new));
    }
}
