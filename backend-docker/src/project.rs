//! One project on one engine: what each call of the contract comes to.

use std::path::PathBuf;

use freehold_core::{
    Connection, Context, Error, Health, LogLine, LogRequest, Outcome, Plan, Redactor, Report, Result,
    Runtime, Scope, Wish,
};
use tokio::{
    sync::{Semaphore, mpsc},
    time::Instant,
};

use crate::{
    apply::{Apply, Purpose, lost_data},
    connection, drift,
    engine::at,
    files::{Difference, Drift, Files},
    graph::Graph,
    health, image_volumes, logs,
    observed::Observed,
    ports,
    stack::Stack,
    stop::{self, Then},
    watch::Watch,
};

/// A project, its plan, and what is needed to work on it.
#[derive(Debug)]
pub(crate) struct Project<'a> {
    pub(crate) watch: &'a Watch,
    pub(crate) files: &'a Files,
    pub(crate) starts: &'a Semaphore,
    pub(crate) public_host: &'a str,
    pub(crate) ctx: &'a Context,
    pub(crate) runtime: &'a Runtime,
    pub(crate) redactor: Redactor,
    pub(crate) stack: &'a Stack,
    /// Where the stack is kept.
    pub(crate) kept: PathBuf,
    pub(crate) graph: Graph,
}

