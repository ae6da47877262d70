//! The folder for everything that the host keeps.

use std::{
    env, fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use crate::exit::{Failure, Result};

/// Where the host keeps its things unless it is told: `/var/lib/freehold` as root, else what the XDG base directory
/// specification says.
///
/// # Errors
/// If there is neither `XDG_STATE_HOME` nor `HOME`.
pub(crate) fn default_folder() -> Result<PathBuf> {
    if is_root() {
        return Ok("/var/lib/freehold".into());
    }
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .map(|base| base.join("freehold"))
        .ok_or_else(|| {
            Failure::usage("neither XDG_STATE_HOME nor HOME is set: say where to keep things with --state")
        })
}

/// The configuration file that is read unless one is named, if it is there.
pub(crate) fn default_config() -> Option<PathBuf> {
    let own = env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")))
        .map(|base| base.join("freehold/freehold.toml"));
    let path = if is_root() { Some(PathBuf::from("/etc/freehold/freehold.toml")) } else { own };
    path.filter(|path| path.exists())
}

/// Makes the folder. As root others may pass through it, because projects run as users of their own; what is private in
/// it is private by its own mode.
///
/// # Errors
/// If it cannot be made.
pub(crate) fn make(folder: &Path) -> Result<()> {
    let mode = if is_root() { 0o711 } else { 0o700 };
    fs::DirBuilder::new().recursive(true).mode(mode).create(folder).map_err(|error| {
        Failure::usage(format!("make {}: {error}: name another folder with --state", folder.display()))
    })
}

/// Whether this runs as root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
