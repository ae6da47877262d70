//! A server that takes another password than the folder has.

use freehold_core::{Detail, ExposeSecret, Kind, Store};
use freehold_pg::{Config, EmbeddedServer, PgStore, Repaired};
use sqlx::{Connection, PgConnection};

use super::scratch::Scratch;
use crate::fixture::create;

const DRIFT: &str = "ALTER ROLE freehold PASSWORD 'drifted'";
const CUT_OFF: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
    WHERE usename = 'freehold' AND pid <> pg_backend_pid()";

async fn drift(server: &EmbeddedServer) {
    let mut connection = PgConnection::connect(server.url().expose_secret()).await.unwrap();
    sqlx::query(DRIFT).execute(&mut connection).await.unwrap();
    sqlx::query(CUT_OFF).execute(&mut connection).await.unwrap();
}

fn is_about_the_password(error: &freehold_core::Error) -> bool {
    matches!(error.detail(), Some(Detail::StorePassword)) && error.kind() == Kind::Unavailable
}

#[tokio::test]
async fn another_password_is_named_and_mended_under_a_running_store_which_goes_on_by_itself() {
    let Some(scratch) = Scratch::new() else { return };
    let server = EmbeddedServer::start(&scratch.config()).await.unwrap();
    let store = PgStore::connect(&Config::new(server.url())).await.unwrap();
    let project = create(&store, "demo").await.project;
    assert_eq!(EmbeddedServer::repair(&scratch.config()).await.unwrap(), Repaired::WasWell);

    drift(&server).await;
    let mut refusals = 0;
    while refusals < 2 {
        // A connection that was cut off tells so once, before a new one is refused.
        match store.project(&project.reference).await {
            Err(error) if is_about_the_password(&error) => {
                let told = error.to_string();
                assert!(told.contains("28P01") && told.contains("freehold store repair"), "{told}");
                refusals += 1;
            }
            Err(error) => assert_eq!(error.kind(), Kind::Unavailable, "{error:?}"),
            Ok(_) => panic!("the store still has a connection"),
        }
    }
    assert_eq!(EmbeddedServer::repair(&scratch.config()).await.unwrap(), Repaired::Mended);
    assert_eq!(store.project(&project.reference).await.unwrap(), Some(project));
    create(&store, "after").await;
    assert_eq!(EmbeddedServer::repair(&scratch.config()).await.unwrap(), Repaired::WasWell);
    let log = std::fs::read_to_string(scratch.folder().join("server.log")).unwrap();
    assert!(!log.contains("SCRAM-SHA-256$"), "{log}");
}

#[tokio::test]
async fn a_start_that_meets_another_password_names_the_way_out_which_also_works_on_a_server_at_rest() {
    let Some(scratch) = Scratch::new() else { return };
    let server = EmbeddedServer::start(&scratch.config()).await.unwrap();
    drift(&server).await;
    server.stop().await.unwrap();
    let error = EmbeddedServer::start(&scratch.config()).await.unwrap_err();
    assert!(is_about_the_password(&error) && error.to_string().contains("freehold store repair"), "{error}");
    // That start left its server running, for the next one to adopt.
    let process = scratch.process();
    super::scratch::signal(process, "-INT");
    while scratch.data().join("postmaster.pid").exists() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(EmbeddedServer::repair(&scratch.config()).await.unwrap(), Repaired::Mended);
    assert!(!scratch.data().join("postmaster.pid").exists(), "it was left running");
    EmbeddedServer::start(&scratch.config()).await.unwrap();
}

#[tokio::test]
async fn where_there_is_no_server_there_is_nothing_to_repair_and_none_is_made() {
    let Some(scratch) = Scratch::new() else { return };
    let error = EmbeddedServer::repair(&scratch.config()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::NotFound, "{error:?}");
    assert!(!scratch.folder().exists());
}
