//! Starting a control plane: what it needs, and what is checked before it takes the first command.

use std::{
    collections::BTreeMap,
    future::Future,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::FutureExt as _;
use rand::{SeedableRng as _, rngs::StdRng};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    ControlPlane, Inner, Settings, Target, TargetSettings,
    guard::{GuardedBackend, GuardedSealer, GuardedStore, panic_text},
    query::Counters,
    vault::Vault,
    watcher::Watched,
};
use crate::{
    clock::{Clock, SystemClock},
    context::Context,
    destroyer::Backend,
    error::{Error, Result},
    faults::{FaultyBackend, FaultyStore, Injector},
    names::{InstallationId, TargetName},
    seal::Sealer,
    secrets,
    store::{Put, Store, TargetRecord},
};

/// How long a backend may take to describe itself.
const DESCRIBE: Duration = Duration::from_secs(30);

/// Makes a [`ControlPlane`].
#[derive(Debug, Default)]
pub struct ControlPlaneBuilder {
    store: Option<Arc<dyn Store>>,
    sealer: Option<Arc<dyn Sealer>>,
    targets: Vec<(TargetName, Arc<dyn Backend>, TargetSettings)>,
    clock: Option<Arc<dyn Clock>>,
    seed: Option<u64>,
    settings: Settings,
    faults: Option<Arc<Injector>>,
}

impl ControlPlaneBuilder {
    /// Keeps everything there. Needed.
    #[must_use]
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.store = Some(store);
        self
    }

    /// Seals secrets with that. Needed.
    #[must_use]
    pub fn sealer(mut self, sealer: Arc<dyn Sealer>) -> Self {
        self.sealer = Some(sealer);
        self
    }

    /// Serves a target. At least one is needed.
    #[must_use]
    pub fn target(mut self, name: TargetName, backend: Arc<dyn Backend>, settings: TargetSettings) -> Self {
        self.targets.push((name, backend, settings));
        self
    }

    /// Tells the time by that clock; the machine's unless said.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Draws refs, ids and jitter from that seed, for tests that must repeat. Secrets always come from the operating
    /// system.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Works by those settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Lets a fault plan act at the store and at every target: for tests.
    #[must_use]
    pub fn faults(mut self, injector: Arc<Injector>) -> Self {
        self.faults = Some(injector);
        self
    }

    /// Checks everything, binds the targets' names to their engines, and starts the workers.
    ///
    /// # Errors
    /// `InvalidInput` naming what is missing or wrong: no store, sealer or target, a setting, a stack, or sealed secrets
    /// without their key; `Conflict` if a target's name is bound to another engine; `Unavailable` if the store or a
    /// backend does not answer.
    pub async fn build(mut self) -> Result<ControlPlane> {
        let mut store = self.store.ok_or_else(|| Error::invalid("store", "none was given"))?;
        if let Some(injector) = self.faults {
            store = Arc::new(FaultyStore::new(store, Arc::clone(&injector)));
            for (_, backend, _) in &mut self.targets {
                *backend = Arc::new(FaultyBackend::new(Arc::clone(backend), Arc::clone(&injector)));
            }
        }
        let store: Arc<dyn Store> = Arc::new(GuardedStore::new(store));
        let sealer = self.sealer.ok_or_else(|| Error::invalid("sealer", "none was given"))?;
        if self.targets.is_empty() {
            return Err(Error::invalid("targets", "none was given"));
        }
        self.settings.validate()?;
        let vault = Vault::new(Arc::new(GuardedSealer::new(sealer)));
        vault.check_keys(&*store).await?;
        let mut targets = BTreeMap::new();
        for (name, backend, settings) in self.targets {
            let target = register(&*store, name, backend, settings).await?;
            if let Some(twin) = targets.insert(target.name.clone(), target) {
                return Err(Error::invalid("targets", format_args!("{} stands twice", twin.name)));
            }
        }
        let rng = match self.seed {
            Some(seed) => StdRng::seed_from_u64(seed),
            None => {
                let mut seed = [0; 32];
                secrets::fill_random(&mut seed)?;
                StdRng::from_seed(seed)
            }
        };
        let installation = installation(&*store).await?;
        let request_key = vault.request_key(&*store).await?;
        let mut owner = [0; 8];
        // The owner tells hosts apart, so it must not repeat where a seed does.
        secrets::fill_random(&mut owner)?;
        let stopping = CancellationToken::new();
        let guard = Arc::new(stopping.clone().drop_guard());
        let inner = Arc::new(Inner {
            store,
            vault,
            targets,
            clock: self.clock.unwrap_or_else(|| Arc::new(SystemClock)),
            settings: self.settings,
            installation,
            request_key,
            rng: Mutex::new(rng),
            owner: format!("{:016x}", u64::from_be_bytes(owner)),
            counters: Counters::default(),
            tail: super::tail::Tail::default(),
            stopping,
            hand_back: CancellationToken::new(),
            tasks: TaskTracker::new(),
            operations: TaskTracker::new(),
        });
        inner.start();
        Ok(ControlPlane(inner, guard))
    }
}

impl Inner {
    fn start(self: &Arc<Self>) {
        self.keep_running("claim work", Self::work);
        self.keep_running("keep house", Self::keep_house);
        self.keep_running("tell news", Self::tell_news);
        if !self.settings.watch.is_zero() {
            self.keep_running("watch", Self::watch);
        }
        if !self.settings.sweep.is_zero() {
            self.keep_running("sweep", Self::keep_sweeping);
        }
    }

    /// Runs a task until it returns, which it does when the control plane stops. What others panic about reaches none of
    /// them (`guard.rs`); should one of ours panic itself, it begins anew after a pause.
    fn keep_running<F>(self: &Arc<Self>, what: &'static str, task: fn(Arc<Self>) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let inner = Arc::clone(self);
        self.tasks.spawn(async move {
            while let Err(panic) = AssertUnwindSafe(task(Arc::clone(&inner))).catch_unwind().await {
                tracing::error!(
                    task = what,
                    panic = panic_text(&*panic),
                    "a background task panicked; it begins anew"
                );
                tokio::time::sleep(inner.settings.poll).await;
            }
        });
    }
}

/// The installation's id, made when it is first needed; the same for all hosts of a store.
async fn installation(store: &dyn Store) -> Result<InstallationId> {
    const NAME: &str = "installation";
    if let Some(id) = store.setting(NAME).await? {
        return id.parse();
    }
    let mut random = [0; 8];
    secrets::fill_random(&mut random)?;
    let made = format!("{:016x}", u64::from_be_bytes(random));
    store.put_setting(NAME, &made, Put::IfAbsent).await?.parse()
}

async fn register(
    store: &dyn Store,
    name: TargetName,
    backend: Arc<dyn Backend>,
    settings: TargetSettings,
) -> Result<Target> {
    let backend: Arc<dyn Backend> = Arc::new(GuardedBackend::new(backend));
    let named = |error: Error| error.with("target", &name);
    settings.validate().map_err(named)?;
    let ctx = Context::new(DESCRIBE);
    let description = ctx.bounded("describe the backend", backend.describe(&ctx)).await.map_err(named)?;
    for stack in &description.stacks {
        stack.validate().map_err(|error| named(error.with("stack", &stack.name)))?;
    }
    let record = TargetRecord {
        name: name.clone(),
        engine: description.engine.clone(),
        machine: description.machine.clone(),
    };
    store.register(&record).await?;
    let watched = Watched::new(settings.max_operations);
    Ok(Target { name, backend, description, settings, watched })
}
