//! The traits, on a Docker Engine.

use std::{
    collections::{BTreeSet, HashMap},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use freehold_core::{
    Capability, Context, Description, Destroyer, Error, Health, Holding, Kind, LogLine, LogRequest, Outcome,
    Plan, ProjectRef, Provisioner, Report, Result, Runtime, Scope, Wish,
};
use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;

use crate::{
    apply::Purpose,
    config::{Config, StackSource},
    destroy,
    engine::{Engine, Identity},
    events::Events,
    files::Files,
    graph::Surroundings,
    inventory, plan,
    probe::Prober,
    project::Project,
    registry::Registry,
    stack::Stack,
    vantage::Vantage,
    watch::Watch,
};

/// How long the engine may take to introduce itself.
const GREETING: Duration = Duration::from_secs(15);

/// A backend that runs each project as containers of a Docker Engine, from a stack's Compose file.
///
/// # Expected flow
/// [`connect`](Self::connect) finds the engine and loads the stacks; from then on it is a
/// [`Provisioner`] and a [`Destroyer`].
///
/// # Guarantees
/// Nothing without our labels is touched. Names on the engine follow from the project's ref. No data volume that is gone
/// is made anew after the project's first time.
///
/// # Assumptions
/// The data root lies on a file system that the engine sees under the same path: containers mount from it.
///
/// # Caveats
/// Its inventory tells the projects of other installations on the same engine too: each says whose it is.
#[derive(Debug)]
pub struct DockerBackend {
    config: Config,
    identity: Identity,
    watch: Watch,
    files: Files,
    starts: Semaphore,
    /// Kept stacks by digest, read once.
    stacks: Mutex<HashMap<String, Arc<Stack>>>,
    _stop: tokio_util::sync::DropGuard,
}

impl DockerBackend {
    /// Connects to the engine and loads the stacks, so that whatever is wrong with either is told at start.
    ///
    /// # Errors
    /// `Unavailable` if there is no engine, or no right to use it, with the way out; `Unsupported` for one that is no
    /// Docker Engine or too old; `InvalidInput` for a stack or setting that is wrong.
    pub async fn connect(config: Config) -> Result<Self> {
        let engine = Engine::connect(config.host.as_deref(), Registry::new(&config)).await?;
        let identity = engine.identity(&Context::new(GREETING)).await?;
        let files = Files::open(&config.data_root).await?;
        for source in &config.stacks {
            load(&source.folder, source).await?;
        }
        let vantage = Vantage::find(&engine, &identity, &Context::new(GREETING), &config).await?;
        let probes = config.probes_in_flight.unwrap_or(4 * identity.cpus);
        let starts = config.starts_in_flight.unwrap_or(identity.cpus.max(2)).max(1);
        let stop = CancellationToken::new();
        let watch = Watch {
            events: Events::subscribe(engine.clone(), stop.clone()),
            prober: Prober::new(engine.clone(), vantage.reaches_containers(), probes),
            vantage,
            engine,
        };
        Ok(Self {
            config,
            identity,
            watch,
            files,
            starts: Semaphore::new(starts),
            stacks: Mutex::default(),
            _stop: stop.drop_guard(),
        })
    }

    /// Whether this process runs in a container that becomes a member of every project's network. What it looks up by a
    /// short name may then be answered by a project's service of that name.
    pub fn joins_networks(&self) -> bool {
        matches!(self.watch.vantage, Vantage::Container(_))
    }

    /// The stack that a project is pinned to: the kept one, or the one on offer if it is still the same, which is kept
    /// from then on.
    async fn stack(&self, runtime: &Runtime) -> Result<Arc<Stack>> {
        if let Some(stack) = self.stacks.lock().unwrap_or_else(PoisonError::into_inner).get(&runtime.digest) {
            return Ok(Arc::clone(stack));
        }
        let kept = self.files.kept_stack(&runtime.digest);
        let is_kept = tokio::fs::try_exists(&kept).await.unwrap_or_default();
        let (mut found, mut problem) = (None, None);
        for source in &self.config.stacks {
            // A kept stack may need what only its own source allows.
            match load(if is_kept { &kept } else { &source.folder }, source).await {
                Ok(stack) if stack.spec().name != runtime.stack => {}
                Ok(stack) if stack.spec().digest == runtime.digest => {
                    found = Some((stack, source));
                    break;
                }
                Ok(_) => problem = problem.or(Some(changed(&kept, runtime))),
                Err(error) => problem = Some(error.with("stack", &runtime.stack)),
            }
        }
        let Some((stack, source)) = found else {
            return Err(match problem {
                Some(problem) if is_kept => problem,
                _ => Error::invalid(
                    "stack",
                    format_args!(
                        "{} with digest {} is neither kept nor on offer: put its folder back as it was",
                        runtime.stack, runtime.digest
                    ),
                ),
            });
        };
        if !is_kept {
            self.files.keep_stack(&source.folder, &stack).await?;
        }
        let stack = Arc::new(stack);
        let mut stacks = self.stacks.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(Arc::clone(stacks.entry(runtime.digest.clone()).or_insert(stack)))
    }

    /// The same, for what compares files with it or copies from it: it must be as it was when it was kept.
    async fn sound_stack(&self, runtime: &Runtime) -> Result<Arc<Stack>> {
        let kept = self.files.kept_stack(&runtime.digest);
        if !tokio::fs::try_exists(&kept).await.unwrap_or_default() {
            // The way out that the error below names: it is kept anew.
            self.stacks.lock().unwrap_or_else(PoisonError::into_inner).remove(&runtime.digest);
        }
        let stack = self.stack(runtime).await?;
        let (looked_at, folder) = (Arc::clone(&stack), kept.clone());
        let sound = tokio::task::spawn_blocking(move || looked_at.is_in(&folder))
            .await
            .map_err(|error| Error::internal("look at a kept stack").because(error))?;
        match sound {
            Ok(true) => Ok(stack),
            Ok(false) => Err(changed(&kept, runtime)),
            Err(error) => Err(changed(&kept, runtime).because(error)),
        }
    }

    /// Fails if a project is to be bounded by an engine that cannot.
    fn refuse_limits(&self, runtime: &Runtime) -> Result<()> {
        let asked = runtime.limits.memory_bytes.is_some() || runtime.limits.cpus.is_some();
        if !asked || self.identity.bounds {
            return Ok(());
        }
        let message = "limits: this engine cannot bound memory and processor time, for want of control groups that it may \
                       use (a rootless one needs version 2 with delegation): give the project none, or another target";
        Err(Error::new(Kind::Unsupported, message))
    }

    /// A project with its plan, ready to be worked on.
    fn project<'a>(
        &'a self,
        ctx: &'a Context,
        runtime: &'a Runtime,
        stack: &'a Stack,
    ) -> Result<Project<'a>> {
        let surroundings = Surroundings {
            folder: self.files.project(&runtime.project),
            bind_address: self.config.bind_address,
            public_host: self.config.public_host.clone(),
            epoch: ctx.epoch(),
        };
        Ok(Project {
            watch: &self.watch,
            files: &self.files,
            starts: &self.starts,
            public_host: &self.config.public_host,
            ctx,
            runtime,
            redactor: runtime.redactor(),
            stack,
            kept: self.files.kept_stack(&runtime.digest),
            graph: plan::plan(stack, runtime, &surroundings)?,
        })
    }
}

