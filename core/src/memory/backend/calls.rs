//! The backend in memory, call by call.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
};

use async_trait::async_trait;
use tokio::sync::mpsc;

use super::{
    MemoryBackend,
    engine::{Real, wanted},
    lines::Lines,
    stack::MemoryStack,
};
use crate::{
    connection::Connection,
    context::Context,
    destroyer::Destroyer,
    error::{Error, Kind, Result},
    health::Health,
    inventory::Holding,
    names::ServiceName,
    plan::{Plan, Wish},
    project_ref::ProjectRef,
    provisioner::{Capability, Description, LogLine, LogRequest, Outcome, Provisioner, Scope},
    redact::Redactor,
    report::ReportBuilder,
    runtime::{PortBlock, Runtime},
};

/// What a call may begin from.
#[derive(Clone, Copy, PartialEq)]
enum Begin {
    /// From nothing, or from whatever there is.
    Anything,
    /// From data that is there: it is never made anew.
    KeptData,
}

#[async_trait]
impl Provisioner for MemoryBackend {
    async fn describe(&self, ctx: &Context) -> Result<Description> {
        self.reach(ctx)?;
        Ok(Description {
            engine: self.engine_id.clone(),
            machine: "memory".to_owned(),
            capabilities: BTreeSet::from([Capability::RestartServices, Capability::FollowLogs]),
            stacks: self.stacks.iter().map(|stack| stack.spec.clone()).collect(),
        })
    }

    async fn provision(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        self.bring_up(ctx, runtime, Begin::Anything, &[]).await.map_err(|error| error.during("provision"))
    }

    async fn pause(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        self.reach(ctx)?;
        let mut report = ReportBuilder::new(&runtime.redactor());
        match self.stop(ctx, &runtime.project, &mut report).await {
            Ok(()) => Ok(Outcome { connection: None, report: report.finish() }),
            Err(error) => Err(error.during("pause").with_report(report.finish())),
        }
    }

    async fn resume(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        self.bring_up(ctx, runtime, Begin::KeptData, &[]).await.map_err(|error| error.during("resume"))
    }

    async fn restart(&self, ctx: &Context, runtime: &Runtime, scope: &Scope) -> Result<Outcome> {
        let stack = self.stack_of(runtime)?;
        let named: Vec<ServiceName> = match scope {
            Scope::All => wanted(&stack, runtime).cloned().collect(),
            Scope::Services(services) => services.clone(),
        };
        self.bring_up(ctx, runtime, Begin::KeptData, &named).await.map_err(|error| error.during("restart"))
    }

    async fn reconfigure(&self, ctx: &Context, runtime: &Runtime) -> Result<Outcome> {
        self.bring_up(ctx, runtime, Begin::KeptData, &[]).await.map_err(|error| error.during("reconfigure"))
    }

    async fn plan(&self, ctx: &Context, runtime: &Runtime, wish: Wish) -> Result<Plan> {
        self.look(ctx, runtime).await?;
        let stack = self.stack_of(runtime)?;
        Ok(self.engine().plan(runtime, &stack, wish))
    }

    async fn health(&self, ctx: &Context, runtime: &Runtime) -> Result<Health> {
        self.look(ctx, runtime).await?;
        let stack = self.stack_of(runtime)?;
        Ok(self.engine().health(runtime, &stack))
    }

    async fn logs(
        &self,
        ctx: &Context,
        runtime: &Runtime,
        request: &LogRequest,
    ) -> Result<mpsc::Receiver<Result<LogLine>>> {
        self.reach(ctx)?;
        let stack = self.stack_of(runtime)?;
        for service in &request.services {
            stack.spec.known_service("services", service.as_str())?;
        }
        let engine = self.engine();
        let nothing = Lines::new();
        let lines = engine.projects.get(&runtime.project).map_or(&nothing, |real| &real.lines);
        Ok(lines.read(request, runtime.redactor()))
    }
}

#[async_trait]
impl Destroyer for MemoryBackend {
    async fn destroy(&self, ctx: &Context, project: &ProjectRef) -> Result<Outcome> {
        self.reach(ctx)?;
        let mut report = ReportBuilder::new(&Redactor::default());
        match self.remove(ctx, project, &mut report).await {
            Ok(()) => Ok(Outcome { connection: None, report: report.finish() }),
            Err(error) => Err(error.during("destroy").with_report(report.finish())),
        }
    }

    async fn inventory(&self, ctx: &Context) -> Result<Vec<Holding>> {
        self.reach(ctx)?;
        Ok(self.engine().inventory())
    }

    async fn holding(&self, ctx: &Context, project: &ProjectRef) -> Result<Option<Holding>> {
        self.reach(ctx)?;
        Ok(self.engine().holding(project))
    }
}

