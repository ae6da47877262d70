//! A server whose transactions are serializable unless told otherwise.

use freehold_core::{Kind, Store};
use freehold_pg::PgStore;
use sqlx::{Connection, PgPool};

use crate::fixture::*;

/// A database of an operator who wants everything to be serializable.
async fn strict() -> Option<Database> {
    const SET: &str = "DO $$ BEGIN EXECUTE format( \
        'ALTER DATABASE %I SET default_transaction_isolation = serializable', current_database()); END $$";
    let database = Database::migrated().await?;
    let mut connection = database.connection().await;
    sqlx::query(SET).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    Some(database)
}

#[tokio::test]
async fn a_single_statement_that_waited_for_a_row_sees_what_was_committed_meanwhile() {
    const ASK_TO_END: &str = "UPDATE freehold.operations SET cancel_requested = true";
    const WAITS: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity \
        WHERE datname = current_database() AND wait_event_type = 'Lock')";
    let Some(database) = strict().await else { return };
    let store = database.store().await;
    create(&store, "demo").await;
    let lease = store.claim(&claim_by("worker")).await.unwrap().remove(0).lease;
    let (mut other, mut looking) = (database.connection().await, database.connection().await);
    let mut transaction = other.begin().await.unwrap();
    sqlx::query(ASK_TO_END).execute(&mut *transaction).await.unwrap();
    let renewing = tokio::spawn({
        let store = store.clone();
        async move { store.renew(&lease, LEASE, &[]).await }
    });
    while !sqlx::query_scalar::<_, bool>(WAITS).fetch_one(&mut looking).await.unwrap() {
        tokio::task::yield_now().await;
    }
    transaction.commit().await.unwrap();
    assert!(renewing.await.unwrap().unwrap().cancel_requested);
}

#[tokio::test]
async fn a_callers_pool_at_another_level_is_refused() {
    let Some(database) = strict().await else { return };
    let error = PgStore::from_pool(PgPool::connect(&database.url).await.unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidInput);
    assert!(error.message().contains("serializable"), "{error:?}");
}