#[async_trait]
impl Provisioner for DockerBackend {
    async fn describe(&self, ctx: &Context) -> Result<Description> {
        let identity = self.watch.engine.identity(ctx).await?;
        if identity.id != self.identity.id {
            let message = format!(
                "describe the target: the engine was {} and is now {}",
                self.identity.id, identity.id
            );
            return Err(Error::internal(message));
        }
        let mut stacks = Vec::with_capacity(self.config.stacks.len());
        for source in &self.config.stacks {
            stacks.push(load(&source.folder, source).await?.spec().clone());
        }
        let mut capabilities = BTreeSet::from([Capability::RestartServices, Capability::FollowLogs]);
        capabilities.extend(identity.bounds.then_some(Capability::Limits));
        Ok(Description { engine: identity.id, machine: identity.machine, capabilities, stacks })
    }

    async fn provision(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        self.refuse_limits(runtime)?;
        let stack = self.sound_stack(runtime).await?;
        let mut project = self.project(ctx, runtime, &stack)?;
        project.bring_up(Purpose::First).await.map_err(|error| error.during("provision"))
    }

    async fn pause(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        let stack = self.stack(runtime).await?;
        self.project(ctx, runtime, &stack)?.pause().await.map_err(|error| error.during("pause"))
    }

    async fn resume(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        self.refuse_limits(runtime)?;
        let stack = self.sound_stack(runtime).await?;
        let mut project = self.project(ctx, runtime, &stack)?;
        project.bring_up(Purpose::Again).await.map_err(|error| error.during("resume"))
    }

