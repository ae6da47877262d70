//! What a worker says to the store: claims, renewals and ends, each under a lease.

use std::time::Duration;

use time::OffsetDateTime;

use crate::{
    connection::Connection,
    event::Fact,
    lifecycle::Status,
    names::TargetName,
    operation::{Lease, Operation, OperationError, OperationState},
    project::Project,
    report::Report,
    store::{RecordedProgress, SealedItem},
};

/// Asks for operations to work on.
#[derive(Clone, Debug)]
pub struct Claim {
    /// Who asks: unique among the workers of all hosts.
    pub owner: String,
    /// The targets that it serves.
    pub targets: Vec<TargetClaim>,
    /// How long the lease lasts unless renewed.
    pub lease: Duration,
    /// How long after its end a lease is left alone before it is taken over.
    pub margin: Duration,
    /// How many operations at most, of all targets together.
    pub limit: u32,
}

/// A target that a worker serves.
#[derive(Clone, Debug)]
pub struct TargetClaim {
    /// The target.
    pub name: TargetName,
    /// How many of its operations may run at once: the setting `max_operations`.
    pub max_operations: u32,
    /// How many of one organization's may: the setting `max_operations_per_organization`. Those behind them that are
    /// others' go first.
    pub max_operations_per_organization: Option<u32>,
}

/// An operation to work on.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// The right to do so.
    pub lease: Lease,
    /// The operation, running from now on.
    pub operation: Operation,
    /// Its project.
    pub project: Project,
    /// The project's sealed items.
    pub sealed: Vec<SealedItem>,
    /// Whether another worker had begun and did not end it: what is there has to be looked at first.
    pub takeover: bool,
}

/// What a renewal came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewed {
    /// The lease with its new end.
    pub lease: Lease,
    /// Whether somebody asked for the operation's end.
    pub cancel_requested: bool,
}

/// Ends an operation or hands it back.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Under this lease.
    pub lease: Lease,
    /// How.
    pub end: End,
    /// Why the attempt or the operation ended, unless it reached its aim.
    pub error: Option<OperationError>,
    /// What the backend ran and printed.
    pub report: Option<Report>,
    /// Progress that no renewal has recorded yet.
    pub progress: Vec<RecordedProgress>,
    /// Facts that do not follow from the settlement by themselves.
    pub facts: Vec<Fact>,
}

/// How the work on an operation ends.
#[derive(Clone, Debug)]
pub enum End {
    /// For good.
    Ended {
        /// `Succeeded`, `Failed` or `Cancelled`.
        state: OperationState,
        /// Where the project goes, if this operation put it where it stands.
        transition: Option<Box<Transition>>,
    },
    /// To be tried again at that moment. If another operation of the project waits meanwhile, this one ends as cancelled.
    Released {
        /// Not before this, on the store's clock.
        not_before: OffsetDateTime,
    },
}

/// Where an operation's outcome moves its project.
#[derive(Clone, Debug)]
pub struct Transition {
    /// The status.
    pub to: Status,
    /// Why, where there is something to say.
    pub reason: Option<String>,
    /// How it is reached from now on. A project becomes `ACTIVE_HEALTHY` only with one.
    pub connection: Option<Connection>,
}
