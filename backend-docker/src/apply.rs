//! Walking the graph until the engine is as it says. Everything that can be made is made at once; a container starts
//! the moment its own gates open, and nobody waits for anything else. Whatever an earlier try left is taken as it is if
//! it was made from the same configuration, and made anew if not.

mod given;
mod images;

use freehold_core::{Context, Error, Kind, Redactor, Result, Runtime};
use futures_util::future::{try_join, try_join_all};
use tokio::sync::Semaphore;

use crate::{
    addresses, difference,
    engine::{Place, State, at, gone_since, last_line},
    error::EngineError,
    files::Files,
    gates::{Stage, Stages},
    graph::{ContainerNode, Graph, NetworkNode, VolumeNode},
    observed::Observed,
    probe::Question,
    stop::{self, Then},
    watch::Watch,
};

/// How many times one container is made or found, and then gone when it is to be started, before that is an error.
const TIMES_GONE: usize = 2;

/// What a project is brought up for, which decides whether data may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Its first time: data is made, and first-run files are applied.
    First,
    /// New settings: data is made for a service that had no container before.
    Reconfigure,
    /// It was there before: data that is gone is an error.
    Again,
}

/// What became of a container that was to be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start {
    /// It runs, or has done what it had to.
    Up,
    /// The engine has no such container.
    Gone,
}

/// Brings one project up.
#[derive(Debug)]
pub(crate) struct Apply<'a> {
    pub(crate) ctx: &'a Context,
    pub(crate) watch: &'a Watch,
    pub(crate) files: &'a Files,
    pub(crate) starts: &'a Semaphore,
    pub(crate) redactor: &'a Redactor,
    pub(crate) runtime: &'a Runtime,
    pub(crate) purpose: Purpose,
}

