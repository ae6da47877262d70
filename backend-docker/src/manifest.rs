//! `freehold.toml`: what Freehold must know of a stack that its Compose file does not say.

use std::collections::BTreeMap;

use freehold_core::{
    Runtime, SecretName, ServiceName, StackName,
    stack::{DatabaseSpec, PortTarget, Protocol, SecretGenerator},
};
use serde::Deserialize;

use crate::{
    compose::problem::{Problem, Result},
    roles::Roles,
};

/// The manifest's file name.
pub(crate) const FILE: &str = "freehold.toml";

/// A stack's manifest.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// The name that callers choose the stack by.
    pub(crate) name: StackName,
    /// The file of variables for a folder that has no `.env`.
    #[serde(default)]
    pub(crate) env_file: Option<String>,
    /// Where SQL goes.
    #[serde(default)]
    pub(crate) database: Option<Database>,
    /// The connection pooler.
    #[serde(default)]
    pub(crate) pooler: Option<Target>,
    /// The API.
    #[serde(default)]
    pub(crate) gateway: Option<Target>,
    /// What is made anew for each project.
    #[serde(default)]
    pub(crate) secrets: Vec<Secret>,
    /// Variables that hold public addresses.
    #[serde(default)]
    pub(crate) urls: Vec<Url>,
    /// What people should know of services.
    #[serde(default)]
    pub(crate) services: BTreeMap<ServiceName, Service>,
    /// Directories that become named volumes.
    #[serde(default)]
    pub(crate) data: Vec<Data>,
    /// Which service takes first-run files.
    #[serde(default)]
    pub(crate) first_run: Option<FirstRun>,
}

/// The database that people connect to.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Database {
    service: ServiceName,
    port: u16,
    user: String,
    name: String,
    password: SecretName,
    /// Who may set passwords inside the container, and which roles have that one.
    #[serde(default)]
    repair: Repair,
}

/// How a database that does not take the project's password is mended, without it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Repair {
    /// The superuser whom the server trusts inside its container; the database's user unless said.
    superuser: Option<String>,
    /// Where it does so; the socket that psql uses by itself unless said.
    host: Option<String>,
    /// All roles that have the password; the database's user alone unless said.
    roles: Vec<String>,
}

/// A TCP port of a service.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Target {
    service: ServiceName,
    port: u16,
}

/// A secret and the variable that the Compose file reads it from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secret {
    /// Its name.
    pub(crate) name: SecretName,
    /// The variable.
    pub(crate) variable: String,
    /// How it is made.
    pub(crate) generate: SecretGenerator,
}

/// A variable that holds a public address.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Url {
    /// The variable.
    pub(crate) variable: String,
    /// Its value, with `{public_host}` and `{port:SERVICE/PORT}` or `{port:SERVICE/PORT/udp}`.
    pub(crate) value: String,
}

/// What people should know of a service, and how it is probed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    /// Whether it runs unless the caller excludes it; if it is absent, whether its profiles are active.
    #[serde(default)]
    pub(crate) default: Option<bool>,
    /// What people read; the service's name if it is absent.
    #[serde(default)]
    pub(crate) label: Option<String>,
    /// A sentence for people.
    #[serde(default)]
    pub(crate) description: String,
    /// Its name on other systems' wires; the service's name if it is absent.
    #[serde(default)]
    pub(crate) wire: Option<String>,
    /// How Freehold itself finds out that it is ready.
    #[serde(default)]
    pub(crate) probe: Option<Probe>,
}

/// How Freehold finds out that a service is ready.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Probe {
    /// A log-in to the manifest's database.
    Postgres {
        /// The port inside.
        port: u16,
    },
    /// A connection.
    Tcp {
        /// The port inside.
        port: u16,
    },
    /// A `GET`.
    Http {
        /// The port inside.
        port: u16,
        /// The path.
        #[serde(default = "slash")]
        path: String,
    },
}

/// A directory of the stack that becomes a named volume.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Data {
    /// The directory as the Compose file mounts it.
    pub(crate) path: String,
    /// The volume's name in the project.
    pub(crate) volume: String,
}

