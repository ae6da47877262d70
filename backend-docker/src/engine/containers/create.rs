//! Making a container from its node in the graph: the one place where our words become the engine's.

use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
    time::Duration,
};

use bollard::{
    models::{
        ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, HostConfigLogConfig,
        Mount as EngineMount, MountType, MountVolumeOptions, NetworkingConfig, PortBinding, ResourcesUlimits,
        RestartPolicy, RestartPolicyNameEnum,
    },
    query_parameters::CreateContainerOptionsBuilder,
};
use freehold_core::{Context, Error, ExposeSecret, Kind, stack::Protocol};

use super::{
    super::{Engine, Patience},
    Place,
};
use crate::{
    error::EngineError,
    graph::{ContainerNode, HealthCheck, Mount, MountSource, PublishedPort, Restart},
    labels,
};

impl Engine {
    /// Makes a container and puts it into its networks. One of that name that is the project's own and was made from the
    /// same configuration is taken as it is: an earlier answer may have been lost.
    pub(crate) async fn create_container(
        &self,
        ctx: &Context,
        node: &ContainerNode,
        folder: &Path,
    ) -> Result<Place, EngineError> {
        let options = CreateContainerOptionsBuilder::default().name(&node.name).build();
        let body = body(node, folder);
        let made = self
            .call(ctx, "create container", &node.name, self.client().create_container(Some(options), body))
            .await;
        let place = match made {
            Ok(made) => Place { id: made.id, is_new: true },
            Err(error) if error.is_conflict() => {
                Place { id: self.landed_container(ctx, node).await?, is_new: false }
            }
            Err(error) => return Err(error),
        };
        for network in node.networks.iter().skip(1) {
            self.join_network(ctx, &place.id, network).await?;
        }
        Ok(place)
    }

    /// The id of the container that has the node's name. An earlier request of ours may still be making it. One that was made
    /// from another configuration goes the next time that the project is brought up.
    async fn landed_container(&self, ctx: &Context, node: &ContainerNode) -> Result<String, EngineError> {
        let patience = Patience::new(ctx);
        loop {
            if let Some(id) = self.owned(ctx, node).await? {
                return Ok(id);
            }
            if !patience.lasts(ctx, "see an earlier request for the container end").await? {
                return Err(EngineError::Busy { verb: "create container", thing: node.name.clone() });
            }
        }
    }

    /// The id of the container that has the node's name, if it is the node's.
    async fn owned(&self, ctx: &Context, node: &ContainerNode) -> Result<Option<String>, EngineError> {
        let Some(found) = self.labels_of(ctx, &node.name).await? else { return Ok(None) };
        let (id, labels) = found;
        if labels.get(labels::REF) != node.labels.get(labels::REF) {
            let message = format!(
                "create container {}: a container of that name is there and is not this project's",
                node.name
            );
            return Err(Error::new(Kind::Conflict, message).into());
        }
        Ok((labels.get(labels::CONFIG_HASH) == Some(&node.config_hash)).then_some(id))
    }

