//! Operations are given to one worker at a time, oldest first.

use freehold_core::{
    OperationKind, OperationState, Status, Store,
    store::{Claim, NewProject, ProjectUpdate},
};
use tokio::time::advance;

use super::{
    LEASE, MARGIN, SECOND, active, amendment, claim, claim_of, command, create, creation, destruction,
    finish, new_project, new_store, success,
};

#[tokio::test(start_paused = true)]
async fn the_oldest_operation_comes_first_and_only_of_targets_that_are_served() {
    let store = new_store();
    let elsewhere = NewProject { target: "other".parse().unwrap(), ..new_project("elsewhere") };
    store.commit(creation(elsewhere)).await.unwrap();
    let mut waiting = Vec::new();
    for name in ["one", "two", "three"] {
        waiting.push(create(&store, name).await.operation.unwrap().id);
    }
    let mut given = Vec::new();
    while let Some(claimed) = claim(&store).await {
        given.push(claimed.operation.id);
    }
    assert_eq!(given, waiting);
}

#[tokio::test(start_paused = true)]
async fn who_waits_knows_how_many_are_before_it() {
    let store = new_store();
    let mut waiting = Vec::new();
    for name in ["one", "two", "three"] {
        waiting.push(create(&store, name).await.operation.unwrap().id);
    }
    claim(&store).await;
    let mut positions = Vec::new();
    for id in waiting {
        positions.push(store.operation(id).await.unwrap().unwrap().position);
    }
    assert_eq!(positions, [None, Some(0), Some(1)]);
}

#[tokio::test(start_paused = true)]
async fn a_target_never_runs_more_operations_than_its_bound() {
    let store = new_store();
    for name in ["one", "two", "three"] {
        create(&store, name).await;
    }
    let first = store.claim(&claim_of(2)).await.unwrap().unwrap();
    assert!(store.claim(&claim_of(2)).await.unwrap().is_some());
    assert!(store.claim(&claim_of(2)).await.unwrap().is_none());
    store.settle(success(&first.lease, Status::ActiveHealthy)).await.unwrap();
    assert!(store.claim(&claim_of(2)).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn an_operation_is_not_begun_before_it_is_due() {
    let store = new_store();
    let mut change = creation(new_project("demo"));
    change.operation.as_mut().unwrap().delay = 5 * SECOND;
    store.commit(change).await.unwrap();
    advance(4 * SECOND).await;
    assert!(claim(&store).await.is_none());
    advance(SECOND).await;
    assert!(claim(&store).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_is_asked_to_end_is_due_at_once() {
    let store = new_store();
    let mut change = creation(new_project("demo"));
    change.operation.as_mut().unwrap().delay = 60 * SECOND;
    let committed = store.commit(change).await.unwrap();
    let mut cancel = amendment(ProjectUpdate::of(&committed.project));
    cancel.cancel = committed.operation.map(|operation| operation.id);
    store.commit(cancel).await.unwrap();
    assert!(claim(&store).await.unwrap().operation.cancel_requested);
}

#[tokio::test(start_paused = true)]
async fn each_claim_counts_an_attempt_and_raises_the_epoch() {
    let store = new_store();
    let project = active(&store, "demo").await;
    store.commit(command(&project, OperationKind::Pause, Status::Pausing)).await.unwrap();
    let claimed = claim(&store).await.unwrap();
    assert_eq!((claimed.lease.epoch, claimed.operation.attempt), (2, 1));
    assert_eq!(claimed.operation.state, OperationState::Running);
    assert_eq!(claimed.operation.started_at, Some(store.now().await.unwrap()));
    assert_eq!(claimed.lease.expires_at, store.now().await.unwrap() + LEASE);
    assert!(!claimed.takeover);
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_operation_is_taken_over_only_after_lease_and_margin() {
    let store = new_store();
    create(&store, "demo").await;
    let before = claim(&store).await.unwrap();
    advance(LEASE + MARGIN).await;
    assert!(claim(&store).await.is_none());
    advance(SECOND).await;
    // The bound does not keep it from being taken over: it runs already.
    let after = store.claim(&Claim { owner: "other".into(), ..claim_of(1) }).await.unwrap().unwrap();
    assert!(after.takeover);
    assert_eq!((after.lease.epoch, after.operation.attempt), (before.lease.epoch + 1, 2));
    assert!(store.settle(success(&before.lease, Status::ActiveHealthy)).await.unwrap_err().is_lease_lost());
    assert!(store.renew(&before.lease, LEASE, &[]).await.unwrap_err().is_lease_lost());
    store.settle(success(&after.lease, Status::ActiveHealthy)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_waits_behind_a_running_operation_is_begun_when_that_has_ended() {
    let store = new_store();
    let created = create(&store, "demo").await;
    let running = claim(&store).await.unwrap();
    let waiting = store.commit(destruction(&created.project)).await.unwrap().operation.unwrap();
    create(&store, "other").await;
    // Another project's operation does not wait for this one.
    assert_ne!(claim(&store).await.unwrap().operation.id, waiting.id);
    assert!(claim(&store).await.is_none());
    store.settle(success(&running.lease, Status::ActiveHealthy)).await.unwrap();
    assert_eq!(finish(&store, Status::Removed).await.status, Status::Removed);
}
