//! One container of a project.

use std::collections::BTreeMap;

use freehold_core::{Error, Result, SecretString, ServiceName};
use serde_json::json;

use super::{Planner, hash};
use crate::{
    compose::{Declared, Grant, Service, ServiceMount, Sort, Source},
    graph::{
        Condition, ContainerNode, Gate, GivenFile, Mount, MountSource, Probe, PublishedPort, VolumeNode,
    },
    labels, manifest,
    stack::{Place, place},
};

impl Planner<'_> {
    /// The container of a service; the volumes that it mounts are added to `volumes`.
    pub(super) fn container(
        &self,
        service: &Service,
        volumes: &mut BTreeMap<String, VolumeNode>,
    ) -> Result<ContainerNode> {
        let mut node = ContainerNode {
            service: service.name.clone(),
            name: self.identity.container(&service.name),
            labels: BTreeMap::new(),
            config_hash: String::new(),
            image: service.image.clone(),
            pull: service.pull,
            entrypoint: service.entrypoint.clone(),
            command: service.command.clone(),
            environment: self
                .identity
                .stack
                .environment(service, &self.variables)?
                .into_iter()
                .map(|(name, value)| (name, value.map(SecretString::from)))
                .collect(),
            user: service.user.clone(),
            working_dir: service.working_dir.clone(),
            hostname: service.hostname.clone(),
            init: service.init,
            restart: service.restart(),
            stop_signal: service.stop_signal.clone(),
            stop_grace: service.stop_grace,
            healthcheck: service.healthcheck.clone(),
            mounts: self.mounts(service, volumes)?,
            files: self.files(service)?,
            ports: self.ports(service)?,
            networks: self.attachments(service),
            gates: self.gates(service),
            probe: self.probe(service)?,
            job: self.is_job(service),
            memory_bytes: self.memory(service),
            cpus: least(service.cpus, self.identity.runtime.limits.cpus),
            extras: service.extras.clone(),
        };
        node.config_hash = hash::of(&node, &service.labels, &self.identity.runtime.hash_key)?;
        node.labels = self.identity.labels_of_container(&service.name, &service.labels, &node.config_hash);
        let keys = hash::keys(&node, &service.labels, &self.identity.runtime.hash_key);
        node.labels.insert(labels::CONFIG_KEYS.to_owned(), json!(keys).to_string());
        Ok(node)
    }

    fn mounts(&self, service: &Service, volumes: &mut BTreeMap<String, VolumeNode>) -> Result<Vec<Mount>> {
        let mut mounts: Vec<Mount> = Vec::with_capacity(service.mounts.len());
        let granted = self.granted_files(service)?;
        for mount in service.mounts.iter().chain(&granted) {
            let source = self.mount_source(service, mount, volumes)?;
            if mounts.iter().any(|other| other.target == mount.target) {
                let message = format!("{} is mounted twice", mount.target);
                return Err(self.identity.stack.problem(service.name.as_str(), "volumes", message).into());
            }
            mounts.push(Mount {
                source,
                target: mount.target.clone(),
                read_only: mount.read_only,
                nocopy: mount.nocopy,
            });
        }
        Ok(mounts)
    }

    /// The configs and secrets that are no files of the stack: they are written into the container.
    fn files(&self, service: &Service) -> Result<Vec<GivenFile>> {
        let mut files = Vec::new();
        for (sort, grant) in &service.grants {
            let problem =
                |message: String| self.identity.stack.problem(service.name.as_str(), sort.key(), message);
            let content = match self.declared(*sort, grant)? {
                Declared::File(_) => continue,
                Declared::Content(text) => text.clone(),
                Declared::Variable(name) => self.variables.get(name).cloned().ok_or_else(|| {
                    problem(format!("{} takes the variable {name}, which is not set", grant.source))
                })?,
            };
            let hidden =
                |mount: &&ServiceMount| std::path::Path::new(&grant.target).starts_with(&mount.target);
            if let Some(mount) = service.mounts.iter().find(hidden) {
                let message = format!(
                    "{} would be hidden by the mount on {}: keep it in a file",
                    grant.source, mount.target
                );
                return Err(problem(message).into());
            }
            if service.extras.read_only {
                // The engine writes into no container whose root file system is read-only.
                let message =
                    format!("{} cannot be written where read_only is set: keep it in a file", grant.source);
                return Err(problem(message).into());
            }
            files.push(GivenFile {
                target: grant.target.clone(),
                content: content.into(),
                uid: grant.uid.unwrap_or(0),
                gid: grant.gid.unwrap_or(0),
                mode: grant.mode.unwrap_or(0o444),
            });
        }
        Ok(files)
    }

    fn declared(&self, sort: Sort, grant: &Grant) -> Result<&Declared> {
        let declared = self.compose.files.get(&(sort, grant.source.clone()));
        declared.ok_or_else(|| Error::internal(format!("plan {} that are not declared", sort.key())))
    }

    /// The configs and secrets that are files of the stack: they are mounted.
    fn granted_files(&self, service: &Service) -> Result<Vec<ServiceMount>> {
        let mut mounts = Vec::new();
        for (sort, grant) in &service.grants {
            if let Declared::File(path) = self.declared(*sort, grant)? {
                self.identity.stack.refuse_absent_grant(service, sort.key(), path)?;
                let (source, target) = (Source::Path(path.clone()), grant.target.clone());
                mounts.push(ServiceMount { source, target, read_only: true, nocopy: false });
            }
        }
        Ok(mounts)
    }

    fn mount_source(
        &self,
        service: &Service,
        mount: &ServiceMount,
        volumes: &mut BTreeMap<String, VolumeNode>,
    ) -> Result<MountSource> {
        let volume = match &mount.source {
            Source::Tmpfs(options) => return Ok(MountSource::Tmpfs(options.clone())),
            Source::Named(name) => name.clone(),
            Source::Anonymous => self.identity.nameless_volume(&service.name, &mount.target),
            Source::Path(path) => match place(path) {
                Place::Inside(path) => match self.data_volume(&path) {
                    Some(volume) => volume.to_owned(),
                    None => {
                        self.identity.stack.refuse_absent_file(service, &path, &mount.target)?;
                        return Ok(MountSource::Folder(path));
                    }
                },
                Place::Outside(path) if self.identity.stack.allows(&path) => {
                    return Ok(MountSource::Host(path));
                }
                Place::Outside(path) => {
                    let path = path.display();
                    let message = format!(
                        "{path} lies outside the stack's folder: copy it there, exclude {}, or add {path} to the stack's \
                         allowed_mounts",
                        service.name
                    );
                    return Err(self
                        .identity
                        .stack
                        .problem(service.name.as_str(), "volumes", message)
                        .into());
                }
            },
        };
        let name = self.identity.shared(&volume);
        let config_hash = self.identity.runtime.hash_key.hash(name.as_bytes());
        let own = self.compose.volumes.get(&volume).cloned().unwrap_or_default();
        let labels = self.identity.labels_of_shared(labels::compose::VOLUME, &volume, &config_hash, own);
        volumes.entry(volume).or_insert(VolumeNode { name: name.clone(), labels, data: true });
        Ok(MountSource::Volume(name))
    }

    /// The volume that the manifest makes of a directory.
    fn data_volume(&self, path: &std::path::Path) -> Option<&str> {
        let data = self.identity.stack.manifest().data.iter();
        data.map(|data| (place(&data.path), &data.volume))
            .find(|(place, _)| matches!(place, Place::Inside(inside) if inside == path))
            .map(|(_, volume)| volume.as_str())
    }

    /// The published side of each port: its place in the project's block.
    fn ports(&self, service: &Service) -> Result<Vec<PublishedPort>> {
        let (runtime, spec) = (self.identity.runtime, self.identity.stack.spec());
        service
            .ports
            .iter()
            .map(|port| {
                let offset = spec.port_offset(&service.name, port.container_port, port.protocol);
                let offset = offset.ok_or_else(|| {
                    let message = format!(
                        "{} is published because of a variable: a project cannot change its stack's ports",
                        port.container_port
                    );
                    self.identity.stack.problem(service.name.as_str(), "ports", message)
                })?;
                let host_port = runtime.ports.port(offset).ok_or_else(|| {
                    let needed = spec.port_count();
                    let has = runtime.ports.count;
                    Error::invalid("ports", format_args!("the stack needs {needed}, and the block has {has}"))
                })?;
                Ok(PublishedPort {
                    container_port: port.container_port,
                    protocol: port.protocol,
                    host_ip: self.identity.surroundings.bind_address,
                    host_port,
                })
            })
            .collect()
    }

    /// What the service waits for among those that run.
    fn gates(&self, service: &Service) -> Vec<Gate> {
        let runs = |name: &ServiceName| self.services.iter().any(|service| service.name == *name);
        let edges = service.depends_on.iter().filter(|edge| runs(&edge.service));
        edges
            .map(|edge| Gate {
                service: edge.service.clone(),
                condition: edge.condition,
                required: edge.required,
            })
            .collect()
    }

    fn probe(&self, service: &Service) -> Result<Option<Probe>> {
        let stack = self.identity.stack;
        let said = stack.manifest().services.get(&service.name).and_then(|said| said.probe.clone());
        // The database is asked by logging in: nothing else tells that it does not take the project's password.
        let database = stack.spec().database.as_ref().filter(|database| database.service == service.name);
        let log_in = database.map(|database| manifest::Probe::Postgres { port: database.port });
        let Some(probe) = said.or(log_in) else { return Ok(None) };
        Ok(Some(match probe {
            manifest::Probe::Tcp { port } => Probe::Tcp { port },
            manifest::Probe::Http { port, path } => Probe::Http { port, path },
            manifest::Probe::Postgres { port } => {
                let database = stack.spec().database.as_ref().ok_or_else(|| {
                    Error::invalid(
                        &format!("{}: services.{}.probe", manifest::FILE, service.name),
                        "kind postgres logs in to the database of [database], which is missing",
                    )
                })?;
                Probe::Postgres {
                    port,
                    user: database.user.clone(),
                    database: database.name.clone(),
                    password: self.identity.runtime.secret(&database.password)?.clone(),
                }
            }
        }))
    }

    /// Whether any service of the stack waits for this one's end, excluded ones too, or the manifest calls it a job.
    fn is_job(&self, service: &Service) -> bool {
        if self.identity.stack.manifest().services.get(&service.name).is_some_and(|said| said.job) {
            return true;
        }
        let mut edges = self.compose.services.iter().flat_map(|other| &other.depends_on);
        edges.any(|edge| edge.service == service.name && edge.condition == Condition::Completed)
    }

    /// The service's own bound, else an equal share of what the project may use beyond such bounds, so that all together
    /// stay within it.
    fn memory(&self, service: &Service) -> Option<u64> {
        let whole = self.identity.runtime.limits.memory_bytes;
        let Some(whole) = whole else { return service.memory_bytes };
        let bounded: u64 = self.services.iter().filter_map(|service| service.memory_bytes).sum();
        let unbounded = self.services.iter().filter(|service| service.memory_bytes.is_none()).count() as u64;
        let share = whole.saturating_sub(bounded) / unbounded.max(1);
        Some(service.memory_bytes.unwrap_or(share))
    }
}

fn least(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
