//! What a project is on an engine: networks, volumes and containers, and what each container waits for. The plan makes
//! it, apply walks it, drift compares it with what is there. It names no type of the engine's client.

use std::{collections::BTreeMap, fmt, net::IpAddr, path::PathBuf, time::Duration};

use freehold_core::{ProjectRef, SecretString, ServiceName, stack::Protocol};
use ipnet::Ipv4Net;
use serde::Serialize;

use crate::roles::Roles;

/// Everything that one project has on an engine while it runs. Its `Debug` shows no value of an environment.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    /// The project.
    pub(crate) project: ProjectRef,
    /// Its networks.
    pub(crate) networks: Vec<NetworkNode>,
    /// Its volumes, but for those that an image declares and the stack does not mount.
    pub(crate) volumes: Vec<VolumeNode>,
    /// Its containers; each stands after all that it waits for.
    pub(crate) containers: Vec<ContainerNode>,
    /// Where first-run files go.
    pub(crate) first_run: Option<FirstRunPlace>,
    /// The roles of its database that have its password.
    pub(crate) roles: Option<Roles>,
    /// The files of the stack that it was made from.
    pub(crate) origins: Vec<Origin>,
}

/// A file of the stack that says what the project is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// Its path in the stack's folder.
    pub(crate) path: PathBuf,
    /// The service that it is about; empty for the whole project.
    pub(crate) service: String,
    /// Whether it is a file of variables.
    pub(crate) variables: bool,
}

/// One network.
#[derive(Clone, Debug)]
pub(crate) struct NetworkNode {
    /// Its name on the engine.
    pub(crate) name: String,
    /// All of its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// The hash that its label holds.
    pub(crate) config_hash: String,
    /// Its addresses; the engine chooses them if there are none.
    pub(crate) subnet: Option<Ipv4Net>,
    /// Whether it has no way out.
    pub(crate) internal: bool,
}

/// One named volume.
#[derive(Clone, Debug)]
pub(crate) struct VolumeNode {
    /// Its name on the engine.
    pub(crate) name: String,
    /// All of its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// Whether it holds data that must not be made anew once it was there.
    pub(crate) data: bool,
}

/// One container. Variables may put a secret into any of its settings, so its `Debug` shows what it is and none of them.
#[derive(Clone)]
pub(crate) struct ContainerNode {
    /// The service that it runs.
    pub(crate) service: ServiceName,
    /// Its name on the engine.
    pub(crate) name: String,
    /// All of its labels.
    pub(crate) labels: BTreeMap<String, String>,
    /// The hash that its label holds.
    pub(crate) config_hash: String,
    /// The image.
    pub(crate) image: String,
    /// When it is fetched.
    pub(crate) pull: Pull,
    /// What replaces the image's entry point.
    pub(crate) entrypoint: Option<Vec<String>>,
    /// What replaces the image's command.
    pub(crate) command: Option<Vec<String>>,
    /// Its environment; `None` takes a variable of the image away.
    pub(crate) environment: BTreeMap<String, Option<SecretString>>,
    /// The user that it runs as.
    pub(crate) user: Option<String>,
    /// Where it runs.
    pub(crate) working_dir: Option<String>,
    /// Its host name.
    pub(crate) hostname: Option<String>,
    /// Whether a small init reaps its children.
    pub(crate) init: Option<bool>,
    /// What the engine does when it ends.
    pub(crate) restart: Restart,
    /// The signal that stops it, where it is not the image's.
    pub(crate) stop_signal: Option<String>,
    /// How long it may take to stop; Docker's ten seconds unless the stack says.
    pub(crate) stop_grace: Option<Duration>,
    /// Its health check, where it is not the image's.
    pub(crate) healthcheck: Option<HealthCheck>,
    /// What it mounts.
    pub(crate) mounts: Vec<Mount>,
    /// What is written into it before its first start.
    pub(crate) files: Vec<GivenFile>,
    /// What it publishes.
    pub(crate) ports: Vec<PublishedPort>,
    /// The networks that it is in; the first is given at creation.
    pub(crate) networks: Vec<Attachment>,
    /// What must be so before it starts.
    pub(crate) gates: Vec<Gate>,
    /// How we find out that it is ready, where the manifest says.
    pub(crate) probe: Option<Probe>,
    /// Whether it is a job that runs to its end: somebody waits for its completion, or the manifest says so.
    pub(crate) job: bool,
    /// The most memory that it may use, in bytes.
    pub(crate) memory_bytes: Option<u64>,
    /// The most processor time that it may use, in cores.
    pub(crate) cpus: Option<f64>,
    /// Everything else that Compose can say and the engine takes as it is.
    pub(crate) extras: Extras,
}

