//! Events are dense, in order, and nobody waits for anybody.

use std::{collections::BTreeMap, time::Duration};

use freehold_core::{
    Detail, Event, Fact, OperationState, Status, Store,
    store::{Retention, Wake},
};

use crate::fixture::*;

async fn all(store: &dyn Store) -> Vec<Event> {
    let (mut after, mut events) = (0, Vec::new());
    loop {
        let page = store.events(after, 7).await.unwrap();
        if page.events.is_empty() {
            return events;
        }
        after = page.next;
        events.extend(page.events);
    }
}

#[tokio::test]
async fn a_life_is_told_in_order() {
    let Some(store) = any_store().await else { return };
    let project = active(&*store, "demo").await;
    assert_eq!(store.sequence().await.unwrap(), 5);
    let told: Vec<_> = all(&*store)
        .await
        .into_iter()
        .map(|event| {
            assert_eq!(event.project, project.reference);
            match event.fact {
                Fact::StatusChanged { from, to, .. } => format!("{from:?} {to:?}"),
                Fact::OperationChanged { state, attempt, .. } => format!("{state} {attempt}"),
                other => panic!("{other:?}"),
            }
        })
        .collect();
    let expected = ["None ComingUp", "waiting 0", "running 1", "succeeded 1", "Some(ComingUp) ActiveHealthy"];
    assert_eq!(told, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_dense_while_many_write_and_two_number() {
    let Some(store) = any_store().await else { return };
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in 0..10 {
                    create(&*store, &format!("{writer} {n}")).await;
                    store.sequence().await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(store.sequence().await.unwrap(), 160);
    let events = all(&*store).await;
    assert!(events.iter().zip(1..).all(|(event, number)| event.sequence == number));
    let mut last = BTreeMap::new();
    for event in &events {
        let place = match event.fact {
            Fact::StatusChanged { .. } => 0,
            Fact::OperationChanged { state: OperationState::Waiting, .. } => 1,
            ref other => panic!("{other:?}"),
        };
        assert_eq!(last.insert(event.project, place), (place > 0).then_some(0), "order within a project");
    }
}

#[tokio::test]
async fn a_long_transaction_of_an_embedder_holds_no_events_up_and_its_own_come_later() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    let pool = sqlx::PgPool::connect(&database.url).await.unwrap();
    let mut long = pool.begin().await.unwrap();
    let mut project = new_project("long");
    project.machine = "another".into();
    let late = store.commit_in(&mut long, create_change(project)).await.unwrap().project.reference;
    create(&store, "short").await;
    assert_eq!(store.sequence().await.unwrap(), 2);
    assert!(all(&store).await.iter().all(|event| event.project != late));
    long.commit().await.unwrap();
    assert_eq!(store.sequence().await.unwrap(), 4);
    let events = all(&store).await;
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(events[2..].iter().all(|event| event.project == late));
}

#[tokio::test]
async fn events_that_are_not_kept_any_more_are_gone_and_numbers_go_on() {
    let Some(store) = any_store().await else { return };
    create(&*store, "one").await;
    assert_eq!(store.sequence().await.unwrap(), 2);
    let nothing = Retention { events: Duration::ZERO, idempotency_keys: Duration::ZERO };
    store.expire(&nothing).await.unwrap();
    let error = store.events(0, 10).await.unwrap_err();
    assert_eq!(error.detail(), Some(&Detail::Gone { oldest: 3 }), "{error:?}");
    create(&*store, "two").await;
    assert_eq!(store.sequence().await.unwrap(), 4);
    let page = store.events(2, 10).await.unwrap();
    assert_eq!((page.events.len(), page.next), (2, 4));
    assert_eq!(store.events(4, 10).await.unwrap().next, 4);
}

#[tokio::test]
async fn what_is_not_numbered_yet_is_not_forgotten() {
    let Some(store) = any_store().await else { return };
    create(&*store, "one").await;
    let nothing = Retention { events: Duration::ZERO, idempotency_keys: Duration::ZERO };
    store.expire(&nothing).await.unwrap();
    assert_eq!(store.sequence().await.unwrap(), 2);
    assert_eq!(store.events(0, 10).await.unwrap().events.len(), 2);
}

#[tokio::test]
async fn who_listens_on_another_connection_is_woken_by_the_commit() {
    let Some(database) = Database::new().await else { return };
    let (here, there) = (database.store().await, database.store().await);
    let mut wakes = there.subscribe();
    let pool = sqlx::PgPool::connect(&database.url).await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    here.commit_in(&mut transaction, create_change(new_project("demo"))).await.unwrap();
    assert!(wakes.is_empty(), "woken before the commit");
    transaction.commit().await.unwrap();
    let mut heard = Vec::new();
    while heard.len() < 2 {
        heard.push(wakes.recv().await.unwrap());
    }
    assert!(heard.contains(&Wake::Operations) && heard.contains(&Wake::Written), "{heard:?}");
    here.sequence().await.unwrap();
    assert_eq!(wakes.recv().await.unwrap(), Wake::Events);
    assert_eq!(
        there.project(&claim(&there).await.unwrap().project.reference).await.unwrap().unwrap().status,
        Status::ComingUp
    );
}
