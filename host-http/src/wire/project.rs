//! A project as callers see it.

use std::collections::BTreeMap;

use freehold_core::{
    OperationId, OrganizationId, ProjectName, ProjectRef, SecretName, ServiceName, StackName, Status,
    TargetName,
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Type},
};

use super::Secret;
use crate::annotations;

/// One running copy of a stack. It holds no secret: those have a route of their own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Project {
    /// Its identity: twenty lower-case letters.
    #[serde(rename = "ref")]
    #[schema(value_type = String, pattern = "^[a-z]{20}$")]
    pub reference: ProjectRef,
    /// A number, for callers that need one.
    pub id: i64,
    /// What people call it.
    #[schema(value_type = String)]
    pub name: ProjectName,
    /// Whose it is.
    #[schema(value_type = String)]
    pub organization: OrganizationId,
    /// The target that runs it.
    #[schema(value_type = String)]
    pub target: TargetName,
    /// The stack that it is a copy of.
    #[schema(value_type = String)]
    pub stack: StackName,
    /// The digest that the stack had when the project was created.
    pub digest: String,
    /// Where it stands.
    #[schema(schema_with = status_schema)]
    pub status: Status,
    /// The operation that put it there; absent if the watcher did.
    #[schema(value_type = Option<String>, format = Uuid)]
    pub status_operation: Option<OperationId>,
    /// When its health was last seen.
    #[serde(with = "time::serde::rfc3339::option")]
    pub observed_at: Option<OffsetDateTime>,
    /// The caller's own facts.
    pub annotations: BTreeMap<String, String>,
    /// Whether destroy is refused.
    pub protected: bool,
    /// Services that do not run.
    #[schema(value_type = Vec<String>)]
    pub excluded_services: Vec<ServiceName>,
    /// Bounds on what it may use.
    pub limits: Limits,
    /// Counts reconfigurations: 1 at first.
    pub generation: u64,
    /// Its ports on the machine.
    pub ports: Option<Ports>,
    /// Its network's addresses in CIDR notation.
    pub subnet: Option<String>,
    /// How it is reached; there from the first time that it was ready.
    pub connection: Option<Connection>,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When it last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// Grows with each change.
    pub version: u64,
}

/// Some projects, and where the next page begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProjectPage {
    /// The projects, oldest first.
    pub items: Vec<Project>,
    /// What to give as `after` for the next page; absent on the last.
    pub next: Option<String>,
}

/// A project's secrets, by the names that its stack gives them.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SecretValues {
    /// The secrets.
    pub secrets: BTreeMap<String, Secret>,
}

/// Bounds on what a project may use; what is absent is not bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory of all services together, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processor time of each service, in cores.
    pub cpus: Option<f64>,
}

/// Consecutive ports of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ports {
    /// The first of them.
    pub first: u16,
    /// How many there are.
    pub count: u16,
}

/// How a project is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Connection {
    /// The database, where the stack has one.
    pub database: Option<Database>,
    /// The connection pooler, where the stack has one.
    pub pooler: Option<Endpoint>,
    /// The API gateway, where the stack has one.
    pub api: Option<Endpoint>,
    /// The names of the project's secrets.
    #[schema(value_type = Vec<String>)]
    pub secrets: Vec<SecretName>,
}

/// Where SQL goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Database {
    /// Its addresses.
    pub endpoint: Endpoint,
    /// The role to log in as.
    pub user: String,
    /// The database.
    pub name: String,
    /// The secret that is its password.
    #[schema(value_type = String)]
    pub password_secret: SecretName,
    /// The server's version as it tells it.
    pub version: String,
}

/// One service, by the two addresses that it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Endpoint {
    /// From where people are.
    pub public: Address,
    /// From where the host runs.
    pub internal: Address,
}

/// A host name or IP address and a port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Address {
    /// A host name or IP address.
    pub host: String,
    /// A TCP port.
    pub port: u16,
}

/// The lifecycle's statuses, as the document lists them.
pub(crate) fn status_schema() -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(Status::ALL.map(Status::as_str))).build()
}

impl From<freehold_core::Project> for Project {
    fn from(project: freehold_core::Project) -> Self {
        Self {
            reference: project.reference,
            id: project.id,
            name: project.name,
            organization: project.organization,
            target: project.target,
            stack: project.stack,
            digest: project.digest,
            status: project.status,
            status_operation: project.status_operation,
            observed_at: project.observed_at,
            annotations: annotations::shown(project.annotations),
            protected: project.protected,
            excluded_services: project.excluded,
            limits: project.limits.into(),
            generation: project.generation,
            ports: project.ports.map(|block| Ports { first: block.first, count: block.count }),
            subnet: project.subnet.map(|subnet| subnet.to_string()),
            connection: project.connection.map(Connection::from),
            created_at: project.created_at,
            updated_at: project.updated_at,
            version: project.version,
        }
    }
}

impl From<freehold_core::Connection> for Connection {
    fn from(connection: freehold_core::Connection) -> Self {
        Self {
            database: connection.database.map(|database| Database {
                endpoint: database.endpoint.into(),
                user: database.user,
                name: database.name,
                password_secret: database.password,
                version: database.version,
            }),
            pooler: connection.pooler.map(Endpoint::from),
            api: connection.api.map(Endpoint::from),
            secrets: connection.secrets,
        }
    }
}

impl From<freehold_core::Endpoint> for Endpoint {
    fn from(endpoint: freehold_core::Endpoint) -> Self {
        let address = |address: freehold_core::Address| Address { host: address.host, port: address.port };
        Self { public: address(endpoint.public), internal: address(endpoint.internal) }
    }
}

impl From<freehold_core::Limits> for Limits {
    fn from(limits: freehold_core::Limits) -> Self {
        Self { memory_bytes: limits.memory_bytes, cpus: limits.cpus }
    }
}

impl From<Limits> for freehold_core::Limits {
    fn from(limits: Limits) -> Self {
        Self { memory_bytes: limits.memory_bytes, cpus: limits.cpus }
    }
}

impl From<freehold_core::Page<freehold_core::Project>> for ProjectPage {
    fn from(page: freehold_core::Page<freehold_core::Project>) -> Self {
        Self { items: page.items.into_iter().map(Project::from).collect(), next: page.next }
    }
}
