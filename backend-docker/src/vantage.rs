//! Where this process is as the engine sees it, and so what it reaches by itself.
//!
//! Containers on different networks of an engine cannot reach each other: the engine's own firewall rules drop what
//! passes from one bridge to another (Docker's chains `DOCKER-ISOLATION-STAGE-1` and `-2`). So a process in a container of
//! the engine reaches a project only as a member of that project's networks.

mod container;

use std::{
    net::{IpAddr, UdpSocket},
    path::Path,
};

use freehold_core::{Context, Error, Result};

use crate::{
    config::Config,
    engine::{Engine, Host, Identity, gone_since},
    observed::Observed,
};

/// Where this process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Vantage {
    /// In the network of the engine's machine: it reaches containers, and what they publish.
    Machine,
    /// In this container of the engine: it reaches containers in whose networks its own container is.
    Container(String),
    /// On the machine of a rootless engine, which keeps its containers in a network of its own: it reaches what they
    /// publish, and whoever is at their addresses is somebody else.
    Beside,
    /// Anywhere else: it reaches the engine alone.
    Elsewhere,
}

impl Vantage {
    /// Finds out, and checks that the engine sees the data root where this process has it.
    ///
    /// # Errors
    /// `InvalidInput` for settings that contradict each other or the engine, and for a data root that lies in this
    /// process's container alone.
    pub(crate) async fn find(
        engine: &Engine,
        identity: &Identity,
        ctx: &Context,
        config: &Config,
    ) -> Result<Self> {
        let own = own_container(engine, ctx, config).await?;
        if let Some(own) = &own {
            sees_data_root(own, &config.data_root)?;
        }
        if let Some(direct) = config.probe_directly {
            return Ok(if direct { Self::Machine } else { Self::Elsewhere });
        }
        if identity.rootless {
            if own.is_none() && engine.is_local() && container::own_id().is_none() {
                return Ok(Self::Beside);
            }
        } else if engine.is_local() && shares_network(engine.bridge_gateway(ctx).await) {
            return Ok(Self::Machine);
        }
        Ok(own.and_then(|own| own.joins).map_or(Self::Elsewhere, Self::Container))
    }

    /// Whether it reaches containers by their addresses.
    pub(crate) fn reaches_containers(&self) -> bool {
        matches!(self, Self::Machine | Self::Container(_))
    }

    /// Whether it reaches what containers publish, as others on the machine do.
    pub(crate) fn reaches_ports(&self) -> bool {
        matches!(self, Self::Machine | Self::Beside)
    }

    /// Whether the networks of projects become interfaces of the machine as this process sees it.
    pub(crate) fn sees_interfaces(&self) -> bool {
        matches!(self, Self::Machine)
    }

    /// Takes this process's container into a network that it is to reach, if it is in one.
    pub(crate) async fn join(&self, engine: &Engine, ctx: &Context, network: &str) -> Result<()> {
        let Self::Container(own) = self else { return Ok(()) };
        ctx.step("join network", "").await?;
        engine.admit_host(ctx, own, network).await.map_err(|error| gone_since("join network", "", error))
    }

    /// Takes it into those networks of a project that it is not in: a container of Freehold that was made anew is in none.
    /// Its own place is all that this changes.
    pub(crate) async fn join_again(&self, engine: &Engine, ctx: &Context, observed: &Observed) -> Result<()> {
        let Self::Container(own) = self else { return Ok(()) };
        let Some(host) = engine.host(ctx, own).await? else {
            return Err(Error::internal(format!("find the container {own} that this process runs in")));
        };
        for network in observed.networks.iter().filter(|network| !host.networks.contains(&network.id)) {
            match engine.admit_host(ctx, own, &network.name).await {
                // Somebody pauses or destroys the project.
                Err(error) if error.is_not_found() => {}
                other => other?,
            }
        }
        Ok(())
    }
}

/// The container that this process runs in, if it is one of this engine: as the operator says, or as the process itself
/// can tell.
async fn own_container(engine: &Engine, ctx: &Context, config: &Config) -> Result<Option<Host>> {
    match &config.own_container {
        Some(name) => {
            let own = engine.host(ctx, name).await?.filter(|own| own.running);
            own.map(Some).ok_or_else(|| {
                let problem = format!("{name}: no container of that name runs on this engine");
                Error::invalid("own_container", problem)
            })
        }
        None => {
            let Some(id) = container::own_id() else { return Ok(None) };
            // Another engine may have made it.
            Ok(engine.host(ctx, &id).await?.filter(|own| own.running))
        }
    }
}

/// Containers mount from the data root, and what they mount is looked up on the engine's machine.
fn sees_data_root(own: &Host, data_root: &Path) -> Result<()> {
    let covering = own.mounts.iter().filter(|(_, inside)| data_root.starts_with(inside));
    match covering.max_by_key(|(_, inside)| inside.components().count()) {
        Some((outside, inside)) if outside == inside => Ok(()),
        found => {
            let root = data_root.display();
            let problem = match found {
                Some((outside, _)) => format!("{root} is {} on the engine's machine", outside.display()),
                None => format!("{root} lies in this process's own container alone"),
            };
            let way_out = format!(
                "the engine mounts it into projects by its path there: give this container a folder of the machine at the \
                 same path, `--volume {root}:{root}`"
            );
            Err(Error::invalid("data_root", format_args!("{problem}, and {way_out}")))
        }
    }
}

/// Whether this process is in the engine's own network, and so reaches what is published there and what runs there: the
/// gateway of the engine's bridge is then an address of ours, that we can bind to. From inside a container it is not.
fn shares_network(gateway: Option<IpAddr>) -> bool {
    match gateway {
        Some(gateway) => UdpSocket::bind((gateway, 0)).is_ok(),
        // An engine without its default bridge; the marks that engines leave in containers are all there is to go by.
        None => !["/.dockerenv", "/run/.containerenv"].iter().any(|mark| Path::new(mark).exists()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(mounts: &[(&str, &str)]) -> Host {
        Host {
            running: true,
            joins: None,
            mounts: mounts.iter().map(|(outside, inside)| (outside.into(), inside.into())).collect(),
            networks: Vec::new(),
        }
    }

    #[test]
    fn a_data_root_must_be_the_same_folder_for_the_engine() {
        let root = Path::new("/srv/freehold/docker");
        sees_data_root(&own(&[("/srv/freehold", "/srv/freehold")]), root).unwrap();
        sees_data_root(&own(&[("/", "/"), ("/srv", "/srv")]), root).unwrap();
        let cases: [(&[(&str, &str)], &str); 3] = [
            (&[], "/srv/freehold/docker lies in this process's own container alone"),
            (
                &[("/var/lib/docker/volumes/x/_data", "/srv/freehold")],
                "/srv/freehold/docker is /var/lib/docker/volumes/x",
            ),
            (&[("/srv", "/srv"), ("/mnt", "/srv/freehold")], "/srv/freehold/docker is /mnt"),
        ];
        for (mounts, expected) in cases {
            let error = sees_data_root(&own(mounts), root).unwrap_err().to_string();
            assert!(error.contains(expected) && error.contains("--volume /srv/freehold/docker:"), "{error}");
        }
    }
}
