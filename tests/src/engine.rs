//! A Docker Engine of one test's own, which may lose its power.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use tempfile::TempDir;

use crate::wait_until;

/// Says that this process is in a network of its own already.
const INSIDE: &str = "FREEHOLD_TEST_OWN_NETWORK";

/// An engine with a data folder of its own. It is the first process of a process namespace, so that when it is killed
/// everything that it runs ends with it, as on a machine that loses its power; what is on the disk stays.
#[derive(Debug)]
pub struct OwnEngine {
    folder: TempDir,
    process: Option<Child>,
}

/// Whether this process is in a network namespace of its own, where a second engine can have its own bridges and rules.
/// If not, the named test is run once more in one, and has to pass there. Where none can be made, it says `skipped: `.
///
/// # Panics
/// If the test fails in there; under `CI=true` if no namespace can be made.
#[must_use]
pub fn in_own_network(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let own = fs::metadata("/proc/self").expect("there is /proc");
    let known = |program: &str| Command::new(program).arg("--version").output().is_ok();
    if own.uid() != 0 || !["unshare", "dockerd", "docker"].into_iter().all(known) {
        skip("a second Docker Engine takes root, dockerd, docker and unshare");
        return false;
    }
    let program = std::env::current_exe().expect("a test knows its own program");
    let status = Command::new("unshare")
        .args(["--net", "sh", "-c", "ip link set lo up && exec \"$@\"", "sh"])
        .arg(program)
        .args([test, "--exact", "--nocapture"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare can be run");
    assert!(status.success(), "{test}, in a network of its own, ended with {status}");
    false
}

fn skip(why: &str) {
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "{why}, and CI skips nothing");
    eprintln!("skipped: {why}");
}

impl OwnEngine {
    /// An engine that runs, with an image of the engine that other tests use; `None`, said on standard error, where dockerd
    /// does not start.
    ///
    /// # Panics
    /// If the image cannot be handed over; under `CI=true` if it does not start.
    #[must_use]
    pub fn start_with(image: &str) -> Option<Self> {
        // Short: a socket's path has at most 107 characters.
        let folder = tempfile::Builder::new().prefix("fh-engine-").tempdir().expect("a folder can be made");
        let mut engine = Self { folder, process: None };
        if let Err(why) = engine.power_on() {
            skip(&format!("dockerd does not start: {why}"));
            return None;
        }
        let mut saved = Command::new("docker")
            .args(["image", "save", image])
            .stdout(Stdio::piped())
            .spawn()
            .expect("docker can be run");
        let archive = saved.stdout.take().expect("its output is piped");
        let loaded = Command::new("docker")
            .args(["--host", &engine.host(), "image", "load", "--quiet"])
            .stdin(archive)
            .stdout(Stdio::null())
            .status()
            .expect("docker can be run");
        assert!(
            saved.wait().is_ok_and(|status| status.success()) && loaded.success(),
            "{image} is not loaded"
        );
        Some(engine)
    }

    /// Starts it on what is on its disk.
    ///
    /// # Errors
    /// What it said last, if it ends instead.
    ///
    /// # Panics
    /// If its files cannot be written, or if it neither ends nor answers in three minutes.
    pub fn power_on(&mut self) -> Result<(), String> {
        let path = self.folder.path();
        // What would be on a file system in memory: process ids, which mean nothing any more, and sockets.
        let _ = fs::remove_dir_all(path.join("run"));
        fs::create_dir_all(path.join("run")).expect("a folder can be made");
        fs::write(path.join("daemon.json"), "{}").expect("its configuration can be written");
        let log = fs::File::create(path.join("log")).expect("its log can be written");
        let place = |option: &str, name: &str| [format!("--{option}"), path.join(name).display().to_string()];
        let mut process = Command::new("unshare")
            .args(["--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "dockerd"])
            .args(place("config-file", "daemon.json"))
            .args(place("data-root", "data"))
            .args(place("exec-root", "run/exec"))
            .args(place("pidfile", "run/pid"))
            .args(["--host", &self.host()])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("unshare can be run");
        let mut ended = false;
        wait_until("the engine answers", || {
            ended = process.try_wait().expect("it can be looked at").is_some();
            ended || self.docker(&["version"]).status.success()
        });
        if ended {
            let log = fs::read_to_string(path.join("log")).unwrap_or_default();
            return Err(log.lines().next_back().unwrap_or_default().to_owned());
        }
        self.process = Some(process);
        Ok(())
    }

    /// Takes its power: it and all its containers are gone at once.
    ///
    /// # Panics
    /// If it does not end.
    pub fn power_off(&mut self) {
        let Some(mut process) = self.process.take() else { return };
        process.kill().expect("it can be killed");
        process.wait().expect("it can be waited for");
        // The first process of a namespace ends last.
        let place = self.folder.path().display().to_string();
        wait_until("the engine is gone", || !names_of_processes().any(|name| name.contains(&place)));
    }

    /// Its address.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.folder.path().join("run/sock").display())
    }

    /// Runs the `docker` program on it.
    ///
    /// # Panics
    /// If that cannot be started.
    #[must_use]
    pub fn docker(&self, arguments: &[&str]) -> Output {
        let mut docker = Command::new("docker");
        docker.args(["--host", &self.host()]).args(arguments).output().expect("docker can be run")
    }
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        self.power_off();
    }
}

/// The command lines of all processes.
fn names_of_processes() -> impl Iterator<Item = String> {
    let read = |process: &Path| fs::read(process.join("cmdline")).ok();
    let all = fs::read_dir("/proc").expect("there is /proc").flatten();
    all.filter_map(move |process| Some(String::from_utf8_lossy(&read(&process.path())?).into_owned()))
}
