//! Work is given out once, in turn, and within the targets' bounds.

use std::{collections::BTreeSet, time::Duration};

use super::{
    Stage,
    changes::{
        HOUR, active, at_once, claim, claim_by, create, creation, look_up, new_project, operation, pause,
        recorded, settlement, success, try_claim, until_after,
    },
};
use crate::{
    contract::failure::{Verified, there},
    lifecycle::Status,
    operation::{OperationKind, OperationState},
    store::{Change, Claim, Claimed, End, NewProject},
};

pub(super) async fn the_oldest_operation_comes_first_and_only_of_targets_that_are_served(
    Stage { store, .. }: Stage,
) -> Verified {
    let elsewhere = NewProject { target: "other".parse()?, ..new_project("elsewhere")? };
    store.commit(creation(elsewhere)).await?;
    let (mut waiting, mut given) = (Vec::new(), Vec::new());
    for name in ["one", "two", "three"] {
        waiting.push(recorded(create(&*store, name).await?)?.1.id);
    }
    while let Some(claimed) = try_claim(&*store).await? {
        given.push(claimed.operation.id);
    }
    ensure_eq!(given, waiting, "what is given out");
    Ok(())
}

pub(super) async fn every_operation_is_given_to_exactly_one_of_many_workers(
    Stage { store, .. }: Stage,
) -> Verified {
    for n in 0..20 {
        create(&*store, &format!("p{n}")).await?;
    }
    let workers = (0..30).map(|n| {
        let store = store.clone();
        async move { store.claim(&claim_by(&format!("w{n}"), 1000)?).await }
    });
    let mut claimed = Vec::new();
    for answer in at_once(workers).await? {
        claimed.extend(answer?);
    }
    // A worker that met others at every turn may go home with nothing; it would ask again.
    while let Some(more) = try_claim(&*store).await? {
        claimed.push(more);
    }
    let operations: BTreeSet<_> = claimed.iter().map(|claimed| claimed.operation.id).collect();
    ensure_eq!((claimed.len(), operations.len()), (20, 20), "claims, and operations claimed");
    Ok(())
}

pub(super) async fn a_claim_of_several_gives_the_oldest_within_its_limit_and_the_bound(
    Stage { store, .. }: Stage,
) -> Verified {
    let mut waiting = Vec::new();
    for n in 0..6 {
        waiting.push(recorded(create(&*store, &format!("p{n}")).await?)?.1.id);
    }
    let several = |limit| -> crate::Result<Claim> { Ok(Claim { limit, ..claim_by("worker", 5)? }) };
    let first = store.claim(&several(2)?).await?;
    let second = store.claim(&several(10)?).await?;
    let given = |claimed: &[Claimed]| claimed.iter().map(|claimed| claimed.operation.id).collect::<Vec<_>>();
    ensure_eq!(given(&first), waiting[..2], "what a claim of two gives");
    ensure_eq!(given(&second), waiting[2..5], "what is given with room for three");
    for claimed in first.iter().chain(&second) {
        ensure_eq!(claimed.operation.project, claimed.project.reference, "the operation's project");
        ensure_eq!(claimed.sealed.len(), 1, "the project's secrets");
        let owner = claimed.sealed[0].place.project;
        ensure_eq!(owner, Some(claimed.project.reference), "whose secrets they are");
        store.settle(success(&claimed.lease, Status::ActiveHealthy)).await?;
    }
    ensure_eq!(given(&store.claim(&several(10)?).await?), waiting[5..], "what is left");
    Ok(())
}

pub(super) async fn who_waits_knows_how_many_are_before_it(Stage { store, .. }: Stage) -> Verified {
    let mut waiting = Vec::new();
    for name in ["one", "two", "three"] {
        waiting.push(recorded(create(&*store, name).await?)?.1.id);
    }
    claim(&*store).await?;
    let mut positions = Vec::new();
    for id in waiting {
        positions.push(look_up(&*store, id).await?.position);
    }
    ensure_eq!(positions, [None, Some(0), Some(1)], "the positions");
    Ok(())
}

pub(super) async fn a_target_never_runs_more_operations_than_its_bound(
    Stage { store, .. }: Stage,
) -> Verified {
    for n in 0..10 {
        create(&*store, &format!("p{n}")).await?;
    }
    let mut claimed = Vec::new();
    for _ in 0..4 {
        let workers = (0..8).map(|n| {
            let store = store.clone();
            async move { store.claim(&claim_by(&format!("w{n}"), 3)?).await }
        });
        for answer in at_once(workers).await? {
            claimed.extend(answer?);
        }
        ensure!(claimed.len() <= 3, "{} operations run at once, and 3 may", claimed.len());
    }
    ensure_eq!(claimed.len(), 3, "how many run");
    store.settle(success(&claimed[0].lease, Status::ActiveHealthy)).await?;
    ensure!(!store.claim(&claim_by("w", 3)?).await?.is_empty(), "the room of one that ended stays empty");
    Ok(())
}