/// Where first-run files go.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FirstRun {
    /// The service that takes them.
    pub(crate) service: ServiceName,
    /// The folder in its container.
    pub(crate) path: String,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// Names the line of what is no TOML, and the key of what it does not know.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| {
            let message = error.message().trim().replace('\n', ", ");
            match error.span() {
                Some(span) => {
                    let before = text.get(..span.start).unwrap_or(text);
                    Problem::on_line(FILE, before.matches('\n').count() + 1, message)
                }
                None => Problem::of_file(FILE, message),
            }
        })
    }
}

impl Url {
    /// The value, with `port` giving the published side of a container's port.
    ///
    /// # Errors
    /// Names the placeholder that means nothing.
    pub(crate) fn expand(
        &self,
        public_host: &str,
        port: impl Fn(&str, u16, Protocol) -> Option<u16>,
    ) -> Result<String> {
        let mut value = String::new();
        let mut rest = self.value.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (placeholder, after) = after.split_once('}').unwrap_or((after, ""));
            value.push_str(before);
            if placeholder == "public_host" {
                // RFC 3986, 3.2.2: an IPv6 address stands in brackets.
                let colon = public_host.contains(':') && !public_host.starts_with('[');
                value.push_str(&if colon { format!("[{public_host}]") } else { public_host.to_owned() });
            } else {
                let published = placeholder.strip_prefix("port:").and_then(|place| {
                    let mut parts = place.split('/');
                    let (service, inside) = (parts.next()?, parts.next()?.parse().ok()?);
                    let protocol = if parts.next() == Some("udp") { Protocol::Udp } else { Protocol::Tcp };
                    port(service, inside, protocol)
                });
                let published = published.ok_or_else(|| {
                    let message = format!(
                        "{{{placeholder}}} is neither {{public_host}} nor a published {{port:SERVICE/PORT}}"
                    );
                    Problem::of_file(FILE, message).at_key(format!("urls.{}", self.variable))
                })?;
                value.push_str(&published.to_string());
            }
            rest = after;
        }
        Ok(value + rest)
    }
}

impl Database {
    /// The roles that have the project's password.
    pub(crate) fn roles(&self, runtime: &Runtime) -> freehold_core::Result<Roles> {
        let Repair { superuser, host, roles } = self.repair.clone();
        Ok(Roles {
            service: self.service.clone(),
            superuser: superuser.unwrap_or_else(|| self.user.clone()),
            host,
            names: if roles.is_empty() { vec![self.user.clone()] } else { roles },
            password: runtime.secret(&self.password)?.clone(),
        })
    }
}

impl From<Database> for DatabaseSpec {
    fn from(Database { service, port, user, name, password, repair: _ }: Database) -> Self {
        Self { service, port, user, name, password }
    }
}

impl From<Target> for PortTarget {
    fn from(Target { service, port }: Target) -> Self {
        Self { service, port }
    }
}

fn slash() -> String {
    "/".into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let wrong = Manifest::parse("name = \"x\"\n[database]\nservise = \"db\"\n").unwrap_err().to_string();
        assert!(wrong.starts_with("freehold.toml:3: unknown field `servise`"), "{wrong}");
        let wrong = Manifest::parse("name = \"no name!\"\n").unwrap_err().to_string();
        assert!(wrong.starts_with("freehold.toml:1: "), "{wrong}");
    }

    #[test]
    fn an_address_is_made_of_the_public_host_and_a_published_port() {
        let url = |value: &str| Url { variable: "URL".into(), value: value.into() };
        let port = |service: &str, inside, protocol| {
            (service == "proxy" && inside == 8080 && protocol == Protocol::Tcp).then_some(20_001)
        };
        let value = url("http://{public_host}:{port:proxy/8080}/x").expand("example.org", port).unwrap();
        assert_eq!(value, "http://example.org:20001/x");
        assert_eq!(url("http://{public_host}").expand("::1", port).unwrap(), "http://[::1]");
        for wrong in ["{port:proxy/80}", "{port:proxy/8080/udp}", "{host}", "{"] {
            let message = url(wrong).expand("x", port).unwrap_err().to_string();
            assert!(message.starts_with("freehold.toml: urls.URL: {"), "{message}");
        }
    }
}
