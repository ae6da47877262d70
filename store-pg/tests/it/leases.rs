//! What is written under a lease.

use std::time::Duration;

use freehold_core::{
    Error, Kind, Operation, OperationError, OperationKind, OperationState, Progress, Report, Status, Store,
    operation::Lease,
    store::{End, PortPool, RecordedProgress, Settlement},
};

use crate::fixture::*;

fn released(lease: &Lease, not_before: time::OffsetDateTime) -> Settlement {
    Settlement {
        lease: lease.clone(),
        end: End::Released { not_before },
        error: Some(OperationError::from(&Error::new(Kind::Unavailable, "reach the engine"))),
        report: Some(Report { stdout: "out".into(), stderr: "err\0".into(), duration_ms: 3 }),
        facts: Vec::new(),
    }
}

async fn now(store: &dyn Store) -> time::OffsetDateTime {
    store.now().await.unwrap()
}

#[tokio::test]
async fn a_released_operation_is_tried_again_when_it_is_due() {
    let Some(store) = any_store().await else { return };
    create(&*store, "demo").await;
    let first = claim(&*store).await.unwrap();
    let later = now(&*store).await + Duration::from_secs(3600);
    store.settle(released(&first.lease, later)).await.unwrap();
    assert!(claim(&*store).await.is_none(), "it was not due yet");
    let waiting = store.operation(first.operation.id).await.unwrap().unwrap();
    assert_eq!((waiting.state, waiting.attempt, waiting.lease), (OperationState::Waiting, 1, None));
    assert_eq!(waiting.error.map(|error| error.kind), Some(Kind::Unavailable));
    assert_eq!(waiting.report.map(|report| report.stderr), Some("err\u{fffd}".into()));
}

#[tokio::test]
async fn a_released_operation_that_is_due_is_claimed_once_more() {
    let Some(store) = any_store().await else { return };
    create(&*store, "demo").await;
    let first = claim(&*store).await.unwrap();
    store.settle(released(&first.lease, now(&*store).await)).await.unwrap();
    let second = claim(&*store).await.unwrap();
    assert_eq!((second.operation.attempt, second.takeover), (2, false));
    assert_eq!(second.operation.started_at, first.operation.started_at);
}

#[tokio::test]
async fn an_operation_released_before_one_that_waits_ends_as_cancelled() {
    let Some(store) = any_store().await else { return };
    create(&*store, "demo").await;
    let running = claim(&*store).await.unwrap();
    store.commit(command(&running.project, OperationKind::Destroy, Status::GoingDown)).await.unwrap();
    let project = store.settle(released(&running.lease, now(&*store).await)).await.unwrap();
    assert_eq!(project.status, Status::GoingDown);
    let ended = store.operation(running.operation.id).await.unwrap().unwrap();
    assert_eq!(ended.state, OperationState::Cancelled);
    assert!(ended.ended_at.is_some());
    assert_eq!(claim(&*store).await.unwrap().operation.kind, OperationKind::Destroy);
}

#[tokio::test]
async fn steps_and_log_are_kept_with_their_attempt_and_only_the_newest() {
    let Some(store) = any_store().await else { return };
    create(&*store, "demo").await;
    let claimed = claim(&*store).await.unwrap();
    let at = now(&*store).await;
    let step = |n: usize| RecordedProgress {
        at,
        progress: Progress::Step { name: format!("step {n}"), service: "db".into() },
    };
    let line = |n: usize| RecordedProgress { at, progress: Progress::Log(format!("line {n}\0")) };
    for batch in 0..6 {
        let progress: Vec<_> = (batch * 100..(batch + 1) * 100).flat_map(|n| [step(n), line(n)]).collect();
        store.renew(&claimed.lease, LEASE, &progress).await.unwrap();
    }
    let operation = store.operation(claimed.operation.id).await.unwrap().unwrap();
    assert_eq!((operation.steps.len(), operation.log.len()), (Operation::MAX_STEPS, Operation::MAX_LOG));
    assert_eq!(operation.steps[0].name, "step 100");
    assert_eq!(operation.steps[0].attempt, 1);
    assert_eq!(operation.log.last().map(|line| line.message.as_str()), Some("line 599\u{fffd}"));
}

#[tokio::test]
async fn a_renewed_lease_ends_later() {
    let Some(store) = any_store().await else { return };
    create(&*store, "demo").await;
    let claimed = claim(&*store).await.unwrap();
    let renewed = store.renew(&claimed.lease, 2 * LEASE, &[]).await.unwrap();
    assert!(renewed.lease.expires_at > claimed.lease.expires_at);
    assert_eq!(renewed.lease.epoch, claimed.lease.epoch);
    assert!(!renewed.cancel_requested);
}

#[tokio::test]
async fn a_block_with_a_taken_port_is_set_aside_and_replaced_once() {
    let Some(store) = any_store().await else { return };
    let pool = PortPool { first: 20_000, last: 20_006 };
    let mut project = new_project("demo");
    project.port_pool = pool;
    store.commit(create_change(project)).await.unwrap();
    let claimed = claim(&*store).await.unwrap();
    let hour = Duration::from_secs(3600);
    let moved = store.reallocate(&claimed.lease, 20_001, &pool, hour).await.unwrap();
    assert_eq!(moved.ports.map(|block| (block.first, block.count)), Some((20_003, 3)));
    assert_eq!(moved.version, claimed.project.version + 1);
    let again = store.reallocate(&claimed.lease, 20_001, &pool, hour).await.unwrap();
    assert_eq!(again, moved, "a repeated call moved the project twice");
    let error = store.reallocate(&claimed.lease, 20_003, &pool, hour).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Exhausted);
    let unmoved = store.project(&moved.reference).await.unwrap().unwrap();
    assert_eq!(unmoved, moved, "a refused move changed the project");
}

#[tokio::test]
async fn what_was_set_aside_comes_back_when_its_time_is_over() {
    let Some(store) = any_store().await else { return };
    let pool = PortPool { first: 20_000, last: 20_005 };
    let mut project = new_project("demo");
    project.port_pool = pool;
    store.commit(create_change(project)).await.unwrap();
    let claimed = claim(&*store).await.unwrap();
    for taken in [20_000, 20_003, 20_000] {
        let moved = store.reallocate(&claimed.lease, taken, &pool, Duration::ZERO).await.unwrap();
        assert!(!moved.ports.unwrap().contains(taken));
    }
}
