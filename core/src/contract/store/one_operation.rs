//! A project has at most one running and one waiting operation.

use super::{
    Stage,
    changes::{
        HOUR, active, cancellation, claim, create, creation, destruction, events, finish, look_up,
        new_project, pause, recorded, success, try_claim,
    },
};
use crate::{
    contract::failure::{Verified, refused, there},
    error::{Detail, Kind},
    event::Fact,
    lifecycle::Status,
    operation::{OperationKind, OperationState},
};

pub(super) async fn a_command_is_refused_while_an_operation_runs_or_waits(
    Stage { store, .. }: Stage,
) -> Verified {
    let project = active(&*store, "demo").await?;
    let (project, operation) = recorded(store.commit(pause(&project)).await?)?;
    let busy = Detail::Busy { status: Status::Pausing, operation: operation.id };
    for while_it in ["waits", "runs"] {
        let error = refused(store.commit(pause(&project)).await, "a second command")?;
        ensure_eq!(error.detail(), Some(&busy), "the refusal while the first one {while_it}");
        try_claim(&*store).await?;
    }
    Ok(())
}

pub(super) async fn destroy_takes_the_place_of_an_operation_that_waits(
    Stage { store, .. }: Stage,
) -> Verified {
    let (project, waiting) = recorded(create(&*store, "demo").await?)?;
    let (destroyed, operation) = recorded(store.commit(destruction(&project)).await?)?;
    let replaced = look_up(&*store, waiting.id).await?;
    ensure_eq!(replaced.state, OperationState::Cancelled, "the operation that waited");
    ensure!(replaced.ended_at.is_some(), "nobody knows when the operation that waited ended");
    ensure_eq!(destroyed.status, Status::GoingDown, "the status");
    ensure_eq!(claim(&*store).await?.operation.id, operation.id, "what is claimed next");
    Ok(())
}

pub(super) async fn destroy_asks_an_operation_that_runs_to_end_and_waits_behind_it(
    Stage { store, .. }: Stage,
) -> Verified {
    create(&*store, "demo").await?;
    let running = claim(&*store).await?;
    store.commit(destruction(&running.project)).await?;
    ensure!(look_up(&*store, running.operation.id).await?.cancel_requested, "it was not asked to end");
    ensure!(try_claim(&*store).await?.is_none(), "two operations of one project run at once");
    // What came first is recorded and moves nothing.
    let project = store.settle(success(&running.lease, Status::ActiveHealthy)).await?;
    ensure_eq!((project.status, project.was_active), (Status::GoingDown, false), "the project");
    ensure_eq!(claim(&*store).await?.operation.kind, OperationKind::Destroy, "what is claimed next");
    Ok(())
}

pub(super) async fn what_waits_behind_a_running_operation_is_begun_when_that_has_ended(
    Stage { store, .. }: Stage,
) -> Verified {
    create(&*store, "demo").await?;
    let running = claim(&*store).await?;
    let (_, waiting) = recorded(store.commit(destruction(&running.project)).await?)?;
    let (_, other) = recorded(create(&*store, "other").await?)?;
    ensure_eq!(
        claim(&*store).await?.operation.id,
        other.id,
        "another project's operation, which waits for none"
    );
    ensure!(try_claim(&*store).await?.is_none(), "two operations of one project run at once");
    store.settle(success(&running.lease, Status::ActiveHealthy)).await?;
    let next = claim(&*store).await?;
    ensure_eq!(next.operation.id, waiting.id, "what is claimed next");
    let removed = store.settle(success(&next.lease, Status::Removed)).await?;
    ensure_eq!(removed.status, Status::Removed, "the status");
    Ok(())
}

pub(super) async fn an_operation_that_is_asked_to_end_is_due_at_once(Stage { store, .. }: Stage) -> Verified {
    let mut change = creation(new_project("demo")?);
    if let Some(operation) = &mut change.operation {
        operation.delay = HOUR;
    }
    let (project, operation) = recorded(store.commit(change).await?)?;
    ensure!(try_claim(&*store).await?.is_none(), "it was claimed an hour before it is due");
    let asked = store.commit(cancellation(&project, operation.id)).await?;
    ensure_eq!(asked.operation.map(|asked| asked.id), Some(operation.id), "what was asked to end");
    let claimed = claim(&*store).await?;
    ensure!(claimed.operation.cancel_requested, "the worker is not told to end it");
    Ok(())
}

pub(super) async fn asking_an_operation_to_end_twice_is_told_once_and_changes_no_version(
    Stage { store, .. }: Stage,
) -> Verified {
    let (project, operation) = recorded(create(&*store, "demo").await?)?;
    for _ in 0..2 {
        let asked = store.commit(cancellation(&project, operation.id)).await?;
        ensure_eq!(asked.project.version, project.version, "the version");
        let asked = there(asked.operation, "the operation that was asked to end")?;
        ensure!(asked.cancel_requested, "it was not asked");
    }
    let asked = Fact::CancelRequested { operation: operation.id };
    let told = events(&*store).await?.into_iter().filter(|event| event.fact == asked).count();
    ensure_eq!(told, 1, "how often it was told");
    Ok(())
}

pub(super) async fn an_operation_of_another_project_cannot_be_cancelled(
    Stage { store, .. }: Stage,
) -> Verified {
    let (one, _) = recorded(create(&*store, "one").await?)?;
    let (_, strange) = recorded(create(&*store, "two").await?)?;
    let error = refused(store.commit(cancellation(&one, strange.id)).await, "another project's operation")?;
    ensure_eq!(error.kind(), Kind::NotFound, "the refusal");
    ensure!(!look_up(&*store, strange.id).await?.cancel_requested, "it was asked to end all the same");
    finish(&*store, Status::ActiveHealthy).await?;
    Ok(())
}
