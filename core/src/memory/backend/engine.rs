//! What is really there: the state that calls change and that `health`, `plan` and `inventory` look at.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use secrecy::ExposeSecret as _;
use time::OffsetDateTime;

use super::{lines::Lines, stack::MemoryStack};
use crate::{
    connection::{Address, Connection, DatabaseConnection, Endpoint},
    error::{Detail, Error, Result},
    health::{Health, ServiceHealth, ServiceState},
    inventory::Holding,
    names::{InstallationId, ServiceName},
    plan::{Action, Plan, PlannedChange, Wish},
    project_ref::ProjectRef,
    runtime::{PortBlock, Runtime},
    stack::{PortTarget, Protocol},
};

/// Everything on the engine.
#[derive(Debug, Default)]
pub(super) struct Engine {
    pub(super) projects: BTreeMap<ProjectRef, Real>,
    /// Which project holds which port.
    held: BTreeMap<u16, ProjectRef>,
    /// Ports that somebody else holds.
    pub(super) strangers: BTreeSet<u16>,
    /// Projects that no look at is answered.
    pub(super) stalled: BTreeSet<ProjectRef>,
}

/// What one project has.
#[derive(Debug)]
pub(super) struct Real {
    /// As it was when the project was first provisioned.
    pub(super) stack: Arc<MemoryStack>,
    pub(super) installation: InstallationId,
    pub(super) made: OffsetDateTime,
    pub(super) ports: PortBlock,
    pub(super) services: BTreeMap<ServiceName, Service>,
    pub(super) data: BTreeMap<String, String>,
    /// The first-run files that were applied.
    pub(super) applied: BTreeSet<String>,
    pub(super) lines: Lines,
}

/// A service that was created.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) condition: Condition,
    pub(super) since: OffsetDateTime,
    /// A hash of all that it was made from, so that no secret is kept.
    config: String,
}

/// How a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Created,
    Running,
    /// It runs, and answers badly.
    Ailing,
    Done,
    Down,
}

impl Engine {
    /// Refuses ports that a stranger or another project holds.
    pub(super) fn check_ports(&self, runtime: &Runtime) -> Result<()> {
        for port in runtime.ports.iter() {
            let holder = match self.held.get(&port).filter(|project| **project != runtime.project) {
                Some(project) => format!("project {project}"),
                None if self.strangers.contains(&port) => "somebody else".to_owned(),
                None => continue,
            };
            return Err(Error::detailed(
                Detail::PortTaken { port },
                format!("bind port {port}: {holder} holds it"),
            ));
        }
        Ok(())
    }

    /// Gives a project those ports, and no others.
    pub(super) fn give_ports(&mut self, project: &ProjectRef, ports: PortBlock) -> Result<()> {
        let before = std::mem::replace(&mut self.kept(project)?.ports, ports);
        self.release(project, before);
        self.held.extend(ports.iter().map(|port| (port, *project)));
        Ok(())
    }

    /// Forgets a project, with its ports.
    pub(super) fn forget(&mut self, project: &ProjectRef) {
        if let Some(real) = self.projects.remove(project) {
            self.release(project, real.ports);
        }
    }

    fn release(&mut self, project: &ProjectRef, ports: PortBlock) {
        for port in ports.iter() {
            if self.held.get(&port) == Some(project) {
                self.held.remove(&port);
            }
        }
    }

    /// What a project has, or the error for one whose data is gone.
    pub(super) fn kept(&mut self, project: &ProjectRef) -> Result<&mut Real> {
        self.projects
            .get_mut(project)
            .ok_or_else(|| Error::internal(format!("find the data of project {project}: it is gone")))
    }

    /// Turns a service from one condition to another, if it is in the first.
    pub(super) fn turn(
        &mut self,
        project: &ProjectRef,
        service: &ServiceName,
        (from, to): (Condition, Condition),
        now: OffsetDateTime,
    ) {
        let real = self.projects.get_mut(project);
        let service = real.and_then(|real| real.services.get_mut(service));
        if let Some(service) = service.filter(|service| service.condition == from) {
            (service.condition, service.since) = (to, now);
        }
    }

    pub(super) fn health(&self, runtime: &Runtime, stack: &MemoryStack) -> Health {
        let real = self.projects.get(&runtime.project);
        let services = wanted(stack, runtime).map(|name| {
            let service = real.and_then(|real| real.services.get(name));
            let (state, last_error) = match service.map(|service| service.condition) {
                Some(Condition::Running) => (ServiceState::Healthy, None),
                Some(Condition::Done) => (ServiceState::Done, None),
                Some(Condition::Created) => (ServiceState::Starting, None),
                Some(Condition::Ailing) => (ServiceState::Unhealthy, Some("it answers badly")),
                Some(Condition::Down) => (ServiceState::Unhealthy, Some("it was killed")),
                None => (ServiceState::Unhealthy, Some("it is not there")),
            };
            ServiceHealth {
                since: service.map(|service| service.since),
                last_error: last_error.map(str::to_owned),
                latency_ms: Some(0),
                ..ServiceHealth::new(name.clone(), state, "memory")
            }
        });
        Health { services: services.collect() }
    }

