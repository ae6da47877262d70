//! The backend as the control plane sees it.

use async_trait::async_trait;
use freehold_core::{
    Context, Description, Destroyer, Health, Holding, LogLine, LogRequest, Outcome, Plan, ProjectRef,
    Provisioner, Result, Runtime, Scope, Wish,
};
use tokio::sync::mpsc;

use crate::{
    config::Config,
    engine,
    folder::{DataFolder, ProjectFolder},
    hook::{Hook, Invocation},
    input::Request,
    kept,
    lock::ProjectLock,
    shipped,
    stack::Stack,
};

/// Runs projects by hook programs: the shipped ones, which give each project a PostgreSQL of its own, or the operator's.
#[derive(Debug)]
pub struct ShellBackend {
    pub(crate) config: Config,
    pub(crate) folder: DataFolder,
    /// The stack as it is now; projects made with an earlier one go on with that.
    pub(crate) stack: Stack,
    engine: String,
    machine: String,
}

impl ShellBackend {
    /// Makes the data folder, reads the stack and keeps it there. No hook is run yet: `describe` runs `check`.
    ///
    /// # Errors
    /// `InvalidInput` for a configuration or a stack that is wrong, naming the field or the file; `Internal` for a folder
    /// that cannot be made or read.
    pub fn open(config: Config) -> Result<Self> {
        config.validate()?;
        let folder = DataFolder::open(&config.data)?;
        let files = match &config.hooks {
            Some(hooks) => kept::read_folder(hooks)?,
            None => shipped::postgres(),
        };
        let stack = kept::keep(&files, &folder.stacks())?;
        let (engine, machine) = (engine::identity(&folder)?, engine::machine()?);
        Ok(Self { config, folder, stack, engine, machine })
    }

    /// The stack that a project was made with, as it was then: looked at each time, since its hooks are what is run.
    pub(crate) fn stack_of(&self, digest: &str) -> Result<Stack> {
        kept::find(digest, &self.folder.stacks())
    }

    /// The stack as it is now, as it was read.
    pub(crate) fn present(&self) -> Result<Stack> {
        self.stack_of(&self.stack.spec.digest)
    }

    /// A request about a project as it should be.
    pub(crate) fn request<'a>(
        ctx: &Context,
        hook: Hook,
        stack: &'a Stack,
        runtime: Option<&'a Runtime>,
    ) -> Request<'a> {
        let project = runtime.map(|runtime| &runtime.project);
        let epoch = ctx.epoch();
        Request { hook, epoch, project, runtime, spec: &stack.spec, services: &[], wish: None, logs: None }
    }

    /// A hook that is ready to be run.
    pub(crate) fn invocation<'a>(
        &'a self,
        stack: &Stack,
        request: &Request<'_>,
        lock: Option<&'a ProjectLock>,
    ) -> Result<Invocation<'a>> {
        let root =
            request.project.map(|project| self.folder.project(project)).as_ref().map(ProjectFolder::root);
        Ok(Invocation {
            hook: request.hook,
            program: stack.program(request.hook),
            settings: &self.config.environment,
            variables: request.environment(self.folder.path(), root.as_deref()),
            input: request.document(stack.format, root.as_deref())?,
            tmp: self.folder.call()?,
            lock,
            redactor: request.runtime.map(Runtime::redactor).unwrap_or_default(),
        })
    }
}

#[async_trait]
impl Provisioner for ShellBackend {
    async fn describe(&self, ctx: &Context) -> Result<Description> {
        let stack = self.present().map_err(|error| error.during("describe"))?;
        let request = Self::request(ctx, Hook::Check, &stack, None);
        self.invocation(&stack, &request, None)?.run(ctx).await.map_err(|error| error.during("describe"))?;
        Ok(Description {
            engine: self.engine.clone(),
            machine: self.machine.clone(),
            capabilities: stack.capabilities,
            stacks: vec![stack.spec],
        })
    }

    async fn provision(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        self.bring_up(ctx, runtime).await.map_err(|error| error.during("provision"))
    }

    async fn pause(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        self.change(ctx, Hook::Pause, runtime, &[]).await.map_err(|error| error.during("pause"))
    }

    async fn resume(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        self.change(ctx, Hook::Resume, runtime, &[]).await.map_err(|error| error.during("resume"))
    }

    async fn restart(&self, ctx: &Context, runtime: &Runtime, scope: &Scope) -> Result<Outcome> {
        let named = match scope {
            Scope::All => &[][..],
            Scope::Services(services) => services,
        };
        self.change(ctx, Hook::Restart, runtime, named).await.map_err(|error| error.during("restart"))
    }

    async fn reconfigure(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        self.change(ctx, Hook::Reconfigure, runtime, &[]).await.map_err(|error| error.during("reconfigure"))
    }

    async fn plan(&self, ctx: &Context, runtime: &Runtime, wish: Wish) -> Result<Plan> {
        self.differences(ctx, runtime, wish).await.map_err(|error| error.during("plan"))
    }

    async fn health(&self, ctx: &Context, runtime: &Runtime) -> Result<Health> {
        self.probe(ctx, runtime).await.map_err(|error| error.during("health"))
    }

    async fn logs(
        &self,
        ctx: &Context,
        runtime: &Runtime,
        request: &LogRequest,
    ) -> Result<mpsc::Receiver<Result<LogLine>>> {
        self.follow(ctx, runtime, request).await.map_err(|error| error.during("logs"))
    }
}

#[async_trait]
impl Destroyer for ShellBackend {
    async fn destroy(&self, ctx: &Context, project: &ProjectRef) -> Result<Outcome> {
        self.tear_down(ctx, project).await.map_err(|error| error.during("destroy"))
    }

    async fn inventory(&self, ctx: &Context) -> Result<Vec<Holding>> {
        self.count(ctx).await.map_err(|error| error.during("inventory"))
    }

    async fn holding(&self, ctx: &Context, project: &ProjectRef) -> Result<Option<Holding>> {
        let listed = self.count(ctx).await.map_err(|error| error.during("holding"))?;
        Ok(listed.into_iter().find(|holding| holding.project == *project))
    }
}
