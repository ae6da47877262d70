//! What a test works with: the backend, projects of its own, and ways to ask and to look.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, timeout};

use super::{BackendFixture, Offer};
use crate::{
    clock::{Clock as _, SystemClock},
    connection::Connection,
    context::{Context, ContextBuilder},
    contract::failure::{Failure, Verified, there},
    destroyer::Backend,
    error::{Error, Kind, Result},
    inventory::Holding,
    plan::Wish,
    project::Annotations,
    project_ref::ProjectRef,
    provisioner::{Capability, Description, Outcome, Scope},
    runtime::{HashKey, Limits, PortBlock, Runtime},
    secrets,
    stack::StackSpec,
};

/// How long one call may take: far more than any takes, so that one that hangs has an end.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

/// A call that changes a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Provision,
    Pause,
    Resume,
    Restart,
    Reconfigure,
    Destroy,
}

impl Call {
    /// A whole life, in an order in which each follows from the one before.
    pub(super) const LIFE: [Self; 6] =
        [Self::Provision, Self::Pause, Self::Resume, Self::Restart, Self::Reconfigure, Self::Destroy];

    pub(super) async fn make(
        self,
        backend: &dyn Backend,
        ctx: &Context,
        runtime: &Runtime,
    ) -> Result<Outcome> {
        match self {
            Self::Provision => backend.provision(ctx, runtime).await,
            Self::Pause => backend.pause(ctx, runtime).await,
            Self::Resume => backend.resume(ctx, runtime).await,
            Self::Restart => backend.restart(ctx, runtime, &Scope::All).await,
            Self::Reconfigure => backend.reconfigure(ctx, runtime).await,
            Self::Destroy => backend.destroy(ctx, &runtime.project).await,
        }
    }

    /// Where the project is when the call has succeeded; `None` if it is gone.
    pub(super) const fn leads_to(self) -> Option<Wish> {
        match self {
            Self::Provision | Self::Resume | Self::Restart | Self::Reconfigure => Some(Wish::Active),
            Self::Pause => Some(Wish::Paused),
            Self::Destroy => None,
        }
    }
}

/// What a test works with.
pub(super) struct Stage {
    pub(super) fixture: Arc<dyn BackendFixture>,
    pub(super) backend: Arc<dyn Backend>,
    pub(super) description: Description,
    pub(super) spec: StackSpec,
    offers: BTreeSet<Offer>,
    /// Every project that was ever spoken of.
    made: Mutex<BTreeSet<ProjectRef>>,
}

impl Stage {
    pub(super) async fn open(fixture: impl BackendFixture) -> Verified<Self> {
        let backend = fixture.backend();
        let described = timeout(PATIENCE, backend.describe(&Context::new(PATIENCE))).await;
        let description = described.map_err(|_| Failure::new("describe does not return"))??;
        let wanted = fixture.stack();
        let spec =
            description.stacks.iter().find(|spec| wanted.as_ref().is_none_or(|name| spec.name == *name));
        let spec = there(spec, "the stack that the projects run")?.clone();
        let mut offers: BTreeSet<Offer> = fixture.offers().iter().copied().collect();
        for offer in &offers {
            ensure!(Offer::OF_FIXTURES.contains(offer), "{offer} is no offer of a fixture's");
        }
        if !spec.ports.is_empty() {
            offers.insert(Offer::Ports);
        }
        for capability in &description.capabilities {
            match capability {
                Capability::RestartServices => offers.insert(Offer::RestartServices),
                Capability::FollowLogs => offers.insert(Offer::FollowLogs),
                Capability::Limits => false,
            };
        }
        let fixture = Arc::new(fixture);
        Ok(Self { fixture, backend, description, spec, offers, made: Mutex::default() })
    }

    pub(super) fn offers(&self) -> &BTreeSet<Offer> {
        &self.offers
    }

    /// A project that does not exist yet.
    pub(super) fn project(&self) -> Verified<Runtime> {
        let project = ProjectRef::random(&mut rand::rng());
        self.made.lock().unwrap_or_else(PoisonError::into_inner).insert(project);
        let count = self.spec.port_count();
        let ports = if count == 0 { PortBlock { first: 0, count } } else { self.fixture.ports(count) };
        let subnet = if self.spec.subnet { self.fixture.subnet() } else { None };
        ensure!(
            !self.spec.subnet || subnet.is_some(),
            "the stack needs a subnet, and the fixture gives none"
        );
        Ok(self.fixture.adjust(Runtime {
            project,
            name: "contract".parse()?,
            organization: "contract".parse()?,
            installation: "contract".parse()?,
            annotations: Annotations::default(),
            stack: self.spec.name.clone(),
            digest: self.spec.digest.clone(),
            generation: 1,
            ports,
            subnet,
            secrets: secrets::make(&self.spec, &BTreeMap::new(), SystemClock.now())?,
            hash_key: HashKey::new(secrets::random(32)?.to_vec()),
            excluded: self.spec.exclusions(None)?,
            variables: BTreeMap::new(),
            accept_data_loss: vec![],
            first_run: Vec::new(),
            limits: Limits::default(),
        }))
    }

    /// A call's context, with time enough.
    pub(super) fn context() -> ContextBuilder {
        ContextBuilder::new(Instant::now() + PATIENCE)
    }