impl Apply<'_> {
    /// Brings the project up from what was seen of it a moment ago, and returns once every container is ready or done. What
    /// changed since shows when it is touched: what is there already is taken if it is the project's own, and a container
    /// that is gone is made.
    ///
    /// # Errors
    /// The first thing that failed, with step, service and what the service printed last.
    pub(crate) async fn run(&self, graph: &Graph, observed: Observed) -> Result<()> {
        let observed = self.clear(graph, observed).await?;
        try_join(
            try_join_all(graph.networks.iter().map(|node| self.network(node, &observed))),
            try_join_all(graph.volumes.iter().map(|node| self.volume(node, &observed))),
        )
        .await?;
        let stages = Stages::new(graph);
        try_join_all(graph.containers.iter().map(|node| self.container(node, graph, &observed, &stages)))
            .await?;
        Ok(())
    }

    /// Takes away what was made from another configuration or is not wished any more, containers before their networks.
    async fn clear(&self, graph: &Graph, observed: Observed) -> Result<Observed> {
        let stale_network = |network: &&crate::engine::Network| {
            !graph.networks.iter().any(|node| {
                node.name == network.name && Some(node.config_hash.as_str()) == network.config_hash()
            })
        };
        let networks: Vec<_> = observed.networks.iter().filter(stale_network).collect();
        let stale = difference::stale(&self.watch.engine, self.ctx, graph, &observed).await?;
        let containers: Vec<_> = if networks.is_empty() {
            stale.into_iter().map(|(container, _)| (container, Then::Remove)).collect()
        } else {
            observed.containers.iter().map(|container| (container, Then::Remove)).collect()
        };
        if containers.is_empty() && networks.is_empty() {
            return Ok(observed);
        }
        stop::stop(self.watch, self.ctx, graph, &containers, &networks).await?;
        Observed::of(&self.watch.engine, self.ctx, Some(&graph.project)).await
    }

    async fn network(&self, node: &NetworkNode, observed: &Observed) -> Result<()> {
        if !observed.networks.iter().any(|network| network.name == node.name) {
            self.ctx.step("create network", "").await?;
            let engine = &self.watch.engine;
            let made = match self.taken(node) {
                Some(taken) => engine.landed_network(self.ctx, node, taken).await,
                None => engine.create_network(self.ctx, node).await,
            };
            made.map_err(|error| at("create network", "", error))?;
        }
        self.watch.vantage.join(&self.watch.engine, self.ctx, &node.name).await
    }

    /// Why a network must not be made on this machine, if the engine runs here.
    fn taken(&self, node: &NetworkNode) -> Option<EngineError> {
        let subnet = node.subnet.filter(|_| self.watch.vantage.sees_interfaces())?;
        let interface = addresses::holder(subnet)?;
        Some(EngineError::AddressesTaken { network: node.name.clone(), subnet, interface })
    }

    async fn volume(&self, node: &VolumeNode, observed: &Observed) -> Result<()> {
        if observed.has_volume(&node.name) {
            return Ok(());
        }
        self.ctx.step("create volume", "").await?;
        let made = self.watch.engine.create_volume(self.ctx, &node.name, &node.labels).await;
        made.map_err(|error| at("create volume", "", error))
    }

    /// One container's way: made, started when its gates open, ready.
    async fn container(
        &self,
        node: &ContainerNode,
        graph: &Graph,
        observed: &Observed,
        stages: &Stages,
    ) -> Result<()> {
        let service = node.service.as_str();
        let mut found = observed.container(service).map(|container| container.id.clone());
        // A removal that was given up, and that the engine went on with, may land only now: it is made anew then.
        for _ in 0..TIMES_GONE {
            let place = match found.take() {
                Some(id) => Place { id, is_new: false },
                None => self.create(node, graph).await?,
            };
            stages.open(&node.gates).await;
            match self.come_up(&place, node, graph, stages).await {
                Ok(Some(stage)) => {
                    stages.reach(&node.service, stage);
                    return Ok(());
                }
                Ok(None) => {}
                Err(error) => {
                    let report = self.watch.engine.last_output(self.ctx, &place.id, self.redactor).await;
                    let error = error.with("last line", last_line(&report).unwrap_or_default());
                    return Err(error.with_report(report));
                }
            }
        }
        let gone = Error::new(Kind::Unavailable, "start container: it was removed meanwhile");
        Err(gone.with("service", service))
    }

    /// Starts a container and waits until it is ready, or done; `None` if it is gone.
    async fn come_up(
        &self,
        place: &Place,
        node: &ContainerNode,
        graph: &Graph,
        stages: &Stages,
    ) -> Result<Option<Stage>> {
        match self.start(place, node, graph).await? {
            Start::Gone => return Ok(None),
            Start::Up => stages.reach(&node.service, Stage::Started),
        }
        let (id, service) = (place.id.as_str(), node.service.as_str());
        self.mend_passwords(id, node, graph).await?;
        self.ctx.step("wait until ready", service).await?;
        let ready = self.watch.ready(self.ctx, id, node).await;
        ready.map(Some).map_err(|error| at("wait until ready", service, error))
    }

    async fn create(&self, node: &ContainerNode, graph: &Graph) -> Result<Place> {
        let service = node.service.as_str();
        let folder = self.files.project(&graph.project);
        self.ctx.step("create container", service).await?;
        let made = self.watch.engine.create_container(self.ctx, node, &folder).await;
        made.map_err(|error| gone_since("create container", service, error))
    }

    /// Starts a container unless it runs, or was a job that is done. It may be gone by now.
    async fn start(&self, place: &Place, node: &ContainerNode, graph: &Graph) -> Result<Start> {
        match self.start_if_there(place, node, graph).await {
            // The engine also says so of a file.
            Err(error) if error.kind() == Kind::NotFound && self.state(&place.id, node).await?.is_none() => {
                Ok(Start::Gone)
            }
            other => other,
        }
    }

    async fn start_if_there(&self, place: &Place, node: &ContainerNode, graph: &Graph) -> Result<Start> {
        let (engine, id, service) = (&self.watch.engine, place.id.as_str(), node.service.as_str());
        let named = |error| at("start container", service, error);
        let mut was_started = false;
        if !place.is_new {
            let Some(state) = self.state(id, node).await? else { return Ok(Start::Gone) };
            if state.paused {
                self.ctx.step("unpause container", service).await?;
                return engine.unpause_container(self.ctx, id).await.map(|()| Start::Up).map_err(named);
            }
            if state.running || state.restarting || (node.job && state.is_done()) {
                return Ok(Start::Up);
            }
            was_started = state.started;
        }
        if !was_started {
            self.give_files(id, node).await?;
            self.give_first_run_files(id, node, graph).await?;
        }
        let permit = self.ctx.bounded("start a container", async {
            self.starts
                .acquire()
                .await
                .map_err(|_| Error::internal("start a container: the backend is closed"))
        });
        let _permit = permit.await?;
        self.ctx.step("start container", service).await?;
        match engine.start_container(self.ctx, id).await {
            Err(error) if error.is_not_found() && self.state(id, node).await?.is_some() => {
                Err(gone_since("start container", service, error))
            }
            other => other.map(|()| Start::Up).map_err(named),
        }
    }

    async fn state(&self, id: &str, node: &ContainerNode) -> Result<Option<State>> {
        let state = self.watch.engine.state(self.ctx, id).await;
        state.map_err(|error| at("start container", node.service.as_str(), error))
    }

    /// Gives the database the passwords that the project has, where they differ: its data outlives its container, and
    /// keeps those that it was made with. The first time it takes them by itself.
    async fn mend_passwords(&self, id: &str, node: &ContainerNode, graph: &Graph) -> Result<()> {
        let roles = graph.roles.as_ref().filter(|roles| roles.service == node.service);
        match roles {
            Some(roles) if self.purpose != Purpose::First => {
                // Asking inside takes its time, and to a server that is only coming up it is for nothing.
                if self.watch.prober.logs_in(node) {
                    let decides = self.watch.answered(self.ctx, id, node, Question::Decides).await;
                    decides.map_err(|error| at("wait until ready", node.service.as_str(), error))?;
                }
                roles.mend(&self.watch.engine, self.ctx, id).await
            }
            _ => Ok(()),
        }
    }
}

/// The volumes with data that are gone and must have been there.
pub(crate) fn lost_data(graph: &Graph, observed: &Observed, purpose: Purpose) -> Vec<String> {
    let lost = |volume: &&VolumeNode| {
        volume.data
            && !observed.has_volume(&volume.name)
            && match purpose {
                Purpose::First => false,
                Purpose::Again => true,
                Purpose::Reconfigure => graph
                    .users_of(&volume.name)
                    .any(|node| observed.container(node.service.as_str()).is_some()),
            }
    };
    graph.volumes.iter().filter(lost).map(|volume| volume.name.clone()).collect()
}
