//! What is seen on the targets: health, drift, logs, holdings.

use std::collections::BTreeMap;

use freehold_core::{
    Action, Detail, Error, InstallationId, LogStream, ProjectRef, ServiceName, ServiceState, TargetName,
    control_plane::{self, TargetInfo},
    provisioner::Capability,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::ToSchema;

/// How a project is, service by service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectHealth {
    /// Whether every service is healthy or done.
    pub healthy: bool,
    /// The services.
    pub services: Vec<ServiceHealth>,
}

/// How one service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ServiceHealth {
    /// The service.
    #[schema(value_type = String)]
    pub service: ServiceName,
    /// `healthy`, `unhealthy`, `starting`, `done` or `unknown`.
    #[schema(value_type = String)]
    pub state: ServiceState,
    /// How that is known.
    pub probe: String,
    /// Since when it is so.
    #[serde(with = "time::serde::rfc3339::option")]
    pub since: Option<OffsetDateTime>,
    /// What the probe said last when it failed.
    pub last_error: Option<String>,
    /// How long the probe took, in milliseconds.
    pub latency_ms: Option<u64>,
    /// Whether it went from well to not well and back so often of late that no single look says how it is.
    #[serde(default)]
    pub flapping: bool,
    /// What of it is not as its stack and settings have it, with files and keys and never their values.
    #[serde(default)]
    pub drift: Vec<String>,
}

/// What would be done to bring a project to where it is meant to be; no changes if it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProjectPlan {
    /// The changes, in order.
    pub changes: Vec<PlannedChange>,
}

/// One change that would be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlannedChange {
    /// `create`, `replace`, `start`, `stop` or `remove`.
    #[schema(value_type = String)]
    pub action: Action,
    /// To what kind of thing.
    pub resource: String,
    /// Its name on the engine.
    pub name: String,
    /// Of which service; empty if of the whole project.
    pub service: String,
    /// Why.
    pub reason: String,
}

/// One line that a service printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LogLine {
    /// The service.
    #[schema(value_type = String)]
    pub service: ServiceName,
    /// When, where the engine keeps it.
    #[serde(with = "time::serde::rfc3339::option")]
    pub at: Option<OffsetDateTime>,
    /// `stdout` or `stderr`.
    #[schema(value_type = String)]
    pub stream: LogStream,
    /// The line.
    pub line: String,
}

/// The targets that this host serves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TargetList {
    /// The targets.
    pub targets: Vec<Target>,
}

/// A named backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Target {
    /// Its name.
    #[schema(value_type = String)]
    pub name: TargetName,
    /// The engine that it is bound to.
    pub engine: String,
    /// The machine whose ports and subnets its projects use.
    pub machine: String,
    /// What it can do beyond what every target can: `restart_services`, `follow_logs`, `limits`.
    #[schema(value_type = Vec<String>)]
    pub capabilities: Vec<Capability>,
    /// The stacks that it offers.
    pub stacks: Vec<Stack>,
}

/// A stack that a target offers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Stack {
    /// Its name.
    pub name: String,
    /// A digest of everything that it is made of.
    pub digest: String,
    /// Its services.
    pub services: Vec<StackService>,
    /// The names of the secrets that each project gets for its own.
    pub secrets: Vec<String>,
}

/// One service of a stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StackService {
    /// Its name.
    pub name: String,
    /// Whether it runs unless it is excluded.
    pub default_on: bool,
    /// What people read.
    pub label: String,
    /// A sentence for people.
    pub description: String,
}

/// What is on a target's engine, whether or not the store knows of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Inventory {
    /// What each project has.
    pub holdings: Vec<Holding>,
}

/// What one project has on an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Holding {
    /// The project.
    #[serde(rename = "ref")]
    #[schema(value_type = String, pattern = "^[a-z]{20}$")]
    pub project: ProjectRef,
    /// The installation that all of it was made for; absent if anything says nothing, or another one.
    #[schema(value_type = Option<String>)]
    pub installation: Option<InstallationId>,
    /// How many things of which kind.
    pub resources: BTreeMap<String, u32>,
    /// When the oldest of them was made.
    #[serde(with = "time::serde::rfc3339")]
    pub oldest: OffsetDateTime,
}

