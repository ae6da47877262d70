//! One command on one project: durable, leased, with its steps, its log and its end.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    error::{Detail, Error, Kind, Result},
    lifecycle::Trigger,
    names::{ServiceName, TargetName},
    project_ref::ProjectRef,
    report::Report,
};

/// The identity of an operation: a UUID of version 7, so that ids sort by the time of their making.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(Uuid);

impl OperationId {
    /// An id of this UUID.
    #[must_use]
    pub const fn from_uuid(uuid: Uuid) -> Self {
        Self(uuid)
    }

    /// The id as a UUID.
    #[must_use]
    pub const fn as_uuid(&self) -> Uuid {
        self.0
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for OperationId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Uuid::parse_str(text)
            .map(Self)
            .map_err(|_| Error::invalid("operation", format_args!("{text:?} is not a UUID")))
    }
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationKind {
    /// Provision for the first time.
    Create,
    /// Provision again after a failed first try.
    Retry,
    /// Stop, keep the data.
    Pause,
    /// Start again.
    Resume,
    /// Restart all or some services.
    Restart,
    /// Bring a new generation of settings into force.
    Reconfigure,
    /// Remove everything.
    Destroy,
}

impl OperationKind {
    /// Every kind.
    pub const ALL: [Self; 7] = [
        Self::Create,
        Self::Retry,
        Self::Pause,
        Self::Resume,
        Self::Restart,
        Self::Reconfigure,
        Self::Destroy,
    ];

    /// The kind as it stands in stores and on wires.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Retry => "retry",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Restart => "restart",
            Self::Reconfigure => "reconfigure",
            Self::Destroy => "destroy",
        }
    }

    /// The lifecycle's trigger that begins it; `None` for create, which begins the lifecycle itself.
    #[must_use]
    pub const fn trigger(self) -> Option<Trigger> {
        match self {
            Self::Create => None,
            Self::Retry => Some(Trigger::Retry),
            Self::Pause => Some(Trigger::Pause),
            Self::Resume => Some(Trigger::Resume),
            Self::Restart => Some(Trigger::Restart),
            Self::Reconfigure => Some(Trigger::Reconfigure),
            Self::Destroy => Some(Trigger::Destroy),
        }
    }

    /// The lifecycle's trigger when it reaches its aim.
    #[must_use]
    pub const fn outcome(self) -> Trigger {
        match self {
            Self::Create | Self::Retry | Self::Resume | Self::Restart | Self::Reconfigure => Trigger::Ready,
            Self::Pause => Trigger::Paused,
            Self::Destroy => Trigger::Destroyed,
        }
    }
}

impl fmt::Display for OperationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for OperationKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.as_str() == text)
            .ok_or_else(|| Error::invalid("kind", format_args!("{text:?} is no kind of operation")))
    }
}

/// How far an operation is. A project has at most one that runs and one that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OperationState {
    /// Recorded, and not begun or to be tried again.
    Waiting,
    /// A worker holds its lease.
    Running,
    /// It reached its aim.
    Succeeded,
    /// It gave up; `error` says why.
    Failed,
    /// Somebody asked for its end, or destroy took its place.
    Cancelled,
}

impl OperationState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The state as it stands in stores and on wires.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more happens to it.
    #[must_use]
    pub const fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }
}

impl fmt::Display for OperationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for OperationState {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| Error::invalid("state", format_args!("{text:?} is no state of an operation")))
    }
}

/// One command on one project.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Operation {
    /// Its identity.
    pub id: OperationId,
    /// The project.
    #[serde(rename = "ref")]
    pub project: ProjectRef,
    /// The target that carries it out.
    pub target: TargetName,
    /// What it does.
    pub kind: OperationKind,
    /// The services that it is about; empty is all. Only restart uses it.
    pub scope: Vec<ServiceName>,
    /// Data that is gone and that it may make anew, by the names that the backend gave. Only restart and resume use it.
    #[serde(default)]
    pub accept_data_loss: Vec<String>,
    /// The generation of settings that it brings into force.
    pub generation: u64,
    /// How far it is.
    pub state: OperationState,
    /// How many times it was begun.
    pub attempt: u32,
    /// How many of these attempts failed.
    pub failures: u32,
    /// How many of these attempts were taken over from a host that died or hung. The others were handed back unfinished.
    pub takeovers: u32,
    /// Whether somebody asked for its end.
    pub cancel_requested: bool,
    /// When it is given up, whatever happened.
    #[serde(with = "time::serde::rfc3339")]
    pub deadline: OffsetDateTime,
    /// Not begun (again) before this.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// Who works on it, while it runs.
    pub lease: Option<Lease>,
    /// How many operations are before it in its target's queue, while it waits: [`Operation::MAX_POSITION`] are that many or
    /// more.
    pub position: Option<u64>,
    /// Why the last attempt ended, or the whole.
    pub error: Option<OperationError>,
    /// What it did, oldest first: the newest [`Operation::MAX_STEPS`].
    pub steps: Vec<Step>,
    /// What the backend ran and printed.
    pub report: Option<Report>,
    /// What it had to say, oldest first: the newest [`Operation::MAX_LOG`] lines.
    pub log: Vec<LogEntry>,
    /// The version of Freehold that recorded it. An operation is a wish and no list of steps: whoever takes it up, of whatever
    /// version, plans it anew from the stack and the settings of its generation; one of a kind that a host does not know is
    /// left to hosts that do.
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

impl Operation {
    /// How many steps are kept.
    pub const MAX_STEPS: usize = 500;
    /// How many lines of log are kept.
    pub const MAX_LOG: usize = 200;
    /// How many of those before it in a queue are counted.
    pub const MAX_POSITION: u64 = 1000;
}

/// The right to work on an operation, fenced by an epoch that grows with each claim of the project.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The operation.
    pub operation: OperationId,
    /// The worker.
    pub owner: String,
    /// The fencing token.
    pub epoch: u64,
    /// When it ends unless renewed, on the store's clock.
    #[serde(with = "time::serde::rfc3339")]
    pub expires_at: OffsetDateTime,
}

/// One thing that an operation did, recorded before the effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What: `create container`, `wait until healthy`, …
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What.
    pub message: String,
}

/// An [`Error`] as it is kept: what failed, why, what is left and what to do next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationError {
    /// What can be done about it.
    pub kind: Kind,
    /// What exactly it was, where that is known.
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

impl From<&Error> for OperationError {
    fn from(error: &Error) -> Self {
        Self {
            kind: error.kind(),
            detail: error.detail().cloned(),
            message: error.message().to_owned(),
            chain: error.chain(),
            step: error.context("step").map(str::to_owned),
            service: error.context("service").map(str::to_owned),
            context: error
                .context_pairs()
                .filter(|(key, _)| !matches!(*key, "step" | "service"))
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
            leftovers: Vec::new(),
        }
    }
}
