//! How a running project is reached.

use serde::{Deserialize, Serialize};

use crate::names::SecretName;

/// How a running project is reached, and what the secrets for it are called. It holds no secret itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// The database, where the stack has one.
    pub database: Option<DatabaseConnection>,
    /// The connection pooler, where the stack has one.
    pub pooler: Option<Endpoint>,
    /// The API gateway, where the stack has one.
    pub api: Option<Endpoint>,
    /// The names of the project's secrets.
    pub secrets: Vec<SecretName>,
}

/// One service, by the address that Freehold reaches it at and the one that people are told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// From where Freehold runs.
    pub internal: Address,
    /// From where people are.
    pub public: Address,
}

/// A host name or IP address and a port.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Address {
    /// A host name or IP address.
    pub host: String,
    /// A TCP port.
    pub port: u16,
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

/// Where SQL goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseConnection {
    /// Its addresses.
    pub endpoint: Endpoint,
    /// The role that people log in as.
    pub user: String,
    /// The database.
    pub name: String,
    /// The secret that is its password.
    pub password: SecretName,
    /// The server's version as it tells it, for instance `15.18`.
    pub version: String,
}