    async fn restart(&self, ctx: &Context, runtime: &Runtime, scope: &Scope) -> Result<Outcome> {
        self.refuse_limits(runtime)?;
        let stack = self.sound_stack(runtime).await?;
        let mut project = self.project(ctx, runtime, &stack)?;
        project.restart(scope).await.map_err(|error| error.during("restart"))
    }

    async fn reconfigure(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        self.refuse_limits(runtime)?;
        let stack = self.sound_stack(runtime).await?;
        let mut project = self.project(ctx, runtime, &stack)?;
        project.bring_up(Purpose::Reconfigure).await.map_err(|error| error.during("reconfigure"))
    }

    async fn plan(&self, ctx: &Context, runtime: &Runtime, wish: Wish) -> Result<Plan> {
        let stack = match wish {
            Wish::Active => self.sound_stack(runtime).await?,
            // Nothing of the stack is compared then, so that a project can be paused whatever became of it.
            Wish::Paused => self.stack(runtime).await?,
        };
        self.project(ctx, runtime, &stack)?.plan(wish).await.map_err(|error| error.during("plan"))
    }

    async fn health(&self, ctx: &Context, runtime: &Runtime) -> Result<Health> {
        let stack = self.stack(runtime).await?;
        self.project(ctx, runtime, &stack)?.health().await.map_err(|error| error.during("health"))
    }

    async fn logs(
        &self,
        ctx: &Context,
        runtime: &Runtime,
        request: &LogRequest,
    ) -> Result<mpsc::Receiver<Result<LogLine>>> {
        let stack = self.stack(runtime).await?;
        self.project(ctx, runtime, &stack)?.logs(request).await.map_err(|error| error.during("logs"))
    }
}

#[async_trait]
impl Destroyer for DockerBackend {
    async fn destroy(&self, ctx: &Context, project: &ProjectRef) -> Result<Outcome> {
        let began = tokio::time::Instant::now();
        let destroyed = destroy::destroy(&self.watch.engine, &self.files, ctx, project).await;
        destroyed.map_err(|error| error.during("destroy"))?;
        let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Outcome { connection: None, report: Report { duration_ms, ..Report::default() } })
    }

    async fn inventory(&self, ctx: &Context) -> Result<Vec<Holding>> {
        let holdings = inventory::inventory(&self.watch.engine, &self.files, ctx).await;
        holdings.map_err(|error| error.during("inventory"))
    }

    async fn holding(&self, ctx: &Context, project: &ProjectRef) -> Result<Option<Holding>> {
        let holding = inventory::holding(&self.watch.engine, &self.files, ctx, project).await;
        holding.map_err(|error| error.during("holding"))
    }
}

/// Somebody changed what is never changed once it is kept.
fn changed(kept: &Path, runtime: &Runtime) -> Error {
    let message = format!(
        "use the stack {}: what is kept of it in {} is not what was kept there: put that folder back as it was; or, where the \
         stack on offer still has the digest {}, remove it, and it is kept anew",
        runtime.stack,
        kept.display(),
        runtime.digest
    );
    Error::new(Kind::Conflict, message)
}

/// Reads a stack, which is work on files.
async fn load(folder: &Path, source: &StackSource) -> Result<Stack> {
    let (folder, source) = (folder.to_owned(), source.clone());
    tokio::task::spawn_blocking(move || Stack::load(&folder, &source))
        .await
        .map_err(|error| Error::internal("load a stack").because(error))?
}
