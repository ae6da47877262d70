//! How work ends, and what its end moves.

use std::time::Duration;

use super::{
    Stage,
    changes::{
        HOUR, active, claim, connection, create, destroy, destruction, ended, events, look_up, pause, reread,
        settlement, success, try_claim, until_after,
    },
};
use crate::{
    contract::failure::{Verified, refused},
    error::{Error, Kind},
    event::Fact,
    lifecycle::Status,
    operation::{OperationError, OperationKind, OperationState},
    report::Report,
    store::{End, Retention, Settlement, Transition},
};

pub(super) async fn an_outcome_moves_the_project_only_if_its_operation_put_it_where_it_stands(
    Stage { store, .. }: Stage,
) -> Verified {
    create(&*store, "demo").await?;
    let claimed = claim(&*store).await?;
    store.commit(destruction(&claimed.project)).await?;
    let after = store.settle(success(&claimed.lease, Status::ActiveHealthy)).await?;
    ensure_eq!((after.status, after.was_active), (Status::GoingDown, false), "the project");
    let operation = look_up(&*store, claimed.operation.id).await?;
    ensure_eq!((operation.state, operation.lease), (OperationState::Succeeded, None), "the operation");
    Ok(())
}

pub(super) async fn a_second_settlement_finds_the_lease_gone(Stage { store, .. }: Stage) -> Verified {
    let project = active(&*store, "demo").await?;
    store.commit(pause(&project)).await?;
    let claimed = claim(&*store).await?;
    let settled = store.settle(success(&claimed.lease, Status::Inactive)).await?;
    ensure_eq!(settled.status, Status::Inactive, "the status");
    let again = store.settle(success(&claimed.lease, Status::Inactive)).await;
    let error = refused(again, "a second settlement")?;
    ensure!(error.is_lease_lost(), "it was refused with {error:?}");
    ensure_eq!(reread(&*store, &project.reference).await?, settled, "the project");
    Ok(())
}

pub(super) async fn a_settlement_that_would_break_a_promise_changes_nothing(
    Stage { store, .. }: Stage,
) -> Verified {
    create(&*store, "demo").await?;
    let claimed = claim(&*store).await?;
    let nowhere = Transition { to: Status::ActiveHealthy, reason: None, connection: None };
    let broken = [
        (
            "an active project without a connection",
            ended(&claimed.lease, OperationState::Succeeded, Some(nowhere)),
        ),
        ("an end that is none", ended(&claimed.lease, OperationState::Waiting, None)),
    ];
    for (what, settlement) in broken {
        let error = refused(store.settle(settlement).await, what)?;
        ensure_eq!(error.kind(), Kind::Internal, "the refusal of {what}");
        ensure_eq!(reread(&*store, &claimed.project.reference).await?, claimed.project, "the project");
        ensure_eq!(look_up(&*store, claimed.operation.id).await?, claimed.operation, "the operation");
    }
    let project = store.settle(success(&claimed.lease, Status::ActiveHealthy)).await?;
    ensure_eq!(project.connection, Some(connection()), "the connection");
    Ok(())
}

fn unavailable() -> OperationError {
    OperationError::from(&Error::new(Kind::Unavailable, "reach the engine").with("step", "start"))
}

pub(super) async fn a_released_operation_is_tried_again_when_it_is_due(
    Stage { store, .. }: Stage,
) -> Verified {
    create(&*store, "demo").await?;
    let first = claim(&*store).await?;
    let release = |lease, not_before| Settlement {
        error: Some(unavailable()),
        report: Some(Report { stdout: "out".to_owned(), stderr: String::new(), duration_ms: 3 }),
        ..settlement(lease, End::Released { not_before })
    };
    let now = store.now().await?;
    let project = store.settle(release(&first.lease, now)).await?;
    ensure_eq!((project.status, project.version), (Status::ComingUp, 1), "the project");
    let second = claim(&*store).await?;
    ensure_eq!((second.operation.attempt, second.takeover), (2, false), "attempt and takeover");
    ensure_eq!(second.operation.started_at, first.operation.started_at, "when it was first begun");

    store.settle(release(&second.lease, now + HOUR)).await?;
    ensure!(try_claim(&*store).await?.is_none(), "it was claimed an hour before it is due");
    let waiting = look_up(&*store, first.operation.id).await?;
    ensure_eq!((waiting.state, waiting.attempt), (OperationState::Waiting, 2), "the operation");
    ensure_eq!(waiting.lease, None, "the lease");
    ensure_eq!(waiting.error, Some(unavailable()), "why it was handed back");
    ensure_eq!(waiting.report.map(|report| report.stdout), Some("out".to_owned()), "what was printed");
    Ok(())
}