impl MemoryBackend {
    fn reach(&self, ctx: &Context) -> Result<()> {
        ctx.check()?;
        if self.reachable.load(Ordering::SeqCst) {
            Ok(())
        } else {
            Err(Error::new(Kind::Unavailable, "reach the engine in memory: it was disconnected"))
        }
    }

    async fn look(&self, ctx: &Context, runtime: &Runtime) -> Result<()> {
        self.reach(ctx)?;
        if self.engine().stalled.contains(&runtime.project) {
            return ctx.bounded("look at the project", std::future::pending()).await;
        }
        Ok(())
    }

    /// The stack that a project runs: the one that it was first provisioned from, or the one that is offered now.
    fn stack_of(&self, runtime: &Runtime) -> Result<Arc<MemoryStack>> {
        if let Some(real) = self.engine().projects.get(&runtime.project) {
            return Ok(Arc::clone(&real.stack));
        }
        let offered = self.stacks.iter().find(|stack| stack.spec.name == runtime.stack);
        let offered = offered.ok_or_else(|| {
            Error::invalid("stack", format_args!("this backend has no stack {}", runtime.stack))
        })?;
        if offered.spec.digest != runtime.digest {
            let (here, wanted) = (&offered.spec.digest, &runtime.digest);
            let problem = format_args!("{} is {here} here, and {wanted} is wanted", runtime.stack);
            return Err(Error::invalid("digest", problem));
        }
        Ok(Arc::clone(offered))
    }

    /// A step, before its effect.
    async fn step(&self, ctx: &Context, step: &str, service: &str, report: &mut ReportBuilder) -> Result<()> {
        ctx.step(step, service).await?;
        self.reach(ctx)?;
        report.stdout(format!("{step} {service}\n").as_bytes());
        if !self.step_delay.is_zero() {
            ctx.pause(step, self.step_delay)
                .await
                .map_err(|error| error.with("step", step).with("service", service))?;
        }
        self.faults.act(ctx, step, service).await.inspect_err(|error| {
            report.stderr(format!("{error}\n").as_bytes());
        })
    }

    async fn bring_up(
        &self,
        ctx: &Context,
        runtime: &Runtime,
        from: Begin,
        restarted: &[ServiceName],
    ) -> Result<Outcome> {
        self.reach(ctx)?;
        let mut report = ReportBuilder::new(&runtime.redactor());
        match self.converge(ctx, runtime, from, restarted, &mut report).await {
            Ok(connection) => Ok(Outcome { connection: Some(connection), report: report.finish() }),
            Err(error) => Err(error.with_report(report.finish())),
        }
    }

    /// Makes what is there what the runtime says.
    async fn converge(
        &self,
        ctx: &Context,
        runtime: &Runtime,
        from: Begin,
        restarted: &[ServiceName],
        report: &mut ReportBuilder,
    ) -> Result<Connection> {
        let stack = self.stack_of(runtime)?;
        for name in runtime.excluded.iter().chain(restarted) {
            stack.spec.known_service("services", name.as_str())?;
        }
        if runtime.ports.count < stack.spec.port_count() {
            let (given, needed) = (runtime.ports.count, stack.spec.port_count());
            return Err(Error::invalid("ports", format_args!("{given} are given, and {needed} are needed")));
        }
        self.engine().check_ports(runtime)?;
        self.find_data(ctx, runtime, &stack, from, report).await?;
        self.remove_excluded(ctx, runtime, report).await?;
        for name in wanted(&stack, runtime) {
            let as_wished = self.engine().kept(&runtime.project)?.is_as_wished(runtime, name);
            if !as_wished || restarted.contains(name) {
                self.start(ctx, runtime, name, report).await?;
            }
        }
        self.apply_first_run(ctx, runtime, &stack, report).await?;
        for name in wanted(&stack, runtime) {
            self.step(ctx, "wait until healthy", name.as_str(), report).await?;
            if !self.engine().kept(&runtime.project)?.is_as_wished(runtime, name) {
                let error = Error::new(Kind::Timeout, format!("see {name} healthy"));
                return Err(error.with("step", "wait until healthy").with("service", name));
            }
        }
        Ok(self.engine().kept(&runtime.project)?.connection(runtime))
    }