    pub(super) fn plan(&self, runtime: &Runtime, stack: &MemoryStack, wish: Wish) -> Plan {
        let real = self.projects.get(&runtime.project);
        let there = |name: &ServiceName| real.and_then(|real| real.services.get(name));
        let mut changes = Vec::new();
        if real.is_none() && wish == Wish::Active {
            changes.push(change(Action::Create, "data", runtime.project.as_str(), "", "its data is gone"));
        }
        for name in stack.spec.services.iter().map(|service| &service.name) {
            let is_wanted = wish == Wish::Active && !runtime.excluded.contains(name);
            let planned = match there(name) {
                None if is_wanted => Some((Action::Create, "it is not there")),
                Some(_) if !is_wanted => Some((Action::Remove, "it is not wished for")),
                Some(service) if is_wanted && service.config != config(runtime, name) => {
                    Some((Action::Replace, "its settings differ"))
                }
                Some(service) if is_wanted && !service.is_up() => Some((Action::Start, "it does not run")),
                _ => None,
            };
            if let Some((action, reason)) = planned {
                let resource = format!("{}-{name}", runtime.project);
                changes.push(change(action, "service", &resource, name.as_str(), reason));
            }
        }
        Plan { changes }
    }

    pub(super) fn inventory(&self) -> Vec<Holding> {
        self.projects.keys().filter_map(|project| self.holding(project)).collect()
    }

    pub(super) fn holding(&self, project: &ProjectRef) -> Option<Holding> {
        let real = self.projects.get(project)?;
        let services = u32::try_from(real.services.len()).unwrap_or(u32::MAX);
        let resources = [("data", 1), ("service", services)];
        let resources = resources.into_iter().filter(|(_, count)| *count > 0);
        Some(Holding {
            project: *project,
            installation: Some(real.installation.clone()),
            resources: resources.map(|(kind, count)| (kind.to_owned(), count)).collect(),
            oldest: real.made,
        })
    }
}

impl Real {
    /// Whether a service is as the runtime wants it.
    pub(super) fn is_as_wished(&self, runtime: &Runtime, name: &ServiceName) -> bool {
        let service = self.services.get(name);
        service.is_some_and(|service| service.is_up() && service.config == config(runtime, name))
    }

    pub(super) fn create(&mut self, runtime: &Runtime, name: &ServiceName, now: OffsetDateTime) {
        let service = Service { condition: Condition::Created, since: now, config: config(runtime, name) };
        self.services.insert(name.clone(), service);
    }

    /// What was made from settings that nobody knows any more.
    pub(super) fn land(&mut self, name: &ServiceName, now: OffsetDateTime) {
        let service = Service { condition: Condition::Running, since: now, config: String::new() };
        self.services.entry(name.clone()).or_insert(service);
    }

    pub(super) fn start(&mut self, name: &ServiceName, now: OffsetDateTime) {
        let condition =
            if self.stack.one_shots.contains(name) { Condition::Done } else { Condition::Running };
        if let Some(service) = self.services.get_mut(name) {
            service.condition = condition;
            service.since = now;
        }
    }

    /// How the project is reached.
    pub(super) fn connection(&self, runtime: &Runtime) -> Connection {
        let spec = &self.stack.spec;
        let endpoint = |target: &PortTarget| {
            let offset = spec.port_offset(&target.service, target.port, Protocol::Tcp)?;
            let port = runtime.ports.port(offset).filter(|_| !runtime.excluded.contains(&target.service))?;
            let address = Address { host: "127.0.0.1".to_owned(), port };
            Some(Endpoint { internal: address.clone(), public: address })
        };
        let database = spec.database.as_ref().and_then(|database| {
            let target = PortTarget { service: database.service.clone(), port: database.port };
            Some(DatabaseConnection {
                endpoint: endpoint(&target)?,
                user: database.user.clone(),
                name: database.name.clone(),
                password: database.password.clone(),
                version: "memory".to_owned(),
            })
        });
        Connection {
            database,
            pooler: spec.pooler.as_ref().and_then(endpoint),
            api: spec.gateway.as_ref().and_then(endpoint),
            secrets: spec.secrets.iter().map(|secret| secret.name.clone()).collect(),
        }
    }
}

impl Service {
    /// Whether it is as a started service should be.
    pub(super) fn is_up(&self) -> bool {
        matches!(self.condition, Condition::Running | Condition::Ailing | Condition::Done)
    }
}

/// The services that shall run, in the stack's order.
pub(super) fn wanted<'a>(
    stack: &'a MemoryStack,
    runtime: &'a Runtime,
) -> impl Iterator<Item = &'a ServiceName> {
    let names = stack.spec.services.iter().map(|service| &service.name);
    names.filter(|name| !runtime.excluded.contains(name))
}

/// A hash of all that a service is made from.
fn config(runtime: &Runtime, service: &ServiceName) -> String {
    let secrets = runtime.secrets.iter().map(|(name, value)| (name.as_str(), value.expose_secret()));
    let variables = runtime.variables.iter().map(|(name, value)| (name.as_str(), value.expose_secret()));
    let mut data = zeroize::Zeroizing::new(format!("{service}\0{:?}\0{:?}", runtime.limits, runtime.ports));
    for (name, value) in secrets.chain(variables) {
        for part in ["\0", name, "\0", value] {
            data.push_str(part);
        }
    }
    runtime.hash_key.hash(data.as_bytes())
}

fn change(action: Action, resource: &str, name: &str, service: &str, reason: &str) -> PlannedChange {
    PlannedChange {
        action,
        resource: resource.to_owned(),
        name: name.to_owned(),
        service: service.to_owned(),
        reason: reason.to_owned(),
    }
}
