//! Ends operations and moves their projects on, in one statement: how most operations end.
//!
//! A project is locked first and its operation behind it, as everywhere; what is compared is compared once it is locked.
//! If the lease is gone, or the project was moved by somebody else since or is being changed at this moment, nothing is
//! changed, and that settlement is carried out by itself, step by step.

use std::{collections::BTreeMap, sync::Arc};

use freehold_core::{
    Error, Fact, Operation, OperationKind, OperationState, Project, Status,
    store::{End, Settlement, Transition},
};
use serde_json::Value;
use sqlx::{
    FromRow as _, PgPool, Row as _,
    postgres::PgRow,
    types::{Json, Uuid},
};

use crate::{
    error::{During, Result},
    lease::{Progress, record_progress},
    rows::{ProjectRow, json, number, select_projects},
};

macro_rules! settle {
    ($also:literal) => {
        concat!(
            "WITH asked AS MATERIALIZED ( \
                SELECT * FROM unnest($1::uuid[], $2::bigint[], $3::text[], $4::jsonb[], $5::jsonb[], $6::jsonb[], \
                    $7::jsonb[], $8::text[], $9::jsonb[], $10::jsonb[]) \
                    AS t (id, epoch, state, error, report, steps, log, becomes, connection, facts) \
            ), project AS MATERIALIZED ( \
                SELECT p.reference, p.organization, p.status AS before, p.status_operation, asked.* \
                FROM asked JOIN freehold.operations a ON a.id = asked.id \
                    JOIN freehold.projects p ON p.reference = a.project \
                FOR NO KEY UPDATE OF p SKIP LOCKED \
            ), held AS MATERIALIZED ( \
                SELECT o.kind, o.attempt, project.* FROM project JOIN freehold.operations o ON o.id = project.id \
                WHERE o.epoch = project.epoch AND o.state = 'running' AND project.status_operation = o.id \
                FOR NO KEY UPDATE OF o \
            ), settled AS ( \
                UPDATE freehold.operations o SET state = held.state, error = held.error, \
                    report = coalesce(held.report, o.report), ",
            record_progress!("held.steps", "held.log", "$11", "$12"),
            ", lease_owner = NULL, lease_expires_at = NULL, ended_at = clock_timestamp() \
                FROM held WHERE o.id = held.id \
            ), moved AS ( \
                UPDATE freehold.projects p SET status = held.becomes, \
                    was_active = p.was_active OR held.becomes = 'ACTIVE_HEALTHY', \
                    connection = coalesce(held.connection, p.connection), updated_at = clock_timestamp(), \
                    version = p.version + 1 \
                FROM held WHERE p.reference = held.reference RETURNING p.* \
            ), told AS ( \
                INSERT INTO freehold.events (project, organization, fact) \
                SELECT reference, organization, CASE place \
                    WHEN 1 THEN fact || jsonb_build_object('kind', kind, 'attempt', attempt) \
                    WHEN 2 THEN fact || jsonb_build_object('from', before) ELSE fact END \
                FROM held, jsonb_array_elements(facts) WITH ORDINALITY AS told (fact, place) \
                WHERE place <> 2 OR before <> becomes ORDER BY id, place \
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
    ", gone AS (SELECT reference FROM held WHERE becomes = 'REMOVED'), \
     ports AS (DELETE FROM freehold.port_blocks b USING gone WHERE b.project = gone.reference), \
     subnet AS (DELETE FROM freehold.subnets n USING gone WHERE n.project = gone.reference), \
     secrets AS (DELETE FROM freehold.sealed s USING gone WHERE coalesce(s.project, '') = gone.reference)"
);

/// An end as it is bound.
struct Bound<'a> {
    /// Its place among the settlements.
    place: usize,
    operation: Uuid,
    epoch: i64,
    state: &'static str,
    error: Option<Json<Value>>,
    report: Option<Json<Value>>,
    progress: Progress,
    transition: &'a Transition,
    connection: Option<Json<Value>>,
    facts: Json<Value>,
}

/// Settles those whose operation is held and put its project where it stands. The others are left alone.
pub(super) async fn settle(pool: &PgPool, settlements: &[Arc<Settlement>]) -> Vec<Option<Result<Project>>> {
    let mut answers: Vec<_> = settlements.iter().map(|_| None).collect();
    let mut ends = BTreeMap::new();
    for (place, settlement) in settlements.iter().enumerate() {
        if let Some(Ok(end)) = transition(settlement).map(|ended| bound(place, settlement, ended)) {
            // Of several under one lease one comes first; the others find that.
            ends.entry(end.operation).or_insert(end);
        }
    }
    let ends: Vec<_> = ends.into_values().collect();
    if ends.is_empty() {
        return answers;
    }
    match end(pool, &ends).await {
        Ok(rows) => {
            for row in rows {
                let settled = row.try_get::<Uuid, _>("status_operation").ok();
                if let Some(end) = ends.iter().find(|end| settled == Some(end.operation)) {
                    let project = ProjectRow::from_row(&row).during("read a project");
                    answers[end.place] = Some(project.and_then(Project::try_from));
                }
            }
        }
        // One of them may be to blame: each finds out by itself.
        Err(failure) => tracing::debug!(error = %Error::from(failure).chain(), "ends fail together"),
    }
    answers
}

async fn end(pool: &PgPool, ends: &[Bound<'_>]) -> Result<Vec<PgRow>> {
    let each = || ends.iter();
    let removes = each().any(|end| end.transition.to == Status::Removed);
    sqlx::query(if removes { REMOVE } else { SETTLE })
        .bind(each().map(|end| end.operation).collect::<Vec<_>>())
        .bind(each().map(|end| end.epoch).collect::<Vec<_>>())
        .bind(each().map(|end| end.state).collect::<Vec<_>>())
        .bind(each().map(|end| end.error.clone()).collect::<Vec<_>>())
        .bind(each().map(|end| end.report.clone()).collect::<Vec<_>>())
        .bind(each().map(|end| end.progress.steps.clone()).collect::<Vec<_>>())
        .bind(each().map(|end| end.progress.log.clone()).collect::<Vec<_>>())
        .bind(each().map(|end| end.transition.to.as_str()).collect::<Vec<_>>())
        .bind(each().map(|end| end.connection.clone()).collect::<Vec<_>>())
        .bind(each().map(|end| end.facts.clone()).collect::<Vec<_>>())
        .bind(number::<_, i64>("a bound", Operation::MAX_STEPS)?)
        .bind(number::<_, i64>("a bound", Operation::MAX_LOG)?)
        .fetch_all(pool)
        .await
        .during("settle operations")
}

/// How the operation ends and where its project goes, if that is all that there is to it.
pub(super) fn transition(settlement: &Settlement) -> Option<(OperationState, &Transition)> {
    match &settlement.end {
        End::Ended { state, transition: Some(transition) } if state.has_ended() => Some((*state, transition)),
        End::Ended { .. } | End::Released { .. } => None,
    }
}

fn bound<'a>(
    place: usize,
    settlement: &Settlement,
    (state, transition): (OperationState, &'a Transition),
) -> Result<Bound<'a>> {
    let (operation, to) = (settlement.lease.operation, transition.to);
    let reason = settlement.error.as_ref().map(|error| error.message.clone());
    // Kind, attempt and the status of before are the store's to say: the statement puts them in.
    let mut facts = vec![
        Fact::OperationChanged { operation, kind: OperationKind::Create, state, attempt: 0, reason },
        Fact::StatusChanged { from: None, to, operation: Some(operation), reason: transition.reason.clone() },
    ];
    facts.extend(settlement.facts.iter().cloned());
    Ok(Bound {
        place,
        operation: operation.as_uuid(),
        epoch: number("an epoch", settlement.lease.epoch)?,
        state: state.as_str(),
        error: settlement.error.as_ref().map(|error| json("an error", error)).transpose()?,
        report: settlement.report.as_ref().map(|report| json("a report", report)).transpose()?,
        progress: Progress::of(&settlement.progress)?,
        transition,
        connection: transition
            .connection
            .as_ref()
            .map(|connection| json("a connection", connection))
            .transpose()?,
        facts: json("facts", &facts)?,
    })
}
