//! What a stack declares: everything that the control plane must know of it to make a project.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    names::{SecretName, ServiceName, StackName},
};

/// A stack as its backend describes it when the target is registered. The control plane validates exclusions, makes
/// secrets and sizes port blocks from it; it never looks at the files behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StackSpec {
    /// The name that callers choose it by.
    pub name: StackName,
    /// A digest of everything that the stack is made of. A project is pinned to the digest it was created from.
    pub digest: String,
    /// Its services, in the order in which people should see them.
    pub services: Vec<ServiceSpec>,
    /// The secrets that each project gets for its own.
    pub secrets: Vec<SecretSpec>,
    /// The ports that are published; their number is the size of a project's port block, their order the block's.
    pub ports: Vec<PortSpec>,
    /// The service and port that SQL goes to.
    pub database: Option<DatabaseSpec>,
    /// The connection pooler, where the stack has one.
    pub pooler: Option<PortTarget>,
    /// The service and port that API calls go to.
    pub gateway: Option<PortTarget>,
    /// Directories that hold data: names of volumes or paths in the stack's folder.
    pub data: Vec<String>,
    /// The service that takes first-run files; `None` if the stack takes none.
    pub first_run: Option<ServiceName>,
    /// Whether a project of it needs a subnet of its own.
    pub subnet: bool,
    /// Of the variables that it reads, those that people may know of: settings. There may be others.
    pub variables: Vec<VariableSpec>,
}

/// A variable that people may know of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariableSpec {
    /// Its name. `SERVICE/NAME` is what a service's environment has in the stack's files, which no project changes.
    pub name: String,
    /// The value that a project has that sets none, if people may read it: never a secret.
    pub default: Option<String>,
}

/// One service of a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSpec {
    /// Its name in the stack.
    pub name: ServiceName,
    /// Its name on other systems' wires; the same as `name` unless the stack says otherwise.
    pub wire: String,
    /// Whether it runs unless the caller excludes it.
    pub default_on: bool,
    /// What people read.
    pub label: String,
    /// A sentence for people.
    pub description: String,
}

/// One secret of a stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecretSpec {
    /// Its name.
    pub name: SecretName,
    /// How it is made when the caller does not choose it.
    pub generator: SecretGenerator,
}

/// How a secret is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum SecretGenerator {
    /// Letters and digits, so that it needs no escaping in URLs, `.env` files and SQL.
    Token {
        /// How many characters.
        length: usize,
    },
    /// Random bytes in lower-case hexadecimal.
    Hex {
        /// How many bytes; the text is twice as long.
        bytes: usize,
    },
    /// Random bytes in standard Base64 with padding.
    Base64 {
        /// How many bytes.
        bytes: usize,
    },
    /// A JSON Web Token (RFC 7519). It carries `claims`, `iat` (the moment of its making) and `exp`.
    Jwt {
        /// The secret that signs it: with ES256 if it is an [`EcKey`](Self::EcKey), else with HS256.
        key: SecretName,
        /// Its claims, for instance `{"role": "anon"}`.
        #[serde(default)]
        claims: BTreeMap<String, serde_json::Value>,
        /// For how many days it is good.
        #[serde(default = "ten_years")]
        days: u32,
    },
    /// A key pair for ES256 (RFC 7518, section 3.4): a private JSON Web Key (RFC 7517) with a random `kid`.
    EcKey,
    /// Keys that sign, as a JSON array of private JSON Web Keys.
    SigningKeys {
        /// The secrets that are the keys: an [`EcKey`](Self::EcKey) is one as it is, any other becomes a symmetric one.
        keys: Vec<SecretName>,
    },
    /// The keys that verify what those sign, as a JSON Web Key Set. Symmetric keys are in it too, so it is a secret.
    VerifyingKeys {
        /// As for [`SigningKeys`](Self::SigningKeys).
        keys: Vec<SecretName>,
    },
    /// An opaque key with a check sum, by which who is given it tells a mistyped one: the prefix, 22 random characters,
    /// `_`, and the first eight of the Base64url of the SHA-256 of `label|prefix…random`.
    ApiKey {
        /// What it begins with.
        prefix: String,
        /// What the check sum is made with.
        label: String,
    },
}

impl SecretGenerator {
    /// The secrets that it is made from.
    #[must_use]
    pub fn sources(&self) -> &[SecretName] {
        match self {
            Self::Token { .. }
            | Self::Hex { .. }
            | Self::Base64 { .. }
            | Self::EcKey
            | Self::ApiKey { .. } => &[],
            Self::Jwt { key, .. } => std::slice::from_ref(key),
            Self::SigningKeys { keys } | Self::VerifyingKeys { keys } => keys,
        }
    }
}

fn ten_years() -> u32 {
    3650
}

/// A container port that is published on the machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PortSpec {
    /// The service.
    pub service: ServiceName,
    /// The port inside.
    pub container_port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// A TCP port of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PortTarget {
    /// The service.
    pub service: ServiceName,
    /// The port inside.
    pub port: u16,
}

/// Where SQL goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseSpec {
    /// The service.
    pub service: ServiceName,
    /// The port inside.
    pub port: u16,
    /// The role that people log in as.
    pub user: String,
    /// The database that they are connected to.
    pub name: String,
    /// The secret that is its password.
    pub password: SecretName,
}

impl StackSpec {
    /// The excluded services that a caller's choice comes to: the stack's defaults if they said nothing, else what they
    /// said without repetitions, in the stack's order.
    ///
    /// # Errors
    /// `InvalidInput` listing the known services, if one is unknown.
    pub fn exclusions(&self, chosen: Option<&[String]>) -> Result<Vec<ServiceName>> {
        let Some(chosen) = chosen else {
            return Ok(self.services.iter().filter(|s| !s.default_on).map(|s| s.name.clone()).collect());
        };
        let chosen: Vec<&str> = chosen.iter().map(|text| text.trim()).collect();
        for name in &chosen {
            self.known_service("excluded_services", name)?;
        }
        Ok(self
            .services
            .iter()
            .filter(|s| chosen.contains(&s.name.as_str()))
            .map(|s| s.name.clone())
            .collect())
    }

