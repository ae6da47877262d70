//! Records commands on projects that rest, in one statement: what most changes are.
//!
//! The statement is the transaction, and sees one moment. That is enough, because a project's version is compared once
//! its row is locked: whoever records an operation moves its project on, so nobody has since. Of a project that somebody is
//! changing at this moment, or of which it finds anything else, it changes nothing, and that change is carried out by
//! itself, step by step.

use std::{collections::BTreeMap, sync::Arc};

use freehold_core::{
    Fact, Operation, OperationState, Project,
    store::{Change, Committed, Guard, NewOperation, ProjectChange, ProjectUpdate, StatusChange},
};
use sqlx::{FromRow as _, PgPool, Row as _, postgres::PgRow, types::Uuid};

use super::operation::{asked, bind, insert_operations};
use crate::{
    error::{During, Result},
    rows::{ProjectRow, json, number, position, select_projects},
};

const COMMAND: &str = concat!(
    "WITH ",
    asked!(", $9::text[], $10::bigint[], $11::text[], $12::jsonb[]", ", reference, version, becomes, facts"),
    ", found AS MATERIALIZED ( \
        SELECT p.status AS before, p.organization, p.target, asked.* \
        FROM asked JOIN freehold.projects p ON p.reference = asked.reference AND p.version = asked.version \
        WHERE NOT EXISTS (SELECT FROM freehold.operations o \
            WHERE o.project = asked.reference AND o.state IN ('running', 'waiting')) \
        FOR NO KEY UPDATE OF p SKIP LOCKED \
    ), amended AS ( \
        UPDATE freehold.projects p SET status = found.becomes, status_operation = found.id, \
            was_active = p.was_active OR found.becomes = 'ACTIVE_HEALTHY', updated_at = clock_timestamp(), \
            version = p.version + 1 \
        FROM found WHERE p.reference = found.reference RETURNING p.* \
    ), recorded AS (",
    insert_operations!("found"),
    "), told AS ( \
        INSERT INTO freehold.events (project, organization, fact) \
        SELECT reference, organization, CASE WHEN place = 1 THEN fact || jsonb_build_object('from', before) ELSE fact END \
        FROM found, jsonb_array_elements(facts) WITH ORDINALITY AS told (fact, place) \
        WHERE place > 1 OR before <> becomes ORDER BY id, place \
    ) ",
    select_projects!(
        "amended",
        concat!(
            ", r.created_at AS recorded_at, r.deadline, r.not_before, ",
            position!("p.target", "r.number"),
            " AS position"
        ),
        "JOIN recorded r ON r.id = p.status_operation"
    )
);

/// A command as it is bound.
struct Bound<'a> {
    /// Its place among the changes.
    place: usize,
    update: &'a ProjectUpdate,
    to: &'static str,
    operation: &'a NewOperation,
    facts: sqlx::types::Json<serde_json::Value>,
    version: i64,
}

/// Carries out those of the changes that are such commands and whose projects rest as they expect. The others are left alone.
pub(super) async fn commit(pool: &PgPool, changes: &[Arc<Change>]) -> Vec<Option<Result<Committed>>> {
    let mut answers: Vec<_> = changes.iter().map(|_| None).collect();
    let mut commands = BTreeMap::new();
    for (place, change) in changes.iter().enumerate() {
        if let Some(command) = bound(place, change) {
            // Of several on one project one comes first; the others find that.
            commands.entry(command.update.reference).or_insert(command);
        }
    }
    let commands: Vec<_> = commands.into_values().collect();
    if commands.is_empty() {
        return answers;
    }
    match record(pool, &commands).await {
        Ok(rows) => {
            for row in rows {
                let recorded = row.try_get::<Uuid, _>("status_operation").ok();
                let command =
                    commands.iter().find(|command| recorded == Some(command.operation.id.as_uuid()));
                if let Some(command) = command {
                    answers[command.place] = Some(committed(&row, command.operation));
                }
            }
        }
        // One of them may be to blame: each finds out by itself.
        Err(failure) => {
            tracing::debug!(error = %freehold_core::Error::from(failure).chain(), "commands fail together")
        }
    }
    answers
}

async fn record(pool: &PgPool, commands: &[Bound<'_>]) -> Result<Vec<PgRow>> {
    let each = || commands.iter();
    bind(COMMAND, &each().map(|command| command.operation).collect::<Vec<_>>())?
        .bind(each().map(|command| command.update.reference.to_string()).collect::<Vec<_>>())
        .bind(each().map(|command| command.version).collect::<Vec<_>>())
        .bind(each().map(|command| command.to).collect::<Vec<_>>())
        .bind(each().map(|command| command.facts.clone()).collect::<Vec<_>>())
        .fetch_all(pool)
        .await
        .during("record commands")
}

/// `None` if the change is no such command, or cannot be bound, which it tells when it is carried out by itself.
fn bound(place: usize, change: &Change) -> Option<Bound<'_>> {
    let (update, status, operation) = command(change)?;
    let mut facts = vec![
        Fact::StatusChanged {
            from: None,
            to: status.to,
            operation: Some(operation.id),
            reason: status.reason.clone(),
        },
        Fact::OperationChanged {
            operation: operation.id,
            kind: operation.kind,
            state: OperationState::Waiting,
            attempt: 0,
            reason: None,
        },
    ];
    facts.extend(change.facts.iter().cloned());
    let version = number("a version", update.expected_version).ok()?;
    Some(Bound {
        place,
        update,
        to: status.to.as_str(),
        operation,
        facts: json("facts", &facts).ok()?,
        version,
    })
}

fn committed(row: &PgRow, operation: &NewOperation) -> Result<Committed> {
    let project = Project::try_from(ProjectRow::from_row(row).during("read a project")?)?;
    let operation = Operation {
        id: operation.id,
        project: project.reference,
        target: project.target.clone(),
        kind: operation.kind,
        scope: operation.scope.clone(),
        accept_data_loss: operation.accept_data_loss.clone(),
        generation: operation.generation,
        state: OperationState::Waiting,
        attempt: 0,
        failures: 0,
        takeovers: 0,
        cancel_requested: false,
        deadline: row.try_get("deadline").during("read a deadline")?,
        not_before: row.try_get("not_before").during("read a due time")?,
        lease: None,
        position: Some(number("a position", row.try_get::<i64, _>("position").during("read a position")?)?),
        error: None,
        steps: Vec::new(),
        report: None,
        log: Vec::new(),
        planned_by: operation.planned_by.clone(),
        created_at: row.try_get("recorded_at").during("read a time")?,
        started_at: None,
        ended_at: None,
    };
    Ok(Committed { project, operation: Some(operation), replayed: false })
}

/// The parts of a change that moves a project and records an operation, and does nothing else. Every field is named, so
/// that a new one is thought of here.
pub(super) fn command(change: &Change) -> Option<(&ProjectUpdate, &StatusChange, &NewOperation)> {
    let Change {
        project,
        operation: Some(operation),
        preemption: _,
        cancel: None,
        sealed,
        idempotency: None,
        facts: _,
    } = change
    else {
        return None;
    };
    let ProjectChange::Update(update) = project else { return None };
    let ProjectUpdate {
        reference: _,
        expected_version: _,
        guard: Guard::None | Guard::Idle,
        status: Some(status),
        name: None,
        annotations: None,
        protected: None,
        generation: None,
        excluded: None,
        limits: None,
        connection: None,
    } = &**update
    else {
        return None;
    };
    sealed.is_empty().then_some((&**update, status, operation))
}
