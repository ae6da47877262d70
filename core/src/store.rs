//! What a store keeps, and the promises that the control plane builds on.

mod change;
mod lease;

use std::{collections::BTreeMap, fmt::Debug, time::Duration};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use tokio::sync::broadcast;

pub use self::{
    change::{
        Bounds, Change, Committed, Guard, IdempotencyKey, NewOperation, NewProject, PortPool, Preemption,
        ProjectChange, ProjectUpdate, Replay, SealedItem, StatusChange, SubnetPool,
    },
    lease::{Claim, Claimed, End, Renewed, Settlement, TargetClaim, Transition},
};
use crate::{
    error::Result,
    event::EventPage,
    lifecycle::Status,
    names::{OrganizationId, TargetName},
    operation::{Lease, Operation, OperationId, OperationKind, OperationState},
    page::{Page, PageRequest},
    project::{Project, ProjectFilter},
    project_ref::ProjectRef,
    seal::KeyId,
};

/// Keeps projects, operations, events and sealed secrets.
///
/// # Guarantees
/// - A [`Change`] is committed whole or not at all: project, operation, allocation, sealed items and events.
/// - A project's row changes only if its version is the one expected; the loser gets [`LostRace`](crate::Detail::LostRace).
/// - A project has at most one running and one waiting operation.
/// - What a lease's holder writes is refused with [`LeaseLost`](crate::Detail::LeaseLost) once another epoch was given out.
/// - Of one name in one organization, whatever the case, at most one project has a status that
///   [holds its name](Status::holds_name).
/// - Two live projects of one machine never share a port or an address.
/// - An organization that was closed has no project that is not removed, and gets none.
/// - The store itself writes the facts that follow from a change: `StatusChanged` for each change of a project's status,
///   `OperationChanged` for each change of an operation's state, `CancelRequested`, `Amended`, `PortsMoved`. They are in
///   the same transaction. Numbers are given later, by [`sequence`](Store::sequence), dense and in the order of writing
///   within a project.
///
/// # Assumptions
/// Leases run on the store's own clock ([`now`](Store::now)); hosts' clocks do not matter.
///
/// # Errors
/// `Unavailable` if the store cannot be reached: the control plane tries again. Besides that, what each method says.
#[async_trait]
pub trait Store: Debug + Send + Sync + 'static {
    /// The store's clock. It also tells whether the store can be reached.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn now(&self) -> Result<OffsetDateTime>;

    /// Carries out a prepared change in one transaction. A change whose idempotency key was used before with the same
    /// body changes nothing and gives what the first one gave.
    ///
    /// # Errors
    /// `LostRace` (version), `Busy` (an operation runs or waits, and the change does not preempt it), `KeyReused`,
    /// `AlreadyExists` (name), `NotFound` (project), `Bound` (the setting that is exhausted), `Conflict` (a closed
    /// organization).
    async fn commit(&self, change: Change) -> Result<Committed>;

    /// What an idempotency key was used for, while it is kept.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn replay(&self, organization: &OrganizationId, key: &str) -> Result<Option<Replay>>;

    /// A project, tombstones included.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn project(&self, project: &ProjectRef) -> Result<Option<Project>>;

    /// Projects by numeric id, oldest first. One that cannot be read is left out and logged, so that the others are found;
    /// asked for by its ref it is an error and never `None`. Who would act on a project's absence asks by ref.
    ///
    /// # Errors
    /// `InvalidInput` for a cursor that no page gave.
    async fn projects(&self, filter: &ProjectFilter, page: &PageRequest) -> Result<Page<Project>>;

    /// An operation with its steps and log, and its position if it waits.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn operation(&self, operation: OperationId) -> Result<Option<Operation>>;

    /// Operations, newest first; what cannot be read is left out as with projects.
    ///
    /// # Errors
    /// `InvalidInput` for a cursor that no page gave.
    async fn operations(&self, filter: &OperationFilter, page: &PageRequest) -> Result<Page<Operation>>;

    /// Takes operations that may be worked on, up to [`Claim::limit`]: waiting, due, with no other of their project running,
    /// and their target below its bound; or running with a lease that ended more than the margin ago. The oldest come first.
    /// The project's epoch grows, the attempt is counted, the lease begins; a takeover is counted as such. The deadline of one
    /// that waited moves by the time that it had waited since it was due, each time. Fewer than there are may be given: who
    /// got any asks again.
    ///
    /// An operation of a kind that this program does not know is left to one that does: it neither fails nor is it in the
    /// way of others. One whose row, or whose project's, cannot be read is set aside with the reason and logged; it is
    /// not offered to this version again, another version may try, and destroy ends it.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>>;

    /// Extends a lease to `lease` from now and records progress under it.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn renew(&self, lease: &Lease, extend: Duration, progress: &[RecordedProgress]) -> Result<Renewed>;

    /// Ends an operation or hands it back; one that is handed back with an error has failed once more, and without one it
    /// has not, and keeps the error of before. The project moves only if the operation put it where it stands. Progress that
    /// comes with it is recorded as a renewal would.
    ///
    /// # Errors
    /// `LeaseLost`.
    async fn settle(&self, settlement: Settlement) -> Result<Project>;

    /// Sets the project's port block aside for `aside` because `taken` is held by a stranger, and gives it another.
    ///
    /// # Errors
    /// `LeaseLost`, `Bound`.
    async fn reallocate(
        &self,
        lease: &Lease,
        taken: u16,
        pool: &PortPool,
        aside: Duration,
    ) -> Result<Project>;

    /// Notes that these projects were observed now. It is no change of the row: the version stays.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn observed(&self, projects: &[ProjectRef]) -> Result<()>;

    /// Events after a number, in order. 0 is the beginning.
    ///
    /// # Errors
    /// [`Gone`](crate::Detail::Gone) if events after that number are not kept any more.
    async fn events(&self, after: u64, limit: u32) -> Result<EventPage>;

    /// Numbers what was committed since, if no other host is doing so, and gives the newest number.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn sequence(&self) -> Result<u64>;

    /// Hears of changes as they are committed, also by other hosts. It is only a hint: hints may be lost, so those who
    /// wait also look by themselves now and then.
    fn subscribe(&self) -> broadcast::Receiver<Wake>;

    /// The sealed items of a project, or of the installation itself (`None`).
    ///
    /// # Errors
    /// `Unavailable`.
    async fn sealed(&self, project: Option<&ProjectRef>) -> Result<Vec<SealedItem>>;

    /// How many sealed items each key has sealed.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn keys_in_use(&self) -> Result<BTreeMap<KeyId, u64>>;

    /// Up to `limit` sealed items that are not under this key.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn sealed_under_other_keys(&self, key: &KeyId, limit: u32) -> Result<Vec<SealedItem>>;

    /// Replaces the sealed form of items that stand at the same place under another key; what was changed, removed or
    /// resealed under the same key since it was read is left alone. Gives the number of items replaced.
    ///
    /// An item of the installation itself (`project: None`) that is not there yet is added; of two hosts that add it at
    /// once, the first wins, so the caller reads it back.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn reseal(&self, items: &[SealedItem]) -> Result<u64>;

    /// Closes an organization for good: from now on no project is created for it. Closing it again changes nothing. Whoever
    /// ends an organization closes it first, so that it leaves no project behind that nobody owns.
    ///
    /// # Errors
    /// `Conflict` if one of its projects is not removed.
    async fn close_organization(&self, organization: &OrganizationId) -> Result<()>;

    /// Binds a target's name to an engine, once and for all.
    ///
    /// # Errors
    /// `Conflict` if the name is bound to another engine or machine.
    async fn register(&self, target: &TargetRecord) -> Result<()>;

    /// A value that the installation keeps under a name: not for secrets.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn setting(&self, name: &str) -> Result<Option<String>>;

    /// Writes a value and gives the one that stands: with [`Put::IfAbsent`] that is whoever came first.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn put_setting(&self, name: &str, value: &str, put: Put) -> Result<String>;

    /// Forgets what is older than it has to be kept.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn expire(&self, retention: &Retention) -> Result<()>;

    /// How many projects there are and how much is to be done, for metrics.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn census(&self) -> Result<Census>;
}