/// Settings that go to the engine as they stand.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Extras {
    /// `host:address` lines of its hosts file.
    pub(crate) extra_hosts: Vec<String>,
    /// Capabilities added.
    pub(crate) cap_add: Vec<String>,
    /// Capabilities dropped.
    pub(crate) cap_drop: Vec<String>,
    /// Security options.
    pub(crate) security_opt: Vec<String>,
    /// Whether its root file system is read-only.
    pub(crate) read_only: bool,
    /// The size of /dev/shm, in bytes.
    pub(crate) shm_size: Option<u64>,
    /// Resource limits: name, soft, hard.
    pub(crate) ulimits: Vec<(String, i64, i64)>,
    /// Groups that its processes are in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) group_add: Vec<String>,
    /// Name servers beyond the engine's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) dns: Vec<String>,
    /// Domains in which short names are looked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) dns_search: Vec<String>,
    /// Options of its resolver.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) dns_options: Vec<String>,
    /// Its domain.
    pub(crate) domainname: Option<String>,
    /// Kernel settings of its own namespaces.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) sysctls: BTreeMap<String, String>,
    /// Where what it prints goes.
    pub(crate) logging: Option<Logging>,
    /// Whether it has a terminal.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) tty: bool,
    /// Whether its standard input stays open.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) stdin_open: bool,
    /// The most processes; -1 for no limit.
    pub(crate) pids_limit: Option<i64>,
    /// Memory that it keeps when the machine runs short, in bytes.
    pub(crate) memory_reservation: Option<u64>,
    /// Memory and swap together, in bytes; -1 for no limit.
    pub(crate) memory_swap: Option<i64>,
    /// How readily its memory is swapped out, in percent.
    pub(crate) memory_swappiness: Option<i64>,
    /// How readily it is killed when memory runs out.
    pub(crate) oom_score_adj: Option<i64>,
    /// Its weight when processors are short.
    pub(crate) cpu_shares: Option<i64>,
    /// The processors that it may use.
    pub(crate) cpuset: Option<String>,
}

/// When an image is fetched from its registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pull {
    /// When the engine does not have it.
    Missing,
    /// When a project is created.
    Always,
    /// Not at all.
    Never,
}

/// Where what a container prints goes.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Logging {
    /// The engine's driver; its default if there is none.
    pub(crate) driver: Option<String>,
    /// The driver's options.
    pub(crate) options: BTreeMap<String, String>,
}

/// A file that is written into a container.
#[derive(Clone, Debug)]
pub(crate) struct GivenFile {
    /// Where, absolute.
    pub(crate) target: String,
    /// What it holds.
    pub(crate) content: SecretString,
    /// Whose it is.
    pub(crate) uid: u64,
    /// Whose group's it is.
    pub(crate) gid: u64,
    /// Who may do what with it.
    pub(crate) mode: u32,
}

/// What the engine does when a container ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) enum Restart {
    /// Nothing.
    #[default]
    No,
    /// Starts it again, whatever happened.
    Always,
    /// Starts it again unless it was stopped on purpose.
    UnlessStopped,
    /// Starts it again if it failed, at most so often.
    OnFailure(Option<u32>),
}

