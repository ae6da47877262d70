//! An operation as callers see it.

use std::collections::BTreeMap;

use freehold_core::{
    Detail, Kind, OperationId, OperationKind, OperationState, ProjectRef, ServiceName, TargetName,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Type},
};

/// One command on one project: what it does, how far it is, and what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Operation {
    /// Its identity.
    #[schema(value_type = String, format = Uuid)]
    pub id: OperationId,
    /// The project.
    #[serde(rename = "ref")]
    #[schema(value_type = String, pattern = "^[a-z]{20}$")]
    pub project: ProjectRef,
    /// The target that carries it out.
    #[schema(value_type = String)]
    pub target: TargetName,
    /// What it does.
    #[schema(schema_with = kind_schema)]
    pub kind: OperationKind,
    /// The services that it is about; empty is all.
    #[schema(value_type = Vec<String>)]
    pub services: Vec<ServiceName>,
    /// Data that is gone and that it may make anew.
    #[serde(default)]
    pub accept_data_loss: Vec<String>,
    /// The generation of settings that it brings into force.
    pub generation: u64,
    /// How far it is.
    #[schema(schema_with = state_schema)]
    pub state: OperationState,
    /// How many times it was begun.
    pub attempt: u32,
    /// Whether somebody asked for its end.
    pub cancel_requested: bool,
    /// When it is given up, whatever happened.
    #[serde(with = "time::serde::rfc3339")]
    pub deadline: OffsetDateTime,
    /// How many operations are before it in its target's queue, while it waits: 1000 are that many or more.
    pub position: Option<u64>,
    /// Why the last attempt ended, or the whole.
    pub error: Option<OperationError>,
    /// What it did, oldest first.
    pub steps: Vec<Step>,
    /// What was run for it and what that printed.
    pub report: Option<Report>,
    /// What it had to say, oldest first.
    pub log: Vec<LogEntry>,
    /// The version of Freehold that planned it.
    pub planned_by: String,
    /// When it was recorded.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it was first begun.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
}

/// Some operations, and where the next page begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OperationPage {
    /// The operations, newest first.
    pub items: Vec<Operation>,
    /// What to give as `after` for the next page; absent on the last.
    pub next: Option<String>,
}

/// One thing that an operation did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Step {
    /// What.
    pub name: String,
    /// Of which service; empty if of the whole project.
    pub service: String,
    /// In which attempt, counted from 1.
    pub attempt: u32,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

/// One line that an operation had to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogEntry {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What.
    pub message: String,
}

/// What failed, why, and what is left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OperationError {
    /// What can be done about it.
    #[schema(value_type = String)]
    pub kind: Kind,
    /// What exactly it was, where that is known.
    #[schema(value_type = Option<Object>)]
    pub detail: Option<Detail>,
    /// What failed, in a line.
    pub message: String,
    /// The message and every cause below it.
    pub chain: String,
    /// In which step.
    pub step: Option<String>,
    /// Of which service.
    pub service: Option<String>,
    /// Everything else that is known, by name.
    pub context: BTreeMap<String, String>,
    /// What could not be destroyed.
    pub leftovers: Vec<String>,
}

/// What a backend ran and printed, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Report {
    /// The newest of standard output.
    pub stdout: String,
    /// The newest of standard error.
    pub stderr: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
}

fn kind_schema() -> Object {
    let kinds = OperationKind::ALL.map(OperationKind::as_str);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(kinds)).build()
}

pub(crate) fn state_schema() -> Object {
    let states = OperationState::ALL.map(OperationState::as_str);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(states)).build()
}

impl From<freehold_core::Operation> for Operation {
    fn from(operation: freehold_core::Operation) -> Self {
        Self {
            id: operation.id,
            project: operation.project,
            target: operation.target,
            kind: operation.kind,
            services: operation.scope,
            accept_data_loss: operation.accept_data_loss,
            generation: operation.generation,
            state: operation.state,
            attempt: operation.attempt,
            cancel_requested: operation.cancel_requested,
            deadline: operation.deadline,
            position: operation.position,
            error: operation.error.map(OperationError::from),
            steps: operation.steps.into_iter().map(Step::from).collect(),
            report: operation.report.map(Report::from),
            log: operation.log.into_iter().map(LogEntry::from).collect(),
            planned_by: operation.planned_by,
            created_at: operation.created_at,
            started_at: operation.started_at,
            ended_at: operation.ended_at,
        }
    }
}

impl From<freehold_core::operation::Step> for Step {
    fn from(step: freehold_core::operation::Step) -> Self {
        Self { name: step.name, service: step.service, attempt: step.attempt, at: step.at }
    }
}

impl From<freehold_core::operation::LogEntry> for LogEntry {
    fn from(entry: freehold_core::operation::LogEntry) -> Self {
        Self { at: entry.at, message: entry.message }
    }
}

impl From<freehold_core::OperationError> for OperationError {
    fn from(error: freehold_core::OperationError) -> Self {
        Self {
            kind: error.kind,
            detail: error.detail,
            message: error.message,
            chain: error.chain,
            step: error.step,
            service: error.service,
            context: error.context,
            leftovers: error.leftovers,
        }
    }
}

impl From<freehold_core::Report> for Report {
    fn from(report: freehold_core::Report) -> Self {
        Self { stdout: report.stdout, stderr: report.stderr, duration_ms: report.duration_ms }
    }
}

impl From<freehold_core::Page<freehold_core::Operation>> for OperationPage {
    fn from(page: freehold_core::Page<freehold_core::Operation>) -> Self {
        Self { items: page.items.into_iter().map(Operation::from).collect(), next: page.next }
    }
}