/// Progress as it is recorded, with the time of its happening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedProgress {
    /// When.
    pub at: OffsetDateTime,
    /// What.
    pub progress: crate::context::Progress,
}

/// What has changed. Only a hint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// There may be an operation to claim, or one was asked to end.
    Operations,
    /// There are events to be numbered.
    Written,
    /// There are numbered events to read.
    Events,
}

/// Which operations a caller wants. The default: all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OperationFilter {
    /// Only of this project.
    #[serde(rename = "ref")]
    pub project: Option<ProjectRef>,
    /// Only in these states; empty is all.
    pub states: Vec<OperationState>,
}

/// What a target's name is bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetRecord {
    /// The target.
    pub name: TargetName,
    /// Its engine's identity.
    pub engine: String,
    /// The machine whose ports and subnets its projects use.
    pub machine: String,
}

/// What happens to a value that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    /// It stays.
    IfAbsent,
    /// It is replaced.
    Replace,
}

/// How long things are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retention {
    /// Events.
    pub events: Duration,
    /// Idempotency keys.
    pub idempotency_keys: Duration,
    /// Operations that have ended. Those in flight are kept, and so is the one that put its project where it stands.
    pub operations: Duration,
}

/// How many projects there are, and how much is to be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Projects by status.
    pub projects: BTreeMap<Status, u64>,
    /// Operations in flight, by kind and state: those that have ended are kept for long, and too many to count.
    pub operations: BTreeMap<(OperationKind, OperationState), u64>,
    /// How long the oldest operation that is due has waited.
    pub oldest_waiting: Option<Duration>,
}