/// A health check as Compose and the engine understand it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct HealthCheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", "…"]`.
    pub(crate) test: Vec<String>,
    /// How often it runs.
    pub(crate) interval: Option<Duration>,
    /// How long it may take.
    pub(crate) timeout: Option<Duration>,
    /// How often it may fail in a row.
    pub(crate) retries: Option<u32>,
    /// How long its failures do not count.
    pub(crate) start_period: Option<Duration>,
}

/// Something mounted into a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Mount {
    /// What.
    pub(crate) source: MountSource,
    /// Where.
    pub(crate) target: String,
    /// Whether the container may not write to it.
    pub(crate) read_only: bool,
    /// Whether a new volume stays empty, whatever the image has there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) nocopy: bool,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum MountSource {
    /// A file or folder of the stack, by its path in the stack's folder. The project has a copy of its own.
    Folder(PathBuf),
    /// A path of the machine that the operator allowed.
    Host(PathBuf),
    /// A volume, by its name on the engine.
    Volume(String),
    /// Memory, with the options of a tmpfs.
    Tmpfs(Vec<String>),
}

/// A container port that is reachable from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct PublishedPort {
    /// The port inside.
    pub(crate) container_port: u16,
    /// TCP or UDP.
    pub(crate) protocol: Protocol,
    /// The address that it is bound to.
    pub(crate) host_ip: IpAddr,
    /// The port outside.
    pub(crate) host_port: u16,
}

/// A container's place in a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Attachment {
    /// The network's name on the engine.
    pub(crate) network: String,
    /// What others in it call the container.
    pub(crate) aliases: Vec<String>,
}

/// What must be so before a container starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gate {
    /// The service that it waits for.
    pub(crate) service: ServiceName,
    /// What it waits for.
    pub(crate) condition: Condition,
    /// Whether the container cannot start if it never comes to be so.
    pub(crate) required: bool,
}

/// What one container waits for in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    /// It was started.
    Started,
    /// It is ready.
    Healthy,
    /// It ended with code 0.
    Completed,
}

/// How we find out that a service is ready, without asking inside.
#[derive(Clone, Debug)]
pub(crate) enum Probe {
    /// A `GET` of this path answers with a status below 400.
    Http {
        /// The port inside.
        port: u16,
        /// The path.
        path: String,
    },
    /// A connection is accepted.
    Tcp {
        /// The port inside.
        port: u16,
    },
    /// PostgreSQL accepts a log-in.
    Postgres {
        /// The port inside.
        port: u16,
        /// The role.
        user: String,
        /// The database.
        database: String,
        /// The role's password.
        password: SecretString,
    },
}

/// Where first-run files go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FirstRunPlace {
    /// The service whose container takes them.
    pub(crate) service: ServiceName,
    /// The folder in it.
    pub(crate) path: String,
}

impl fmt::Debug for ContainerNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContainerNode")
            .field("service", &self.service)
            .field("name", &self.name)
            .field("config_hash", &self.config_hash)
            .field("gates", &self.gates)
            .finish_non_exhaustive()
    }
}

impl Graph {
    /// The container of a service.
    pub(crate) fn container(&self, service: &str) -> Option<&ContainerNode> {
        self.containers.iter().find(|node| node.service == *service)
    }

    /// The containers that mount a volume.
    pub(crate) fn users_of(&self, volume: &str) -> impl Iterator<Item = &ContainerNode> {
        self.containers.iter().filter(move |node| {
            node.mounts
                .iter()
                .any(|mount| matches!(&mount.source, MountSource::Volume(name) if name == volume))
        })
    }
}

/// What a plan must know beyond the stack and the runtime: the machine that it is for, and on whose behalf it is made.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings {
    /// The project's folder on the machine.
    pub(crate) folder: PathBuf,
    /// The address that ports are bound to.
    pub(crate) bind_address: IpAddr,
    /// The host that people reach them by.
    pub(crate) public_host: String,
    /// The lease epoch.
    pub(crate) epoch: u64,
}
