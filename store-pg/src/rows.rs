//! Rows as PostgreSQL gives them, and the model's types as they are made of them.

use std::{fmt::Display, str::FromStr};

use freehold_core::{
    Annotations, Connection, Event, Fact, Operation, OperationError, OperationId, Project, Report, Step,
    operation::{Lease, LogEntry},
    runtime::{Limits, PortBlock},
    seal::{KeyId, Place, Sealed},
    store::SealedItem,
};
use serde::Serialize;
use serde_json::Value;
use sqlx::types::{Json, Uuid};
use time::OffsetDateTime;

use crate::error::{Failure, Result};

/// Everything of a project, its allocations included, of the table or of rows that a statement has just written. The tail
/// narrows, orders and locks; there may be more columns, each behind a comma.
macro_rules! select_projects {
    ($tail:literal) => {
        $crate::rows::select_projects!("freehold.projects", $tail)
    };
    ($from:literal, $tail:literal) => {
        $crate::rows::select_projects!($from, "", $tail)
    };
    ($from:literal, $more:expr, $tail:literal) => {
        concat!(
            "SELECT p.reference, p.id, p.name, p.organization, p.target, p.stack, p.digest, p.status, \
             p.status_operation, p.observed_at, p.was_active, p.annotations, p.protected, p.excluded, \
             p.memory_bytes, p.cpus, p.generation, b.first AS first_port, b.count AS ports, \
             n.network::text AS subnet, p.connection, p.created_at, p.updated_at, p.version",
            $more,
            " FROM ",
            $from,
            // A statement that removes a project may still see what it gives back.
            " p LEFT JOIN freehold.port_blocks b ON b.project = p.reference AND p.status <> 'REMOVED' \
             LEFT JOIN freehold.subnets n ON n.project = p.reference AND p.status <> 'REMOVED' ",
            $tail
        )
    };
}

/// How many wait before a number on a target, of whom no more are counted than [`Operation::MAX_POSITION`].
macro_rules! position {
    ($target:literal, $number:literal) => {
        concat!(
            "(SELECT count(*) FROM (SELECT FROM freehold.operations q WHERE q.target = ",
            $target,
            " AND q.state = 'waiting' AND q.number < ",
            $number,
            " LIMIT 1000) AS before)"
        )
    };
}

/// Everything of an operation, with its position in its target's queue while it waits; from where as above. There may be more
/// columns, each behind a comma.
macro_rules! select_operations {
    ($tail:literal) => {
        $crate::rows::select_operations!("freehold.operations", $tail)
    };
    ($from:literal, $tail:literal) => {
        $crate::rows::select_operations!($from, "", $tail)
    };
    ($from:literal, $more:literal, $tail:literal) => {
        concat!(
            "SELECT o.id, o.number, o.project, o.target, o.kind, o.scope, o.accept_data_loss, o.generation, \
             o.state, o.attempt, \
             o.failures, o.takeovers, \
             o.cancel_requested, o.deadline, o.not_before, o.lease_owner, o.lease_expires_at, o.epoch, \
             CASE WHEN o.state = 'waiting' THEN ",
            $crate::rows::position!("o.target", "o.number"),
            " END AS position, o.error, o.steps, o.report, o.log, o.planned_by, o.created_at, o.started_at, o.ended_at",
            $more,
            " FROM ",
            $from,
            " o ",
            $tail
        )
    };
}

pub(crate) use {position, select_operations, select_projects};

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct ProjectRow {
    reference: String,
    id: i64,
    name: String,
    organization: String,
    target: String,
    stack: String,
    digest: String,
    status: String,
    status_operation: Option<Uuid>,
    observed_at: Option<OffsetDateTime>,
    was_active: bool,
    annotations: Json<Annotations>,
    protected: bool,
    excluded: Vec<String>,
    memory_bytes: Option<i64>,
    cpus: Option<f64>,
    generation: i64,
    first_port: Option<i32>,
    ports: Option<i32>,
    subnet: Option<String>,
    connection: Option<Json<Connection>>,
    created_at: OffsetDateTime,
    updated_at: OffsetDateTime,
    version: i64,
}

impl TryFrom<ProjectRow> for Project {
    type Error = Failure;

    fn try_from(row: ProjectRow) -> Result<Self> {
        Ok(Self {
            reference: parse("ref", &row.reference)?,
            id: row.id,
            name: parse("name", &row.name)?,
            organization: parse("organization", &row.organization)?,
            target: parse("target", &row.target)?,
            stack: parse("stack", &row.stack)?,
            digest: row.digest,
            status: parse("status", &row.status)?,
            status_operation: row.status_operation.map(OperationId::from_uuid),
            observed_at: row.observed_at,
            was_active: row.was_active,
            annotations: row.annotations.0,
            protected: row.protected,
            excluded: parse_all("excluded service", &row.excluded)?,
            limits: Limits {
                memory_bytes: row.memory_bytes.map(|bytes| number("memory limit", bytes)).transpose()?,
                cpus: row.cpus,
            },
            generation: number("generation", row.generation)?,
            ports: row
                .first_port
                .zip(row.ports)
                .map(|(first, count)| {
                    Ok::<_, Failure>(PortBlock {
                        first: number("port", first)?,
                        count: number("ports", count)?,
                    })
                })
                .transpose()?,
            subnet: row.subnet.map(|subnet| parse("subnet", &subnet)).transpose()?,
            connection: row.connection.map(|connection| connection.0),
            created_at: row.created_at,
            updated_at: row.updated_at,
            version: number("version", row.version)?,
        })
    }
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct OperationRow {
    id: Uuid,
    #[expect(dead_code, reason = "pages are cut by it as it comes from PostgreSQL")]
    number: i64,
    project: String,
    target: String,
    kind: String,
    scope: Vec<String>,
    accept_data_loss: Vec<String>,
    generation: i64,
    state: String,
    attempt: i32,
    failures: i32,
    takeovers: i32,
    cancel_requested: bool,
    deadline: OffsetDateTime,
    not_before: OffsetDateTime,
    lease_owner: Option<String>,
    lease_expires_at: Option<OffsetDateTime>,
    epoch: Option<i64>,
    position: Option<i64>,
    error: Option<Json<OperationError>>,
    steps: Json<Vec<Step>>,
    report: Option<Json<Report>>,
    log: Json<Vec<LogEntry>>,
    planned_by: String,
    created_at: OffsetDateTime,
    started_at: Option<OffsetDateTime>,
    ended_at: Option<OffsetDateTime>,
}

impl TryFrom<OperationRow> for Operation {
    type Error = Failure;

