//! A running host whose store's server has come to have another password (SQLSTATE 28P01).

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use freehold_tests::{HostProcess, passable_folder, postgresql};

const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn a_running_host_names_it_answers_503_loses_nothing_and_goes_on_once_it_is_repaired() {
    if !postgresql() {
        return;
    }
    let folder = passable_folder();
    let state = folder.path().join("state");
    let host = HostProcess::start(&state);
    let _ = host.json(&["create", "demo"]);
    assert!(ready(&state).starts_with("HTTP/1.1 200"), "{}", ready(&state));

    sql(&state, "alter role freehold password 'drifted'");
    let cut_off = "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'freehold' and pid <> \
                   pg_backend_pid()";
    sql(&state, cut_off);
    let output = wait_until("the host notices", || {
        let output = host.run(&["pause", "demo"]);
        String::from_utf8_lossy(&output.stderr).contains("28P01").then_some(output)
    });
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("freehold store repair"), "{told}");
    let reply = ready(&state);
    assert!(reply.starts_with("HTTP/1.1 503"), "{reply}");
    assert!(reply.contains("28P01") && reply.contains("freehold store repair"), "{reply}");
    assert!(host.log().contains("28P01"), "the log names it");

    let state_folder = state.display().to_string();
    let repaired = host.run(&["store", "repair", "--state", &state_folder]);
    assert!(repaired.status.success(), "{}", String::from_utf8_lossy(&repaired.stderr));
    wait_until("the host goes on", || ready(&state).starts_with("HTTP/1.1 200").then_some(()));
    let _ = host.json(&["pause", "demo"]);
    assert_eq!(host.json(&["show", "demo"])["status"], "INACTIVE");
    let _ = host.json(&["destroy", "demo", "--yes"]);
    host.stop();
}

/// As whoever owns the server's folder, through the socket in it.
fn sql(state: &Path, statement: &str) {
    let server = state.join("postgres/server");
    let port = std::fs::read_to_string(state.join("postgres/port")).unwrap();
    let status = Command::new("psql")
        .args([
            "-X",
            "-q",
            "-w",
            "-U",
            "freehold",
            "-d",
            "postgres",
            "-p",
            port.trim(),
            "-c",
            statement,
            "-h",
        ])
        .arg(server)
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success(), "{statement}");
}

/// What `GET /readyz` answers, head and body.
fn ready(state: &Path) -> String {
    let client = std::fs::read_to_string(state.join("client.toml")).unwrap();
    let (_, rest) = client.split_once("http://").unwrap();
    let address = rest.split('"').next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply
}

/// Another process tells us nothing, so it is looked at now and then.
fn wait_until<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
