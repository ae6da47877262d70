//! Walking the graph until the engine is as it says. Everything that can be made is made at once; a container starts
//! the moment its own gates open, and nobody waits for anything else. Whatever an earlier try left is taken as it is if
//! it was made from the same configuration, and made anew if not.

use std::collections::{HashMap, HashSet};

use freehold_core::{Context, Error, ExposeSecret, FirstRunFile, Kind, Redactor, Result, Runtime};
use futures_util::future::{try_join, try_join_all};
use tokio::sync::Semaphore;

use crate::{
    addresses, difference,
    engine::{Image, at, last_line},
    error::EngineError,
    files::Files,
    gates::{Stage, Stages},
    graph::{ContainerNode, GivenFile, Graph, NetworkNode, Pull, VolumeNode},
    image_volumes,
    observed::Observed,
    stop::{self, Then},
    watch::Watch,
};

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
    /// Brings the project up and returns once every container is ready or done. The graph gains the volumes that the
    /// images declare.
    ///
    /// # Errors
    /// The first thing that failed, with step, service and what the service printed last.
    pub(crate) async fn run(&self, graph: &mut Graph) -> Result<()> {
        let images = self.images(graph).await?;
        image_volumes::add(graph, &images, &self.runtime.hash_key);
        let graph = &*graph;
        let observed = self.observe(graph).await?;
        self.runtime.accepts_loss_of(lost_data(graph, &observed, self.purpose))?;
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

    async fn observe(&self, graph: &Graph) -> Result<Observed> {
        Observed::of(&self.watch.engine, self.ctx, Some(&graph.project)).await
    }

    /// Looks at every image, and fetches those that the engine does not have. What is missing and may not be fetched is
    /// named first, all of it.
    async fn images(&self, graph: &Graph) -> Result<HashMap<String, Image>> {
        let mut seen = HashSet::new();
        let nodes: Vec<_> = graph.containers.iter().filter(|node| seen.insert(node.image.as_str())).collect();
        let found = try_join_all(nodes.iter().map(|node| self.image(node))).await?;
        let missing = || nodes.iter().zip(&found).filter(|(_, image)| image.is_none()).map(|(node, _)| *node);
        self.refuse_missing(missing())?;
        let refreshed = |node: &ContainerNode| {
            node.pull == Pull::Always && self.purpose == Purpose::First && !self.watch.engine.is_offline()
        };
        let images = nodes.iter().zip(&found).map(|(node, image)| async {
            let image = match image {
                Some(image) if !refreshed(node) => image.clone(),
                _ => self.pull(node).await?,
            };
            Ok::<_, Error>((node.image.clone(), image))
        });
        Ok(try_join_all(images).await?.into_iter().collect())
    }

    async fn image(&self, node: &ContainerNode) -> Result<Option<Image>> {
        let image = self.watch.engine.image(self.ctx, &node.image).await;
        image.map_err(|error| at("find image", node.service.as_str(), error))
    }

    fn refuse_missing<'a>(&self, missing: impl Iterator<Item = &'a ContainerNode>) -> Result<()> {
        let offline = self.watch.engine.is_offline();
        let refused: Vec<_> = missing
            .filter(|node| offline || node.pull == Pull::Never)
            .map(|node| node.image.as_str())
            .collect();
        if refused.is_empty() {
            return Ok(());
        }
        let why = if offline { "this target is offline" } else { "pull_policy is never" };
        let message = format!(
            "find image {}: the engine does not have it, and {why}: load or build it there",
            refused.join(", ")
        );
        Err(Error::new(Kind::NotFound, message))
    }

    async fn pull(&self, node: &ContainerNode) -> Result<Image> {
        let (engine, service) = (&self.watch.engine, node.service.as_str());
        self.ctx.step("pull image", service).await?;
        let pulled = engine.pull_image(self.ctx, &node.image).await;
        pulled.map_err(|error| at("pull image", service, error))?;
        let image = self.image(node).await?;
        image.ok_or_else(|| Error::internal(format!("find image {} after it was pulled", node.image)))
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
        stop::stop(self.watch, self.ctx, graph, &containers).await?;
        for network in networks {
            self.ctx.step("remove network", "").await?;
            let removed = self.watch.engine.remove_network(self.ctx, network).await;
            removed.map_err(|error| at("remove network", "", error))?;
        }
        self.observe(graph).await
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
        let mut id = match observed.container(service) {
            Some(container) => container.id.clone(),
            None => self.create(node, graph).await?,
        };
        stages.open(&node.gates).await;
        let mut started = self.start(&id, node, graph).await;
        if matches!(started, Ok(Start::Gone)) {
            // A removal that was given up, and that the engine went on with, landed only now.
            id = self.create(node, graph).await?;
            started = self.start(&id, node, graph).await;
        }
        let ready = match started {
            Ok(Start::Gone) => {
                Err(Error::new(Kind::Unavailable, "start container: it was removed meanwhile")
                    .with("service", service))
            }
            Ok(Start::Up) => {
                stages.reach(&node.service, Stage::Started);
                self.mend_passwords(&id, node, graph).await?;
                self.ctx.step("wait until ready", service).await?;
                self.watch
                    .ready(self.ctx, &id, node)
                    .await
                    .map_err(|error| at("wait until ready", service, error))
            }
            Err(error) => Err(error),
        };
        match ready {
            Ok(stage) => {
                stages.reach(&node.service, stage);
                Ok(())
            }
            Err(error) => {
                let report = self.watch.engine.last_output(self.ctx, &id, self.redactor).await;
                let error = error.with("last line", last_line(&report).unwrap_or_default());
                Err(error.with_report(report))
            }
        }
    }

    async fn create(&self, node: &ContainerNode, graph: &Graph) -> Result<String> {
        let service = node.service.as_str();
        let folder = self.files.project(&graph.project);
        self.ctx.step("create container", service).await?;
        let made = self.watch.engine.create_container(self.ctx, node, &folder).await;
        made.map_err(|error| at("create container", service, error))
    }

    /// Starts a container unless it runs, or was a job that is done.
    async fn start(&self, id: &str, node: &ContainerNode, graph: &Graph) -> Result<Start> {
        let (engine, service) = (&self.watch.engine, node.service.as_str());
        let named = |error| at("start container", service, error);
        let state = engine.state(self.ctx, id).await.map_err(named)?;
        let Some(state) = state else { return Ok(Start::Gone) };
        if state.paused {
            self.ctx.step("unpause container", service).await?;
            return engine.unpause_container(self.ctx, id).await.map(|()| Start::Up).map_err(named);
        }
        if state.running || state.restarting || (node.job && state.is_done()) {
            return Ok(Start::Up);
        }
        if !state.started {
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
            // It also says so of a network that is gone.
            Err(error)
                if error.is_not_found() && engine.state(self.ctx, id).await.map_err(named)?.is_none() =>
            {
                Ok(Start::Gone)
            }
            other => other.map(|()| Start::Up).map_err(named),
        }
    }

    /// Writes configs and secrets into a container before its very first start. It is made anew when they change.
    async fn give_files(&self, id: &str, node: &ContainerNode) -> Result<()> {
        if node.files.is_empty() {
            return Ok(());
        }
        self.upload("write configs and secrets", id, node, archive(&node.files)).await
    }

    /// Gives the database the passwords that the project has, where they differ: its data outlives its container, and
    /// keeps those that it was made with. The first time it takes them by itself.
    async fn mend_passwords(&self, id: &str, node: &ContainerNode, graph: &Graph) -> Result<()> {
        let roles = graph.roles.as_ref().filter(|roles| roles.service == node.service);
        match roles {
            Some(roles) if self.purpose != Purpose::First => {
                roles.mend(&self.watch.engine, self.ctx, id).await
            }
            _ => Ok(()),
        }
    }

    /// Copies the first-run files into a container before its very first start. They are in no mount, so a container
    /// that is made later, after a pause for instance, does not have them.
    async fn give_first_run_files(&self, id: &str, node: &ContainerNode, graph: &Graph) -> Result<()> {
        let Some(place) = graph.first_run.as_ref().filter(|place| place.service == node.service) else {
            return Ok(());
        };
        if self.purpose != Purpose::First || self.runtime.first_run.is_empty() {
            return Ok(());
        }
        let given = |file: &FirstRunFile| GivenFile {
            target: format!("{}/{}", place.path.trim_end_matches('/'), file.name),
            content: file.content.clone(),
            uid: 0,
            gid: 0,
            mode: 0o644,
        };
        let files: Vec<_> = self.runtime.first_run.iter().map(given).collect();
        self.upload("copy first-run files", id, node, archive(&files)).await
    }

    async fn upload(
        &self,
        step: &'static str,
        id: &str,
        node: &ContainerNode,
        archive: std::io::Result<Vec<u8>>,
    ) -> Result<()> {
        let service = node.service.as_str();
        self.ctx.step(step, service).await?;
        let archive =
            archive.map_err(|error| Error::internal(format!("{step}: pack them")).because(error))?;
        self.watch.engine.upload(self.ctx, id, archive).await.map_err(|error| at(step, service, error))
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

/// A tar archive of files, as they shall be in a container.
fn archive(files: &[GivenFile]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let content = file.content.expose_secret().as_bytes();
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(file.mode);
        header.set_uid(file.uid);
        header.set_gid(file.gid);
        archive.append_data(&mut header, file.target.trim_start_matches('/'), content)?;
    }
    archive.into_inner()
}
