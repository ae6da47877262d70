//! The folder of an embedded server: what lies where, and who may read it.
//!
//! ```text
//! lock         held while a host uses the folder
//! password     of the role `freehold`; mode 0600, the host's user
//! port         the port that is kept
//! bin/         how initdb and pg_ctl are called (see cluster.rs)
//! *.log        what they and the server print; mode 0600, the host's user
//! server/      mode 0700, the server's user
//!   data/      PostgreSQL's own
//!   pg_hba.conf  who may come in how, written at each start
//!   .s.PGSQL.* its socket
//! postgresql-* programs that were downloaded
//! ```

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, lchown},
    path::{Path, PathBuf},
};

use freehold_core::{Error, Kind, Result, SecretString};
use rand::{TryRngCore, rngs::OsRng};

use super::{config::EmbeddedConfig, user::ServerUser};

/// The longest name that PostgreSQL gives a socket.
const SOCKET_NAME: &str = "/.s.PGSQL.65535";

#[derive(Debug)]
pub(super) struct Folder {
    base: PathBuf,
    pub(super) user: Option<ServerUser>,
    _lock: Lock,
}

impl Folder {
    /// Makes what is missing and locks the folder.
    pub(super) fn open(config: &EmbeddedConfig, user: Option<ServerUser>) -> Result<Self> {
        let base = &config.folder;
        // Where the server has a user of its own, that one passes through, and sees nothing on the way.
        make(base, if user.is_some() { 0o711 } else { 0o700 })?;
        let base = fs::canonicalize(base).map_err(|error| failed("find", base, error))?;
        if base.to_str().is_none() {
            return Err(Error::invalid("store.folder", format_args!("{} is not UTF-8", base.display())));
        }
        let lock = lock(&base.join("lock"))?;
        let folder = Self { base, user, _lock: lock };
        folder.own_by_server(&folder.server())?;
        folder.keep_password()?;
        Ok(folder)
    }

    /// What the server's user owns.
    pub(super) fn server(&self) -> PathBuf {
        self.base.join("server")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.server().join("data")
    }

    /// The folder of its socket; see [`socket_in`].
    pub(super) fn socket(&self) -> Option<PathBuf> {
        socket_in(&self.server())
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    pub(super) fn password_file(&self) -> PathBuf {
        self.file("password")
    }

    pub(super) fn password(&self) -> Result<SecretString> {
        password(&self.base)
    }

    /// The major version of the data, if there are any.
    pub(super) fn version_of_data(&self) -> Option<u32> {
        fs::read_to_string(self.data().join("PG_VERSION")).ok()?.trim().parse().ok()
    }

    /// The port that was kept.
    pub(super) fn port(&self) -> Option<u16> {
        fs::read_to_string(self.file("port")).ok()?.trim().parse().ok()
    }

    pub(super) fn keep_port(&self, port: u16) -> Result<()> {
        let path = self.file("port");
        fs::write(&path, format!("{port}\n")).map_err(|error| failed("write", &path, error))
    }

    /// A folder that the server's user owns and nobody else reads.
    pub(super) fn own_by_server(&self, path: &Path) -> Result<()> {
        make(path, 0o700)?;
        self.give_to_server(path)
    }

    /// Hands something to the server's user; never what a link leads to, which that user may have put there.
    pub(super) fn give_to_server(&self, path: &Path) -> Result<()> {
        let Some(user) = self.user else { return Ok(()) };
        lchown(path, Some(user.uid), Some(user.gid)).map_err(|error| failed("hand over", path, error))
    }

    /// Makes a password where there is none yet. Data without its password are never given a new one.
    fn keep_password(&self) -> Result<()> {
        let path = self.password_file();
        if path.exists() {
            return Ok(());
        }
        if self.data().exists() {
            return Err(Error::new(
                Kind::Conflict,
                format!(
                    "use {}: its password file {} is missing; put it back, or set another password for the role \
                     freehold and write it there",
                    self.data().display(),
                    path.display()
                ),
            ));
        }
        let mut bytes = [0; 24];
        OsRng
            .try_fill_bytes(&mut bytes)
            .map_err(|error| Error::new(Kind::Unavailable, "make a password").because(error))?;
        let password: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let draft = self.file("password.new");
        write_private(&draft, &password)?;
        fs::rename(&draft, &path).map_err(|error| failed("write", &path, error))
    }
}

/// A folder that a server was made in, all links followed.
pub(super) fn existing(base: &Path) -> Result<PathBuf> {
    if !base.join("server/data").exists() {
        return Err(Error::new(
            Kind::NotFound,
            format!("find a server in {}: there is none", base.display()),
        ));
    }
    fs::canonicalize(base).map_err(|error| failed("find", base, error))
}

/// The password in a folder.
pub(super) fn password(base: &Path) -> Result<SecretString> {
    let path = base.join("password");
    let password = fs::read_to_string(&path).map_err(|error| failed("read", &path, error))?;
    Ok(password.trim_end().into())
}

/// The folder for a socket, where a path to that fits into the 107 bytes that the system allows (unix(7)).
pub(super) fn socket_in(server: &Path) -> Option<PathBuf> {
    (server.as_os_str().len() + SOCKET_NAME.len() <= 107).then(|| server.to_owned())
}

/// Writes a file that only its owner reads. One of the same name is replaced.
pub(super) fn write_private(path: &Path, content: &str) -> Result<()> {
    let written = || {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content.as_bytes())?;
        file.sync_all()
    };
    written().map_err(|error| failed("write", path, error))
}

pub(super) fn failed(verb: &str, path: &Path, error: io::Error) -> Error {
    Error::new(Kind::Unavailable, format!("{verb} {}", path.display())).because(error)
}

/// Makes a folder of that mode, whatever the umask. One that is there keeps its own.
fn make(path: &Path, mode: u32) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .map_err(|error| failed("make folder", path, error))
}

/// The lock on a folder, held until this is dropped or the process ends, however it does.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    /// Closing the file would not do: a program that another thread is starting just now has the file too, from fork(2) to
    /// execve(2), and the lock goes only with the last of them (flock(2)).
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

fn lock(path: &Path) -> Result<Lock> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| failed("open", path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(Error::new(
            Kind::Conflict,
            format!("use {}: another host uses it; stop that one first", path.with_file_name("").display()),
        )),
        Err(TryLockError::Error(error)) => Err(failed("lock", path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_was_left_is_free_though_a_program_that_is_starting_still_has_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = lock(&path).unwrap();
        assert_eq!(lock(&path).unwrap_err().kind(), Kind::Conflict);
        // As fork(2) does.
        let starting = held.0.try_clone().unwrap();
        drop(held);
        drop(lock(&path).unwrap());
        drop(starting);
    }
}
