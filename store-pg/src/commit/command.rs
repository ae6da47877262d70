//! Records a command on a project that rests, in one statement: what most changes are.
//!
//! The statement is the transaction, and sees one moment. That is enough, because the project's version is compared once
//! its row is locked: whoever records an operation moves its project on, so nobody has since. Whatever else it finds, it
//! changes nothing, and the change is carried out step by step.

use freehold_core::{
    Fact, Operation, OperationState, Project,
    store::{Change, Committed, Guard, NewOperation, ProjectChange, ProjectUpdate, StatusChange},
};
use sqlx::{FromRow as _, PgPool, Row as _};

use super::operation::{bind, insert_operation};
use crate::{
    error::{During, Result},
    rows::{ProjectRow, json, number, select_projects},
};

const COMMAND: &str = concat!(
    "WITH before AS ( \
        SELECT p.reference, p.status FROM freehold.projects p WHERE p.reference = $9 AND p.version = $10 \
            AND NOT EXISTS (SELECT FROM freehold.operations o WHERE o.project = $9 AND o.state IN ('running', 'waiting')) \
    ), amended AS ( \
        UPDATE freehold.projects p SET status = $11, status_operation = $1, \
            was_active = was_active OR $11 = 'ACTIVE_HEALTHY', updated_at = clock_timestamp(), version = version + 1 \
        FROM before WHERE p.reference = before.reference AND p.version = $10 RETURNING p.* \
    ), recorded AS (",
    insert_operation!("reference", "target", "amended, "),
    "), told AS ( \
        INSERT INTO freehold.events (project, organization, fact) \
        SELECT amended.reference, amended.organization, \
            CASE WHEN place = 1 THEN fact || jsonb_build_object('from', before.status) ELSE fact END \
        FROM before, amended, unnest($12::jsonb[]) WITH ORDINALITY AS facts (fact, place) \
        WHERE place > 1 OR before.status <> $11 ORDER BY place \
    ) ",
    select_projects!(
        "amended",
        ", r.created_at AS recorded_at, r.deadline, r.not_before, \
         (SELECT count(*) FROM freehold.operations q \
            WHERE q.target = p.target AND q.state = 'waiting' AND q.number < r.number) AS position",
        "CROSS JOIN recorded r"
    )
);

/// Carries the change out if it is such a command and the project rests as the change expects; else nothing is done.
pub(super) async fn commit(pool: &PgPool, change: &Change) -> Result<Option<Committed>> {
    let Some((update, status, operation)) = command(change) else { return Ok(None) };
    let (from, to) = (None, status.to);
    let mut facts = vec![
        Fact::StatusChanged { from, to, operation: Some(operation.id), reason: status.reason.clone() },
        Fact::OperationChanged {
            operation: operation.id,
            kind: operation.kind,
            state: OperationState::Waiting,
            attempt: 0,
            reason: None,
        },
    ];
    facts.extend(change.facts.iter().cloned());
    let facts = facts.iter().map(|fact| json("a fact", fact)).collect::<Result<Vec<_>>>()?;
    let row = bind(COMMAND, operation)?
        .bind(update.reference.as_str())
        .bind(number::<_, i64>("a version", update.expected_version)?)
        .bind(to.as_str())
        .bind(facts)
        .fetch_optional(pool)
        .await
        .during("record a command")?;
    let Some(row) = row else { return Ok(None) };
    let project = Project::try_from(ProjectRow::from_row(&row).during("read a project")?)?;
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
    Ok(Some(Committed { project, operation: Some(operation), replayed: false }))
}

/// The parts of a change that moves a project and records an operation, and does nothing else. Every field is named, so
/// that a new one is thought of here.
fn command(change: &Change) -> Option<(&ProjectUpdate, &StatusChange, &NewOperation)> {
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