    async fn find_data(
        &self,
        ctx: &Context,
        runtime: &Runtime,
        stack: &Arc<MemoryStack>,
        from: Begin,
        report: &mut ReportBuilder,
    ) -> Result<()> {
        if !self.engine().projects.contains_key(&runtime.project) {
            if from == Begin::KeptData {
                runtime.accepts_loss_of([runtime.project.to_string()])?;
            }
            self.step(ctx, "create data", "", report).await?;
            // Another project may have come to these ports while the step was taken.
            let mut engine = self.engine();
            engine.check_ports(runtime)?;
            let made = self.clock.now();
            engine.projects.entry(runtime.project).or_insert_with(|| Real {
                stack: Arc::clone(stack),
                installation: runtime.installation.clone(),
                made,
                ports: PortBlock { first: 0, count: 0 },
                services: BTreeMap::new(),
                data: BTreeMap::new(),
                applied: BTreeSet::new(),
                lines: Lines::new(),
            });
        }
        self.engine().give_ports(&runtime.project, runtime.ports)
    }

    async fn remove_excluded(
        &self,
        ctx: &Context,
        runtime: &Runtime,
        report: &mut ReportBuilder,
    ) -> Result<()> {
        let excluded = runtime.excluded.iter();
        for name in excluded {
            if self.engine().kept(&runtime.project)?.services.contains_key(name) {
                self.step(ctx, "remove service", name.as_str(), report).await?;
                self.engine().kept(&runtime.project)?.services.remove(name);
            }
        }
        Ok(())
    }

    async fn start(
        &self,
        ctx: &Context,
        runtime: &Runtime,
        name: &ServiceName,
        report: &mut ReportBuilder,
    ) -> Result<()> {
        if self.engine().kept(&runtime.project)?.services.contains_key(name) {
            self.step(ctx, "remove service", name.as_str(), report).await?;
            self.engine().kept(&runtime.project)?.services.remove(name);
        }
        self.step(ctx, "create service", name.as_str(), report).await?;
        self.engine().kept(&runtime.project)?.create(runtime, name, self.clock.now());
        self.step(ctx, "start service", name.as_str(), report).await?;
        let now = self.clock.now();
        let mut engine = self.engine();
        let real = engine.kept(&runtime.project)?;
        real.start(name, now);
        real.lines.print(now, name, &format!("{name} of project {} started", runtime.project));
        Ok(())
    }

    async fn apply_first_run(
        &self,
        ctx: &Context,
        runtime: &Runtime,
        stack: &MemoryStack,
        report: &mut ReportBuilder,
    ) -> Result<()> {
        let Some(service) = &stack.spec.first_run else { return Ok(()) };
        let mut names: Vec<&String> = runtime.first_run.iter().map(|file| &file.name).collect();
        names.sort_unstable();
        for name in names {
            if !self.engine().kept(&runtime.project)?.applied.contains(name) {
                self.step(ctx, "apply first-run file", service.as_str(), report).await?;
                let now = self.clock.now();
                let mut engine = self.engine();
                let real = engine.kept(&runtime.project)?;
                real.applied.insert(name.clone());
                real.lines.print(now, service, &format!("applied {name}"));
            }
        }
        Ok(())
    }

    /// Stops every service, the last one first. What is kept stays.
    async fn stop(&self, ctx: &Context, project: &ProjectRef, report: &mut ReportBuilder) -> Result<()> {
        for name in self.services_of(project).iter().rev() {
            self.step(ctx, "stop service", name.as_str(), report).await?;
            if let Some(real) = self.engine().projects.get_mut(project) {
                real.services.remove(name);
            }
        }
        Ok(())
    }

    /// Removes everything. One thing that resists does not keep the others from going.
    async fn remove(&self, ctx: &Context, project: &ProjectRef, report: &mut ReportBuilder) -> Result<()> {
        let mut left: Vec<(String, Error)> = Vec::new();
        for name in self.services_of(project).iter().rev() {
            if let Err(error) = self.step(ctx, "remove service", name.as_str(), report).await {
                ctx.check()?;
                left.push((format!("service {name}"), error));
            } else if let Some(real) = self.engine().projects.get_mut(project) {
                real.services.remove(name);
            }
        }
        if self.engine().projects.contains_key(project) {
            match self.step(ctx, "remove data", "", report).await {
                // What still holds services cannot be forgotten.
                Ok(()) if left.is_empty() => self.engine().forget(project),
                Ok(()) => self.engine().kept(project)?.data.clear(),
                Err(error) => {
                    ctx.check()?;
                    left.push(("data".to_owned(), error));
                }
            }
        }
        let names = left.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ");
        match left.into_iter().next() {
            None => Ok(()),
            Some((_, first)) => Err(first.with("left", names)),
        }
    }

    /// The services that a project has, in the stack's order.
    fn services_of(&self, project: &ProjectRef) -> Vec<ServiceName> {
        let engine = self.engine();
        let Some(real) = engine.projects.get(project) else { return Vec::new() };
        let names = real.stack.spec.services.iter().map(|service| &service.name);
        names.filter(|name| real.services.contains_key(*name)).cloned().collect()
    }
}