    fn try_from(row: OperationRow) -> Result<Self> {
        let id = OperationId::from_uuid(row.id);
        let lease = match (row.lease_owner, row.epoch, row.lease_expires_at) {
            (Some(owner), Some(epoch), Some(expires_at)) => {
                Some(Lease { operation: id, owner, epoch: number("epoch", epoch)?, expires_at })
            }
            _ => None,
        };
        Ok(Self {
            id,
            project: parse("ref", &row.project)?,
            target: parse("target", &row.target)?,
            kind: parse("kind", &row.kind)?,
            scope: parse_all("service", &row.scope)?,
            accept_data_loss: row.accept_data_loss,
            generation: number("generation", row.generation)?,
            state: parse("state", &row.state)?,
            attempt: number("attempt", row.attempt)?,
            failures: number("failures", row.failures)?,
            takeovers: number("takeovers", row.takeovers)?,
            cancel_requested: row.cancel_requested,
            deadline: row.deadline,
            not_before: row.not_before,
            lease,
            position: row.position.map(|position| number("position", position)).transpose()?,
            error: row.error.map(|error| error.0),
            steps: row.steps.0,
            report: row.report.map(|report| report.0),
            log: row.log.0,
            planned_by: row.planned_by,
            created_at: row.created_at,
            started_at: row.started_at,
            ended_at: row.ended_at,
        })
    }
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct EventRow {
    sequence: i64,
    at: OffsetDateTime,
    project: String,
    organization: String,
    fact: Json<Fact>,
}

impl TryFrom<EventRow> for Event {
    type Error = Failure;

    fn try_from(row: EventRow) -> Result<Self> {
        Ok(Self {
            sequence: number("sequence", row.sequence)?,
            at: row.at,
            project: parse("ref", &row.project)?,
            organization: parse("organization", &row.organization)?,
            fact: row.fact.0,
        })
    }
}

#[derive(Debug, sqlx::FromRow)]
pub(crate) struct SealedRow {
    project: Option<String>,
    name: String,
    version: i64,
    key_id: String,
    data: Vec<u8>,
}

impl TryFrom<SealedRow> for SealedItem {
    type Error = Failure;

    fn try_from(row: SealedRow) -> Result<Self> {
        Ok(Self {
            place: Place {
                project: row.project.map(|project| parse("ref", &project)).transpose()?,
                name: row.name,
                version: number("version", row.version)?,
            },
            sealed: Sealed { key: KeyId::new(row.key_id), data: row.data },
        })
    }
}

/// A text of the store as one of the model's types.
pub(crate) fn parse<T>(what: &'static str, text: &str) -> Result<T>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    text.parse().map_err(|error: T::Err| Failure::Unreadable {
        what,
        value: text.to_owned(),
        source: Box::new(error),
    })
}

fn parse_all<T>(what: &'static str, texts: &[String]) -> Result<Vec<T>>
where
    T: FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    texts.iter().map(|text| parse(what, text)).collect()
}

/// A signed number of the store as one of the model's, or the other way round.
pub(crate) fn number<From, To>(what: &'static str, value: From) -> Result<To>
where
    From: Copy + TryInto<To>,
{
    value.try_into().map_err(|_| Failure::Unfit { what })
}

/// The texts of a list of names.
pub(crate) fn texts<T: Display>(names: &[T]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

/// A value as jsonb takes it: PostgreSQL refuses `\u0000` in any text of it.
pub(crate) fn json<T: Serialize>(what: &'static str, value: &T) -> Result<Json<Value>> {
    let mut value = serde_json::to_value(value).map_err(|_| Failure::Unfit { what })?;
    without_nul(&mut value);
    Ok(Json(value))
}

fn without_nul(value: &mut Value) {
    match value {
        Value::String(text) if text.contains('\0') => *text = text.replace('\0', "\u{fffd}"),
        Value::Array(items) => items.iter_mut().for_each(without_nul),
        Value::Object(entries) => entries.values_mut().for_each(without_nul),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_are_counted_for_a_position_than_is_said() {
        assert!(position!("t", "n").contains(&format!("LIMIT {})", Operation::MAX_POSITION)));
    }

    #[test]
    fn what_goes_into_json_holds_no_nul_at_any_depth() {
        let Json(value) = json("test", &[[("a", "b\0c")]]).unwrap();
        assert!(!value.to_string().contains("\\u0000"), "{value}");
    }
}