/// Whether the host can do its work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Readiness {
    /// Whether every check passed.
    pub ready: bool,
    /// The checks, by name: `store`, `key`, `target/NAME` for each target, and `accounts` where people have them.
    pub checks: BTreeMap<String, ReadinessCheck>,
}

/// One thing that the host needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReadinessCheck {
    /// Whether it is there.
    pub ready: bool,
    /// The kind of what is wrong. The reason is in the host's log: this answer needs no credential.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// What is wrong and what mends it, where that is for the operator alone to do and tells nobody anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl From<freehold_core::Health> for ProjectHealth {
    fn from(health: freehold_core::Health) -> Self {
        Self {
            healthy: health.is_healthy(),
            services: health
                .services
                .into_iter()
                .map(|service| ServiceHealth {
                    service: service.service,
                    state: service.state,
                    probe: service.probe,
                    since: service.since,
                    last_error: service.last_error,
                    latency_ms: service.latency_ms,
                    flapping: service.flapping,
                    drift: service.drift,
                })
                .collect(),
        }
    }
}

impl From<freehold_core::Plan> for ProjectPlan {
    fn from(plan: freehold_core::Plan) -> Self {
        Self {
            changes: plan
                .changes
                .into_iter()
                .map(|change| PlannedChange {
                    action: change.action,
                    resource: change.resource,
                    name: change.name,
                    service: change.service,
                    reason: change.reason,
                })
                .collect(),
        }
    }
}

impl From<freehold_core::LogLine> for LogLine {
    fn from(line: freehold_core::LogLine) -> Self {
        Self { service: line.service, at: line.at, stream: line.stream, line: line.line }
    }
}

impl From<Vec<freehold_core::Holding>> for Inventory {
    fn from(holdings: Vec<freehold_core::Holding>) -> Self {
        let holding = |holding: freehold_core::Holding| Holding {
            project: holding.project,
            installation: holding.installation,
            resources: holding.resources,
            oldest: holding.oldest,
        };
        Self { holdings: holdings.into_iter().map(holding).collect() }
    }
}

impl From<Vec<TargetInfo>> for TargetList {
    fn from(targets: Vec<TargetInfo>) -> Self {
        Self { targets: targets.into_iter().map(Target::from).collect() }
    }
}

impl From<TargetInfo> for Target {
    fn from(target: TargetInfo) -> Self {
        let description = target.description;
        Self {
            name: target.name,
            engine: description.engine,
            machine: description.machine,
            capabilities: description.capabilities.into_iter().collect(),
            stacks: description.stacks.into_iter().map(Stack::from).collect(),
        }
    }
}

impl From<freehold_core::StackSpec> for Stack {
    fn from(stack: freehold_core::StackSpec) -> Self {
        let service = |service: freehold_core::stack::ServiceSpec| StackService {
            name: service.name.into(),
            default_on: service.default_on,
            label: service.label,
            description: service.description,
        };
        Self {
            name: stack.name.into(),
            digest: stack.digest,
            services: stack.services.into_iter().map(service).collect(),
            secrets: stack.secrets.into_iter().map(|secret| secret.name.into()).collect(),
        }
    }
}

impl From<&control_plane::Readiness> for Readiness {
    fn from(readiness: &control_plane::Readiness) -> Self {
        let check = |result: &Result<(), Error>| ReadinessCheck {
            ready: result.is_ok(),
            code: result.as_ref().err().map(|error| error.kind().as_str().to_owned()),
            // This route is open to all, so nothing else of an error is told here.
            reason: result.as_ref().err().and_then(|error| match error.detail() {
                Some(Detail::StorePassword) => Some(format!("failed to {error}")),
                _ => None,
            }),
        };
        let own = [("store".to_owned(), check(&readiness.store)), ("key".to_owned(), check(&readiness.key))];
        let targets =
            readiness.targets.iter().map(|(name, result)| (format!("target/{name}"), check(result)));
        Self { ready: readiness.is_ready(), checks: own.into_iter().chain(targets).collect() }
    }
}
