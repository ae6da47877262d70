//! One real PostgreSQL per project, on the shell target, through its whole life.

use std::net::TcpListener;

use freehold_core::{Fact, Status};
use freehold_tests::{Psql, listens, postgresql};

use crate::host::{Host, Targets};

fn targets(first_port: u16) -> Targets {
    Targets { shell: true, docker: false, first_port }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_survives_pause_resume_and_restart_and_destroy_leaves_nothing() {
    if !postgresql() {
        return;
    }
    let host = Host::start(targets(20_000)).await;
    let demo = host.active("shell", "demo").await;
    let psql = Psql::to(&host.control, &demo).await;
    psql.run("create table notes (body text); insert into notes values ('kept')").await.unwrap();
    let port = host.control.project(&demo).await.unwrap().ports.unwrap().first;

    host.ended(host.control.pause(&demo).await.unwrap(), Status::Inactive).await;
    assert!(!listens(port), "a paused project gives its memory back");
    host.ended(host.control.resume(&demo).await.unwrap(), Status::ActiveHealthy).await;
    assert_eq!(psql.run("select body from notes").await.unwrap(), "kept");
    host.ended(host.control.restart(&demo, &[]).await.unwrap(), Status::ActiveHealthy).await;
    assert_eq!(psql.run("select body from notes").await.unwrap(), "kept");

    host.ended(host.control.destroy(&demo).await.unwrap(), Status::Removed).await;
    assert!(!listens(port));
    assert!(host.control.inventory(&"shell".parse().unwrap()).await.unwrap().is_empty());
    assert_eq!(host.control.project(&demo).await.unwrap().ports, None);
    let left = walk(&host.folder.path().join("shell"), demo.as_str());
    assert!(left.is_empty(), "{left:?}");
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_a_stranger_holds_moves_a_new_project_to_the_next_block() {
    if !postgresql() {
        return;
    }
    let stranger = TcpListener::bind("127.0.0.1:20200").unwrap();
    let host = Host::start(targets(20_200)).await;
    let demo = host.active("shell", "demo").await;
    let taken = stranger.local_addr().unwrap().port();
    assert!(!host.control.project(&demo).await.unwrap().ports.unwrap().contains(taken));
    assert_eq!(Psql::to(&host.control, &demo).await.run("select 1").await.unwrap(), "1");
    let events = host.control.events(0, 1000).await.unwrap().events;
    assert!(
        events
            .iter()
            .any(|event| matches!(event.fact, Fact::PortsMoved { taken: port, .. } if port == taken))
    );
    host.ended(host.control.destroy(&demo).await.unwrap(), Status::Removed).await;
    host.stop().await;
}

/// Everything below a folder whose name holds a text.
fn walk(folder: &std::path::Path, text: &str) -> Vec<std::path::PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().contains(text) {
            found.push(entry.path());
        }
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(walk(&entry.path(), text));
        }
    }
    found
}
