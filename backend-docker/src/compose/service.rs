//! One service of a Compose file.

use std::{collections::BTreeMap, fmt, time::Duration};

use freehold_core::ServiceName;

use super::{
    at::At,
    environment::{self, EnvFile},
    health,
    mounts::{self, ServiceMount},
    networks::{self, DEFAULT_NETWORK},
    ports::{self, Port},
    problem::Result,
    quantity::{BYTES, DURATION, bytes, duration},
    words,
};
use crate::graph::{Condition, Extras, HealthCheck, Restart};

/// A service as the file has it, its variables replaced. Its `Debug` shows no value of its environment.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) name: ServiceName,
    pub(crate) image: String,
    pub(crate) entrypoint: Option<Vec<String>>,
    pub(crate) command: Option<Vec<String>>,
    pub(crate) environment: BTreeMap<String, Option<String>>,
    pub(crate) env_files: Vec<EnvFile>,
    pub(crate) ports: Vec<Port>,
    pub(crate) mounts: Vec<ServiceMount>,
    pub(crate) networks: Vec<(String, Vec<String>)>,
    pub(crate) depends_on: Vec<Dependency>,
    pub(crate) healthcheck: Option<HealthCheck>,
    pub(crate) restart: Restart,
    pub(crate) user: Option<String>,
    pub(crate) working_dir: Option<String>,
    pub(crate) init: Option<bool>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) container_name: Option<String>,
    pub(crate) hostname: Option<String>,
    pub(crate) stop_signal: Option<String>,
    pub(crate) stop_grace: Option<Duration>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) cpus: Option<f64>,
    pub(crate) extras: Extras,
}

/// What a service waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dependency {
    pub(crate) service: ServiceName,
    pub(crate) condition: Condition,
    pub(crate) required: bool,
}

impl Service {
    fn named(name: ServiceName) -> Self {
        Self {
            name,
            image: String::new(),
            entrypoint: None,
            command: None,
            environment: BTreeMap::new(),
            env_files: Vec::new(),
            ports: Vec::new(),
            mounts: Vec::new(),
            networks: Vec::new(),
            depends_on: Vec::new(),
            healthcheck: None,
            restart: Restart::No,
            user: None,
            working_dir: None,
            init: None,
            labels: BTreeMap::new(),
            container_name: None,
            hostname: None,
            stop_signal: None,
            stop_grace: None,
            memory_bytes: None,
            cpus: None,
            extras: Extras::default(),
        }
    }

    /// Reads the service under a key of `services`.
    pub(crate) fn read(at: &At<'_>) -> Result<Self> {
        let name = ServiceName::new(at.name()).map_err(|error| at.problem(error.to_string()))?;
        let mut service = Self::named(name);
        for (key, at) in at.entries()? {
            service.read_key(key, &at)?;
        }
        if service.networks.is_empty() {
            service.networks.push((DEFAULT_NETWORK.to_owned(), Vec::new()));
        }
        if service.image.is_empty() {
            return Err(at.problem("the key image is missing: name the image that the service runs"));
        }
        Ok(service)
    }

    fn read_key(&mut self, key: &str, at: &At<'_>) -> Result<()> {
        let text = |at: &At<'_>| at.filled().map(|text| Some(text.to_owned()));
        match key {
            "image" => self.image = at.filled()?.to_owned(),
            "command" => self.command = command(at)?,
            "entrypoint" => self.entrypoint = command(at)?,
            "environment" => self.environment = environment::read(at)?,
            "env_file" => self.env_files = environment::read_files(at)?,
            "ports" => self.ports = ports::read(at)?,
            "volumes" => self.mounts.extend(mounts::read(at)?),
            "tmpfs" => self.mounts.extend(mounts::read_tmpfs(at)?),
            "networks" => self.networks = networks::read_attachments(at)?,
            "depends_on" => self.depends_on = depends_on(at)?,
            "healthcheck" => self.healthcheck = Some(health::read(at)?),
            "restart" => {
                self.restart =
                    at.read("no, always, unless-stopped, on-failure or on-failure:TIMES", restart)?
            }
            "user" => self.user = text(at)?,
            "working_dir" => self.working_dir = text(at)?,
            "init" => self.init = Some(at.flag()?),
            "labels" => self.labels = environment::read_labels(at)?,
            "container_name" => self.container_name = text(at)?,
            "hostname" => self.hostname = text(at)?,
            "stop_signal" => self.stop_signal = text(at)?,
            "stop_grace_period" => self.stop_grace = Some(at.read(DURATION, duration)?),
            "mem_limit" => self.memory_bytes = Some(at.read(BYTES, bytes)?),
            "cpus" => {
                self.cpus = Some(at.read("a number of processors above 0", |text| {
                    text.parse().ok().filter(|cpus| *cpus > 0.0)
                })?)
            }
            // All ports are open to the services of a project; nothing follows from saying so.
            "expose" => drop(at.texts()?),
            "shm_size" => self.extras.shm_size = Some(at.read(BYTES, bytes)?),
            "security_opt" => self.extras.security_opt = at.texts()?,
            "cap_add" => self.extras.cap_add = at.texts()?,
            "cap_drop" => self.extras.cap_drop = at.texts()?,
            "extra_hosts" => {
                self.extras.extra_hosts = at.texts()?.iter().map(|host| host.replacen('=', ":", 1)).collect();
            }
            "ulimits" => self.extras.ulimits = ulimits(at)?,
            "read_only" => self.extras.read_only = at.flag()?,
            _ => at.unknown()?,
        }
        Ok(())
    }
}

