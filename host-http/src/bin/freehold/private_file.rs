//! Files that nobody else may read.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::Path,
};

use crate::exit::{Failure, Result};

/// Reads a file of ours, or nothing if it is not there.
///
/// # Errors
/// If others could read it: then what it holds may be known already.
pub(crate) fn read(path: &Path) -> Result<Option<String>> {
    let cannot = |error: io::Error| Failure::usage(format!("read {}: {error}", path.display()));
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(cannot(error)),
    };
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(Failure::usage(format!(
            "{path} has mode {mode:04o}, so others can read it: `chmod 600 {path}`, and consider what it holds known",
            path = path.display()
        )));
    }
    fs::read_to_string(path).map(Some).map_err(cannot)
}

/// Writes a file of ours, whole or not at all, readable by nobody else from the first byte on.
///
/// # Errors
/// If the folder does not take it.
pub(crate) fn write(path: &Path, content: &str) -> Result<()> {
    let cannot = |error: io::Error| Failure::usage(format!("write {}: {error}", path.display()));
    let draft = path.with_extension(format!("draft-{}", std::process::id()));
    // What lies there is of a process that ended midway, or somebody's link: neither is written to.
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(cannot(error)),
        _ => {}
    }
    let mut file =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(cannot)?;
    let written = file.write_all(content.as_bytes()).and_then(|()| file.sync_all());
    let placed = written.and_then(|()| fs::rename(&draft, path));
    if placed.is_err() {
        // What is left of a draft is of no use; the error that matters is the first one.
        let _ = fs::remove_file(&draft);
    }
    placed.map_err(cannot)?;
    // The rename itself has to survive a crash too.
    if let Some(folder) = path.parent() {
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(cannot)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_written_is_ours_alone_and_reads_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        write(&path, "one").unwrap();
        write(&path, "two").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(read(&path).unwrap().as_deref(), Some("two"));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_draft_that_lies_there_lends_its_mode_to_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let draft = path.with_extension(format!("draft-{}", std::process::id()));
        fs::write(&draft, "left").unwrap();
        fs::set_permissions(&draft, fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, "one").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        write(&path, "one").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let failure = read(&path).unwrap_err();
        assert!(failure.message().contains("0644") && failure.message().contains("chmod 600"), "{failure:?}");
        assert_eq!(failure.code(), 2);
    }

    #[test]
    fn a_file_that_is_not_there_is_nothing() {
        assert!(read(Path::new("/nonexistent/x")).unwrap().is_none());
    }
}
