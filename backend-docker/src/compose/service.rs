//! One service of a Compose file.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use freehold_core::{ServiceName, stack::Protocol};

use super::{
    at::At,
    deploy::{self, Deploy},
    environment::{self, EnvFile},
    files::{self, Grant, Sort},
    health, keys,
    mounts::{self, ServiceMount},
    networks::{self, DEFAULT_NETWORK},
    ports::{self, Port},
    problem::Result,
    quantity::{BYTES, DURATION, bytes, duration},
    words,
};
use crate::graph::{Condition, Extras, HealthCheck, Logging, Pull, Restart};

/// A service as the file has it, its variables replaced. Its `Debug` shows no value of its environment.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) name: ServiceName,
    pub(crate) image: String,
    pub(crate) pull: Pull,
    /// Active only with one of these; always if there are none.
    pub(crate) profiles: BTreeSet<String>,
    pub(crate) entrypoint: Option<Vec<String>>,
    pub(crate) command: Option<Vec<String>>,
    pub(crate) environment: BTreeMap<String, Option<String>>,
    pub(crate) env_files: Vec<EnvFile>,
    pub(crate) ports: Vec<Port>,
    pub(crate) mounts: Vec<ServiceMount>,
    /// The configs and secrets that it is given.
    pub(crate) grants: Vec<(Sort, Grant)>,
    pub(crate) networks: Vec<(String, Vec<String>)>,
    pub(crate) depends_on: Vec<Dependency>,
    pub(crate) healthcheck: Option<HealthCheck>,
    pub(crate) restart: Option<Restart>,
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
            pull: Pull::Missing,
            profiles: BTreeSet::new(),
            entrypoint: None,
            command: None,
            environment: BTreeMap::new(),
            env_files: Vec::new(),
            ports: Vec::new(),
            mounts: Vec::new(),
            grants: Vec::new(),
            networks: Vec::new(),
            depends_on: Vec::new(),
            healthcheck: None,
            restart: None,
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
        let mut deploy = Deploy::default();
        for (key, at) in at.entries()? {
            match key {
                "deploy" => deploy = deploy::read(&at)?,
                _ => service.read_key(key, &at)?,
            }
        }
        service.settle(deploy);
        if service.image.is_empty() {
            return Err(at.problem("the key image is missing: name the image that the service runs"));
        }
        Ok(service)
    }

    /// What `deploy` says goes before what the older keys say, as for `docker compose`; a service without networks is in the
    /// default one; of two mounts with one target the later one counts.
    fn settle(&mut self, deploy: Deploy) {
        self.memory_bytes = deploy.memory_bytes.or(self.memory_bytes);
        self.cpus = deploy.cpus.or(self.cpus);
        self.restart = deploy.restart.or(self.restart);
        self.extras.pids_limit = deploy.pids.or(self.extras.pids_limit);
        self.extras.memory_reservation = deploy.memory_reservation.or(self.extras.memory_reservation);
        if self.networks.is_empty() {
            self.networks.push((DEFAULT_NETWORK.to_owned(), Vec::new()));
        }
        let mut mounts: Vec<ServiceMount> = Vec::with_capacity(self.mounts.len());
        for mount in self.mounts.drain(..) {
            match mounts.iter_mut().find(|other| other.target == mount.target) {
                Some(other) => *other = mount,
                None => mounts.push(mount),
            }
        }
        self.mounts = mounts;
    }

    fn read_key(&mut self, key: &str, at: &At<'_>) -> Result<()> {
        let text = |at: &At<'_>| at.filled().map(|text| Some(text.to_owned()));
        match key {
            "image" => self.image = at.filled()?.to_owned(),
            "pull_policy" => self.pull = at.read("always, missing, if_not_present or never", pull)?,
            "profiles" => self.profiles = at.texts()?.into_iter().collect(),
            "command" => self.command = command(at)?,
            "entrypoint" => self.entrypoint = command(at)?,
            "environment" => self.environment = environment::read(at)?,
            "env_file" => self.env_files = environment::read_files(at)?,
            "ports" => self.ports = ports::read(at)?,
            "volumes" => self.mounts.extend(mounts::read(at)?),
            "tmpfs" => self.mounts.extend(mounts::read_tmpfs(at)?),
            "configs" => self.grant(Sort::Config, at)?,
            "secrets" => self.grant(Sort::Secret, at)?,
            "networks" => self.networks = networks::read_attachments(at)?,
            "depends_on" => self.depends_on = depends_on(at)?,
            "healthcheck" => self.healthcheck = Some(health::read(at)?),
            "restart" => {
                let right = "no, always, unless-stopped, on-failure or on-failure:TIMES";
                self.restart = Some(at.read(right, restart)?);
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
            "cpus" => self.cpus = Some(at.read(deploy::CPUS, deploy::cpus)?),
            // All ports are open to the services of a project; nothing follows from saying so.
            "expose" => drop(at.texts()?),
            "attach" => drop(at.flag()?),
            _ => read_extra(&mut self.extras, key, at)?,
        }
        Ok(())
    }

    fn grant(&mut self, sort: Sort, at: &At<'_>) -> Result<()> {
        self.grants.extend(files::read_grants(sort, at)?.into_iter().map(|grant| (sort, grant)));
        Ok(())
    }

    /// Publishes a TCP port, if it is not published already.
    pub(crate) fn publish(&mut self, container_port: u16) {
        let port = Port { container_port, protocol: Protocol::Tcp };
        if !self.ports.contains(&port) {
            self.ports.push(port);
        }
    }

    /// What the engine does when it ends.
    pub(crate) fn restart(&self) -> Restart {
        self.restart.unwrap_or_default()
    }

    /// Whether it is part of the stack unless somebody asks for it.
    pub(crate) fn is_active(&self, profiles: &[String]) -> bool {
        self.profiles.is_empty()
            || profiles.iter().any(|profile| profile == "*" || self.profiles.contains(profile))
    }
}

