//! A host whose projects are quick and real: hooks with a state, processes and a register that can be counted.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{HostProcess, passable_folder, workspace};

/// Leases, margins, and a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// One installation with the lab's hooks. Hosts come and go; what it keeps stays until it is dropped.
#[derive(Debug)]
pub struct Lab {
    folder: TempDir,
    ports: Range<u16>,
}

impl Lab {
    /// An installation whose projects have those ports, one each: labs run side by side.
    ///
    /// # Panics
    /// If its files cannot be written.
    #[must_use]
    pub fn new(ports: Range<u16>) -> Self {
        let lab = Self { folder: passable_folder(), ports };
        let hooks = workspace().join("tests/hooks/lab");
        let config = format!(
            "[control]\nwatch_seconds = 0\nlease_seconds = 3\nlease_margin_seconds = 1\nshutdown_grace_seconds = 1\n\n\
             [targets.lab]\nkind = \"shell\"\nconfig = {{ data = {:?}, hooks = {hooks:?} }}\n\
             settings = {{ port_pool = {{ first = {}, last = {} }} }}\n",
            lab.data(),
            lab.ports.start,
            lab.ports.end - 1,
        );
        fs::write(lab.folder.path().join("freehold.toml"), config).expect("the configuration can be written");
        lab
    }

    /// The first port that its projects may have.
    #[must_use]
    pub fn first_port(&self) -> u16 {
        self.ports.start
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Where the first host keeps its things, its PostgreSQL among them.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// Starts a host, with a fault plan (TOML) if there is one.
    ///
    /// # Panics
    /// If it does not start.
    #[must_use]
    pub fn host(&self, faults: Option<&str>) -> HostProcess {
        self.host_with(&self.state(), &[], faults)
            .unwrap_or_else(|said| panic!("the host ended before it listened:\n{said}"))
    }

    /// Starts a host that keeps its things elsewhere, for instance a second one on the same store.
    ///
    /// # Errors
    /// What it said, if it ended before it listened, as one with a crash in its plan may.
    ///
    /// # Panics
    /// If it cannot be started at all.
    pub fn host_with(
        &self,
        state: &Path,
        more: &[&str],
        faults: Option<&str>,
    ) -> Result<HostProcess, String> {
        let config = self.folder.path().join("freehold.toml");
        let mut arguments = vec!["--config".to_owned(), config.display().to_string()];
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        if let Some(faults) = faults {
            let file = self.folder.path().join("faults.toml");
            fs::write(&file, faults).expect("the fault plan can be written");
            arguments.extend(["--faults".to_owned(), file.display().to_string()]);
            arguments.extend(["--log".to_owned(), "info,freehold_core::faults=debug".to_owned()]);
        }
        HostProcess::start_with(state, &arguments)
    }

    /// How many processes of a project run.
    ///
    /// # Panics
    /// If there is no `pgrep`.
    #[must_use]
    pub fn processes(&self, project: &str) -> usize {
        let pattern = format!("^tail -f {}/projects/{project}/root/data/id$", self.data().display());
        let found = Command::new("pgrep").args(["-f", &pattern]).output().expect("there is pgrep");
        String::from_utf8_lossy(&found.stdout).lines().count()
    }

    /// What a project keeps in its data, for instance its `id` or its `token`.
    #[must_use]
    pub fn kept(&self, project: &str, name: &str) -> Option<String> {
        let file = self.data().join("projects").join(project).join("root/data").join(name);
        fs::read_to_string(file).ok().map(|text| text.trim().to_owned())
    }

    /// How often a project's data was made.
    #[must_use]
    pub fn births(&self, project: &str) -> usize {
        let births = fs::read_to_string(self.data().join("births")).unwrap_or_default();
        births.lines().filter(|line| line.starts_with(project)).count()
    }

    /// What is left of a project, in words.
    #[must_use]
    pub fn left(&self, project: &str) -> Vec<String> {
        let places = [self.data().join("register"), self.data().join("projects")];
        let mut left: Vec<_> = places
            .iter()
            .map(|place| place.join(project))
            .filter(|path| path.exists())
            .map(|path| path.display().to_string())
            .collect();
        left.extend((0..self.processes(project)).map(|_| "a process".to_owned()));
        left
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The store's server outlives its hosts on purpose, and so do projects.
        let pattern = format!("^tail -f {}/", self.data().display());
        let _ = Command::new("pkill").args(["-9", "-f", &pattern]).status();
        let file = self.state().join("postgres/server/data/postmaster.pid");
        let Ok(text) = fs::read_to_string(file) else { return };
        if let Some(server) = text.lines().next() {
            let _ = Command::new("kill").args(["-QUIT", server]).status();
            wait_until("the store's server ends", || !Path::new("/proc").join(server).exists());
        }
    }
}

/// The facts of a kind that were told of a project, in order.
pub fn facts<'a>(events: &'a [Value], project: &'a str, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let own = events.iter().filter(move |event| event["ref"] == project);
    own.map(|event| &event["fact"]).filter(move |fact| fact["type"] == kind)
}

/// Another process tells us nothing, so it is looked at now and then.
///
/// # Panics
/// If it does not come true within three minutes.
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A number for a long run, from the environment, or the one for every day.
#[must_use]
pub fn chosen(variable: &str, everyday: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(everyday)
}
