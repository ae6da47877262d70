//! Ends an operation and moves its project on, in one statement: how most operations end.
//!
//! The project is locked first and the operation behind it, as everywhere; what is compared is compared once it is locked.
//! If the lease is gone or the project was moved by somebody else since, nothing is changed, and the settlement is carried
//! out step by step.

use freehold_core::{
    Fact, Operation, OperationKind, Project, Status,
    store::{End, Settlement},
};
use sqlx::PgPool;

use crate::{
    error::{During, Result},
    lease::{Progress, record_progress},
    rows::{ProjectRow, json, number, select_projects},
};

macro_rules! settle {
    ($also:literal) => {
        concat!(
            "WITH project AS MATERIALIZED ( \
                SELECT p.reference, p.organization, p.status, p.status_operation FROM freehold.projects p \
                WHERE p.reference = (SELECT project FROM freehold.operations WHERE id = $1) FOR NO KEY UPDATE \
            ), held AS MATERIALIZED ( \
                SELECT o.id, o.kind, o.attempt, project.reference, project.organization, project.status AS before \
                FROM project JOIN freehold.operations o ON o.project = project.reference \
                WHERE o.id = $1 AND o.epoch = $2 AND o.state = 'running' AND project.status_operation = o.id \
                FOR NO KEY UPDATE OF o \
            ), settled AS ( \
                UPDATE freehold.operations o SET state = $3, error = $4, report = coalesce($5, report), ",
            record_progress!("$6", "$7", "$8", "$9"),
            ", lease_owner = NULL, lease_expires_at = NULL, ended_at = clock_timestamp() \
                FROM held WHERE o.id = held.id \
            ), moved AS ( \
                UPDATE freehold.projects p SET status = $10, was_active = was_active OR $10 = 'ACTIVE_HEALTHY', \
                    connection = coalesce($11, connection), updated_at = clock_timestamp(), version = version + 1 \
                FROM held WHERE p.reference = held.reference RETURNING p.* \
            ), told AS ( \
                INSERT INTO freehold.events (project, organization, fact) \
                SELECT reference, organization, CASE place \
                    WHEN 1 THEN fact || jsonb_build_object('kind', kind, 'attempt', attempt) \
                    WHEN 2 THEN fact || jsonb_build_object('from', before) ELSE fact END \
                FROM held, unnest($12::jsonb[]) WITH ORDINALITY AS facts (fact, place) \
                WHERE place <> 2 OR before <> $10 ORDER BY place \
            )",
            $also,
            " ",
            select_projects!("moved", "")
        )
    };
}

const SETTLE: &str = settle!("");
/// A tombstone keeps nothing.
const REMOVE: &str = settle!(
    ", ports AS (DELETE FROM freehold.port_blocks b USING held WHERE b.project = held.reference), \
     subnet AS (DELETE FROM freehold.subnets n USING held WHERE n.project = held.reference), \
     secrets AS (DELETE FROM freehold.sealed s USING held WHERE coalesce(s.project, '') = held.reference)"
);

/// Settles if the operation is held and put its project where it stands; else nothing is done.
pub(super) async fn settle(pool: &PgPool, settlement: &Settlement) -> Result<Option<Project>> {
    let End::Ended { state, transition: Some(transition) } = &settlement.end else { return Ok(None) };
    if !state.has_ended() {
        return Ok(None);
    }
    let (operation, to) = (settlement.lease.operation, transition.to);
    let reason = settlement.error.as_ref().map(|error| error.message.clone());
    // Kind, attempt and the status of before are the store's to say: the statement puts them in.
    let mut facts = vec![
        Fact::OperationChanged { operation, kind: OperationKind::Create, state: *state, attempt: 0, reason },
        Fact::StatusChanged { from: None, to, operation: Some(operation), reason: transition.reason.clone() },
    ];
    facts.extend(settlement.facts.iter().cloned());
    let facts = facts.iter().map(|fact| json("a fact", fact)).collect::<Result<Vec<_>>>()?;
    let progress = Progress::of(&settlement.progress)?;
    let moved: Option<ProjectRow> = sqlx::query_as(if to == Status::Removed { REMOVE } else { SETTLE })
        .bind(operation.as_uuid())
        .bind(number::<_, i64>("an epoch", settlement.lease.epoch)?)
        .bind(state.as_str())
        .bind(settlement.error.as_ref().map(|error| json("an error", error)).transpose()?)
        .bind(settlement.report.as_ref().map(|report| json("a report", report)).transpose()?)
        .bind(progress.steps)
        .bind(progress.log)
        .bind(number::<_, i64>("a bound", Operation::MAX_STEPS)?)
        .bind(number::<_, i64>("a bound", Operation::MAX_LOG)?)
        .bind(to.as_str())
        .bind(transition.connection.as_ref().map(|connection| json("a connection", connection)).transpose()?)
        .bind(facts)
        .fetch_optional(pool)
        .await
        .during("settle an operation")?;
    moved.map(Project::try_from).transpose()
}
