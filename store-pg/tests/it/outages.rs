//! A server that goes away and comes back.

use std::time::Duration;

use freehold_core::{Kind, Store, store::Wake};
use freehold_pg::{Config, PgStore};

use crate::fixture::{Database, Server, create};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restarts_is_unavailable_meanwhile_and_everything_heals() {
    let Some(server) = Server::start() else { return };
    let database = Database::on(&server).await;
    let mut config = Config::new(database.url.clone());
    config.acquire_timeout_secs = 1;
    let store = PgStore::connect(&config).await.unwrap();
    create(&store, "before").await;
    let mut wakes = store.subscribe();

    server.stop();
    for _ in 0..2 {
        let error = store.now().await.unwrap_err();
        assert_eq!(error.kind(), Kind::Unavailable, "{error:?}");
    }
    server.start_again();

    // Everybody is told to look once the listener is back.
    let woken = async { while wakes.recv().await.unwrap() != Wake::Operations {} };
    tokio::time::timeout(Duration::from_secs(20), woken).await.unwrap();
    create(&store, "after").await;
    assert_eq!(store.sequence().await.unwrap(), 4);
}

#[tokio::test]
async fn a_password_never_shows_in_an_error() {
    let refused = ["postgres://u:hunter2@127.0.0.1:1/x", "postgres://u:hunter2@nosuch.invalid/x", "hunter2"];
    for url in refused {
        let mut config = Config::new(url);
        config.acquire_timeout_secs = 1;
        let error = PgStore::connect(&config).await.unwrap_err();
        let shown = format!("{error} {error:?} {}", error.chain());
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_the_operators_to_put_right() {
    let Some(server) = Server::shared().await else { return };
    let error = PgStore::connect(&Config::new(server.url("nowhere"))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidInput, "{error:?}");
    assert!(error.chain().contains("nowhere"), "{error:?}");
}

#[cfg(feature = "embedded")]
#[tokio::test]
async fn another_password_of_a_server_that_is_not_ours_is_told_with_the_statement_that_mends_it() {
    use freehold_core::{Detail, ExposeSecret as _};
    use freehold_pg::EmbeddedServer;
    let Some(scratch) = crate::embedded::scratch() else { return };
    let server = EmbeddedServer::start(&scratch.config()).await.unwrap();
    let right = Config::new(server.url());
    right.check_password().await.unwrap();
    let url = server.url().expose_secret().replacen("postgres://freehold:", "postgres://freehold:wrong", 1);
    let wrong = Config::new(url);
    for error in [wrong.check_password().await.unwrap_err(), PgStore::connect(&wrong).await.unwrap_err()] {
        assert_eq!((error.kind(), error.detail()), (Kind::Unavailable, Some(&Detail::StorePassword)));
        assert!(!error.chain().contains("wrong"), "{error:?}");
    }
    let error = wrong.check_password().await.unwrap_err();
    assert_eq!(error.context("statement"), Some("ALTER ROLE \"freehold\" PASSWORD '…';"));
}
