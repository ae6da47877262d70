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

/// The names of the manifests that Freehold ships, for messages.
pub(crate) const SHIPPED: &str = "supabase";

/// The manifest that Freehold ships under a name, for a folder that is somebody else's and has none.
pub(crate) fn shipped(name: &str) -> Option<&'static str> {
    (name == SHIPPED).then_some(include_str!("../stacks/supabase.toml"))
}

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
    pub(crate) gateway: Option<Gateway>,
    /// What is made anew for each project.
    #[serde(default)]
    pub(crate) secrets: Vec<Secret>,
    /// Variables that hold public addresses.
    #[serde(default)]
    pub(crate) urls: Vec<Url>,
    /// Variables that people may know of: settings that are no secrets.
    #[serde(default)]
    pub(crate) settings: Settings,
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
    /// Whether its port is published although the Compose file does not.
    #[serde(default)]
    publish: bool,
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

/// A TCP port of a service that is not called the same in every shape of the stack.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gateway {
    service: OneOrMore,
    port: u16,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(ServiceName),
    More(Vec<ServiceName>),
}

/// A secret and the variable that the Compose file reads it from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Secret {
    /// Its name.
    pub(crate) name: SecretName,
    /// The variable; none for what only other secrets are made from.
    #[serde(default)]
    pub(crate) variable: Option<String>,
    /// How it is made.
    pub(crate) generate: SecretGenerator,
}

/// A variable that holds a public address.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Url {
    /// The variable.
    pub(crate) variable: String,
    /// Its value, with `{public_host}`, `{port:SERVICE/PORT}` or `{port:SERVICE/PORT/udp}`, `{port:gateway}`, `{ref}`, and
    /// `{path}`, the path of the address that the folder itself gives the variable.
    pub(crate) value: String,
}

/// What people should know of a service, and how it is probed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Service {
    /// Whether it runs unless the caller excludes it; if it is absent, whether its profiles are active.
    #[serde(default)]
    pub(crate) default: Option<bool>,
    /// Whether the Compose file may lack it.
    #[serde(default)]
    pub(crate) optional: bool,
    /// Why no project may run it.
    #[serde(default)]
    pub(crate) refuse: Option<String>,
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
    /// Whether it is meant to end, though no other service waits for its completion.
    #[serde(default)]
    pub(crate) job: bool,
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

/// Variables that people may know of. Those that no file reads are left out.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Settings {
    /// With the values that the folder gives them.
    pub(crate) shown: Vec<String>,
    /// Without: the folder's values may be secrets.
    pub(crate) hidden: Vec<String>,
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

/// What stands for the placeholders of an address.
pub(crate) struct Places<'a> {
    /// Where people reach the machine.
    pub(crate) public_host: &'a str,
    /// The project's ref.
    pub(crate) project: &'a str,
    /// The path of the address that the folder gives the variable.
    pub(crate) path: &'a str,
    /// The gateway, if the stack has one.
    pub(crate) gateway: Option<&'a PortTarget>,
    /// The published side of a container's port.
    pub(crate) port: &'a dyn Fn(&str, u16, Protocol) -> Option<u16>,
}

impl Url {
    /// Whether its value is the same for every project.
    pub(crate) fn is_fixed(&self) -> bool {
        !self.value.contains('{')
    }

    /// The value for one project.
    ///
    /// # Errors
    /// Names the placeholder that means nothing.
    pub(crate) fn expand(&self, places: &Places<'_>) -> Result<String> {
        let mut value = String::new();
        let mut rest = self.value.as_str();
        while let Some((before, after)) = rest.split_once('{') {
            let (placeholder, after) = after.split_once('}').unwrap_or((after, ""));
            value.push_str(before);
            value.push_str(&places.fill(placeholder).ok_or_else(|| {
                let message = format!(
                    "{{{placeholder}}} is neither {{public_host}}, {{ref}}, {{path}} nor a published {{port:SERVICE/PORT}} or \
                     {{port:gateway}}"
                );
                Problem::of_file(FILE, message).at_key(format!("urls.{}", self.variable))
            })?);
            rest = after;
        }
        Ok(value + rest)
    }
}

impl Places<'_> {
    fn fill(&self, placeholder: &str) -> Option<String> {
        match placeholder {
            // RFC 3986, 3.2.2: an IPv6 address stands in brackets.
            "public_host" if self.public_host.contains(':') && !self.public_host.starts_with('[') => {
                Some(format!("[{}]", self.public_host))
            }
            "public_host" => Some(self.public_host.to_owned()),
            "ref" => Some(self.project.to_owned()),
            "path" => Some(self.path.to_owned()),
            "port:gateway" => {
                let gateway = self.gateway?;
                (self.port)(gateway.service.as_str(), gateway.port, Protocol::Tcp)
                    .map(|port| port.to_string())
            }
            _ => {
                let mut parts = placeholder.strip_prefix("port:")?.split('/');
                let (service, inside) = (parts.next()?, parts.next()?.parse().ok()?);
                let protocol = if parts.next() == Some("udp") { Protocol::Udp } else { Protocol::Tcp };
                (self.port)(service, inside, protocol).map(|port| port.to_string())
            }
        }
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

    /// The service and port that are published although the Compose file does not.
    pub(crate) fn published(&self) -> Option<(&ServiceName, u16)> {
        self.publish.then_some((&self.service, self.port))
    }
}

impl Gateway {
    /// The first of its services that is there, else the first, which is then told to be missing.
    pub(crate) fn target(&self, is_there: impl Fn(&ServiceName) -> bool) -> Option<PortTarget> {
        let services = match &self.service {
            OneOrMore::One(service) => std::slice::from_ref(service),
            OneOrMore::More(services) => services,
        };
        let service = services.iter().find(|service| is_there(service)).or(services.first())?;
        Some(PortTarget { service: service.clone(), port: self.port })
    }
}

impl From<Database> for DatabaseSpec {
    fn from(Database { service, port, user, name, password, publish: _, repair: _ }: Database) -> Self {
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
        let port = |service: &str, inside, protocol| {
            (service == "proxy" && inside == 8080 && protocol == Protocol::Tcp).then_some(20_001)
        };
        let expanded = |value: &str, public_host| {
            let gateway = PortTarget { service: "proxy".parse().unwrap(), port: 8080 };
            let places = Places {
                public_host,
                project: "abc",
                path: "/auth/v1",
                gateway: Some(&gateway),
                port: &port,
            };
            Url { variable: "URL".into(), value: value.into() }
                .expand(&places)
                .map_err(|problem| problem.to_string())
        };
        for (value, expected) in [
            ("http://{public_host}:{port:proxy/8080}/x", "http://example.org:20001/x"),
            ("http://{public_host}:{port:gateway}{path}", "http://example.org:20001/auth/v1"),
            ("{ref}", "abc"),
            ("5432", "5432"),
        ] {
            assert_eq!(expanded(value, "example.org").as_deref(), Ok(expected));
        }
        assert_eq!(expanded("http://{public_host}", "::1").unwrap(), "http://[::1]");
        for wrong in ["{port:proxy/80}", "{port:proxy/8080/udp}", "{host}", "{"] {
            let message = expanded(wrong, "x").unwrap_err();
            assert!(message.starts_with("freehold.toml: urls.URL: {"), "{message}");
        }
    }
}
