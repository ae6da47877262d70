//! Where the server's data lies and what it is run with.

use std::path::PathBuf;

use serde::Deserialize;

/// Where the server's data lies and what it is run with.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddedConfig {
    /// The folder of the data, the password and everything else. It is made if it is missing. Started by root, others must
    /// be able to pass through the folders above it (mode `o+x`), so that the server's user reaches it.
    pub folder: PathBuf,
    /// The port. By default the first that is free from 15432 on; that one is kept.
    #[serde(default)]
    pub port: Option<u16>,
    /// Which `initdb`, `pg_ctl` and `postgres` are run.
    #[serde(default)]
    pub binaries: Binaries,
    /// Where they are downloaded from: a Maven repository, `https://repo1.maven.org` by default.
    #[serde(default = "defaults::mirror")]
    pub mirror: String,
    /// The operating-system user that runs the server when the host is run by root. Let nothing else run as this user:
    /// whoever does reads the store.
    #[serde(default = "defaults::user")]
    pub user: String,
}

/// Which of PostgreSQL's programs are run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binaries {
    /// Those that fit the data, or the newest, of `/usr/lib/postgresql/*/bin` and `PATH`; downloaded where there are none.
    #[default]
    Found,
    /// Those in this folder.
    Folder(PathBuf),
    /// Those that are downloaded, even if others are there.
    Downloaded,
}

mod defaults {
    pub(super) fn mirror() -> String {
        "https://repo1.maven.org".to_owned()
    }

    pub(super) fn user() -> String {
        "freehold-store".to_owned()
    }
}

impl EmbeddedConfig {
    /// A server in this folder, everything else by default.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
            port: None,
            binaries: Binaries::default(),
            mirror: defaults::mirror(),
            user: defaults::user(),
        }
    }
}