    /// Makes a call in a context, and ends it if it hangs.
    pub(super) async fn call(&self, call: Call, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        let made = timeout(2 * PATIENCE, call.make(&*self.backend, ctx, runtime)).await;
        made.unwrap_or_else(|_| Err(Error::internal(format!("see {call:?} return: it hangs"))))
    }

    /// Makes a call by hand, with time enough, which must succeed.
    pub(super) async fn make(&self, call: Call, runtime: &Runtime) -> Verified<Outcome> {
        let made = self.call(call, &Self::context().build(), runtime).await;
        made.map_err(|error| Failure::from(error).of(format_args!("{call:?}")))
    }

    /// A project that runs, and how it is reached.
    pub(super) async fn active(&self) -> Verified<(Runtime, Connection)> {
        let runtime = self.project()?;
        let outcome = self.make(Call::Provision, &runtime).await?;
        Ok((runtime, there(outcome.connection, "the connection of a project that was provisioned")?))
    }

    /// Fails unless a project is where a call leads.
    pub(super) async fn arrived(&self, call: Call, runtime: &Runtime) -> Verified {
        match call.leads_to() {
            Some(wish) => {
                self.is_as(wish, runtime).await.map_err(|failure| failure.of(format_args!("after {call:?}")))
            }
            None => self.is_gone(&runtime.project).await,
        }
    }

    /// Fails unless a project is as it is wished.
    pub(super) async fn is_as(&self, wish: Wish, runtime: &Runtime) -> Verified {
        let ctx = Self::context().build();
        let plan = self.backend.plan(&ctx, runtime, wish).await?;
        ensure!(plan.is_empty(), "the plan for {wish:?} is {:?}", plan.changes);
        let health = self.backend.health(&ctx, runtime).await?;
        match wish {
            Wish::Active => {
                ensure!(health.is_healthy(), "an active project is not well: {}", health.complaints())
            }
            Wish::Paused => ensure!(!health.is_healthy(), "a paused project is said to be healthy"),
        }
        Ok(())
    }

    /// Fails if anything is left of a project.
    pub(super) async fn is_gone(&self, project: &ProjectRef) -> Verified {
        let left = self.leftovers(project).await?;
        ensure!(left.is_empty(), "left of a destroyed project: {}", left.join(", "));
        let listed = self.holding(project).await?;
        ensure!(listed.is_none(), "the inventory lists a project that is destroyed: {listed:?}");
        let alone = self.holding_alone(project).await?;
        ensure!(alone.is_none(), "something is told of a project that is destroyed: {alone:?}");
        Ok(())
    }

    /// What the inventory lists of a project.
    pub(super) async fn holding(&self, project: &ProjectRef) -> Verified<Option<Holding>> {
        let ctx = Self::context().build();
        let listed = timeout(PATIENCE, self.backend.inventory(&ctx)).await;
        let listed = listed.map_err(|_| Failure::new("inventory does not return"))??;
        let mut of_project = listed.into_iter().filter(|holding| holding.project == *project);
        let found = of_project.next();
        ensure!(of_project.next().is_none(), "the inventory lists {project} twice");
        Ok(found)
    }

    /// What is told of a project that is asked about alone.
    pub(super) async fn holding_alone(&self, project: &ProjectRef) -> Verified<Option<Holding>> {
        let ctx = Self::context().build();
        let told = timeout(PATIENCE, self.backend.holding(&ctx, project)).await;
        Ok(told.map_err(|_| Failure::new("holding does not return"))??)
    }

    /// What is left of a project, where the fixture can see it.
    pub(super) async fn leftovers(&self, project: &ProjectRef) -> Verified<Vec<String>> {
        match self.offers.contains(&Offer::Leftovers) {
            true => Ok(self.fixture.leftovers(project).await?),
            false => Ok(Vec::new()),
        }
    }

    /// Writes a marker, where the fixture can.
    pub(super) async fn mark(&self, runtime: &Runtime, marker: &str) -> Verified {
        if self.offers.contains(&Offer::Data) {
            self.fixture.write(runtime, marker).await?;
        }
        Ok(())
    }

    /// Fails unless the marker is still there, where the fixture can see it.
    pub(super) async fn is_marked(&self, runtime: &Runtime, marker: &str) -> Verified {
        if self.offers.contains(&Offer::Data) {
            let found = self.fixture.read(runtime).await?;
            ensure_eq!(found.as_deref(), Some(marker), "the project's data");
        }
        Ok(())
    }

    /// Destroys every project of the test, and takes the census.
    pub(super) async fn sweep(&self) -> Verified {
        let made = self.made.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for project in &made {
            let ctx = Self::context().build();
            let destroyed = timeout(PATIENCE, self.backend.destroy(&ctx, project)).await;
            destroyed.map_err(|_| Failure::new("destroy does not return"))??;
            self.is_gone(project).await?;
        }
        Ok(())
    }
}

/// Fails unless an error is of a kind.
#[track_caller]
pub(super) fn is_of(error: &Error, kind: Kind) -> Verified {
    if error.kind() == kind {
        return Ok(());
    }
    Err(Failure::new(format!("the error is {}, and {kind} is promised: {}", error.kind(), error.chain())))
}
