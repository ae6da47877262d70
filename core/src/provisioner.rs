//! Making, stopping, starting and watching projects: what a backend does while a project lives.

use std::{collections::BTreeSet, fmt::Debug};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::mpsc;

use crate::{
    connection::Connection,
    context::Context,
    error::Result,
    health::Health,
    names::ServiceName,
    plan::{Plan, Wish},
    report::Report,
    runtime::Runtime,
    stack::StackSpec,
};

/// Runs projects on something. Together with [`Destroyer`](crate::Destroyer) this is all that a backend is.
///
/// # Idempotency
/// Every call may come again with the same input: after a crash in its middle, after its answer was lost, twice. It
/// converges on the same state and gives the same answer. Names on the engine follow from the ref alone.
///
/// # Cancellation
/// No call outlives its deadline. A cancelled call returns promptly and leaves only what
/// [`destroy`](crate::Destroyer::destroy) can remove. [`Context::step`] precedes every effect.
///
/// # Errors
/// `InvalidInput` for a runtime that this backend cannot run; `Unavailable` for an engine that does not answer (its 5xx
/// too); `Timeout` for what does not become ready in time; [`PortTaken`](crate::Detail::PortTaken) before any effect
/// or at bind; `Unsupported` for what this backend never does; `Internal` for the rest. Each names step and service,
/// carries the cause chain and what was printed, and never a secret. A backend does not retry: the control plane does.
///
/// # Ordering
/// The control plane makes at most one mutating call a project at a time; after a takeover the call of a former worker
/// may still be ending, which the lease margin bounds. `health`, `plan` and `logs` may come at any time and change
/// nothing. Calls for different projects do not wait for each other.
#[async_trait]
pub trait Provisioner: Debug + Send + Sync + 'static {
    /// What this backend is bound to, what it can do, and the stacks that it offers.
    ///
    /// # Errors
    /// `Unavailable` if the engine does not answer; `InvalidInput` if its configuration or a stack is wrong.
    async fn describe(&self, ctx: &Context) -> Result<Description>;

    /// Brings a project up, from nothing or from whatever an earlier try left, and returns once its gates are open.
    /// The outcome has a connection. First-run files are applied once, before that.
    ///
    /// # Errors
    /// See the trait.
    async fn provision(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome>;

    /// Stops a project: data, ports and network addresses are kept; containers or processes go and memory is given
    /// back. Pausing a paused project succeeds.
    ///
    /// # Errors
    /// See the trait.
    async fn pause(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome>;

    /// Starts a paused or half-started project on its kept data, and returns once its gates are open. The outcome has
    /// a connection. Data that is gone is an error, [`DataGone`](crate::Detail::DataGone) with its names, before any effect;
    /// it is made anew only if [`Runtime::accept_data_loss`] has each of them ([`Runtime::accepts_loss_of`]).
    ///
    /// # Errors
    /// See the trait.
    async fn resume(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome>;

    /// Restarts the services in `scope`, mends what differs from the plan, and returns once all gates are open. The
    /// outcome has a connection. Data that is gone is the error that it is for [`resume`](Self::resume).
    ///
    /// # Errors
    /// See the trait.
    async fn restart(&self, ctx: &Context, runtime: &Runtime, scope: &Scope) -> Result<Outcome>;

    /// Brings a new generation of settings into force, touching only the services that it changes. The outcome has a
    /// connection.
    ///
    /// # Errors
    /// See the trait.
    async fn reconfigure(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome>;

    /// What would have to be done for the project to be as wished. It changes nothing, and is empty when the project is.
    ///
    /// # Errors
    /// `Unavailable` if the engine does not answer.
    async fn plan(&self, ctx: &Context, runtime: &Runtime, wish: Wish) -> Result<Plan>;

    /// How the project is: an entry for every service that is not excluded, `Unknown` where the observer is blind. It
    /// changes nothing.
    ///
    /// # Errors
    /// `Unavailable` if nothing at all can be seen.
    async fn health(&self, ctx: &Context, runtime: &Runtime) -> Result<Health>;

    /// What the services print. The channel is bounded; dropping the receiver ends the work behind it.
    ///
    /// # Errors
    /// `InvalidInput` for an unknown service, `Unavailable` if the engine does not answer.
    async fn logs(
        &self,
        ctx: &Context,
        runtime: &Runtime,
        request: &LogRequest,
    ) -> Result<mpsc::Receiver<Result<LogLine>>>;
}

/// What a backend says of itself when it is registered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// The engine that it is bound to, so that a target name cannot silently come to mean another machine: for Docker
    /// the ID of `/info`.
    pub engine: String,
    /// The machine whose ports and subnets its projects use. Targets on one machine share them.
    pub machine: String,
    /// What it can do beyond the contract's core.
    pub capabilities: BTreeSet<Capability>,
    /// The stacks that it offers.
    pub stacks: Vec<StackSpec>,
}

/// Something that not every backend can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Capability {
    /// `restart` can restart some services and leave the others alone.
    RestartServices,
    /// `logs` can follow.
    FollowLogs,
    /// Limits are enforced.
    Limits,
}

/// What a mutating call came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// How the project is reached: always after provision, resume, restart and reconfigure.
    pub connection: Option<Connection>,
    /// What was run and printed.
    pub report: Report,
}

/// Which services a restart is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// All that are not excluded.
    All,
    /// These.
    Services(Vec<ServiceName>),
}

/// Which log lines a caller wants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogRequest {
    /// Only of these services; empty is all.
    pub services: Vec<ServiceName>,
    /// At most so many lines of each service from the past; `None` is all that is kept.
    pub tail: Option<u32>,
    /// Whether to go on with new lines until the receiver is dropped.
    pub follow: bool,
}

/// One line that a service printed, redacted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogLine {
    /// The service.
    pub service: ServiceName,
    /// When, where the engine keeps it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub at: Option<OffsetDateTime>,
    /// Where it was printed to.
    pub stream: LogStream,
    /// The line without its end.
    pub line: String,
}

/// Where a line was printed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}
