//! A folder for an embedded server. What runs in it ends with the test, however that ends.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use freehold_pg::EmbeddedConfig;

#[derive(Debug)]
pub(crate) struct Scratch {
    path: PathBuf,
    /// Stops the server and removes the folder when its standard input closes.
    _watchdog: Child,
}

impl Scratch {
    /// `None`, said on standard error, where no PostgreSQL is to be had.
    pub(super) fn new() -> Option<Self> {
        if !Path::new("/usr/lib/postgresql").exists() {
            assert!(std::env::var_os("CI").is_none(), "no PostgreSQL below /usr/lib/postgresql");
            eprintln!("skipped: no PostgreSQL below /usr/lib/postgresql");
            return None;
        }
        let path = tempfile::Builder::new().prefix("freehold-embedded-").tempdir().unwrap().keep();
        // The server's user passes through.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o711)).unwrap();
        let clean = "cat >/dev/null; pid=$(head -n 1 \"$1/pg/server/data/postmaster.pid\" 2>/dev/null); \
            [ \"$(readlink /proc/$pid/cwd)\" != \"$1/pg/server/data\" ] || kill -QUIT $pid; \
            while [ \"$(readlink /proc/$pid/cwd)\" = \"$1/pg/server/data\" ]; do sleep 0.1; done; rm -rf \"$1\"";
        let watchdog = Command::new("setsid")
            .args(["sh", "-c", clean, "sh"])
            .arg(&path)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Some(Self { path, _watchdog: watchdog })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the server lies.
    pub(super) fn folder(&self) -> PathBuf {
        self.path.join("pg")
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder().join("server/data")
    }

    /// As root, `nobody` runs the server: a user that is always there.
    pub(crate) fn config(&self) -> EmbeddedConfig {
        let mut config = EmbeddedConfig::new(self.folder());
        config.user = "nobody".into();
        config
    }

    /// The server's process.
    pub(super) fn process(&self) -> u32 {
        self.running().unwrap()
    }

    /// The server's process, if there is a server.
    pub(super) fn running(&self) -> Option<u32> {
        let file = fs::read_to_string(self.data().join("postmaster.pid")).ok()?;
        file.lines().next()?.trim().parse().ok()
    }
}

pub(super) fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
}

pub(super) fn signal(process: u32, signal: &str) {
    assert!(Command::new("kill").arg(signal).arg(process.to_string()).status().unwrap().success());
}
