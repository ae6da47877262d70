//! Hosts and servers that were killed.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use freehold_core::{Detail, ExposeSecret, Kind, Store};
use freehold_pg::{Config, EmbeddedConfig, EmbeddedServer, PgStore};
use sqlx::{Connection, PgConnection};
use tokio_util::sync::CancellationToken;

use super::scratch::{Scratch, is_root, signal};
use crate::fixture::create;

const FOLDER: &str = "FREEHOLD_TEST_EMBEDDED_FOLDER";

/// Does nothing unless the next test runs it: then it is a host that serves until it is killed.
#[tokio::test]
async fn a_host_to_be_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let mut config = EmbeddedConfig::new(folder);
    config.user = "nobody".into();
    let _server = EmbeddedServer::start(&config).await.unwrap();
    println!("\nserving");
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn a_server_whose_host_was_killed_is_adopted() {
    let Some(scratch) = Scratch::new() else { return };
    let mut host = Command::new(std::env::current_exe().unwrap())
        .args(["embedded::killed::a_host_to_be_killed", "--exact", "--nocapture"])
        .env(FOLDER, scratch.folder())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(host.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "serving"), "the host did not start");

    let error = EmbeddedServer::start(&scratch.config()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "{error:?}");
    assert!(error.to_string().contains("another host"), "{error}");

    let process = scratch.process();
    host.kill().unwrap();
    host.wait().unwrap();
    let server = EmbeddedServer::start(&scratch.config()).await.unwrap();
    assert!(server.adopted());
    assert_eq!(scratch.process(), process);
    PgStore::connect(&Config::new(server.url())).await.unwrap().now().await.unwrap();
    server.stop().await.unwrap();
    // It takes its file away before it ends.
    until(async || !std::path::Path::new(&format!("/proc/{process}/cwd")).exists()).await;
}

#[tokio::test]
async fn a_server_that_was_killed_itself_is_started_and_has_everything() {
    let Some(scratch) = Scratch::new() else { return };
    let server = EmbeddedServer::start(&scratch.config()).await.unwrap();
    let store = PgStore::connect(&Config::new(server.url())).await.unwrap();
    let project = create(&store, "demo").await.project;
    signal(scratch.process(), "-KILL");
    drop((store, server));
    let server = EmbeddedServer::start(&scratch.config()).await.unwrap();
    assert!(!server.adopted());
    let store = PgStore::connect(&Config::new(server.url())).await.unwrap();
    assert_eq!(store.project(&project.reference).await.unwrap(), Some(project));
}

/// Asks until it is so.
async fn until(so: impl AsyncFn() -> bool) {
    let asking = async {
        while !so().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), asking).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_killed_under_its_host_runs_again_and_the_store_goes_on() {
    let Some(scratch) = Scratch::new() else { return };
    let server = EmbeddedServer::start(&scratch.config()).await.unwrap();
    let store = PgStore::connect(&Config::new(server.url())).await.unwrap();
    let project = create(&store, "demo").await.project;
    let went_on = async {
        for _ in 0..2 {
            let killed = scratch.process();
            signal(killed, "-KILL");
            let runs_again = async || scratch.running().is_some_and(|process| process != killed);
            until(runs_again).await;
            until(async || matches!(store.project(&project.reference).await, Ok(Some(_)))).await;
        }
    };
    let stopping = CancellationToken::new();
    tokio::join!(server.keep_running(&stopping), async {
        went_on.await;
        stopping.cancel();
    });
    server.stop().await.unwrap();
}

#[tokio::test]
async fn a_number_that_another_process_has_by_now_is_no_server() {
    let Some(scratch) = Scratch::new() else { return };
    let server = EmbeddedServer::start(&scratch.config()).await.unwrap();
    server.stop().await.unwrap();
    // PostgreSQL is taken in by a process of its own user only.
    let mut command = Command::new(if is_root() { "setpriv" } else { "cat" });
    if is_root() {
        command.args(["--reuid=nobody", "--clear-groups", "cat"]);
    }
    let mut stranger = command.stdin(Stdio::piped()).spawn().unwrap();
    let file = format!("{}\n{}\n1\n{}\n\n127.0.0.1\n\nready\n", stranger.id(), scratch.data().display(), 1);
    std::fs::write(scratch.data().join("postmaster.pid"), file).unwrap();
    let started = EmbeddedServer::start(&scratch.config()).await;
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert!(!started.unwrap().adopted());
}

#[tokio::test]
async fn a_server_that_does_not_take_our_password_is_not_adopted() {
    let Some(scratch) = Scratch::new() else { return };
    let server = EmbeddedServer::start(&scratch.config()).await.unwrap();
    let mut admin = PgConnection::connect(server.url().expose_secret()).await.unwrap();
    sqlx::query("ALTER ROLE freehold PASSWORD 'another'").execute(&mut admin).await.unwrap();
    drop(server);
    let error = EmbeddedServer::start(&scratch.config()).await.unwrap_err();
    assert_eq!(error.detail(), Some(&Detail::StorePassword), "{error:?}");
    assert!(error.to_string().contains("freehold store repair"), "{error}");
}
