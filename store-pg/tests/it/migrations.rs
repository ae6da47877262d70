//! The schema and the program fit together, or the program says why not.

use freehold_core::{Kind, Store};
use freehold_pg::{Config, PgStore};
use futures_util::future::join_all;

use crate::fixture::Database;

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_start_at_once_migrate_once() {
    let Some(database) = Database::new().await else { return };
    let hosts = (0..6).map(|_| {
        let url = database.url.clone();
        tokio::spawn(async move { PgStore::connect(&Config::new(url)).await })
    });
    for host in join_all(hosts).await {
        host.unwrap().unwrap().now().await.unwrap();
    }
    let count = sqlx::query_scalar("SELECT count(*) FROM freehold.migrations WHERE success");
    let migrations: i64 = count.fetch_one(&mut database.connection().await).await.unwrap();
    assert_eq!(migrations, 3);
}

#[tokio::test]
async fn a_program_older_than_the_schema_refuses_and_says_so() {
    let Some(database) = Database::new().await else { return };
    database.store().await;
    let newer = "INSERT INTO freehold.migrations (version, description, success, checksum, execution_time) \
        VALUES (999, 'from the future', true, '\\x00', 0)";
    sqlx::query(newer).execute(&mut database.connection().await).await.unwrap();
    let error = PgStore::connect(&Config::new(database.url)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert_eq!(
        error.to_string(),
        "use the store: its schema is at version 999 and this program knows up to 3: \
         run a program that is as new as the one that migrated it"
    );
}

#[tokio::test]
async fn a_migration_that_was_changed_after_it_was_applied_is_refused() {
    let Some(database) = Database::new().await else { return };
    database.store().await;
    let change = "UPDATE freehold.migrations SET checksum = '\\x00'";
    sqlx::query(change).execute(&mut database.connection().await).await.unwrap();
    let error = PgStore::connect(&Config::new(database.url.clone())).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "{error:?}");
    assert!(error.to_string().contains("migration 1"), "{error}");

    // A refusal lets the lock go: the next program is not kept waiting.
    let error = PgStore::connect(&Config::new(database.url)).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "{error:?}");
}

#[tokio::test]
async fn everything_lives_in_a_schema_of_its_own() {
    let Some(database) = Database::new().await else { return };
    database.store().await;
    let elsewhere = sqlx::query_scalar(
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname NOT IN ('freehold', 'pg_catalog', 'information_schema', 'pg_toast')",
    );
    let tables: i64 = elsewhere.fetch_one(&mut database.connection().await).await.unwrap();
    assert_eq!(tables, 0);
}
