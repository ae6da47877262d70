//! Whether a server runs on a data folder, as `postmaster.pid` and the system tell.
//!
//! The file holds, a line each: process, data folder, time of start, port (PostgreSQL, `src/include/utils/pidfile.h`).
//! PostgreSQL itself refuses to start if a process of that number lives, whatever it is; a number that was given to
//! another process by now has to be found out here.

use std::{fs, io, path::Path};

use freehold_core::Result;

use super::folder::failed;

/// What was found on a data folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// A server that lives.
    Live {
        /// Its process.
        process: u32,
        /// Where it listens.
        port: u16,
    },
    /// None; what one left behind was removed.
    Nothing,
}

pub(super) fn find(data: &Path) -> Result<Found> {
    let path = data.join("postmaster.pid");
    let content = match fs::read_to_string(&path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(error) => return Err(failed("read", &path, error)),
    };
    let mut lines = content.lines();
    let process = lines.next().and_then(|line| line.trim().parse::<u32>().ok());
    let port = lines.nth(2).and_then(|line| line.trim().parse().ok());
    if let (Some(process), Some(port)) = (process, port)
        && works_in(process, data)
    {
        return Ok(Found::Live { process, port });
    }
    tracing::warn!(?process, path = %path.display(), "clearing away what a server that crashed left behind");
    fs::remove_file(&path).map_err(|error| failed("remove", &path, error))?;
    Ok(Found::Nothing)
}

/// A server's working folder is its data folder, and no other process has it there for long.
fn works_in(process: u32, data: &Path) -> bool {
    fs::read_link(format!("/proc/{process}/cwd")).is_ok_and(|folder| folder == data)
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    fn pid_file(data: &Path, process: u32) {
        fs::write(
            data.join("postmaster.pid"),
            format!("{process}\n{}\n1\n15432\n\n127.0.0.1\n", data.display()),
        )
        .unwrap();
    }

    #[test]
    fn a_process_that_works_elsewhere_is_no_server_and_its_file_goes() {
        let data = tempfile::tempdir().unwrap();
        pid_file(data.path(), std::process::id());
        assert_eq!(find(data.path()).unwrap(), Found::Nothing);
        assert!(!data.path().join("postmaster.pid").exists());
        assert_eq!(find(data.path()).unwrap(), Found::Nothing);
    }

    #[test]
    fn a_process_that_works_in_the_data_folder_is_a_server() {
        let data = tempfile::tempdir().unwrap();
        let path = data.path().canonicalize().unwrap();
        let mut process = Command::new("cat")
            .current_dir(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        pid_file(&path, process.id());
        let found = find(&path);
        let number = process.id();
        process.kill().unwrap();
        process.wait().unwrap();
        assert_eq!(found.unwrap(), Found::Live { process: number, port: 15432 });
    }
}