    /// The service of that name.
    ///
    /// # Errors
    /// `InvalidInput` naming `field` and listing the known services, if there is none.
    pub fn known_service(&self, field: &str, name: &str) -> Result<&ServiceSpec> {
        self.services.iter().find(|s| s.name.as_str() == name).ok_or_else(|| {
            let known: Vec<_> = self.services.iter().map(|s| s.name.as_str()).collect();
            Error::invalid(
                field,
                format_args!("{name:?} is no service of stack {}: it has {}", self.name, known.join(", ")),
            )
        })
    }

    /// How many ports a project of this stack needs.
    #[must_use]
    pub fn port_count(&self) -> u16 {
        u16::try_from(self.ports.len()).unwrap_or(u16::MAX)
    }

    /// Where in the block a published port stands.
    #[must_use]
    pub fn port_offset(&self, service: &ServiceName, container_port: u16, protocol: Protocol) -> Option<u16> {
        self.ports
            .iter()
            .position(|p| {
                p.service == *service && p.container_port == container_port && p.protocol == protocol
            })
            .and_then(|offset| u16::try_from(offset).ok())
    }

    /// Checks that the parts refer to each other: the backend that describes a broken stack is told at start.
    ///
    /// # Errors
    /// `InvalidInput` naming the first field that refers to nothing or stands twice.
    pub fn validate(&self) -> Result<()> {
        for (index, service) in self.services.iter().enumerate() {
            if self.services[..index].iter().any(|other| other.name == service.name) {
                return Err(Error::invalid("services", format_args!("{} stands twice", service.name)));
            }
        }
        for (index, port) in self.ports.iter().enumerate() {
            self.known_service("ports", port.service.as_str())?;
            if self.ports[..index].contains(port) {
                return Err(Error::invalid(
                    "ports",
                    format_args!("{} {} stands twice", port.service, port.container_port),
                ));
            }
        }
        for (index, secret) in self.secrets.iter().enumerate() {
            if self.secrets[..index].iter().any(|other| other.name == secret.name) {
                return Err(Error::invalid("secrets", format_args!("{} stands twice", secret.name)));
            }
            let declared = |name: &SecretName| self.secrets[..index].iter().any(|other| other.name == *name);
            if let Some(source) = secret.generator.sources().iter().find(|source| !declared(source)) {
                return Err(Error::invalid(
                    "secrets",
                    format_args!("{} is made from {source}, which is not declared before it", secret.name),
                ));
            }
        }
        if let Some(database) = &self.database {
            self.known_service("database.service", database.service.as_str())?;
            if !self.secrets.iter().any(|secret| secret.name == database.password) {
                return Err(Error::invalid(
                    "database.password",
                    format_args!("{} is no secret of the stack", database.password),
                ));
            }
        }
        for (field, target) in [("pooler.service", &self.pooler), ("gateway.service", &self.gateway)] {
            if let Some(target) = target {
                self.known_service(field, target.service.as_str())?;
            }
        }
        if let Some(service) = &self.first_run {
            self.known_service("first_run", service.as_str())?;
        }
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn stack(services: &[(&str, bool)]) -> StackSpec {
        StackSpec {
            name: StackName::new("demo").unwrap(),
            digest: "sha256:0".into(),
            services: services
                .iter()
                .map(|(name, default_on)| ServiceSpec {
                    name: ServiceName::new(*name).unwrap(),
                    wire: (*name).into(),
                    default_on: *default_on,
                    label: (*name).into(),
                    description: String::new(),
                })
                .collect(),
            secrets: vec![],
            ports: vec![],
            database: None,
            pooler: None,
            gateway: None,
            data: vec![],
            first_run: None,
            subnet: false,
            variables: Vec::new(),
        }
    }

    fn excluded(chosen: Option<&[&str]>) -> Result<Vec<String>> {
        let stack = stack(&[("db", true), ("realtime", true), ("vector", false), ("logflare", false)]);
        let chosen = chosen.map(|names| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        Ok(stack.exclusions(chosen.as_deref())?.into_iter().map(String::from).collect())
    }

    #[test]
    fn no_choice_means_the_defaults_and_an_empty_choice_excludes_nothing() {
        assert_eq!(excluded(None).unwrap(), ["vector", "logflare"]);
        assert_eq!(excluded(Some(&[])).unwrap(), [""; 0]);
    }

    #[test]
    fn a_choice_is_trimmed_and_freed_of_repetitions() {
        assert_eq!(excluded(Some(&["  vector", "realtime", "vector"])).unwrap(), ["realtime", "vector"]);
    }

    #[test]
    fn an_unknown_service_is_an_error_that_lists_the_known_ones() {
        let error = excluded(Some(&["vector", "unknown"])).unwrap_err().to_string();
        assert!(error.contains("\"unknown\"") && error.contains("db, realtime, vector, logflare"), "{error}");
    }

    #[test]
    fn a_secret_made_from_a_later_one_is_refused() {
        let mut stack = stack(&[("db", true)]);
        let key = SecretName::new("jwt_secret").unwrap();
        stack.secrets = vec![SecretSpec {
            name: SecretName::new("anon_key").unwrap(),
            generator: SecretGenerator::Jwt { key, claims: BTreeMap::new(), days: 1 },
        }];
        assert!(stack.validate().unwrap_err().to_string().contains("jwt_secret"));
    }
}
