//! What an operator sets for a Docker target.

use std::{
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
};

use freehold_core::StackName;
use serde::{Deserialize, Serialize};

/// A Docker target: which engine, which stacks, and where things lie.
///
/// ```
/// use freehold_docker::{Config, StackSource};
///
/// let config = Config::new("/var/lib/freehold/docker", [StackSource::new("/srv/stacks/webapp")]);
/// assert_eq!(config.bind_address.to_string(), "127.0.0.1");
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The engine's address: `unix:///path`, `tcp://host:port` or `http://host:port`. Absent: Docker's own default,
    /// `unix:///var/run/docker.sock`. This crate reads no environment: whoever honours `DOCKER_HOST` sets this.
    #[serde(default)]
    pub host: Option<String>,
    /// Where project folders and kept stacks lie, on a file system that the engine sees under the same path.
    pub data_root: PathBuf,
    /// The stacks that this target offers.
    pub stacks: Vec<StackSource>,
    /// The host name or address that people reach published ports by.
    #[serde(default = "default_public_host")]
    pub public_host: String,
    /// The address that published ports are bound to.
    #[serde(default = "default_bind_address")]
    pub bind_address: IpAddr,
    /// Whether this process can connect to container addresses and published ports itself. Absent: it can if the engine
    /// runs on this machine and this process in its network, and it connects to containers alone if it runs in a container of the
    /// engine, which then joins the networks of projects, and to published ports alone if the engine is rootless. Where it cannot, readiness comes from the health checks of the
    /// stack, and published ports are "not probed".
    #[serde(default)]
    pub probe_directly: Option<bool>,
    /// The name or id of the container that this process runs in. Absent: the process finds out.
    #[serde(default)]
    pub own_container: Option<String>,
    /// How many containers may be starting at once; absent: as many as the engine has processors, at least two.
    #[serde(default)]
    pub starts_in_flight: Option<usize>,
    /// How many probes may be in flight at once; absent: four for each processor.
    #[serde(default)]
    pub probes_in_flight: Option<usize>,
    /// Whether no image is ever fetched. What is missing is then named, all of it, before anything is made.
    #[serde(default)]
    pub offline: bool,
    /// A registry, for instance `mirror.example.org` or `mirror.example.org/hub`, that is asked in place of Docker Hub, and
    /// never instead of another. Images pinned by a digest come from where they say.
    #[serde(default)]
    pub mirror: Option<String>,
    /// The Docker client's own configuration, whose credentials are used to fetch images: `~/.docker/config.json` for most.
    /// Absent: none are. This crate reads no environment: whoever honours `DOCKER_CONFIG` sets this.
    #[serde(default)]
    pub docker_config: Option<PathBuf>,
}

/// A stack's folder, and what the operator allows it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StackSource {
    /// The folder with the Compose file, and `freehold.toml` unless Freehold ships the manifest.
    pub folder: PathBuf,
    /// The name that callers choose it by. Absent: the one in the folder's `freehold.toml`. A folder that has none is
    /// taken with the manifest that Freehold ships under this name: `supabase`.
    #[serde(default)]
    pub name: Option<StackName>,
    /// Paths of the machine from outside the folder that its services may mount, for instance `/var/run/docker.sock`.
    #[serde(default)]
    pub allowed_mounts: Vec<PathBuf>,
}

impl Config {
    /// A target on Docker's default address, with everything else as it is by default.
    #[must_use]
    pub fn new(data_root: impl Into<PathBuf>, stacks: impl IntoIterator<Item = StackSource>) -> Self {
        Self {
            host: None,
            data_root: data_root.into(),
            stacks: stacks.into_iter().collect(),
            public_host: default_public_host(),
            bind_address: default_bind_address(),
            probe_directly: None,
            own_container: None,
            starts_in_flight: None,
            probes_in_flight: None,
            offline: false,
            mirror: None,
            docker_config: None,
        }
    }
}

impl StackSource {
    /// A stack that may mount nothing from outside its folder.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), name: None, allowed_mounts: Vec::new() }
    }

    /// The same under a name; see [`name`](Self::name).
    #[must_use]
    pub fn named(self, name: StackName) -> Self {
        Self { name: Some(name), ..self }
    }
}

fn default_public_host() -> String {
    "127.0.0.1".into()
}

fn default_bind_address() -> IpAddr {
    Ipv4Addr::LOCALHOST.into()
}
