//! The control plane: commands in, durable operations, the lifecycle kept.
//!
//! # Flow
//! A command is *prepared* (validated, checked against the lifecycle, secrets sealed), *committed* (one transaction of
//! the store) and answered. Behind it a worker *claims* the operation under a lease, calls the backend, looks whether
//! the result is what was wished, and *settles*: only then the project moves on.
//!
//! # Guarantees
//! - What was answered is durable. What was not first recorded is not done.
//! - A crash at any moment loses nothing: another worker, or this one after a restart, takes the operation up again.
//! - No project waits for another but for the bounds that the operator set.
//! - A panic in a backend, store or sealer ends the call that it came from with an error, and nothing else.
//!
//! # Caveats
//! On an engine, as against the store, a worker that lost its lease may still have one request under way. Takeover waits
//! [`Settings::lease_margin`] for it, and each operation ends by looking at what is really there.

mod attempt;
mod builder;
mod command;
mod doctor;
mod execute;
mod guard;
mod heartbeat;
mod housekeeping;
mod idempotency;
mod paused;
mod prepare;
mod query;
mod revive;
mod settings;
mod sweeper;
mod tail;
mod validate;
mod vault;
mod verdict;
mod watcher;
mod worker;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::rngs::StdRng;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

pub use self::{
    builder::ControlPlaneBuilder,
    command::{Accepted, Amendment, Command, CreateProject, Protection, Reconfigure, Restart, Resume},
    doctor::{Diagnosis, Finding, Removal, Trouble},
    query::{Metrics, Readiness, TargetInfo},
    settings::{Settings, TargetSettings, Timeouts},
};
use self::{prepare::Prepared, vault::Vault};
use crate::{
    clock::Clock,
    destroyer::Backend,
    error::{Detail, Error, Result},
    names::{InstallationId, OrganizationId, ProjectName, TargetName},
    operation::OperationId,
    project::{Annotations, Project},
    project_ref::ProjectRef,
    provisioner::Description,
    store::{Change, Committed, Store},
};

/// Drives projects on any number of named targets over one store. A cheap handle: clones are the same control plane.
/// When the last one is dropped, no more work is claimed; [`shutdown`](Self::shutdown) also waits for what is under way.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use freehold_core::{
///     Keyring, Status,
///     control_plane::{ControlPlane, CreateProject, TargetSettings},
///     memory::{MemoryBackend, MemoryStore},
///     seal::SealKey,
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> freehold_core::Result<()> {
/// let control = ControlPlane::builder()
///     .store(Arc::new(MemoryStore::default()))
///     .sealer(Arc::new(Keyring::new(SealKey::random()?)))
///     .target("local".parse()?, Arc::new(MemoryBackend::new()?), TargetSettings::default())
///     .build()
///     .await?;
///
/// let accepted = control.create(CreateProject::new("acme".parse()?, "demo".parse()?), None).await?;
/// let demo = control
///     .wait(&accepted.project.reference, &[Status::ActiveHealthy], Duration::from_secs(10))
///     .await?;
/// assert!(demo.connection.is_some());
/// control.shutdown(Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ControlPlane(
    Arc<Inner>,
    #[expect(dead_code, reason = "it acts when the last handle is dropped")] Arc<DropGuard>,
);

pub(crate) struct Inner {
    store: Arc<dyn Store>,
    vault: Vault,
    targets: BTreeMap<TargetName, Target>,
    clock: Arc<dyn Clock>,
    settings: Settings,
    request_key: crate::runtime::HashKey,
    rng: Mutex<StdRng>,
    owner: String,
    installation: InstallationId,
    counters: query::Counters,
    tail: tail::Tail,
    /// Ends the claiming of new work, and all background tasks that are not operations.
    stopping: CancellationToken,
    /// Asks running operations to be handed back.
    hand_back: CancellationToken,
    tasks: TaskTracker,
    operations: TaskTracker,
}

/// A named backend.
struct Target {
    name: TargetName,
    backend: Arc<dyn Backend>,
    description: Description,
    settings: TargetSettings,
    watched: watcher::Watched,
}

/// How often a command that lost a race is prepared anew.
const RACES: usize = 10;

impl ControlPlane {
    /// Begins a control plane: give it a store, a sealer and at least one target.
    #[must_use]
    pub fn builder() -> ControlPlaneBuilder {
        ControlPlaneBuilder::default()
    }

