//! What happened is told in order, without gaps, and forgotten in the end.

use std::time::Duration;

use freehold_core::{
    Detail, Event, Fact, OperationKind, OperationState, Status, Store,
    store::{ProjectUpdate, Retention, Wake},
};
use tokio::{sync::broadcast::error::TryRecvError, time::advance};

use super::{SECOND, active, amendment, command, create, detail, finish, new_store};

fn short(event: &Event) -> String {
    match &event.fact {
        Fact::StatusChanged { to, .. } => to.to_string(),
        Fact::OperationChanged { kind, state, .. } => format!("{kind} {state}"),
        Fact::Amended { fields } => fields.join(" "),
        other => format!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_life_is_told_in_order() {
    let store = new_store();
    let project = active(&store, "demo").await;
    let update = ProjectUpdate { protected: Some(true), ..ProjectUpdate::of(&project) };
    let project = store.commit(amendment(update)).await.unwrap().project;
    store.commit(command(&project, OperationKind::Pause, Status::Pausing)).await.unwrap();
    finish(&store, Status::Inactive).await;
    assert_eq!(store.sequence().await.unwrap(), 11);
    let page = store.events(0, 100).await.unwrap();
    assert_eq!(
        page.events.iter().map(|event| event.sequence).collect::<Vec<_>>(),
        (1..=11).collect::<Vec<_>>()
    );
    assert_eq!(
        page.events.iter().map(short).collect::<Vec<_>>(),
        [
            "COMING_UP",
            "create waiting",
            "create running",
            "create succeeded",
            "ACTIVE_HEALTHY",
            "protected",
            "PAUSING",
            "pause waiting",
            "pause running",
            "pause succeeded",
            "INACTIVE",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn events_are_read_by_number_once_they_have_one() {
    let store = new_store();
    create(&store, "demo").await;
    assert!(store.events(0, 100).await.unwrap().events.is_empty());
    assert_eq!(store.sequence().await.unwrap(), 2);
    assert_eq!(store.sequence().await.unwrap(), 2);
    let first = store.events(0, 1).await.unwrap();
    assert_eq!((first.events.len(), first.next), (1, 1));
    let second = store.events(first.next, 100).await.unwrap();
    assert_eq!((second.events[0].sequence, second.next), (2, 2));
    let none = store.events(2, 100).await.unwrap();
    assert_eq!((none.events.len(), none.next), (0, 2));
}

#[tokio::test(start_paused = true)]
async fn events_that_are_not_kept_any_more_are_gone_and_numbers_go_on() {
    let store = new_store();
    let retention = Retention { events: 60 * SECOND, idempotency_keys: 60 * SECOND };
    create(&store, "one").await;
    store.sequence().await.unwrap();
    advance(61 * SECOND).await;
    create(&store, "two").await;
    store.sequence().await.unwrap();
    store.expire(&retention).await.unwrap();
    assert_eq!(detail(store.events(1, 100).await), Some(Detail::Gone { oldest: 3 }));
    assert_eq!(store.events(2, 100).await.unwrap().next, 4);

    advance(61 * SECOND).await;
    store.expire(&retention).await.unwrap();
    assert_eq!(detail(store.events(0, 100).await), Some(Detail::Gone { oldest: 5 }));
    assert_eq!(store.events(4, 100).await.unwrap().next, 4);
    create(&store, "three").await;
    assert_eq!(store.sequence().await.unwrap(), 6);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_numbered_yet_is_not_forgotten() {
    let store = new_store();
    create(&store, "demo").await;
    advance(61 * SECOND).await;
    let retention = Retention { events: SECOND, idempotency_keys: Duration::MAX };
    store.expire(&retention).await.unwrap();
    assert_eq!(store.sequence().await.unwrap(), 2);
    assert_eq!(store.events(0, 100).await.unwrap().events.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn who_listens_hears_of_changes_and_of_numbers() {
    let store = new_store();
    let mut wakes = store.subscribe();
    create(&store, "demo").await;
    assert_eq!(wakes.try_recv(), Ok(Wake::Written));
    assert_eq!(wakes.try_recv(), Ok(Wake::Operations));
    store.sequence().await.unwrap();
    assert_eq!(wakes.try_recv(), Ok(Wake::Events));
    store.sequence().await.unwrap();
    assert_eq!(wakes.try_recv(), Err(TryRecvError::Empty));
}

#[tokio::test(start_paused = true)]
async fn a_failure_tells_its_reason() {
    let store = new_store();
    create(&store, "demo").await;
    let claimed = super::claim(&store).await.unwrap();
    let mut settlement = super::success(&claimed.lease, Status::InitFailed);
    let error = freehold_core::Error::internal("start db");
    settlement.error = Some(freehold_core::operation::OperationError::from(&error));
    store.settle(settlement).await.unwrap();
    store.sequence().await.unwrap();
    let events = store.events(3, 100).await.unwrap().events;
    assert!(matches!(
        &events[0].fact,
        Fact::OperationChanged { state: OperationState::Succeeded, reason: Some(reason), .. } if reason == "start db"
    ));
}
