//! A folder for one test.

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _};

use tempfile::TempDir;

/// A temporary folder that users other than ours may pass through: as root, projects run as users of their own.
///
/// # Panics
/// If it cannot be made.
#[must_use]
pub fn passable_folder() -> TempDir {
    tempfile::Builder::new()
        .prefix("freehold-")
        .permissions(Permissions::from_mode(0o711))
        .tempdir()
        .expect("a temporary folder can be made")
}