    /// Carries out a command: durable when this returns, with the work behind it. With an idempotency key the same
    /// request is carried out once in 24 hours and answered alike.
    ///
    /// # Errors
    /// `InvalidInput`, `NotFound`, `AlreadyExists` (name), `Exhausted` naming the setting;
    /// [`IllegalTransition`](Detail::IllegalTransition) and [`Busy`](Detail::Busy) with the present status and the
    /// operation in flight; [`Protected`](Detail::Protected); [`KeyReused`](Detail::KeyReused);
    /// [`LostRace`](Detail::LostRace) if the project has another version than the command expects; `Unavailable`.
    pub async fn execute(&self, command: Command, idempotency_key: Option<&str>) -> Result<Accepted> {
        let idempotency = match idempotency_key {
            Some(key) => Some(self.0.idempotency(&command, key).await?),
            None => None,
        };
        if let Some(idempotency) = &idempotency
            && let Some(accepted) = self.0.replay(idempotency).await?
        {
            return Ok(accepted);
        }
        for _ in 0..RACES {
            let prepared = match (self.0.prepare(&command).await, &idempotency) {
                // The same request may have been carried out since: then it is what stands in its own way.
                (Err(error), Some(idempotency)) => {
                    return self.0.replay(idempotency).await?.ok_or(error);
                }
                (prepared, _) => prepared?,
            };
            let change = match prepared {
                Prepared::Change(change) => Change { idempotency: idempotency.clone(), ..*change },
                Prepared::Stands(project, operation) => {
                    return Ok(Accepted {
                        project: *project,
                        operation: operation.map(|o| *o),
                        replayed: false,
                    });
                }
            };
            match self.0.store.commit(change).await {
                Ok(Committed { project, operation, replayed }) => {
                    return Ok(Accepted { project, operation, replayed });
                }
                // Somebody else was first: what they did decides what this command means now.
                Err(error) if matches!(error.detail(), Some(Detail::LostRace)) => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::detailed(Detail::LostRace, "commit the command: the project kept changing; try again"))
    }

    /// Prepares a command without committing it, for stores that commit inside a caller's own transaction.
    ///
    /// # Errors
    /// As [`execute`](Self::execute). A command that has nothing to do (destroy of what is going down already) is
    /// `Conflict`.
    pub async fn prepare(&self, command: &Command) -> Result<Change> {
        match self.0.prepare(command).await? {
            Prepared::Change(change) => Ok(*change),
            Prepared::Stands(project, _) => Err(Error::new(
                crate::error::Kind::Conflict,
                format!("prepare a change: project {} is {} already", project.reference, project.status),
            )),
        }
    }

    /// Creates a project.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn create(&self, create: CreateProject, idempotency_key: Option<&str>) -> Result<Accepted> {
        self.execute(Command::Create(Box::new(create)), idempotency_key).await
    }

    /// Provisions a project again after a failed first try.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn retry(&self, project: &ProjectRef) -> Result<Accepted> {
        self.execute(Command::Retry(*project), None).await
    }

    /// Stops a project and keeps its data.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn pause(&self, project: &ProjectRef) -> Result<Accepted> {
        self.execute(Command::Pause(*project), None).await
    }

    /// Starts a project again.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn resume(&self, project: &ProjectRef) -> Result<Accepted> {
        self.execute(Command::Resume(*project, Resume::default()), None).await
    }

    /// Restarts services of a project: all if none is named.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn restart(&self, project: &ProjectRef, services: &[String]) -> Result<Accepted> {
        let restart = Restart { services: services.to_vec(), ..Restart::default() };
        self.execute(Command::Restart(*project, restart), None).await
    }

    /// Brings other settings of a project into force.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn reconfigure(&self, project: &ProjectRef, settings: Reconfigure) -> Result<Accepted> {
        self.execute(Command::Reconfigure(*project, Box::new(settings)), None).await
    }

    /// Brings a project's settings into force once more, as they are. A database that does not take the passwords that
    /// the store has is given them, by a way that needs none.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn repair(&self, project: &ProjectRef) -> Result<Accepted> {
        self.reconfigure(project, Reconfigure::default()).await
    }

    /// Removes a project with its data. One that is going down or gone already is answered with the operation that is
    /// there.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn destroy(&self, project: &ProjectRef) -> Result<Accepted> {
        self.execute(Command::Destroy(*project), None).await
    }

    /// Changes what needs no work on a project's target: its name, its protection, its annotations; all together or
    /// nothing.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn amend(&self, project: &ProjectRef, amendment: Amendment) -> Result<Project> {
        Ok(self.execute(Command::Amend(*project, Box::new(amendment)), None).await?.project)
    }

    /// Gives a project another name.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn rename(&self, project: &ProjectRef, name: ProjectName) -> Result<Project> {
        self.amend(project, Amendment { name: Some(name), ..Amendment::default() }).await
    }

    /// Refuses or allows destroy.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn protect(&self, project: &ProjectRef, protection: Protection) -> Result<Project> {
        self.amend(project, Amendment { protection: Some(protection), ..Amendment::default() }).await
    }

    /// Replaces a project's annotations.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn annotate(&self, project: &ProjectRef, annotations: Annotations) -> Result<Project> {
        self.amend(project, Amendment { annotations: Some(annotations), ..Amendment::default() }).await
    }

    /// Closes an organization for good, before it is ended: no project is created for it any more, also not by a create
    /// that is under way.
    ///
    /// # Errors
    /// `Conflict` naming a project that it still has; `Unavailable`.
    pub async fn close_organization(&self, organization: &OrganizationId) -> Result<()> {
        self.0.store.close_organization(organization).await
    }

    /// Asks for the end of an operation: it ends in its own gave-up status once the backend's call has returned. One
    /// that has ended already is answered as it is.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub async fn cancel(&self, operation: OperationId) -> Result<Accepted> {
        self.execute(Command::Cancel(operation), None).await
    }

    /// Stops claiming work, gives running operations `grace` to end, hands back the rest for another host or the next
    /// start, and ends all background work. Projects go on running.
    pub async fn shutdown(&self, grace: Duration) {
        let inner = &self.0;
        inner.stopping.cancel();
        inner.operations.close();
        if tokio::time::timeout(grace, inner.operations.wait()).await.is_err() {
            inner.hand_back.cancel();
            // A backend that does not come back is left behind: its lease ends by itself.
            let patience = inner.settings.lease_margin + Duration::from_secs(1);
            if tokio::time::timeout(patience, inner.operations.wait()).await.is_err() {
                tracing::warn!("some operations did not come back; their leases will run out");
            }
        }
        inner.tasks.close();
        let patience = inner.settings.lease_margin;
        if tokio::time::timeout(patience, inner.tasks.wait()).await.is_err() {
            tracing::warn!("some background work did not end and was left behind");
        }
    }
}

impl Inner {
    /// The generator of refs, ids and jitter.
    fn rng(&self) -> MutexGuard<'_, StdRng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for ControlPlane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ControlPlane")
            .field("targets", &self.0.targets.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
