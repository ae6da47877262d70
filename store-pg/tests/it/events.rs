//! Whoever listens is woken by a commit, also one of an embedder's.

use freehold_core::{Store, store::Wake};

use crate::fixture::*;

#[tokio::test]
async fn who_listens_on_another_connection_is_woken_by_the_commit() {
    let Some(database) = Database::new().await else { return };
    let (here, there) = (database.store().await, database.store().await);
    let mut wakes = there.subscribe();
    let pool = sqlx::PgPool::connect(&database.url).await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    here.commit_in(&mut transaction, create_change("demo")).await.unwrap();
    assert!(wakes.is_empty(), "woken before the commit");
    transaction.commit().await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < 2 {
        heard.push(wakes.recv().await.unwrap());
    }
    assert!(heard.contains(&Wake::Operations) && heard.contains(&Wake::Written), "{heard:?}");
    here.sequence().await.unwrap();
    assert_eq!(wakes.recv().await.unwrap(), Wake::Events);
}
