//! Two hosts on one database: one that stands still past its lease and comes back, and a PostgreSQL that is killed again
//! and again under both.
//!
//! `FREEHOLD_RESTARTS` says how often PostgreSQL is killed, `FREEHOLD_ZOMBIES` how often a host stands still.

use std::{
    collections::BTreeSet,
    fs,
    ops::Range,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use freehold_core::ExposeSecret as _;
use freehold_pg::{EmbeddedConfig, EmbeddedServer};
use freehold_tests::{HostProcess, Lab, chosen, facts, postgresql, wait_until};
use serde_json::Value;

/// Two hosts with the same key on one store.
struct Pair {
    lab: Lab,
    store: PathBuf,
    server: Option<EmbeddedServer>,
    runtime: tokio::runtime::Runtime,
    hosts: Vec<HostProcess>,
}

impl Pair {
    fn new(ports: Range<u16>) -> Self {
        let lab = Lab::new(ports);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let store = lab.state().with_file_name("store");
        let server = runtime.block_on(EmbeddedServer::start(&EmbeddedConfig::new(&store))).unwrap();
        let file = lab.state().with_file_name("url");
        fs::write(&file, server.url().expose_secret()).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let url = file.display().to_string();
        let start = |state: &Path| lab.host_with(state, &["--database-url-file", &url], None).unwrap();
        let first = start(&lab.state());
        let other = lab.state().with_file_name("other");
        fs::create_dir(&other).unwrap();
        fs::copy(lab.state().join("keys.toml"), other.join("keys.toml")).unwrap();
        let second = start(&other);
        // The store knows one token, which the first host has written down.
        let client = fs::read_to_string(lab.state().join("client.toml")).unwrap();
        fs::write(other.join("client.toml"), client.replace(first.listen(), second.listen())).unwrap();
        fs::set_permissions(other.join("client.toml"), fs::Permissions::from_mode(0o600)).unwrap();
        let hosts = vec![first, second];
        Self { lab, store, server: Some(server), runtime, hosts }
    }

    /// Kills PostgreSQL as a power cut would, and starts it again.
    fn restart_store(&mut self) {
        let file = self.store.join("server/data/postmaster.pid");
        let process = fs::read_to_string(file).unwrap().lines().next().unwrap().to_owned();
        // An immediate shutdown: no connection is ended in order, and the next start recovers (PostgreSQL, 18.5).
        signal("-QUIT", &process);
        wait_until("PostgreSQL ends", || !Path::new("/proc").join(&process).exists() || is_zombie(&process));
        drop(self.server.take());
        let config = EmbeddedConfig::new(&self.store);
        self.server = Some(self.runtime.block_on(EmbeddedServer::start(&config)).unwrap());
    }

    fn events(&self) -> Vec<Value> {
        let events = self.hosts.iter().find_map(|host| host.try_json(&["events"]).ok());
        events.and_then(|events| events.as_array().cloned()).unwrap_or_default()
    }

    /// Asks one host, then the other, until one has answered. What they say when they cannot is printed once each.
    fn asked(&self, arguments: &[&str]) -> Value {
        let (mut answer, mut refusals) = (None, BTreeSet::new());
        wait_until(&format!("{arguments:?} is answered"), || {
            answer = self.hosts.iter().find_map(|host| match host.try_json(arguments) {
                Ok(answer) => Some(answer),
                Err(said) => {
                    if refusals.insert(said.clone()) {
                        eprintln!("{said}");
                    }
                    None
                }
            });
            answer.is_some()
        });
        answer.unwrap()
    }

    fn is(&self, project: &str, status: &str) -> bool {
        let events = self.events();
        facts(&events, project, "status_changed").last().is_some_and(|fact| fact["to"] == status)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.hosts.clear();
        if let Some(server) = self.server.take()
            && let Err(error) = self.runtime.block_on(server.stop())
        {
            eprintln!("the store's server goes on: {error}");
        }
    }
}

fn signal(signal: &str, process: &str) {
    assert!(Command::new("kill").args([signal, process]).status().unwrap().success());
}

fn is_zombie(process: &str) -> bool {
    fs::read_to_string(Path::new("/proc").join(process).join("stat")).is_ok_and(|stat| stat.contains(") Z "))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[test]
fn a_host_that_stood_still_past_its_lease_writes_nothing_and_what_it_still_does_is_repaired() {
    if !postgresql() {
        return;
    }
    let pair = Pair::new(25_000..25_100);
    let rounds = chosen("FREEHOLD_ZOMBIES", 2);
    let mut takeovers = 0;
    for round in 0..rounds {
        let project = text(&pair.asked(&["create", &format!("p{round}")])["project"]["ref"]).to_owned();
        wait_until("it is up", || pair.is(&project, "ACTIVE_HEALTHY"));
        let before = pair.events().len();
        // Whichever of the two claims it is in the middle of it when it stands still.
        let _ = pair.asked(&["restart", &project, "--no-wait"]);
        let own = |events: &[Value], state: &str| {
            let events = &events[before.min(events.len())..];
            facts(events, &project, "operation_changed").filter(|fact| fact["state"] == state).count()
        };
        wait_until("it is begun", || own(&pair.events(), "running") > 0);
        let frozen = pair.hosts[0].id().to_string();
        signal("-STOP", &frozen);
        // The other host takes over, or it was its own to begin with. The hook's lock on the project's folder may be held by
        // the host that stands still: then the work goes on only once that host lets go, and not before.
        wait_until("it is taken over, or ends", || {
            let events = pair.hosts[1].json(&["events"]);
            let events = events.as_array().unwrap();
            own(events, "running") > 1 || own(events, "succeeded") == 1
        });
        let then = pair.hosts[1].json(&["events"]);
        takeovers += u64::from(own(then.as_array().unwrap(), "running") > 1);
        signal("-CONT", &frozen);
        // Once it answers, it is awake and has had its chance.
        wait_until("it is awake", || pair.hosts[0].try_json(&["list"]).is_ok());
        wait_until("it ends", || own(&pair.events(), "succeeded") > 0);
        let row = pair.asked(&["show", &project]);
        // Whatever the zombie still had to write is refused by now: it has looked for work since.
        std::thread::sleep(Duration::from_secs(3));
        let events = pair.events();
        assert_eq!(own(&events, "succeeded"), 1, "it ended once: {events:#?}");
        assert_eq!(own(&events, "waiting"), 1, "nobody handed it back: {events:#?}");
        assert_eq!(pair.asked(&["show", &project])["version"], row["version"], "nothing wrote to the row");
        wait_until("one process runs", || pair.lab.processes(&project) == 1);
        assert_eq!(pair.lab.births(&project), 1);
        let _ = pair.asked(&["destroy", &project, "--yes"]);
        wait_until("it is removed", || pair.is(&project, "REMOVED"));
        assert_eq!(pair.lab.left(&project), [""; 0]);
    }
    println!("count: {rounds} hosts that stood still past their lease");
    println!("count: {takeovers} operations taken over from a host that stood still");
}

#[test]
fn a_postgresql_that_is_killed_every_few_seconds_under_load_loses_no_operation() {
    if !postgresql() {
        return;
    }
    const PROJECTS: u16 = 4;
    let restarts = u16::try_from(chosen("FREEHOLD_RESTARTS", 3)).unwrap();
    let mut pair = Pair::new(25_200..25_200 + PROJECTS * restarts);
    let mut projects = vec![];
    let begun = Instant::now();
    for restart in 0..restarts {
        for number in 0..PROJECTS {
            let name = format!("p{restart}-{number}");
            // Under a key, because an answer may be lost.
            let create = ["create", &name, "--no-wait", "--idempotency-key", &name];
            projects.push(text(&pair.asked(&create)["project"]["ref"]).to_owned());
        }
        std::thread::sleep(Duration::from_millis(300));
        pair.restart_store();
    }
    println!("killed {restarts} times within {:?}", begun.elapsed());
    for project in &projects {
        wait_until("it is up", || pair.is(project, "ACTIVE_HEALTHY"));
        assert_eq!((pair.lab.processes(project), pair.lab.births(project)), (1, 1));
    }
    for project in &projects {
        let _ = pair.asked(&["destroy", project, "--yes", "--no-wait"]);
    }
    pair.restart_store();
    for project in &projects {
        wait_until("it is removed", || pair.is(project, "REMOVED"));
        assert_eq!(pair.lab.left(project), [""; 0]);
    }
    let events = pair.events();
    for project in &projects {
        let ends = facts(&events, project, "operation_changed").filter(|fact| fact["state"] == "succeeded");
        assert_eq!(ends.count(), 2, "each operation ended once");
    }
    let dense = events.iter().zip(1_u64..).all(|(event, number)| event["sequence"] == number);
    assert!(dense, "an event is missing");
    println!("count: {} restarts of PostgreSQL under load", restarts + 1);
    println!("count: {} operations across restarts of PostgreSQL, none lost", 2 * projects.len());
}
