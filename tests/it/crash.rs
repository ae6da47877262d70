//! `kill -9`, of the host in the middle of its work and of what it runs.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use freehold_tests::{HostProcess, passable_folder, postgresql};
use serde_json::Value;

/// Lease, margin and a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn a_host_killed_in_the_middle_of_a_provision_takes_it_up_again_and_the_project_comes_up_once() {
    if !postgresql() {
        return;
    }
    let folder = passable_folder();
    let state = folder.path().join("state");
    let host = HostProcess::start(&state);
    let accepted = host.json(&["create", "demo", "--no-wait"]);
    let operation = text(&accepted["operation"]["id"]).to_owned();
    let project = text(&accepted["project"]["ref"]).to_owned();
    // Its folder is there: the hook works on it.
    wait_until("the provision begins", || shell_folder(&state, &project).exists());
    host.kill();

    let host = HostProcess::start(&state);
    wait_until("the project comes up", || became(&host, "ACTIVE_HEALTHY") == 1);
    let events = host.json(&["events"]);
    let ends: Vec<_> =
        facts(&events, "operation_changed").filter(|fact| fact["state"] == "succeeded").collect();
    assert_eq!(ends.len(), 1, "{events:#}");
    assert_eq!((text(&ends[0]["operation"]), &ends[0]["attempt"]), (operation.as_str(), &Value::from(2)));
    assert_eq!(host.json(&["show", "demo"])["status"], "ACTIVE_HEALTHY");
    assert_eq!(host.json(&["list"]).as_array().unwrap().len(), 1);
    assert_eq!(servers(&project), 1);

    let _ = host.json(&["destroy", "demo", "--yes"]);
    assert_eq!(servers(&project), 0);
    stop_store(host, &state);
}

#[test]
fn a_killed_postgresql_is_brought_back_after_a_restart_of_the_host_with_the_reason_in_its_events() {
    if !postgresql() {
        return;
    }
    let folder = passable_folder();
    let state = folder.path().join("state");
    let host = HostProcess::start(&state);
    let _ = host.json(&["create", "demo"]);
    let project = text(&host.json(&["show", "demo"])["ref"]).to_owned();
    host.kill();
    let server = server_process(&state, &project);
    assert!(Command::new("kill").args(["-9", &server]).status().unwrap().success());

    let host = HostProcess::start(&state);
    wait_until("the project is brought back", || became(&host, "ACTIVE_HEALTHY") == 2);
    assert_ne!(server_process(&state, &project), server);
    let events = host.json(&["events"]);
    let reasons: Vec<_> = facts(&events, "revived").map(|fact| text(&fact["reason"])).collect();
    assert_eq!(reasons.len(), 1, "{events:#}");
    assert!(reasons[0].contains("postgres"), "{reasons:?}");

    let _ = host.json(&["destroy", "demo", "--yes"]);
    stop_store(host, &state);
}

#[test]
fn a_host_killed_in_the_middle_of_a_rotation_converges_on_the_new_password_and_the_old_one_is_refused() {
    if !postgresql() {
        return;
    }
    let folder = passable_folder();
    let state = folder.path().join("state");
    let mut host = HostProcess::start(&state);
    let _ = host.json(&["create", "demo"]);
    let project = text(&host.json(&["show", "demo"])["ref"]).to_owned();
    let password = |host: &HostProcess| {
        let shown = host.json(&["show", "demo", "--secrets"]);
        let port = shown["project"]["connection"]["database"]["endpoint"]["public"]["port"].as_u64();
        (port.unwrap(), text(&shown["secrets"]["db_pass"]).to_owned())
    };
    let hook = shell_folder(&state, &project).join("group.json");
    // Once as soon as it is durable, once while the hook works.
    for in_the_hook in [false, true] {
        let old = password(&host).1;
        let accepted = host.json(&["rotate", "demo", "db_pass", "--no-wait"]);
        let operation = text(&accepted["operation"]["id"]).to_owned();
        while in_the_hook && !hook.exists() {
            std::thread::sleep(Duration::from_millis(1));
        }
        host.kill();
        host = HostProcess::start(&state);
        let state_of = |host: &HostProcess| {
            let all = host.json(&["operations"]);
            let found = all.as_array().unwrap().iter().find(|one| text(&one["id"]) == operation).cloned();
            text(&found.unwrap()["state"]).to_owned()
        };
        wait_until("the rotation ends", || state_of(&host) == "succeeded");
        let (port, new) = password(&host);
        assert_ne!(new, old);
        assert_eq!(log_in(port, &new), Ok(()));
        assert!(log_in(port, &old).unwrap_err().contains("password authentication failed"));
        assert_eq!(host.json(&["show", "demo"])["status"], "ACTIVE_HEALTHY");
    }
    assert_eq!(servers(&project), 1);
    let _ = host.json(&["destroy", "demo", "--yes"]);
    stop_store(host, &state);
}

/// Logs in to a project's database and out again.
fn log_in(port: u64, password: &str) -> Result<(), String> {
    let address = freehold_core::Address { host: "127.0.0.1".into(), port: u16::try_from(port).unwrap() };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(freehold_tests::Psql::new(address, password).run("select 1")).map(drop)
}

/// How often the project came to a status.
fn became(host: &HostProcess, status: &str) -> usize {
    let events = host.json(&["events"]);
    facts(&events, "status_changed").filter(|fact| fact["to"] == status).count()
}

fn facts<'a>(events: &'a Value, kind: &'a str) -> impl Iterator<Item = &'a Value> {
    let all = events.as_array().into_iter().flatten().map(|event| &event["fact"]);
    all.filter(move |fact| fact["type"] == kind)
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn shell_folder(state: &Path, project: &str) -> PathBuf {
    state.join("shell/projects").join(project)
}

/// The process id of a project's PostgreSQL: the first line of its `postmaster.pid`.
fn server_process(state: &Path, project: &str) -> String {
    let file = shell_folder(state, project).join("root/data/postmaster.pid");
    let lines = std::fs::read_to_string(file).unwrap();
    lines.lines().next().unwrap().to_owned()
}

/// How many PostgreSQL servers run on a project's data.
fn servers(project: &str) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let command_lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    command_lines
        .map(|line| String::from_utf8_lossy(&line).into_owned())
        .filter(|line| line.contains(project) && line.contains("bin/postgres\0"))
        .count()
}

/// Ends the store's own PostgreSQL, which a killed host leaves running on purpose.
fn stop_store(host: HostProcess, state: &Path) {
    host.kill();
    let file = state.join("postgres/server/data/postmaster.pid");
    let server = std::fs::read_to_string(file).unwrap().lines().next().unwrap().to_owned();
    assert!(Command::new("kill").args(["-INT", &server]).status().unwrap().success());
    wait_until("the store's server ends", || {
        !Path::new("/proc").join(&server).exists() || is_zombie(&server)
    });
}

fn is_zombie(process: &str) -> bool {
    std::fs::read_to_string(Path::new("/proc").join(process).join("stat"))
        .is_ok_and(|stat| stat.contains(") Z "))
}

/// Another process tells us nothing, so it is looked at now and then.
fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
