//! Which machine this is, and which of its data folders.

use std::{fs, path::Path};

use sha2::{Digest as _, Sha256};

use crate::{
    error::Failure,
    folder::{DataFolder, write_whole},
};

/// The machine whose ports the projects use: its host name, which is what a Docker Engine calls its machine as well, so
/// that targets of both kinds on one machine share its ports.
pub(crate) fn machine() -> Result<String, Failure> {
    let source = Path::new("/proc/sys/kernel/hostname");
    let name = fs::read_to_string(source).map_err(Failure::touch("read", source))?;
    Ok(name.trim().to_owned())
}

/// What the target is bound to: this machine and this data folder. The machine is named by a hash of `/etc/machine-id`,
/// which must not be shown as it is (machine-id(5)); where there is none, as in many containers, of an id that is made
/// once and kept in the data folder.
pub(crate) fn identity(folder: &DataFolder) -> Result<String, Failure> {
    let id = match read(Path::new("/etc/machine-id")) {
        Some(id) => id,
        None => made(&folder.path().join("machine-id"))?,
    };
    let hash = format!("{:x}", Sha256::digest(format!("freehold-shell machine {id}")));
    Ok(format!("{}:{}", &hash[..32], folder.path().display()))
}

fn read(path: &Path) -> Option<String> {
    let id = fs::read_to_string(path).ok()?.trim().to_owned();
    // While a machine boots for the first time the file says so instead.
    (!id.is_empty() && id != "uninitialized").then_some(id)
}

fn made(path: &Path) -> Result<String, Failure> {
    if let Some(id) = read(path) {
        return Ok(id);
    }
    let source = Path::new("/proc/sys/kernel/random/uuid");
    let id = fs::read_to_string(source).map_err(Failure::touch("read", source))?;
    write_whole(path, id.as_bytes())?;
    Ok(id.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_id_stays_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("machine-id");
        assert_eq!(made(&path).unwrap(), made(&path).unwrap());
    }
}