pub(super) async fn an_organization_never_runs_more_operations_than_its_bound_and_others_go_first(
    Stage { store, .. }: Stage,
) -> Verified {
    for n in 0..6 {
        create(&*store, &format!("p{n}")).await?;
    }
    let others = NewProject { organization: "others".parse()?, ..new_project("theirs")? };
    let theirs = recorded(store.commit(creation(others)).await?)?.1.id;
    let claim_of = |owner: String| -> crate::Result<Claim> {
        let mut claim = claim_by(&owner, 1000)?;
        for target in &mut claim.targets {
            target.max_operations_per_organization = Some(2);
        }
        Ok(claim)
    };
    let mut claimed = Vec::new();
    for _ in 0..4 {
        let workers = (0..8).map(|n| {
            let store = store.clone();
            // One at a time, and several.
            async move { store.claim(&Claim { limit: 1 + n, ..claim_of(format!("w{n}"))? }).await }
        });
        for answer in at_once(workers).await? {
            claimed.extend(answer?);
        }
    }
    let (of_others, ours): (Vec<_>, Vec<_>) =
        claimed.iter().partition(|claimed| claimed.operation.id == theirs);
    ensure_eq!(ours.len(), 2, "how many of one organization run");
    ensure_eq!(of_others.len(), 1, "how many of another one, which came last, run");
    store.settle(success(&ours[0].lease, Status::ActiveHealthy)).await?;
    let next = store.claim(&Claim { limit: 10, ..claim_of("w".to_owned())? }).await?;
    ensure_eq!(next.len(), 1, "how many begin in the room of one that ended");
    Ok(())
}

pub(super) async fn an_operations_time_begins_when_it_is_first_begun(Stage { store, .. }: Stage) -> Verified {
    let recorded = there(create(&*store, "demo").await?.operation, "the operation")?;
    let timeout = recorded.deadline - recorded.not_before;
    until_after(&*store, recorded.created_at).await?;
    let before = store.now().await?;
    let first = claim(&*store).await?;
    ensure!(first.operation.deadline >= before + timeout, "waiting has cost time");
    Ok(())
}

pub(super) async fn an_operations_time_stands_still_while_it_waits_again(
    Stage { store, .. }: Stage,
) -> Verified {
    create(&*store, "demo").await?;
    let first = claim(&*store).await?;
    let not_before = store.now().await?;
    let left = first.operation.deadline - not_before;
    store.settle(settlement(&first.lease, End::Released { not_before })).await?;
    until_after(&*store, not_before).await?;
    let before = store.now().await?;
    let second = claim(&*store).await?;
    let (least, most) = (before + left, store.now().await? + left);
    let deadline = second.operation.deadline;
    ensure!(deadline >= least, "waiting has cost time: the deadline is {deadline} and not {least}");
    ensure!(deadline <= most, "it has more time than was left: the deadline is {deadline} and not {most}");
    Ok(())
}

pub(super) async fn a_takeover_leaves_the_deadline_where_it_is(Stage { store, .. }: Stage) -> Verified {
    create(&*store, "demo").await?;
    let abandoned = Claim { lease: Duration::ZERO, margin: Duration::ZERO, ..claim_by("w1", 100)? };
    let first = there(store.claim(&abandoned).await?.pop(), "what waits")?;
    until_after(&*store, first.lease.expires_at).await?;
    let taken = Claim { margin: Duration::ZERO, ..claim_by("w2", 100)? };
    let second = there(store.claim(&taken).await?.pop(), "what was abandoned")?;
    ensure!(second.takeover, "it is not said to be a takeover");
    ensure_eq!(second.operation.deadline, first.operation.deadline, "the deadline");
    Ok(())
}

pub(super) async fn an_operation_is_not_begun_before_it_is_due(Stage { store, .. }: Stage) -> Verified {
    let delayed = |name: &str, delay| -> crate::Result<Change> {
        let new = crate::store::NewOperation { delay, ..operation(OperationKind::Create) };
        Ok(Change { operation: Some(new), ..creation(new_project(name)?) })
    };
    store.commit(delayed("later", HOUR)?).await?;
    let soon = std::time::Duration::from_millis(20);
    let (_, soon) = recorded(store.commit(delayed("soon", soon)?).await?)?;
    if let Some(claimed) = try_claim(&*store).await? {
        let (began, due) = (claimed.operation.started_at, claimed.operation.not_before);
        ensure!(began >= Some(due), "it was begun at {began:?}, and is due at {due}");
    } else {
        until_after(&*store, soon.not_before).await?;
        ensure_eq!(claim(&*store).await?.operation.id, soon.id, "what is due");
    }
    ensure!(try_claim(&*store).await?.is_none(), "an operation was begun an hour before it is due");
    Ok(())
}

pub(super) async fn a_claim_carries_what_the_work_needs_counts_an_attempt_and_raises_the_epoch(
    Stage { store, .. }: Stage,
) -> Verified {
    let project = active(&*store, "demo").await?;
    let (project, _) = recorded(store.commit(pause(&project)).await?)?;
    let before = store.now().await?;
    let claimed = claim(&*store).await?;
    ensure_eq!(claimed.project, project, "the project");
    ensure_eq!(claimed.sealed.len(), 1, "the secrets");
    ensure_eq!((claimed.lease.epoch, claimed.operation.attempt), (2, 1), "epoch and attempt");
    ensure_eq!(claimed.operation.state, OperationState::Running, "the state");
    ensure_eq!(claimed.operation.lease.as_ref(), Some(&claimed.lease), "the operation's lease");
    ensure!(claimed.operation.started_at >= Some(before), "nobody knows when it was begun");
    ensure!(claimed.lease.expires_at >= before + super::changes::LEASE, "the lease is too short");
    ensure!(!claimed.takeover, "a first claim is said to be a takeover");
    Ok(())
}
