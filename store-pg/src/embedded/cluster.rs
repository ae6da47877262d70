//! Makes, starts and stops a server, by pg-embed's own commands.
//!
//! They are given two small scripts in the place of `initdb` and `pg_ctl`. The scripts drop root's rights, keep the host's
//! environment away from the server, and send what is printed to a file: the server inherits its output, and a pipe would
//! end with the host.

use std::{
    ffi::OsStr,
    fs,
    net::TcpListener,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use freehold_core::{Error, ExposeSecret, Kind, Result};
use pg_embed::{
    command_executor::{AsyncCommand, AsyncCommandExecutor},
    pg_commands::PgCommand,
    pg_enums::{PgAuthMethod, PgProcessType, PgServerStatus},
    pg_errors,
};
use tokio::process::Command;

use super::folder::{Folder, failed, write_private};

type Executor = AsyncCommandExecutor<PgServerStatus, pg_errors::Error, PgProcessType>;

const TIMEOUT: Duration = Duration::from_secs(120);
const FIRST_PORT: u16 = 15_432;
const PORTS: u16 = 200;
const TRIES: u32 = 20;
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) folder: Folder,
    initdb: PathBuf,
    pg_ctl: PathBuf,
}

impl Cluster {
    /// Writes the scripts, anew each time: what they call may have changed.
    pub(super) fn new(folder: Folder, binaries: &Path) -> Result<Self> {
        let bin = folder.file("bin");
        fs::create_dir_all(&bin).map_err(|error| failed("make folder", &bin, error))?;
        let script = |program: &str, log: &Path| -> Result<PathBuf> {
            let path = bin.join(program);
            let rights = folder.user.map_or(String::new(), |user| {
                format!("setpriv --reuid={} --regid={} --clear-groups --no-new-privs ", user.uid, user.gid)
            });
            let call = quoted(&binaries.join(program));
            let log = quoted(log);
            let content = format!(
                "#!/bin/sh\n# Written by Freehold at each start.\ncd / && exec env -i PATH=\"$PATH\" LC_ALL=C \
                 {rights}{call} \"$@\" >>{log} 2>&1 </dev/null\n"
            );
            write_private(&path, &content)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700))
                .map_err(|error| failed("make executable", &path, error))?;
            Ok(path)
        };
        let initdb = script("initdb", &folder.file("initdb.log"))?;
        let pg_ctl = script("pg_ctl", &folder.file("server.log"))?;
        Ok(Self { folder, initdb, pg_ctl })
    }

    /// Whether the server's user can get to its folder at all.
    pub(super) async fn check_reach(&self) -> Result<()> {
        let Some(user) = self.folder.user else { return Ok(()) };
        let server = self.folder.server();
        let status = Command::new("setpriv")
            .arg(format!("--reuid={}", user.uid))
            .arg(format!("--regid={}", user.gid))
            .args(["--clear-groups", "test", "-x"])
            .arg(&server)
            .current_dir("/")
            .status()
            .await
            .map_err(|error| {
                Error::new(Kind::Unavailable, "drop root's rights with `setpriv`").because(error)
            })?;
        if status.success() {
            return Ok(());
        }
        Err(Error::invalid(
            "store.folder",
            format_args!(
                "{} cannot be reached by user {}, whom PostgreSQL runs as: `chmod o+x` the folders above it",
                server.display(),
                user.uid
            ),
        ))
    }

    /// Makes the data where there are none: beside their place first, so that an interrupted attempt leaves nothing that
    /// looks whole.
    pub(super) async fn initialize(&self) -> Result<()> {
        let data = self.folder.data();
        if data.exists() {
            return Ok(());
        }
        let draft = self.folder.server().join("data.new");
        if draft.exists() {
            fs::remove_dir_all(&draft).map_err(|error| failed("remove", &draft, error))?;
        }
        let log = self.fresh_log("initdb.log")?;
        let password = self.folder.server().join("initdb.password");
        write_private(&password, self.folder.password()?.expose_secret())?;
        self.folder.give_to_server(&password)?;
        let made = run(PgCommand::init_db_executor(
            &self.initdb,
            &draft,
            &password,
            super::NAME,
            &PgAuthMethod::ScramSha256,
        ))
        .await;
        fs::remove_file(&password).map_err(|error| failed("remove", &password, error))?;
        made.map_err(|error| printed(error, format!("make {}", data.display()), &log))?;
        fs::rename(&draft, &data).map_err(|error| failed("make", &data, error))
    }

    /// Starts the server and gives its port: the one that is asked for, the one that was kept, or the first that is free.
    pub(super) async fn start(&self, wanted: Option<u16>) -> Result<u16> {
        self.write_rules()?;
        let mut port = match (wanted, self.folder.port()) {
            (Some(port), _) => port,
            (None, Some(kept)) if is_free(kept) => kept,
            (None, _) => free_port(FIRST_PORT)?,
        };
        let mut tries = 0;
        loop {
            let log = self.fresh_log("server.log")?;
            let Err(error) = run(self.start_command(port)).await else {
                self.folder.keep_port(port)?;
                return Ok(port);
            };
            tries += 1;
            let said = fs::read_to_string(&log).unwrap_or_default();
            let taken =
                said.contains("could not bind") || said.contains("could not create any TCP/IP sockets");
            // Processes of a server that was killed end by themselves, a moment later.
            // Nobody else's socket can be in our folder.
            let leaving =
                said.contains("pre-existing shared memory block") || said.contains("using socket file");
            if tries >= TRIES || (taken && wanted.is_some()) || !(taken || leaving) {
                let what = format!("start PostgreSQL on 127.0.0.1:{port}");
                return Err(printed(error, what, &log));
            }
            if taken {
                port = free_port(port.saturating_add(1))?;
            } else {
                tokio::time::sleep(PAUSE).await;
            }
        }
    }

    fn rules(&self) -> PathBuf {
        self.folder.server().join("pg_hba.conf")
    }

    /// Everybody comes in with the password, and whoever can enter the server's folder, its user and root, without: they
    /// read the data anyway. That is the way of [`repair`](super::EmbeddedServer::repair).
    fn write_rules(&self) -> Result<()> {
        let name = super::NAME;
        let rules = format!(
            "# Written by Freehold at each start.\nlocal all {name} trust\nhost all {name} 127.0.0.1/32 scram-sha-256\n"
        );
        write_private(&self.rules(), &rules)?;
        self.folder.give_to_server(&self.rules())
    }

    /// pg-embed's own start command has `-F`, which keeps nothing through a power cut: so the arguments are ours.
    fn start_command(&self, port: u16) -> pg_errors::Result<Executor> {
        let socket = self.folder.socket().map(|folder| quoted(&folder)).unwrap_or_default();
        let rules = quoted(&self.rules());
        let options = format!(
            "-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={socket} \
             -c unix_socket_permissions=0700 -c hba_file={rules} -c log_checkpoints=off"
        );
        let data = self.folder.data();
        let arguments: [&OsStr; 6] =
            ["start".as_ref(), "-w".as_ref(), "-o".as_ref(), options.as_ref(), "-D".as_ref(), data.as_ref()];
        Executor::new(self.pg_ctl.as_os_str(), arguments, PgProcessType::StartDb)
    }

    /// Stops the server, however many are connected.
    pub(super) async fn stop(&self) -> Result<()> {
        let log = self.folder.file("server.log");
        run(PgCommand::stop_db_executor(&self.pg_ctl, &self.folder.data())).await.map_err(|error| {
            printed(error, format!("stop the server on {}", self.folder.data().display()), &log)
        })
    }

    /// An empty log; the one before is kept beside it.
    fn fresh_log(&self, name: &str) -> Result<PathBuf> {
        let log = self.folder.file(name);
        if log.exists() {
            let before = log.with_extension("log.before");
            fs::rename(&log, &before).map_err(|error| failed("put away", &log, error))?;
        }
        write_private(&log, "")?;
        Ok(log)
    }
}

async fn run(command: pg_errors::Result<Executor>) -> pg_errors::Result<()> {
    command?.execute(Some(TIMEOUT)).await?;
    Ok(())
}

/// An error with what was printed last as its cause.
fn printed(error: pg_errors::Error, what: String, log: &Path) -> Error {
    let said = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = said.lines().rev().filter(|line| !line.trim().is_empty()).take(5).collect();
    let last = lines.into_iter().rev().collect::<Vec<_>>().join("; ");
    let error = Error::new(Kind::Unavailable, what).with("log", log.display()).with("pg-embed", error);
    if last.is_empty() { error } else { error.because(std::io::Error::other(last)) }
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}

fn free_port(from: u16) -> Result<u16> {
    (from..from.saturating_add(PORTS)).find(|port| is_free(*port)).ok_or_else(|| {
        Error::new(Kind::Unavailable, format!("find a free port for PostgreSQL from {from} on: name one"))
    })
}

/// A path as one word of a shell.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_word_whatever_it_holds() {
        assert_eq!(quoted(Path::new("/a b/it's")), r"'/a b/it'\''s'");
    }
}
