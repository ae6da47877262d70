//! What is written under a lease, and how it is fenced.

use std::time::Duration;

use super::{
    Stage,
    changes::{
        LEASE, cancellation, claim, claim_by, create, look_up, reread, success, try_claim, until_after,
    },
};
use crate::{
    context::Progress,
    contract::failure::{Verified, refused, there},
    lifecycle::Status,
    operation::Operation,
    store::{Claim, Claimed, PortPool, RecordedProgress, Settlement, Store},
};

/// A worker's claim that its lease does not outlive, and the claim of one that took over.
async fn taken_over(store: &dyn Store) -> Verified<(Claimed, Claimed)> {
    create(store, "demo").await?;
    let brief = Claim { lease: Duration::ZERO, ..claim_by("first", 1000)? };
    let first = there(store.claim(&brief).await?.pop(), "an operation to claim")?;
    until_after(store, first.lease.expires_at).await?;
    ensure!(try_claim(store).await?.is_none(), "the margin was not waited out");
    // The bound does not keep it from being taken over: it runs already.
    let late = Claim { margin: Duration::ZERO, ..claim_by("second", 1)? };
    let second = there(store.claim(&late).await?.pop(), "the operation to be taken over")?;
    Ok((first, second))
}

pub(super) async fn an_abandoned_operation_is_taken_over_only_after_lease_and_margin(
    Stage { store, .. }: Stage,
) -> Verified {
    let (first, second) = taken_over(&*store).await?;
    ensure!(second.takeover, "the second worker is not told to look at what is there");
    ensure_eq!(second.operation.id, first.operation.id, "what was taken over");
    ensure_eq!((second.operation.attempt, second.operation.takeovers), (2, 1), "attempt and takeovers");
    ensure_eq!(second.operation.failures, 0, "how often it failed");
    ensure!(second.lease.epoch > first.lease.epoch, "the epoch did not grow");
    ensure_eq!(second.operation.started_at, first.operation.started_at, "when it was first begun");
    // A lease that still runs is nobody else's.
    let late = Claim { margin: Duration::ZERO, ..claim_by("third", 1000)? };
    ensure!(store.claim(&late).await?.is_empty(), "a lease was taken over before its end");
    Ok(())
}

pub(super) async fn who_lost_its_lease_writes_nothing_more(Stage { store, .. }: Stage) -> Verified {
    let (first, second) = taken_over(&*store).await?;
    let (project, operation) =
        (reread(&*store, &second.project.reference).await?, look_up(&*store, second.operation.id).await?);
    let line = RecordedProgress { at: store.now().await?, progress: Progress::Log("late".to_owned()) };
    let port = there(project.ports, "the ports")?.first;

    let renewal = refused(store.renew(&first.lease, LEASE, &[line]).await, "a renewal")?;
    let settlement = store.settle(success(&first.lease, Status::ActiveHealthy)).await;
    let settlement = refused(settlement, "a settlement")?;
    let move_away = store.reallocate(&first.lease, port, &PortPool::default(), LEASE).await;
    let move_away = refused(move_away, "a move to other ports")?;
    for error in [renewal, settlement, move_away] {
        ensure!(error.is_lease_lost(), "a worker without a lease was refused with {error:?}");
    }
    ensure_eq!(reread(&*store, &project.reference).await?, project, "the project");
    ensure_eq!(look_up(&*store, operation.id).await?, operation, "the operation");
    store.settle(success(&second.lease, Status::ActiveHealthy)).await?;
    Ok(())
}

pub(super) async fn a_renewed_lease_ends_later_and_tells_who_asked_for_an_end(
    Stage { store, .. }: Stage,
) -> Verified {
    create(&*store, "demo").await?;
    let claimed = claim(&*store).await?;
    let renewed = store.renew(&claimed.lease, 2 * LEASE, &[]).await?;
    ensure!(renewed.lease.expires_at > claimed.lease.expires_at, "the lease does not end later");
    ensure_eq!(renewed.lease.epoch, claimed.lease.epoch, "the epoch");
    ensure!(!renewed.cancel_requested, "nobody asked for an end");
    ensure_eq!(look_up(&*store, claimed.operation.id).await?.lease, Some(renewed.lease), "the lease");
    store.commit(cancellation(&claimed.project, claimed.operation.id)).await?;
    // A worker may go on with the lease that it was first given.
    let renewed = store.renew(&claimed.lease, LEASE, &[]).await?;
    ensure!(renewed.cancel_requested, "the worker is not told that its end was asked for");
    Ok(())
}

pub(super) async fn progress_that_comes_with_the_end_is_recorded(Stage { store, .. }: Stage) -> Verified {
    create(&*store, "demo").await?;
    let claimed = claim(&*store).await?;
    let at = store.now().await?;
    let step = Progress::Step { name: "start".to_owned(), service: "db".to_owned() };
    let line = Progress::Log("started".to_owned());
    let renewed = [RecordedProgress { at, progress: step.clone() }];
    store.renew(&claimed.lease, LEASE, &renewed).await?;
    let progress = [step, line].map(|progress| RecordedProgress { at, progress }).to_vec();
    store.settle(Settlement { progress, ..success(&claimed.lease, Status::ActiveHealthy) }).await?;
    let ended = look_up(&*store, claimed.operation.id).await?;
    let steps: Vec<_> = ended.steps.iter().map(|step| (&*step.name, &*step.service, step.attempt)).collect();
    ensure_eq!(steps, [("start", "db", 1), ("start", "db", 1)], "the steps");
    let lines: Vec<_> = ended.log.iter().map(|line| &*line.message).collect();
    ensure_eq!(lines, ["started"], "the log");
    Ok(())
}

pub(super) async fn steps_and_log_are_kept_with_their_attempt_and_only_the_newest(
    Stage { store, .. }: Stage,
) -> Verified {
    create(&*store, "demo").await?;
    let claimed = claim(&*store).await?;
    let at = store.now().await?;
    let step = |n: usize| Progress::Step { name: format!("step {n}"), service: "db".to_owned() };
    let line = |n: usize| Progress::Log(format!("line {n}"));
    let batch = Operation::MAX_STEPS.div_ceil(4);
    for first in (0..).step_by(batch).take(5) {
        let progress: Vec<_> = (first..first + batch)
            .flat_map(|n| [step(n), line(n)])
            .map(|progress| RecordedProgress { at, progress })
            .collect();
        store.renew(&claimed.lease, LEASE, &progress).await?;
    }
    let operation = look_up(&*store, claimed.operation.id).await?;
    ensure_eq!(operation.steps.len(), Operation::MAX_STEPS, "how many steps are kept");
    ensure_eq!(operation.log.len(), Operation::MAX_LOG, "how many lines are kept");
    let oldest = &operation.steps[0];
    let expected = format!("step {}", 5 * batch - Operation::MAX_STEPS);
    ensure_eq!((&*oldest.name, &*oldest.service, oldest.attempt), (&*expected, "db", 1), "the oldest step");
    let newest = operation.log.last().map(|line| line.message.clone());
    ensure_eq!(newest, Some(format!("line {}", 5 * batch - 1)), "the newest line");
    Ok(())
}
