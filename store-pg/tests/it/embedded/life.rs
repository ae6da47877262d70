//! Made, started, stopped, started again.

use std::net::TcpListener;

use freehold_core::{ExposeSecret, Kind, Store};
use freehold_pg::{Config, EmbeddedServer, PgStore};
use sqlx::{Connection, PgConnection};

use super::scratch::Scratch;
use crate::fixture::create;

async fn ask(server: &EmbeddedServer, query: &'static str) -> String {
    let mut connection = PgConnection::connect(server.url().expose_secret()).await.unwrap();
    sqlx::query_scalar(query).fetch_one(&mut connection).await.unwrap()
}

#[tokio::test]
async fn what_is_stored_is_there_after_a_stop_and_a_start_on_the_same_port() {
    let Some(scratch) = Scratch::new() else { return };
    // One that the other tests' servers, which take the first that is free, do not come by while ours is down.
    let mut config = scratch.config();
    config.port = Some(30_000 + u16::try_from(std::process::id() % 2_000).unwrap());
    let server = EmbeddedServer::start(&config).await.unwrap();
    assert!(!server.adopted());
    let store = PgStore::connect(&Config::new(server.url())).await.unwrap();
    let project = create(&store, "demo").await.project;
    let port = server.port();
    store.close().await;
    server.stop().await.unwrap();
    assert!(!scratch.data().join("postmaster.pid").exists(), "it was not stopped");

    let server = EmbeddedServer::start(&scratch.config()).await.unwrap();
    assert_eq!((server.port(), server.adopted()), (port, false));
    let store = PgStore::connect(&Config::new(server.url())).await.unwrap();
    assert_eq!(store.project(&project.reference).await.unwrap(), Some(project));
}

#[tokio::test]
async fn it_listens_on_this_machine_alone_and_loses_nothing_in_a_power_cut() {
    let Some(scratch) = Scratch::new() else { return };
    let server = EmbeddedServer::start(&scratch.config()).await.unwrap();
    assert_eq!(ask(&server, "SHOW listen_addresses").await, "127.0.0.1");
    let socket = scratch.folder().join("server");
    assert_eq!(ask(&server, "SHOW unix_socket_directories").await, socket.display().to_string());
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(socket).unwrap()) & 0o777, 0o700);
    assert_eq!(ask(&server, "SHOW fsync").await, "on");
    assert_eq!(ask(&server, "SHOW server_encoding").await, "UTF8");
}

#[tokio::test]
async fn nobody_gets_in_without_the_password() {
    let Some(scratch) = Scratch::new() else { return };
    let server = EmbeddedServer::start(&scratch.config()).await.unwrap();
    for password in ["", ":wrong"] {
        let url = format!("postgres://freehold{password}@127.0.0.1:{}/freehold", server.port());
        let refused = PgConnection::connect(&url).await;
        assert!(refused.is_err(), "{url}");
    }
    let debug = format!("{server:?}");
    let url = server.url();
    let password = url.expose_secret().split([':', '@']).nth(2).unwrap();
    assert!(password.len() >= 32 && !debug.contains(password), "{debug}");
}

#[tokio::test]
async fn a_port_that_a_stranger_has_taken_is_passed_over() {
    let Some(scratch) = Scratch::new() else { return };
    let server = EmbeddedServer::start(&scratch.config()).await.unwrap();
    let port = server.port();
    server.stop().await.unwrap();
    let Ok(_stranger) = TcpListener::bind(("127.0.0.1", port)) else { return };
    let server = EmbeddedServer::start(&scratch.config()).await.unwrap();
    assert_ne!(server.port(), port);
    server.stop().await.unwrap();

    let mut fixed = scratch.config();
    fixed.port = Some(port);
    let error = EmbeddedServer::start(&fixed).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    assert!(error.chain().contains(&port.to_string()), "{error:?}");
}

#[tokio::test]
async fn a_server_that_does_not_start_says_what_it_printed() {
    let Some(scratch) = Scratch::new() else { return };
    EmbeddedServer::start(&scratch.config()).await.unwrap().stop().await.unwrap();
    let settings = scratch.data().join("postgresql.conf");
    let before = std::fs::read_to_string(&settings).unwrap();
    std::fs::write(&settings, format!("{before}\nnonsense = on\n")).unwrap();
    let error = EmbeddedServer::start(&scratch.config()).await.unwrap_err();
    assert!(error.chain().contains("nonsense"), "{error:?}");
}

#[tokio::test]
async fn data_without_their_password_are_left_alone() {
    let Some(scratch) = Scratch::new() else { return };
    EmbeddedServer::start(&scratch.config()).await.unwrap().stop().await.unwrap();
    std::fs::remove_file(scratch.folder().join("password")).unwrap();
    let error = EmbeddedServer::start(&scratch.config()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "{error:?}");
    assert!(!scratch.folder().join("password").exists());
}

#[tokio::test]
async fn an_attempt_that_was_interrupted_leaves_nothing_that_looks_whole() {
    let Some(scratch) = Scratch::new() else { return };
    let half = scratch.folder().join("server/data.new");
    std::fs::create_dir_all(&half).unwrap();
    std::fs::write(half.join("PG_VERSION"), "15").unwrap();
    EmbeddedServer::start(&scratch.config()).await.unwrap();
    assert!(!half.exists());
}
