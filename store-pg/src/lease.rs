//! What a worker writes while it holds a lease: each write is fenced by the lease's epoch.

use std::time::Duration;

use freehold_core::{
    Detail, Error, Fact, Operation, Project, ProjectRef,
    operation::{Lease, LogEntry},
    store::{PortPool, RecordedProgress, Renewed},
};
use serde::Serialize;
use serde_json::Value;
use sqlx::{PgConnection, PgPool, types::Json};
use time::OffsetDateTime;

use crate::{
    allocate::{self, interval},
    error::{During, Result},
    facts, queries,
    rows::{OperationRow, json, number, parse, select_operations},
    transaction::{begin, end},
};

/// Adds steps and lines to those of an operation, of which the newest are kept: parameters for steps, lines, and how many
/// of each.
macro_rules! record_progress {
    ($steps:literal, $log:literal, $most_steps:literal, $most_lines:literal) => {
        concat!(
            "steps = CASE WHEN ",
            $steps,
            " = '[]' THEN o.steps ELSE freehold.newest(o.steps || \
                (SELECT jsonb_agg(step || jsonb_build_object('attempt', o.attempt)) \
                 FROM jsonb_array_elements(",
            $steps,
            ") AS step), ",
            $most_steps,
            ") END, \
             log = CASE WHEN ",
            $log,
            " = '[]' THEN o.log ELSE freehold.newest(o.log || ",
            $log,
            ", ",
            $most_lines,
            ") END"
        )
    };
}

pub(crate) use record_progress;

const RENEW: &str = concat!(
    "UPDATE freehold.operations o SET lease_expires_at = clock_timestamp() + $3, ",
    record_progress!("$4", "$5", "$6", "$7"),
    " WHERE id = $1 AND epoch = $2 AND state = 'running' RETURNING lease_expires_at, cancel_requested"
);
const PROJECT_OF: &str = "SELECT reference FROM freehold.projects \
    WHERE reference = (SELECT project FROM freehold.operations WHERE id = $1) FOR NO KEY UPDATE";
const FENCE: &str =
    select_operations!("WHERE o.id = $1 AND o.epoch = $2 AND o.state = 'running' FOR NO KEY UPDATE OF o");
const TOUCH: &str = "UPDATE freehold.projects SET version = version + 1, updated_at = clock_timestamp() \
    WHERE reference = $1";
const MACHINE_OF: &str = "SELECT machine FROM freehold.projects WHERE reference = $1";

/// The most bytes that a line of an operation's log keeps.
const MAX_LINE: usize = 4096;

/// A step as it is kept, but for the attempt, which the statement adds.
#[derive(Debug, Serialize)]
struct NewStep<'a> {
    name: &'a str,
    service: &'a str,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
}

/// Progress as it is bound.
#[derive(Debug)]
pub(crate) struct Progress {
    pub(crate) steps: Json<Value>,
    pub(crate) log: Json<Value>,
}

impl Progress {
    pub(crate) fn of(progress: &[RecordedProgress]) -> Result<Self> {
        let (mut steps, mut log) = (Vec::new(), Vec::new());
        for RecordedProgress { at, progress } in progress {
            match progress {
                freehold_core::Progress::Step { name, service } => {
                    steps.push(NewStep { name, service, at: *at });
                }
                freehold_core::Progress::Log(message) => {
                    let end = message.floor_char_boundary(MAX_LINE);
                    log.push(LogEntry { at: *at, message: message[..end].to_owned() });
                }
            }
        }
        Ok(Self { steps: json("steps", &steps)?, log: json("a log", &log)? })
    }
}

/// Extends a lease and records progress under it.
pub(crate) async fn renew(
    pool: &PgPool,
    lease: &Lease,
    extend: Duration,
    progress: &[RecordedProgress],
) -> Result<Renewed> {
    let Progress { steps, log } = Progress::of(progress)?;
    let renewed: Option<(OffsetDateTime, bool)> = sqlx::query_as(RENEW)
        .bind(lease.operation.as_uuid())
        .bind(number::<_, i64>("an epoch", lease.epoch)?)
        .bind(interval(extend)?)
        .bind(steps)
        .bind(log)
        .bind(number::<_, i64>("a bound", Operation::MAX_STEPS)?)
        .bind(number::<_, i64>("a bound", Operation::MAX_LOG)?)
        .fetch_optional(pool)
        .await
        .during("renew a lease")?;
    let (expires_at, cancel_requested) = renewed.ok_or_else(|| lost(lease))?;
    Ok(Renewed { lease: Lease { expires_at, ..lease.clone() }, cancel_requested })
}

/// Locks the project and the operation of a lease that still holds, in the order in which everybody locks them.
pub(crate) async fn hold(connection: &mut PgConnection, lease: &Lease) -> Result<(Project, Operation)> {
    let project: Option<String> = sqlx::query_scalar(PROJECT_OF)
        .bind(lease.operation.as_uuid())
        .fetch_optional(&mut *connection)
        .await
        .during("lock a project")?;
    let project: ProjectRef = parse("ref", &project.ok_or_else(|| lost(lease))?)?;
    let operation: Option<OperationRow> = sqlx::query_as(FENCE)
        .bind(lease.operation.as_uuid())
        .bind(number::<_, i64>("an epoch", lease.epoch)?)
        .fetch_optional(&mut *connection)
        .await
        .during("check a lease")?;
    let operation = operation.ok_or_else(|| lost(lease))?.try_into()?;
    Ok((queries::known_project(connection, &project).await?, operation))
}

/// Sets the project's block aside and gives it another. A block without that port was moved before: it stays.
pub(crate) async fn reallocate(
    pool: &PgPool,
    lease: &Lease,
    taken: u16,
    ports: &PortPool,
    aside: Duration,
) -> Result<Project> {
    let mut transaction = begin(pool, "begin to move ports").await?;
    let moved = move_ports(&mut transaction, lease, taken, ports, aside).await;
    end(transaction, moved, "move ports").await
}

async fn move_ports(
    connection: &mut PgConnection,
    lease: &Lease,
    taken: u16,
    ports: &PortPool,
    aside: Duration,
) -> Result<Project> {
    let (project, _) = hold(connection, lease).await?;
    let Some(block) = project.ports.filter(|block| block.contains(taken)) else { return Ok(project) };
    let machine: i32 = sqlx::query_scalar(MACHINE_OF)
        .bind(project.reference.as_str())
        .fetch_one(&mut *connection)
        .await
        .during("read a project's machine")?;
    allocate::set_aside(connection, &project.reference, aside).await?;
    let next = allocate::ports(connection, machine, &project.reference, block.count, ports).await?;
    sqlx::query(TOUCH)
        .bind(project.reference.as_str())
        .execute(&mut *connection)
        .await
        .during("move ports")?;
    let moved = Fact::PortsMoved { taken, first: next.first };
    facts::write(connection, &project.reference, &project.organization, &[moved]).await?;
    queries::known_project(connection, &project.reference).await
}

fn lost(lease: &Lease) -> Error {
    Error::detailed(
        Detail::LeaseLost,
        format!(
            "write under the lease of operation {} at epoch {}: it was lost",
            lease.operation, lease.epoch
        ),
    )
}
