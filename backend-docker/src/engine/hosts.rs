//! Containers that Freehold itself runs in: this process's own, and those of earlier or other ones. Each is a member of
//! the networks of projects that it works with, by an endpoint that carries our mark, and an endpoint without it is none
//! of our business.

use std::{collections::HashMap, path::PathBuf};

use bollard::{
    models::{ContainerInspectResponse, EndpointSettings, NetworkConnectRequest, NetworkDisconnectRequest},
    query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder},
};
use freehold_core::Context;

use super::{Engine, Network};
use crate::{error::EngineError, labels};

/// The alias by which our endpoints are known. Endpoints have no labels.
const MARK: &str = "freehold-host";

/// Freehold's endpoints never become their container's way out: its default route is the operator's. Engines before API
/// 1.48 do not know this; they take the network whose name comes first.
const GATEWAY_PRIORITY: i64 = -1;

/// A container that a process of Freehold runs in.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    /// Whether it runs.
    pub(crate) running: bool,
    /// The container whose network it has, which is itself unless it has that of another; `None` if it has the machine's
    /// or none at all, and so cannot join any.
    pub(crate) joins: Option<String>,
    /// What is mounted into it: the folder on the engine's machine, and where it is inside.
    pub(crate) mounts: Vec<(PathBuf, PathBuf)>,
    /// The ids of the networks that it is in.
    pub(crate) networks: Vec<String>,
}

impl Engine {
    /// A container by its name or id; `None` if the engine has no such container.
    pub(crate) async fn host(&self, ctx: &Context, name: &str) -> Result<Option<Host>, EngineError> {
        let found = self.inspect_host(ctx, name).await?;
        Ok(found.map(|found| {
            let mode = found.host_config.and_then(|config| config.network_mode).unwrap_or_default();
            let joins = match mode.split_once(':') {
                Some(("container", other)) => Some(other.to_owned()),
                _ if mode == "host" || mode == "none" => None,
                _ => found.id,
            };
            let mounts = found.mounts.unwrap_or_default().into_iter();
            let networks = found.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
            Host {
                running: found.state.and_then(|state| state.running).unwrap_or_default(),
                joins,
                mounts: mounts
                    .filter_map(|mount| Some((mount.source?.into(), mount.destination?.into())))
                    .collect(),
                networks: networks.into_values().filter_map(|endpoint| endpoint.network_id).collect(),
            }
        }))
    }

    /// Puts a container that Freehold runs in into a network. One that is in it already stays.
    pub(crate) async fn admit_host(
        &self,
        ctx: &Context,
        host: &str,
        network: &str,
    ) -> Result<(), EngineError> {
        let endpoint = EndpointSettings {
            aliases: Some(vec![MARK.to_owned()]),
            gw_priority: Some(GATEWAY_PRIORITY),
            ..EndpointSettings::default()
        };
        let request = NetworkConnectRequest { container: host.to_owned(), endpoint_config: Some(endpoint) };
        let joined =
            self.call(ctx, "join network", network, self.client().connect_network(network, request)).await;
        match joined {
            // The engine has no other code for "already in it".
            Err(error) if error.status() == Some(403) && self.is_member(ctx, host, network).await? => Ok(()),
            other => other,
        }
    }

    /// Takes all of Freehold's containers out of a network that is to go, also those that do not run: such a one could not
    /// be started again. Answers whether there were any.
    pub(super) async fn dismiss_hosts(&self, ctx: &Context, network: &Network) -> Result<bool, EngineError> {
        let filters = HashMap::from([("network".to_owned(), vec![network.id.clone()])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let members =
            self.call(ctx, "list", "containers", self.client().list_containers(Some(options))).await?;
        let mut any = false;
        for member in members {
            let of_project = member.labels.is_some_and(|labels| labels.contains_key(labels::REF));
            let Some(id) = member.id.filter(|_| !of_project) else { continue };
            let found = self.inspect_host(ctx, &id).await?;
            let endpoints = found.and_then(|found| found.network_settings?.networks).unwrap_or_default();
            let is_ours = endpoints.into_values().any(|endpoint| {
                endpoint.network_id.is_some_and(|id| id == network.id)
                    && endpoint.aliases.is_some_and(|aliases| aliases.iter().any(|alias| alias == MARK))
            });
            if is_ours {
                self.dismiss(ctx, &id, network).await?;
                any = true;
            }
        }
        Ok(any)
    }

    async fn dismiss(&self, ctx: &Context, host: &str, network: &Network) -> Result<(), EngineError> {
        let request = NetworkDisconnectRequest { container: host.to_owned(), force: Some(true) };
        let left = self.client().disconnect_network(&network.id, request);
        match self.call(ctx, "leave network", &network.name, left).await {
            Err(error) if error.is_not_found() => Ok(()),
            // Another process was first: the engine calls "is not connected" a fault of its own.
            Err(error) if !self.is_member(ctx, host, &network.id).await? => {
                tracing::debug!(error = %error, network = network.name, "left already");
                Ok(())
            }
            other => other,
        }
    }

    async fn inspect_host(
        &self,
        ctx: &Context,
        name: &str,
    ) -> Result<Option<ContainerInspectResponse>, EngineError> {
        let inspected = self.client().inspect_container(name, None::<InspectContainerOptions>);
        match self.call(ctx, "inspect container", name, inspected).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}