impl Project<'_> {
    /// Brings it up; see [`Apply`].
    pub(crate) async fn bring_up(&mut self, purpose: Purpose) -> Result<Outcome> {
        let began = Instant::now();
        self.prepare(purpose).await?;
        let connection = self.raise(purpose).await?;
        Ok(outcome(began, Some(connection)))
    }

    /// Sees to it that the engine has every image, which may take its time. The graph gains the volumes that they declare.
    async fn prepare(&mut self, purpose: Purpose) -> Result<()> {
        let images = self.apply(purpose).images(&self.graph).await?;
        image_volumes::add(&mut self.graph, &images, &self.runtime.hash_key);
        Ok(())
    }

    fn apply(&self, purpose: Purpose) -> Apply<'_> {
        Apply {
            ctx: self.ctx,
            watch: self.watch,
            files: self.files,
            starts: self.starts,
            redactor: &self.redactor,
            runtime: self.runtime,
            purpose,
        }
    }

    /// Brings it up once it is prepared, and tells how it is reached.
    async fn raise(&self, purpose: Purpose) -> Result<Connection> {
        let observed = self.observe().await?;
        if self.watch.vantage.reaches_ports() {
            ports::refuse_taken(&self.graph, &observed).await?;
        }
        let drifts = self.drifts().await?;
        self.runtime.accepts_loss_of(self.lost(&drifts, &observed, purpose))?;
        let observed = self.let_go(&drifts, observed).await?;
        self.ctx.step("place files", "").await?;
        let placed = self
            .files
            .place(&self.runtime.project, &self.runtime.installation, &self.kept, &self.graph)
            .await;
        placed.map_err(|error| at("place files", "", error))?;
        self.apply(purpose).run(&self.graph, observed).await?;
        connection::connection(
            self.watch,
            self.ctx,
            &self.graph,
            self.stack.spec(),
            self.runtime,
            self.public_host,
        )
        .await
    }

    /// Stops its containers, those that others wait for last, and takes containers and networks away.
    pub(crate) async fn pause(&self) -> Result<Outcome> {
        let began = Instant::now();
        let mut observed = self.observe().await?;
        loop {
            let all: Vec<_> = observed.containers.iter().map(|container| (container, Then::Remove)).collect();
            let networks: Vec<_> = observed.networks.iter().collect();
            stop::stop(self.watch, self.ctx, &self.graph, &all, &networks).await?;
            // A late request of a call that was given up may have landed meanwhile.
            let rest = self.observe().await?;
            if !rest.has_more_than(&observed) {
                break;
            }
            observed = rest;
        }
        Ok(outcome(began, None))
    }

    /// Stops the services in `scope` and brings all up again. A job in it runs again, as it does for `docker compose up`;
    /// a job outside of it that was done stays done.
    pub(crate) async fn restart(&mut self, scope: &Scope) -> Result<Outcome> {
        if let Scope::Services(services) = scope {
            for service in services {
                self.running_service(service.as_str())?;
            }
        }
        let began = Instant::now();
        self.prepare(Purpose::Again).await?;
        let observed = self.observe().await?;
        // Before anything is stopped. What was made for data that is gone has to be done again on the new: all of it.
        let lost = self.lost(&self.drifts().await?, &observed, Purpose::Again);
        let anew = !lost.is_empty();
        self.runtime.accepts_loss_of(lost)?;
        let in_scope = |service: &str| match scope {
            _ if anew => true,
            Scope::All => true,
            Scope::Services(services) => services.iter().any(|wanted| wanted.as_str() == service),
        };
        let is_job = |service: &str| self.graph.container(service).is_some_and(|node| node.job);
        let stopped: Vec<_> = observed
            .containers
            .iter()
            .filter(|container| in_scope(container.service()))
            .map(|container| (container, if is_job(container.service()) { Then::Remove } else { Then::Keep }))
            .collect();
        stop::stop(self.watch, self.ctx, &self.graph, &stopped, &[]).await?;
        let connection = self.raise(Purpose::Again).await?;
        Ok(outcome(began, Some(connection)))
    }

    /// What would have to be done for it to be as wished.
    pub(crate) async fn plan(&self, wish: Wish) -> Result<Plan> {
        drift::plan(&self.watch.engine, self.files, self.ctx, &self.graph, &self.kept, wish).await
    }

    /// How it is.
    pub(crate) async fn health(&self) -> Result<Health> {
        health::health(self.watch, self.ctx, &self.graph, &self.redactor).await
    }

    /// What its services print.
    pub(crate) async fn logs(&self, request: &LogRequest) -> Result<mpsc::Receiver<Result<LogLine>>> {
        for service in &request.services {
            self.running_service(service.as_str())?;
        }
        let observed = self.observe().await?;
        let wanted = self
            .graph
            .containers
            .iter()
            .filter(|node| request.services.is_empty() || request.services.contains(&node.service));
        let containers = wanted
            .filter_map(|node| {
                let container = observed.container(node.service.as_str())?;
                Some((node.service.clone(), container.id.clone()))
            })
            .collect();
        Ok(logs::read(&self.watch.engine, containers, request, &self.redactor))
    }

    /// What of its folder is not as its stack has it; `None` if the folder is not there.
    async fn drifts(&self) -> Result<Option<Vec<Drift>>> {
        if !self.files.has_project(&self.runtime.project).await? {
            return Ok(None);
        }
        self.files.drift(&self.runtime.project, &self.kept, &self.graph).await.map(Some)
    }

    /// The data that is gone and must have been there, by name: the whole folder, or folders in it, and volumes.
    fn lost(&self, drifts: &Option<Vec<Drift>>, observed: &Observed, purpose: Purpose) -> Vec<String> {
        let had_container = |drift: &&Drift| match purpose {
            Purpose::First => false,
            Purpose::Again => true,
            Purpose::Reconfigure => observed.container(&drift.service).is_some(),
        };
        let mut lost = match drifts {
            None if purpose == Purpose::First => Vec::new(),
            None => vec![self.files.project(&self.runtime.project).display().to_string()],
            Some(drifts) => {
                let gone = drifts.iter().filter(|drift| drift.what == Difference::DataGone);
                gone.filter(had_container).map(|drift| drift.path.display().to_string()).collect()
            }
        };
        lost.dedup();
        lost.extend(lost_data(&self.graph, observed, purpose));
        lost
    }

    /// Stops the containers that read what is about to be mended: they hold what was there before, and begin anew with
    /// what is there then. Answers what is there once they have stopped.
    async fn let_go(&self, drifts: &Option<Vec<Drift>>, observed: Observed) -> Result<Observed> {
        let reads = |service: &str| match drifts {
            None => true,
            Some(drifts) => drifts.iter().any(|drift| drift.service == service),
        };
        let readers = observed.containers.iter().filter(|container| reads(container.service()));
        let readers: Vec<_> = readers.map(|container| (container, Then::Keep)).collect();
        if readers.is_empty() {
            return Ok(observed);
        }
        stop::stop(self.watch, self.ctx, &self.graph, &readers, &[]).await?;
        self.observe().await
    }

    async fn observe(&self) -> Result<Observed> {
        Observed::of(&self.watch.engine, self.ctx, Some(&self.runtime.project)).await
    }

    /// Fails if the stack has no such service, or this project excludes it.
    fn running_service(&self, service: &str) -> Result<()> {
        self.stack.spec().known_service("service", service)?;
        match self.graph.container(service) {
            Some(_) => Ok(()),
            None => Err(Error::invalid("service", format_args!("{service} is excluded from this project"))),
        }
    }
}

fn outcome(began: Instant, connection: Option<Connection>) -> Outcome {
    let duration_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Outcome { connection, report: Report { duration_ms, ..Report::default() } }
}
