//! What is written under a lease.

use freehold_core::{
    Detail, Fact, Kind, Operation, OperationKind, OperationState, Progress, Status, Store,
    operation::OperationError,
    store::{End, PortPool, RecordedProgress},
};
use tokio::time::advance;

use super::{
    LEASE, MARGIN, SECOND, active, claim, command, create, creation, destruction, detail, end, new_project,
    new_store, success,
};

#[tokio::test(start_paused = true)]
async fn a_renewed_lease_ends_later() {
    let store = new_store();
    create(&store, "demo").await;
    let claimed = claim(&store).await.unwrap();
    advance(LEASE).await;
    let renewed = store.renew(&claimed.lease, LEASE, &[]).await.unwrap();
    assert!(!renewed.cancel_requested);
    advance(LEASE + MARGIN).await;
    assert!(claim(&store).await.is_none());
    assert_eq!(renewed.lease.expires_at + MARGIN, store.now().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn steps_and_log_are_kept_with_their_attempt_and_only_the_newest() {
    let store = new_store();
    create(&store, "demo").await;
    let claimed = claim(&store).await.unwrap();
    let at = store.now().await.unwrap();
    let step = |n: usize| Progress::Step { name: format!("step {n}"), service: "db".into() };
    let progress: Vec<_> = (0..Operation::MAX_STEPS + 2)
        .map(step)
        .chain((0..Operation::MAX_LOG + 1).map(|n| Progress::Log(format!("line {n}"))))
        .map(|progress| RecordedProgress { at, progress })
        .collect();
    store.renew(&claimed.lease, LEASE, &progress).await.unwrap();
    let operation = store.operation(claimed.operation.id).await.unwrap().unwrap();
    assert_eq!((operation.steps.len(), operation.log.len()), (Operation::MAX_STEPS, Operation::MAX_LOG));
    assert_eq!((operation.steps[0].name.as_str(), operation.steps[0].attempt), ("step 2", 1));
    assert_eq!(operation.log[0].message, "line 1");
}

#[tokio::test(start_paused = true)]
async fn a_released_operation_is_tried_again_when_it_is_due() {
    let store = new_store();
    create(&store, "demo").await;
    let claimed = claim(&store).await.unwrap();
    let not_before = store.now().await.unwrap() + 5 * SECOND;
    let error = OperationError::from(&freehold_core::Error::new(Kind::Unavailable, "reach the engine"));
    let release = freehold_core::store::Settlement {
        error: Some(error.clone()),
        ..end(&claimed.lease, End::Released { not_before })
    };
    assert_eq!(store.settle(release).await.unwrap().status, Status::ComingUp);
    let waiting = store.operation(claimed.operation.id).await.unwrap().unwrap();
    assert_eq!((waiting.state, waiting.error), (OperationState::Waiting, Some(error)));
    assert!(claim(&store).await.is_none());
    advance(5 * SECOND).await;
    let again = claim(&store).await.unwrap();
    assert_eq!((again.operation.attempt, again.takeover), (2, false));
}

#[tokio::test(start_paused = true)]
async fn an_operation_released_before_one_that_waits_ends_as_cancelled() {
    let store = new_store();
    let project = create(&store, "demo").await.project;
    let claimed = claim(&store).await.unwrap();
    store.commit(destruction(&project)).await.unwrap();
    let not_before = store.now().await.unwrap();
    store.settle(end(&claimed.lease, End::Released { not_before })).await.unwrap();
    let ended = store.operation(claimed.operation.id).await.unwrap().unwrap();
    assert_eq!(ended.state, OperationState::Cancelled);
    assert_eq!(claim(&store).await.unwrap().operation.kind, OperationKind::Destroy);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_moves_the_project_only_if_its_operation_put_it_where_it_stands() {
    let store = new_store();
    let project = create(&store, "demo").await.project;
    let claimed = claim(&store).await.unwrap();
    store.commit(destruction(&project)).await.unwrap();
    let after = store.settle(success(&claimed.lease, Status::ActiveHealthy)).await.unwrap();
    assert_eq!((after.status, after.was_active), (Status::GoingDown, false));
    let ended = store.operation(claimed.operation.id).await.unwrap().unwrap();
    assert_eq!(ended.state, OperationState::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_would_break_a_promise_changes_nothing() {
    let store = new_store();
    create(&store, "demo").await;
    let claimed = claim(&store).await.unwrap();
    let mut settlement = success(&claimed.lease, Status::ActiveHealthy);
    if let End::Ended { transition: Some(transition), .. } = &mut settlement.end {
        transition.connection = None;
    }
    assert_eq!(store.settle(settlement).await.unwrap_err().kind(), Kind::Internal);
    let state = OperationState::Waiting;
    let no_end = store.settle(end(&claimed.lease, End::Ended { state, transition: None })).await;
    assert_eq!(no_end.unwrap_err().kind(), Kind::Internal);
    store.settle(success(&claimed.lease, Status::ActiveHealthy)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_second_settlement_finds_the_lease_gone() {
    let store = new_store();
    let project = active(&store, "demo").await;
    store.commit(command(&project, OperationKind::Pause, Status::Pausing)).await.unwrap();
    let claimed = claim(&store).await.unwrap();
    store.settle(success(&claimed.lease, Status::Inactive)).await.unwrap();
    assert!(store.settle(success(&claimed.lease, Status::Inactive)).await.unwrap_err().is_lease_lost());
}

#[tokio::test(start_paused = true)]
async fn a_block_with_a_taken_port_is_set_aside_and_replaced_once() {
    let store = new_store();
    let pool = PortPool { first: 20_000, last: 20_005 };
    let project = freehold_core::store::NewProject { port_pool: pool, ..new_project("demo") };
    store.commit(creation(project)).await.unwrap();
    let claimed = claim(&store).await.unwrap();
    let aside = 60 * SECOND;
    let moved = store.reallocate(&claimed.lease, 20_001, &pool, aside).await.unwrap();
    assert_eq!(moved.ports.unwrap().first, 20_003);
    let again = store.reallocate(&claimed.lease, 20_001, &pool, aside).await.unwrap();
    assert_eq!(again.ports, moved.ports);

    let exhausted = Some(Detail::Bound { setting: "port_pool".into(), limit: 6 });
    assert_eq!(detail(store.reallocate(&claimed.lease, 20_003, &pool, aside).await), exhausted);
    advance(aside).await;
    let back = store.reallocate(&claimed.lease, 20_003, &pool, aside).await.unwrap();
    assert_eq!(back.ports.unwrap().first, 20_000);

    store.sequence().await.unwrap();
    let events = store.events(0, 100).await.unwrap().events;
    let moves = events.iter().filter(|event| matches!(event.fact, Fact::PortsMoved { .. }));
    assert_eq!(moves.count(), 2);
}