    async fn labels_of(
        &self,
        ctx: &Context,
        name: &str,
    ) -> Result<Option<(String, HashMap<String, String>)>, EngineError> {
        let options = None::<bollard::query_parameters::InspectContainerOptions>;
        match self.call(ctx, "inspect container", name, self.client().inspect_container(name, options)).await
        {
            Ok(found) => {
                let labels = found.config.and_then(|config| config.labels).unwrap_or_default();
                Ok(found.id.map(|id| (id, labels)))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn body(node: &ContainerNode, folder: &Path) -> ContainerCreateBody {
    let environment = node.environment.iter().map(|(name, value)| match value {
        Some(value) => format!("{name}={}", value.expose_secret()),
        // Without `=` the engine takes the image's variable away.
        None => name.clone(),
    });
    let endpoints = node.networks.first().map(|place| {
        let settings =
            EndpointSettings { aliases: Some(place.aliases.clone()), ..EndpointSettings::default() };
        HashMap::from([(place.network.clone(), settings)])
    });
    ContainerCreateBody {
        image: Some(node.image.clone()),
        hostname: node.hostname.clone(),
        domainname: node.extras.domainname.clone(),
        tty: node.extras.tty.then_some(true),
        open_stdin: node.extras.stdin_open.then_some(true),
        user: node.user.clone(),
        env: Some(environment.collect()),
        entrypoint: node.entrypoint.clone(),
        cmd: node.command.clone(),
        working_dir: node.working_dir.clone(),
        labels: Some(node.labels.clone().into_iter().collect()),
        healthcheck: node.healthcheck.as_ref().map(healthcheck),
        stop_signal: node.stop_signal.clone(),
        stop_timeout: node.stop_grace.map(|grace| i64::try_from(grace.as_secs()).unwrap_or(i64::MAX)),
        exposed_ports: Some(node.ports.iter().map(port_key).collect()),
        networking_config: endpoints.map(|endpoints| NetworkingConfig { endpoints_config: Some(endpoints) }),
        host_config: Some(host_config(node, folder)),
        ..ContainerCreateBody::default()
    }
}

fn host_config(node: &ContainerNode, folder: &Path) -> HostConfig {
    let mut bindings: HashMap<String, Option<Vec<PortBinding>>> = HashMap::new();
    for port in &node.ports {
        let binding = PortBinding {
            host_ip: Some(port.host_ip.to_string()),
            host_port: Some(port.host_port.to_string()),
        };
        bindings.entry(port_key(port)).or_default().get_or_insert_default().push(binding);
    }
    let extras = &node.extras;
    let list = |items: &Vec<String>| (!items.is_empty()).then(|| items.clone());
    HostConfig {
        network_mode: Some(
            node.networks.first().map_or_else(|| "none".into(), |place| place.network.clone()),
        ),
        port_bindings: Some(bindings),
        restart_policy: Some(restart(node.restart)),
        mounts: Some(
            node.mounts.iter().filter_map(|mount| engine_mount(mount, folder, &node.labels)).collect(),
        ),
        tmpfs: tmpfs(&node.mounts),
        init: node.init,
        memory: node.memory_bytes.map(saturating),
        nano_cpus: node.cpus.map(nano_cpus),
        extra_hosts: list(&extras.extra_hosts),
        cap_add: list(&extras.cap_add),
        cap_drop: list(&extras.cap_drop),
        security_opt: list(&extras.security_opt),
        readonly_rootfs: extras.read_only.then_some(true),
        shm_size: extras.shm_size.map(saturating),
        group_add: list(&extras.group_add),
        dns: list(&extras.dns),
        dns_search: list(&extras.dns_search),
        dns_options: list(&extras.dns_options),
        sysctls: (!extras.sysctls.is_empty()).then(|| extras.sysctls.clone().into_iter().collect()),
        log_config: extras.logging.as_ref().map(|logging| HostConfigLogConfig {
            typ: logging.driver.clone(),
            config: Some(logging.options.clone().into_iter().collect()),
        }),
        pids_limit: extras.pids_limit,
        memory_reservation: extras.memory_reservation.map(saturating),
        memory_swap: extras.memory_swap,
        memory_swappiness: extras.memory_swappiness,
        oom_score_adj: extras.oom_score_adj,
        cpu_shares: extras.cpu_shares,
        cpuset_cpus: extras.cpuset.clone(),
        ulimits: (!extras.ulimits.is_empty()).then(|| {
            let limit = |(name, soft, hard): &(String, i64, i64)| ResourcesUlimits {
                name: Some(name.clone()),
                soft: Some(*soft),
                hard: Some(*hard),
            };
            extras.ulimits.iter().map(limit).collect()
        }),
        ..HostConfig::default()
    }
}

/// A volume is there before its containers. Where a late request for one comes after the volume's removal, the engine
/// makes the volume anew: with these labels, so that it is found and removed as well.
fn engine_mount(mount: &Mount, folder: &Path, container: &BTreeMap<String, String>) -> Option<EngineMount> {
    const WHOSE: [&str; 4] = [labels::REF, labels::INSTALLATION, labels::STACK, labels::EPOCH];
    let whose = || {
        let whose = WHOSE.iter().filter_map(|label| container.get_key_value(*label));
        whose.map(|(label, value)| (label.clone(), value.clone())).collect()
    };
    let (typ, source) = match &mount.source {
        MountSource::Folder(path) => (MountType::BIND, folder.join(path).display().to_string()),
        MountSource::Host(path) => (MountType::BIND, path.display().to_string()),
        MountSource::Volume(name) => (MountType::VOLUME, name.clone()),
        MountSource::Tmpfs(_) => return None,
    };
    Some(EngineMount {
        typ: Some(typ),
        source: Some(source),
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        volume_options: (typ == MountType::VOLUME).then(|| MountVolumeOptions {
            no_copy: mount.nocopy.then_some(true),
            labels: Some(whose()),
            ..MountVolumeOptions::default()
        }),
        ..EngineMount::default()
    })
}

/// The mounts in memory, which the engine takes with their options as text.
fn tmpfs(mounts: &[Mount]) -> Option<HashMap<String, String>> {
    let mounts: HashMap<_, _> = mounts
        .iter()
        .filter_map(|mount| match &mount.source {
            MountSource::Tmpfs(options) => {
                let mut options = options.clone();
                if mount.read_only && !options.iter().any(|option| option == "ro") {
                    options.push("ro".into());
                }
                Some((mount.target.clone(), options.join(",")))
            }
            MountSource::Folder(_) | MountSource::Host(_) | MountSource::Volume(_) => None,
        })
        .collect();
    (!mounts.is_empty()).then_some(mounts)
}

fn healthcheck(check: &HealthCheck) -> HealthConfig {
    let nanoseconds = |time: Duration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX);
    HealthConfig {
        test: (!check.test.is_empty()).then(|| check.test.clone()),
        interval: check.interval.map(nanoseconds),
        timeout: check.timeout.map(nanoseconds),
        retries: check.retries.map(i64::from),
        start_period: check.start_period.map(nanoseconds),
        // Engines before API 1.44 refuse it, and our own probes do not need it.
        start_interval: None,
    }
}

pub(super) fn restart(restart: Restart) -> RestartPolicy {
    let (name, count) = match restart {
        Restart::No => (RestartPolicyNameEnum::NO, None),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        Restart::OnFailure(count) => (RestartPolicyNameEnum::ON_FAILURE, count.map(i64::from)),
    };
    RestartPolicy { name: Some(name), maximum_retry_count: count }
}

fn port_key(port: &PublishedPort) -> String {
    let protocol = match port.protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
    };
    format!("{}/{protocol}", port.container_port)
}

pub(super) fn saturating(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

/// Cores in billionths, as the engine counts them. `as` saturates, and limits are checked where they come in.
pub(super) fn nano_cpus(cores: f64) -> i64 {
    (cores * 1e9).round() as i64
}