/// What goes to the engine as it stands.
fn read_extra(extras: &mut Extras, key: &str, at: &At<'_>) -> Result<()> {
    let texts = |at: &At<'_>| {
        let items = at.one_or_more()?;
        items.iter().map(|item| item.text().map(str::to_owned)).collect::<Result<Vec<_>>>()
    };
    match key {
        "shm_size" => extras.shm_size = Some(at.read(BYTES, bytes)?),
        "security_opt" => extras.security_opt = at.texts()?,
        "cap_add" => extras.cap_add = at.texts()?,
        "cap_drop" => extras.cap_drop = at.texts()?,
        "group_add" => extras.group_add = at.texts()?,
        "extra_hosts" => extras.extra_hosts = extra_hosts(at)?,
        "dns" => extras.dns = texts(at)?,
        "dns_search" => extras.dns_search = texts(at)?,
        "dns_opt" => extras.dns_options = texts(at)?,
        "domainname" => extras.domainname = Some(at.filled()?.to_owned()),
        "ulimits" => extras.ulimits = ulimits(at)?,
        "sysctls" => {
            let values = environment::read(at)?;
            extras.sysctls =
                values.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect();
        }
        "logging" => extras.logging = Some(logging(at)?),
        "read_only" => extras.read_only = at.flag()?,
        "tty" => extras.tty = at.flag()?,
        "stdin_open" => extras.stdin_open = at.flag()?,
        "pids_limit" => extras.pids_limit = Some(at.number()?),
        "mem_reservation" => extras.memory_reservation = Some(at.read(BYTES, bytes)?),
        "memswap_limit" => {
            let right = "a size like 2g, or -1 for no limit";
            extras.memory_swap = Some(at.read(right, |text| match text {
                "-1" => Some(-1),
                text => i64::try_from(bytes(text)?).ok(),
            })?);
        }
        "mem_swappiness" => {
            let percent = |text: &str| text.parse().ok().filter(|percent| (0..=100).contains(percent));
            extras.memory_swappiness = Some(at.read("a number from 0 to 100", percent)?);
        }
        "oom_score_adj" => {
            let score = |text: &str| text.parse().ok().filter(|score| (-1000..=1000).contains(score));
            extras.oom_score_adj = Some(at.read("a number from -1000 to 1000", score)?);
        }
        "cpu_shares" => extras.cpu_shares = Some(at.number()?),
        "cpuset" => extras.cpuset = Some(at.filled()?.to_owned()),
        _ => at.unknown(&keys::SERVICE)?,
    }
    Ok(())
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
                _ => at.unknown(&keys::DEPENDENCY)?,
            }
        }
        let condition = match condition {
            Some(condition) => condition,
            // A name alone, which a list of names becomes when files are merged.
            None if at.is_null() => Condition::Started,
            None => return Err(at.problem(format!("the key condition is missing: write {CONDITION}"))),
        };
        dependencies.push(Dependency { service: named(&at, name)?, condition, required });
    }
    Ok(dependencies)
}

/// `HOST=ADDRESS` or `HOST:ADDRESS` items, or a mapping of hosts to an address or several.
fn extra_hosts(at: &At<'_>) -> Result<Vec<String>> {
    let line = |host: &str, address: &str| {
        let address = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        format!("{host}:{address}")
    };
    if !at.is_map() {
        return at
            .items()?
            .iter()
            .map(|item| {
                item.read("HOST=ADDRESS", |text| {
                    let (host, address) = text.split_once('=').or_else(|| text.split_once(':'))?;
                    (!host.is_empty() && !address.is_empty()).then(|| line(host, address))
                })
            })
            .collect();
    }
    let mut lines = Vec::new();
    for (host, at) in at.entries()? {
        for address in at.one_or_more()? {
            lines.push(line(host, address.filled()?));
        }
    }
    Ok(lines)
}

fn logging(at: &At<'_>) -> Result<Logging> {
    let mut logging = Logging::default();
    for (key, at) in at.entries()? {
        match key {
            "driver" => logging.driver = Some(at.filled()?.to_owned()),
            "options" => {
                let options = environment::read(&at)?;
                logging.options =
                    options.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect();
            }
            _ => at.unknown(&keys::LOGGING)?,
        }
    }
    Ok(logging)
}

fn pull(text: &str) -> Option<Pull> {
    match text {
        "always" => Some(Pull::Always),
        "missing" | "if_not_present" => Some(Pull::Missing),
        "never" => Some(Pull::Never),
        _ => None,
    }
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
                    _ => at.unknown(&keys::ULIMIT)?,
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

pub(super) fn restart(text: &str) -> Option<Restart> {
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
