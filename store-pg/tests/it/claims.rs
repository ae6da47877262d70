//! Work is given out once, in turn and within the targets' bounds.

use std::{collections::BTreeSet, time::Duration};

use freehold_core::{OperationKind, OperationState, Status, store::TargetClaim};
use futures_util::future::join_all;

use crate::fixture::*;

#[tokio::test]
async fn every_operation_is_given_to_exactly_one_of_many_workers() {
    let Some(store) = any_store().await else { return };
    for n in 0..20 {
        create(&*store, &format!("p{n}")).await;
    }
    let workers = (0..30).map(|n| {
        let store = store.clone();
        async move { store.claim(&claim_for(&format!("w{n}"))).await.unwrap() }
    });
    let mut claimed: Vec<_> = join_all(workers).await.into_iter().flatten().collect();
    // A worker that met others at every turn goes home with nothing; it would ask again.
    while let Some(more) = claim(&*store).await {
        claimed.push(more);
    }
    let operations: BTreeSet<_> = claimed.iter().map(|claimed| claimed.operation.id).collect();
    assert_eq!((claimed.len(), operations.len()), (20, 20));
}

#[tokio::test]
async fn the_oldest_operation_comes_first_and_only_of_targets_that_are_served() {
    let Some(store) = any_store().await else { return };
    let mut elsewhere = new_project("elsewhere");
    elsewhere.target = "other".try_into().unwrap();
    store.commit(create_change(elsewhere)).await.unwrap();
    let first = create(&*store, "first").await.project.reference;
    let second = create(&*store, "second").await.project.reference;
    assert_eq!(claim(&*store).await.unwrap().project.reference, first);
    assert_eq!(claim(&*store).await.unwrap().project.reference, second);
    assert!(claim(&*store).await.is_none());
}

#[tokio::test]
async fn a_target_never_runs_more_operations_than_its_bound() {
    let Some(store) = any_store().await else { return };
    for n in 0..10 {
        create(&*store, &format!("p{n}")).await;
    }
    let mut bounded = claim_for("worker");
    bounded.targets = vec![TargetClaim { name: target(), max_operations: 3 }];
    let mut claimed = Vec::new();
    for _ in 0..4 {
        let round = join_all((0..8).map(|_| store.claim(&bounded))).await;
        claimed.extend(round.into_iter().filter_map(Result::unwrap));
        assert!(claimed.len() <= 3, "{} ran at once", claimed.len());
    }
    assert_eq!(claimed.len(), 3);
    store.settle(succeeded(&claimed[0].lease, Status::ActiveHealthy)).await.unwrap();
    assert!(store.claim(&bounded).await.unwrap().is_some());
}

#[tokio::test]
async fn a_claim_carries_what_the_work_needs_and_raises_the_epoch_each_time() {
    let Some(store) = any_store().await else { return };
    create(&*store, "demo").await;
    let first = claim(&*store).await.unwrap();
    assert_eq!((first.operation.state, first.operation.attempt), (OperationState::Running, 1));
    assert_eq!(first.operation.lease.as_ref(), Some(&first.lease));
    assert_eq!(first.sealed.len(), 1);
    assert!(!first.takeover);
    let project = store.settle(succeeded(&first.lease, Status::ActiveHealthy)).await.unwrap();
    store.commit(command(&project, OperationKind::Pause, Status::Pausing)).await.unwrap();
    let second = claim(&*store).await.unwrap();
    assert!(second.lease.epoch > first.lease.epoch);
}

#[tokio::test]
async fn an_abandoned_operation_is_taken_over_only_after_lease_and_margin() {
    let Some(store) = any_store().await else { return };
    create(&*store, "demo").await;
    let mut brief = claim_for("first");
    brief.lease = Duration::ZERO;
    let first = store.claim(&brief).await.unwrap().unwrap();
    assert!(claim(&*store).await.is_none(), "the margin was not waited out");

    let impatient = {
        let mut claim = claim_for("second");
        claim.margin = Duration::ZERO;
        claim
    };
    let second = store.claim(&impatient).await.unwrap().unwrap();
    assert!(second.takeover);
    assert_eq!(second.operation.id, first.operation.id);
    assert_eq!(second.operation.attempt, 2);
    assert!(second.lease.epoch > first.lease.epoch);

    let renewal = store.renew(&first.lease, LEASE, &[]).await.unwrap_err();
    let settlement = store.settle(succeeded(&first.lease, Status::ActiveHealthy)).await.unwrap_err();
    assert!(renewal.is_lease_lost() && settlement.is_lease_lost(), "{renewal:?} {settlement:?}");
    store.settle(succeeded(&second.lease, Status::ActiveHealthy)).await.unwrap();
}
