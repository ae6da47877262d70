//! The operations of a project that run or wait: refused, made way for, or asked to end.

use freehold_core::{
    Detail, Error, Fact, OperationId, OperationKind, OperationState, Project, ProjectRef,
    store::{Guard, NewOperation, Preemption},
};
use sqlx::{PgConnection, types::Uuid};

use crate::{
    error::{During, Result},
    rows::{number, parse},
};

const IN_FLIGHT: &str = "SELECT id, kind, state, attempt, set_aside IS NOT NULL FROM freehold.operations \
    WHERE project = $1 AND state IN ('running', 'waiting') ORDER BY state FOR NO KEY UPDATE";
const END_AS_CANCELLED: &str = "UPDATE freehold.operations SET state = 'cancelled', cancel_requested = true, \
    lease_owner = NULL, lease_expires_at = NULL, ended_at = clock_timestamp() WHERE id = $1";
/// One that waits is due at once, so that a worker ends it.
const ASK_TO_END: &str = "UPDATE freehold.operations SET cancel_requested = true, \
    not_before = CASE WHEN state = 'waiting' THEN least(not_before, clock_timestamp()) ELSE not_before END \
    WHERE id = $1 AND project = $2 AND ended_at IS NULL AND NOT cancel_requested";
const OWN: &str = "SELECT EXISTS (SELECT FROM freehold.operations WHERE id = $1 AND project = $2)";

/// What a change asks of operations that run or wait.
#[derive(Debug)]
pub(super) struct Way<'a> {
    pub(super) guard: Guard,
    pub(super) preemption: Preemption,
    pub(super) next: Option<&'a NewOperation>,
}

#[derive(Debug)]
struct InFlight {
    id: OperationId,
    kind: OperationKind,
    state: OperationState,
    attempt: u32,
    /// Nobody works on it, because it cannot be read.
    set_aside: bool,
}

/// Refuses the change if it has to wait its turn, or ends what is in its way. The project's row is locked.
pub(super) async fn make_way(
    connection: &mut PgConnection,
    project: &Project,
    way: Way<'_>,
    written: &mut Vec<Fact>,
) -> Result<()> {
    if way.guard == Guard::None && way.next.is_none() {
        return Ok(());
    }
    let in_flight = in_flight(connection, &project.reference).await?;
    let Some(first) = in_flight.first() else { return Ok(()) };
    let Some(next) = way.next.filter(|_| way.guard == Guard::None && way.preemption == Preemption::Cancel)
    else {
        return Err(busy(project, first).into());
    };
    for operation in in_flight {
        if operation.state == OperationState::Running && !operation.set_aside {
            cancel(connection, &project.reference, operation.id, written).await?;
        } else {
            sqlx::query(END_AS_CANCELLED)
                .bind(operation.id.as_uuid())
                .execute(&mut *connection)
                .await
                .during("cancel an operation")?;
            written.push(Fact::OperationChanged {
                operation: operation.id,
                kind: operation.kind,
                state: OperationState::Cancelled,
                attempt: operation.attempt,
                reason: Some(format!("{} took its place", next.kind)),
            });
        }
    }
    Ok(())
}

/// Asks an operation of the project to end. One that has ended, or was asked before, stays as it is.
pub(super) async fn cancel(
    connection: &mut PgConnection,
    project: &ProjectRef,
    operation: OperationId,
    written: &mut Vec<Fact>,
) -> Result<()> {
    let asked = sqlx::query(ASK_TO_END)
        .bind(operation.as_uuid())
        .bind(project.as_str())
        .execute(&mut *connection)
        .await
        .during("ask an operation to end")?;
    if asked.rows_affected() == 1 {
        written.push(Fact::CancelRequested { operation });
        return Ok(());
    }
    let own: bool = sqlx::query_scalar(OWN)
        .bind(operation.as_uuid())
        .bind(project.as_str())
        .fetch_one(connection)
        .await
        .during("look an operation up")?;
    if own { Ok(()) } else { Err(Error::not_found("operation", operation).into()) }
}

async fn in_flight(connection: &mut PgConnection, project: &ProjectRef) -> Result<Vec<InFlight>> {
    let rows: Vec<(Uuid, String, String, i32, bool)> = sqlx::query_as(IN_FLIGHT)
        .bind(project.as_str())
        .fetch_all(connection)
        .await
        .during("look for operations in flight")?;
    rows.into_iter()
        .map(|(id, kind, state, attempt, set_aside)| {
            Ok(InFlight {
                id: OperationId::from_uuid(id),
                kind: parse("kind", &kind)?,
                state: parse("state", &state)?,
                attempt: number("attempt", attempt)?,
                set_aside,
            })
        })
        .collect()
}

fn busy(project: &Project, operation: &InFlight) -> Error {
    Error::detailed(
        Detail::Busy { status: project.status, operation: operation.id },
        format!(
            "change project {}: its {} is {}; wait for it or cancel it",
            project.reference, operation.kind, operation.state
        ),
    )
}