pub(super) async fn what_failed_is_counted_apart_from_what_was_handed_back(
    Stage { store, .. }: Stage,
) -> Verified {
    create(&*store, "demo").await?;
    let not_before = store.now().await?;
    let hand_back = |lease| settlement(lease, End::Released { not_before });
    let first = claim(&*store).await?;
    store.settle(Settlement { error: Some(unavailable()), ..hand_back(&first.lease) }).await?;
    let second = claim(&*store).await?;
    store.settle(hand_back(&second.lease)).await?;
    let third = claim(&*store).await?.operation;
    ensure_eq!((third.attempt, third.failures, third.takeovers), (3, 1, 0), "attempts and failures");
    ensure_eq!(third.error, Some(unavailable()), "why the last attempt failed");
    Ok(())
}

pub(super) async fn what_ended_is_forgotten_in_its_time_but_for_what_tells_how_a_project_stands(
    Stage { store, .. }: Stage,
) -> Verified {
    let project = active(&*store, "demo").await?;
    let created = project.status_operation;
    store.commit(pause(&project)).await?;
    let claimed = claim(&*store).await?;
    let paused = store.settle(success(&claimed.lease, Status::Inactive)).await?;
    let waiting = create(&*store, "another").await?.operation;
    until_after(&*store, store.now().await?).await?;
    let kept = Retention { events: Duration::MAX, idempotency_keys: Duration::MAX, operations: HOUR };
    store.expire(&kept).await?;
    for id in [created, paused.status_operation].into_iter().flatten() {
        look_up(&*store, id).await?;
    }
    store.expire(&Retention { operations: Duration::ZERO, ..kept }).await?;
    for id in [created].into_iter().flatten() {
        ensure_eq!(store.operation(id).await?, None, "an operation that ended");
    }
    for id in [paused.status_operation, waiting.map(|operation| operation.id)].into_iter().flatten() {
        look_up(&*store, id).await?;
    }
    ensure_eq!(reread(&*store, &project.reference).await?, paused, "the project");
    Ok(())
}

pub(super) async fn an_operation_released_before_one_that_waits_ends_as_cancelled(
    Stage { store, .. }: Stage,
) -> Verified {
    create(&*store, "demo").await?;
    let running = claim(&*store).await?;
    store.commit(destruction(&running.project)).await?;
    let not_before = store.now().await?;
    let project = store.settle(settlement(&running.lease, End::Released { not_before })).await?;
    ensure_eq!(project.status, Status::GoingDown, "the status");
    let over = look_up(&*store, running.operation.id).await?;
    ensure_eq!(over.state, OperationState::Cancelled, "the operation that was released");
    ensure!(over.ended_at.is_some(), "nobody knows when it ended");
    ensure_eq!(claim(&*store).await?.operation.kind, OperationKind::Destroy, "what is claimed next");
    Ok(())
}

pub(super) async fn a_failure_is_kept_and_tells_its_reason(Stage { store, .. }: Stage) -> Verified {
    create(&*store, "demo").await?;
    let claimed = claim(&*store).await?;
    let reason = Some("it gave up".to_owned());
    let transition = Transition { to: Status::InitFailed, reason: reason.clone(), connection: None };
    let mut failure = ended(&claimed.lease, OperationState::Failed, Some(transition));
    failure.error = Some(unavailable());
    let project = store.settle(failure).await?;
    ensure_eq!((project.status, project.was_active), (Status::InitFailed, false), "the project");
    let operation = look_up(&*store, claimed.operation.id).await?;
    ensure_eq!(
        (operation.state, operation.error),
        (OperationState::Failed, Some(unavailable())),
        "the operation"
    );
    let facts: Vec<Fact> = events(&*store).await?.into_iter().skip(3).map(|event| event.fact).collect();
    let operation = claimed.operation.id;
    let expected = [
        Fact::OperationChanged {
            operation,
            kind: OperationKind::Create,
            state: OperationState::Failed,
            attempt: 1,
            reason: Some("reach the engine".to_owned()),
        },
        Fact::StatusChanged {
            from: Some(Status::ComingUp),
            to: Status::InitFailed,
            operation: Some(operation),
            reason,
        },
    ];
    ensure_eq!(facts, expected, "what is told of it");
    Ok(())
}

pub(super) async fn what_was_destroyed_gives_back_ports_network_and_secrets(
    Stage { store, .. }: Stage,
) -> Verified {
    let project = active(&*store, "demo").await?;
    let removed = destroy(&*store, &project).await?;
    ensure_eq!(removed.status, Status::Removed, "the status");
    ensure_eq!((removed.ports, removed.subnet), (None, None), "ports and network");
    ensure!(store.sealed(Some(&project.reference)).await?.is_empty(), "its secrets are kept");
    ensure_eq!(reread(&*store, &project.reference).await?, removed, "the tombstone");
    Ok(())
}
