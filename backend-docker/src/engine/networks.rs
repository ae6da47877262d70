//! Networks on the engine.

use std::{collections::HashMap, net::IpAddr};

use bollard::{
    models::{
        EndpointSettings, Ipam, IpamConfig, NetworkConnectRequest, NetworkCreateRequest, NetworkInspect,
    },
    query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder},
};
use freehold_core::{Context, Error, ProjectRef};
use ipnet::IpNet;
use time::OffsetDateTime;
use tokio::sync::SemaphorePermit;

use super::{Engine, Patience, gone_is_fine, ours};
use crate::{
    error::EngineError,
    graph::{Attachment, NetworkNode},
    labels,
};

/// How many networks are made or removed at once. Engines do it one by one, and a request that waits for the others there
/// uses up the time that it may take.
pub(super) const AT_ONCE: usize = 2;

/// A network of ours, as the engine has it.
#[derive(Clone, Debug)]
pub(crate) struct Network {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) labels: HashMap<String, String>,
    pub(crate) created: Option<OffsetDateTime>,
}

impl Network {
    /// The hash of the configuration that it was made from.
    pub(crate) fn config_hash(&self) -> Option<&str> {
        self.labels.get(labels::CONFIG_HASH).map(String::as_str)
    }
}

impl Engine {
    /// The networks of one project, or of all.
    pub(crate) async fn networks(
        &self,
        ctx: &Context,
        project: Option<&ProjectRef>,
    ) -> Result<Vec<Network>, EngineError> {
        let options = ListNetworksOptionsBuilder::default().filters(&ours(project)).build();
        let found = self.call(ctx, "list", "networks", self.client().list_networks(Some(options))).await?;
        Ok(found
            .into_iter()
            .map(|network| Network {
                id: network.id.unwrap_or_default(),
                name: network.name.unwrap_or_default(),
                labels: network.labels.unwrap_or_default(),
                created: network.created,
            })
            .collect())
    }

    /// Makes a network. Older engines let two networks share a name, so a repeated request is recognised by asking first
    /// (`networks`), and a race by the subnet, which no two may share, or by the name where engines refuse a second one: a
    /// request that was given up and that the engine goes on with holds both already, and is waited for.
    pub(crate) async fn create_network(&self, ctx: &Context, node: &NetworkNode) -> Result<(), EngineError> {
        let ipam = node.subnet.map(|subnet| Ipam {
            config: Some(vec![IpamConfig { subnet: Some(subnet.to_string()), ..IpamConfig::default() }]),
            ..Ipam::default()
        });
        let request = NetworkCreateRequest {
            name: node.name.clone(),
            driver: Some("bridge".into()),
            internal: Some(node.internal),
            ipam,
            labels: Some(node.labels.clone().into_iter().collect()),
            ..NetworkCreateRequest::default()
        };
        let turn = self.turn(ctx).await?;
        let made = self.call(ctx, "create network", &node.name, self.client().create_network(request)).await;
        drop(turn);
        match made {
            // The engine has no other code for "Pool overlaps with other one on this address space".
            Err(error) if error.status() == Some(403) || error.is_conflict() => {
                self.landed_network(ctx, node, error).await
            }
            other => other.map(drop),
        }
    }

    /// Waits for a turn, after which the call may not be wanted any more.
    async fn turn(&self, ctx: &Context) -> Result<SemaphorePermit<'_>, EngineError> {
        let turn = ctx.bounded("get to a network", async {
            self.networks.acquire().await.map_err(|_| Error::internal("get to a network: the turns are over"))
        });
        let turn = turn.await?;
        ctx.check()?;
        Ok(turn)
    }

    /// Waits for a network that an earlier request of ours is making, as long as such a request may take; then it was
    /// somebody else's subnet or name, unless nobody has the name.
    pub(crate) async fn landed_network(
        &self,
        ctx: &Context,
        node: &NetworkNode,
        refused: EngineError,
    ) -> Result<(), EngineError> {
        let patience = Patience::new(ctx);
        let project = node.labels.get(labels::REF).and_then(|project| project.parse().ok());
        loop {
            if self.networks(ctx, project.as_ref()).await?.iter().any(|network| network.name == node.name) {
                return Ok(());
            }
            if !patience.lasts(ctx, "see an earlier request for the network end").await? {
                break;
            }
        }
        if refused.is_conflict() && self.inspected(ctx, &node.name).await?.is_none() {
            return Err(EngineError::Busy { verb: "create network", thing: node.name.clone() });
        }
        Err(refused)
    }

    /// A network by its name or id; `None` if there is none.
    async fn inspected(&self, ctx: &Context, name: &str) -> Result<Option<NetworkInspect>, EngineError> {
        let options = None::<InspectNetworkOptions>;
        match self.call(ctx, "inspect network", name, self.client().inspect_network(name, options)).await {
            Ok(network) => Ok(Some(network)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Puts a container into one more network: engines before API 1.44 take only one when they create it.
    pub(crate) async fn join_network(
        &self,
        ctx: &Context,
        container: &str,
        place: &Attachment,
    ) -> Result<(), EngineError> {
        let request = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(EndpointSettings {
                aliases: Some(place.aliases.clone()),
                ..EndpointSettings::default()
            }),
        };
        let joined = self
            .call(ctx, "join network", &place.network, self.client().connect_network(&place.network, request))
            .await;
        match joined {
            // The engine has no other code for "already in it".
            Err(error)
                if error.status() == Some(403) && self.is_member(ctx, container, &place.network).await? =>
            {
                Ok(())
            }
            other => other,
        }
    }

    /// The address that the engine's default bridge has on its machine; `None` if it has no such bridge.
    pub(crate) async fn bridge_gateway(&self, ctx: &Context) -> Option<IpAddr> {
        let bridge = self.client().inspect_network("bridge", None::<InspectNetworkOptions>);
        let bridge = self.call(ctx, "inspect network", "bridge", bridge).await.ok()?;
        bridge.ipam?.config?.into_iter().find_map(|config| match config.gateway {
            Some(gateway) if !gateway.is_empty() => gateway.parse().ok(),
            // Unless it was told another, the engine takes the subnet's first address and does not say so.
            _ => config.subnet?.parse::<IpNet>().ok()?.hosts().next(),
        })
    }

    /// Whether a container that runs is in a network. One that is gone has no members.
    pub(super) async fn is_member(
        &self,
        ctx: &Context,
        container: &str,
        network: &str,
    ) -> Result<bool, EngineError> {
        let Some(found) = self.inspected(ctx, network).await? else { return Ok(false) };
        let members = found.containers.unwrap_or_default();
        Ok(members.contains_key(container))
    }

    /// Removes a network by its id, with Freehold itself as its last member. One that is gone is removed.
    pub(crate) async fn remove_network(&self, ctx: &Context, network: &Network) -> Result<(), EngineError> {
        loop {
            self.dismiss_hosts(ctx, network).await?;
            let turn = self.turn(ctx).await?;
            let removed = self.client().remove_network(&network.id);
            let removed = self.call(ctx, "remove network", &network.name, removed).await;
            drop(turn);
            match removed {
                // Somebody asked for the project's health meanwhile, and one of Freehold's containers joined again.
                Err(error) if error.status() == Some(403) && self.dismiss_hosts(ctx, network).await? => {
                    tracing::debug!(error = %error, network = network.name, "remove it once more");
                }
                other => return gone_is_fine(other),
            }
        }
    }
}
