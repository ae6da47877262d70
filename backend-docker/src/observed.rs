//! What is on the engine of one project, or of all, by our labels alone.

use freehold_core::{Context, ProjectRef, Result};

use crate::engine::{Container, Engine, Network, Volume};

/// What was found.
#[derive(Debug)]
pub(crate) struct Observed {
    pub(crate) containers: Vec<Container>,
    pub(crate) networks: Vec<Network>,
    pub(crate) volumes: Vec<Volume>,
}

impl Observed {
    /// What is there of `project`, or of all projects. It is whole or it is an error.
    pub(crate) async fn of(engine: &Engine, ctx: &Context, project: Option<&ProjectRef>) -> Result<Self> {
        let (containers, networks, volumes) = tokio::try_join!(
            engine.containers(ctx, project),
            engine.networks(ctx, project),
            engine.volumes(ctx, project),
        )?;
        Ok(Self { containers, networks, volumes })
    }

    /// The container of a service.
    pub(crate) fn container(&self, service: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.service() == service)
    }

    /// Whether a volume is there.
    pub(crate) fn has_volume(&self, name: &str) -> bool {
        self.volumes.iter().any(|volume| volume.name == name)
    }

    /// Whether nothing is here.
    pub(crate) fn is_empty(&self) -> bool {
        self.containers.is_empty() && self.networks.is_empty() && self.volumes.is_empty()
    }

    /// Whether anything is here that is not in `earlier`.
    pub(crate) fn has_more_than(&self, earlier: &Self) -> bool {
        self.containers.iter().any(|new| earlier.containers.iter().all(|old| old.id != new.id))
            || self.networks.iter().any(|new| earlier.networks.iter().all(|old| old.id != new.id))
            || self.volumes.iter().any(|new| !earlier.has_volume(&new.name))
    }
}