/// A string is split into words; a list is taken as it stands; nothing leaves the image's own.
fn command(at: &At<'_>) -> Result<Option<Vec<String>>> {
    if at.is_null() {
        return Ok(None);
    }
    if at.is_list() {
        return at.texts().map(Some);
    }
    at.read("words whose quotes are closed, or a list", words::split).map(Some)
}

/// A list of services, or a mapping with conditions. `restart` is accepted and has no effect: Freehold restarts services
/// by its own order.
fn depends_on(at: &At<'_>) -> Result<Vec<Dependency>> {
    const CONDITION: &str = "service_started, service_healthy or service_completed_successfully";
    let named =
        |at: &At<'_>, name: &str| ServiceName::new(name).map_err(|error| at.problem(error.to_string()));
    if at.is_list() {
        return at
            .items()?
            .iter()
            .map(|item| {
                let service = named(item, item.text()?)?;
                Ok(Dependency { service, condition: Condition::Started, required: true })
            })
            .collect();
    }
    let mut dependencies = Vec::new();
    for (name, at) in at.entries()? {
        let (mut condition, mut required) = (None, true);
        for (key, at) in at.entries()? {
            match key {
                "condition" => {
                    condition = Some(at.read(CONDITION, |text| match text {
                        "service_started" => Some(Condition::Started),
                        "service_healthy" => Some(Condition::Healthy),
                        "service_completed_successfully" => Some(Condition::Completed),
                        _ => None,
                    })?);
                }
                "required" => required = at.flag()?,
                "restart" => drop(at.flag()?),
                _ => at.unknown()?,
            }
        }
        let condition = condition
            .ok_or_else(|| at.problem(format!("the key condition is missing: write {CONDITION}")))?;
        dependencies.push(Dependency { service: named(&at, name)?, condition, required });
    }
    Ok(dependencies)
}

/// A number for both bounds of a resource, or a mapping with `soft` and `hard`.
fn ulimits(at: &At<'_>) -> Result<Vec<(String, i64, i64)>> {
    let number = |at: &At<'_>| at.read("a whole number, -1 for no limit", |text| text.parse().ok());
    let mut limits = Vec::new();
    for (name, at) in at.entries()? {
        let (mut soft, mut hard) = (None, None);
        if !at.is_map() {
            (soft, hard) = (Some(number(&at)?), Some(number(&at)?));
        } else {
            for (key, at) in at.entries()? {
                match key {
                    "soft" => soft = Some(number(&at)?),
                    "hard" => hard = Some(number(&at)?),
                    _ => at.unknown()?,
                }
            }
        }
        let (Some(soft), Some(hard)) = (soft, hard) else {
            return Err(at.problem("soft or hard is missing: write both, or one number for both"));
        };
        limits.push((name.to_owned(), soft, hard));
    }
    Ok(limits)
}

fn restart(text: &str) -> Option<Restart> {
    match text.split_once(':') {
        None => match text {
            "no" => Some(Restart::No),
            "always" => Some(Restart::Always),
            "unless-stopped" => Some(Restart::UnlessStopped),
            "on-failure" => Some(Restart::OnFailure(None)),
            _ => None,
        },
        Some(("on-failure", times)) => times.parse().ok().map(|times| Restart::OnFailure(Some(times))),
        Some(_) => None,
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service")
            .field("name", &self.name)
            .field("image", &self.image)
            .field("environment", &self.environment.keys())
            .finish_non_exhaustive()
    }
}
