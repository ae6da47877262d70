//! Ends an operation or hands it back, and moves its project if the operation put it where it stands.

mod outcome;

use std::sync::Arc;

use freehold_core::{
    Error, Fact, Operation, OperationState, Project, ProjectRef, Status,
    store::{End, Settlement, Transition},
};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use crate::{
    allocate,
    error::{During, Result},
    facts,
    lane::Lane,
    lease::{self, Progress, record_progress},
    rows::{ProjectRow, json, number, select_projects},
    sealed,
    transaction::{begin, end},
};

const SIBLING_WAITS: &str =
    "SELECT EXISTS (SELECT FROM freehold.operations WHERE project = $1 AND state = 'waiting')";
const SETTLE: &str = concat!(
    "UPDATE freehold.operations o SET state = $2, not_before = coalesce($3, not_before), \
        error = CASE WHEN $2 = 'waiting' THEN coalesce($4, error) ELSE $4 END, \
        failures = failures + CASE WHEN $2 = 'waiting' AND $4::jsonb IS NOT NULL THEN 1 ELSE 0 END, \
        report = coalesce($5, report), ",
    record_progress!("$6", "$7", "$8", "$9"),
    ", lease_owner = NULL, lease_expires_at = NULL, \
        ended_at = CASE WHEN $2 = 'waiting' THEN NULL ELSE clock_timestamp() END \
    WHERE id = $1"
);
const MOVE: &str = concat!(
    "WITH moved AS ( \
        UPDATE freehold.projects SET status = $2, was_active = was_active OR $2 = 'ACTIVE_HEALTHY', \
            connection = coalesce($3, connection), updated_at = clock_timestamp(), version = version + 1 \
        WHERE reference = $1 RETURNING * \
    ) ",
    select_projects!("moved", "")
);

/// How an operation stands after its settlement.
struct Verdict {
    state: OperationState,
    not_before: Option<OffsetDateTime>,
    transition: Option<Box<Transition>>,
    reason: Option<String>,
}

/// Ends that are settled together.
pub(crate) type Ends = Lane<Settlement, Result<Project>>;

/// Begins to settle ends that come at the same time together.
pub(crate) fn ends(pool: PgPool) -> Ends {
    Lane::start(move |settlements| {
        let pool = pool.clone();
        async move { outcome::settle(&pool, &settlements).await }
    })
}

pub(crate) async fn settle(pool: &PgPool, ends: &Ends, settlement: Settlement) -> Result<Project> {
    let settlement = Arc::new(settlement);
    if outcome::transition(&settlement).is_some()
        && let Some(project) = ends.ask(&settlement).await
    {
        return project;
    }
    let mut transaction = begin(pool, "begin to settle an operation").await?;
    let settled = apply(&mut transaction, &settlement).await;
    end(transaction, settled, "settle an operation").await
}

async fn apply(connection: &mut PgConnection, settlement: &Settlement) -> Result<Project> {
    let (project, operation) = lease::hold(connection, &settlement.lease).await?;
    let verdict = verdict(connection, settlement, &project).await?;
    let progress = Progress::of(&settlement.progress)?;
    sqlx::query(SETTLE)
        .bind(operation.id.as_uuid())
        .bind(verdict.state.as_str())
        .bind(verdict.not_before)
        .bind(settlement.error.as_ref().map(|error| json("an error", error)).transpose()?)
        .bind(settlement.report.as_ref().map(|report| json("a report", report)).transpose()?)
        .bind(progress.steps)
        .bind(progress.log)
        .bind(number::<_, i64>("a bound", Operation::MAX_STEPS)?)
        .bind(number::<_, i64>("a bound", Operation::MAX_LOG)?)
        .execute(&mut *connection)
        .await
        .during("settle an operation")?;

    let mut moved = project;
    let mut written = vec![Fact::OperationChanged {
        operation: operation.id,
        kind: operation.kind,
        state: verdict.state,
        attempt: operation.attempt,
        reason: verdict.reason,
    }];
    // Unless another operation or the watcher has moved it since.
    if let Some(transition) = verdict.transition.filter(|_| moved.status_operation == Some(operation.id)) {
        let from = moved.status;
        moved = advance(connection, &moved.reference, &transition).await?;
        if moved.status != from {
            written.push(Fact::StatusChanged {
                from: Some(from),
                to: moved.status,
                operation: Some(operation.id),
                reason: transition.reason,
            });
        }
    }
    written.extend(settlement.facts.iter().cloned());
    facts::write(connection, &moved.reference, &moved.organization, &written).await?;
    Ok(moved)
}

async fn verdict(
    connection: &mut PgConnection,
    settlement: &Settlement,
    project: &Project,
) -> Result<Verdict> {
    let reason = settlement.error.as_ref().map(|error| error.message.clone());
    match &settlement.end {
        End::Ended { state, transition } if state.has_ended() => {
            Ok(Verdict { state: *state, not_before: None, transition: transition.clone(), reason })
        }
        End::Ended { state, .. } => {
            Err(Error::internal(format!("settle an operation: {state} is no end")).into())
        }
        End::Released { not_before } => {
            let superseded: bool = sqlx::query_scalar(SIBLING_WAITS)
                .bind(project.reference.as_str())
                .fetch_one(connection)
                .await
                .during("look for another operation")?;
            Ok(if superseded {
                let reason = Some("another operation took its place".to_owned());
                Verdict { state: OperationState::Cancelled, not_before: None, transition: None, reason }
            } else {
                let not_before = Some(*not_before);
                Verdict { state: OperationState::Waiting, not_before, transition: None, reason }
            })
        }
    }
}

async fn advance(
    connection: &mut PgConnection,
    project: &ProjectRef,
    transition: &Transition,
) -> Result<Project> {
    if transition.to == Status::Removed {
        allocate::free(connection, project).await?;
        sealed::forget(connection, project).await?;
    }
    let moved: ProjectRow = sqlx::query_as(MOVE)
        .bind(project.as_str())
        .bind(transition.to.as_str())
        .bind(transition.connection.as_ref().map(|connection| json("a connection", connection)).transpose()?)
        .fetch_one(connection)
        .await
        .during("move a project")?;
    moved.try_into()
}
