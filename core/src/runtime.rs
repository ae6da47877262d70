//! What a backend needs to run one project.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};

use crate::{
    error::{Detail, Error, Result},
    names::{InstallationId, OrganizationId, ProjectName, SecretName, ServiceName, StackName},
    project::Annotations,
    project_ref::ProjectRef,
    redact::Redactor,
};

/// Everything that a backend needs to run one project, unsealed. It holds no path of any machine: where things lie is
/// the backend's own configuration. Its `Debug` shows no secret.
#[derive(Clone, Debug)]
pub struct Runtime {
    /// The project.
    pub project: ProjectRef,
    /// The installation that it belongs to. It goes on everything that is made for the project, so that inventory can
    /// tell [whose it is](crate::Holding::installation).
    pub installation: InstallationId,
    /// What people call it.
    pub name: ProjectName,
    /// Whose it is.
    pub organization: OrganizationId,
    /// The caller's own facts, for instance region and cloud provider.
    pub annotations: Annotations,
    /// The stack that it runs.
    pub stack: StackName,
    /// The digest that the stack had when the project was created.
    pub digest: String,
    /// Counts reconfigurations: 1 at first. A higher generation supersedes a lower one.
    pub generation: u64,
    /// Its ports on the machine, in the order of the stack's ports.
    pub ports: PortBlock,
    /// Its network's addresses, where the stack needs a network.
    pub subnet: Option<Ipv4Net>,
    /// Its secrets, by the names that the stack declares.
    pub secrets: BTreeMap<SecretName, SecretString>,
    /// The key for hashes of what holds secrets. Made once a project and never changed.
    pub hash_key: HashKey,
    /// Services that do not run.
    pub excluded: Vec<ServiceName>,
    /// Settings that the caller chose for the stack's variables. They may hold secrets.
    pub variables: BTreeMap<String, SecretString>,
    /// Files applied once, before the project is first ready.
    pub first_run: Vec<FirstRunFile>,
    /// Bounds on what it may use.
    pub limits: Limits,
    /// Data that is gone and may be made anew, empty, by the names that the backend gave when it refused
    /// ([`DataGone`](crate::Detail::DataGone)). Of the operation at hand, not of the project: restart and resume alone
    /// ever find something here.
    pub accept_data_loss: Vec<String>,
}

impl Runtime {
    /// Refuses to go on without data that is gone, unless every name of it was accepted.
    ///
    /// # Errors
    /// `NotFound` with [`DataGone`](crate::Detail::DataGone), naming what is gone and was not accepted.
    pub fn accepts_loss_of(&self, gone: impl IntoIterator<Item = String>) -> Result<()> {
        let names: Vec<String> =
            gone.into_iter().filter(|name| !self.accept_data_loss.contains(name)).collect();
        if names.is_empty() {
            return Ok(());
        }
        let message = format!(
            "find the data {}: it is gone, and it is never made anew unasked; bring it back, accept its loss by that name, \
             or destroy the project",
            names.join(", ")
        );
        Err(Error::detailed(Detail::DataGone { names }, message))
    }

    /// Takes the secrets, variables and first-run files out of any text: what a backend prints goes through this first.
    #[must_use]
    pub fn redactor(&self) -> Redactor {
        let secrets = self.secrets.values().chain(self.variables.values());
        Redactor::new(secrets.map(|secret| secret.expose_secret()))
    }

    /// A secret that the stack declares.
    ///
    /// # Errors
    /// `Internal` if the project has no such secret.
    pub fn secret(&self, name: &SecretName) -> Result<&SecretString> {
        self.secrets
            .get(name)
            .ok_or_else(|| Error::internal(format!("project {} has no secret {name}", self.project)))
    }
}

/// Consecutive ports of a machine that belong to one project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct PortBlock {
    /// The first port.
    pub first: u16,
    /// How many there are; 0 for a stack that publishes none.
    pub count: u16,
}

impl PortBlock {
    /// The port at `offset`, the index of the port in the stack's declaration.
    #[must_use]
    pub fn port(&self, offset: u16) -> Option<u16> {
        (offset < self.count).then(|| self.first.checked_add(offset)).flatten()
    }

    /// Whether a port is one of the block's.
    #[must_use]
    pub fn contains(&self, port: u16) -> bool {
        port >= self.first && u32::from(port) < u32::from(self.first) + u32::from(self.count)
    }

    /// The ports in order.
    pub fn iter(self) -> impl Iterator<Item = u16> {
        (0..self.count).filter_map(move |offset| self.port(offset))
    }
}

/// The key that a project's hashes are made with. Its `Debug` prints `***`.
#[derive(Clone)]
pub struct HashKey(zeroize::Zeroizing<Vec<u8>>);

impl HashKey {
    /// A key of these bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(zeroize::Zeroizing::new(bytes))
    }

    /// HMAC-SHA256 of `data`, in lower-case hexadecimal.
    #[must_use]
    pub fn hash(&self, data: &[u8]) -> String {
        crate::secrets::hmac_sha256(&self.0, data).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The bytes, for the one place that seals them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for HashKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// A file that the stack's first-run service takes, applied once before the project is first ready.
#[derive(Clone, Debug)]
pub struct FirstRunFile {
    /// A file name without folders, for instance `10-schema.sql`; files are applied in the order of their names.
    pub name: String,
    /// What it holds. It may hold secrets.
    pub content: SecretString,
}

impl FirstRunFile {
    /// Checks the name: 1 to 100 letters, digits, `-`, `_` and `.`, beginning with a letter or digit.
    ///
    /// # Errors
    /// `InvalidInput` naming the file.
    pub fn new(name: impl Into<String>, content: impl Into<SecretString>) -> Result<Self> {
        let name = name.into();
        let legal = (1..=100).contains(&name.len())
            && name.starts_with(|c: char| c.is_ascii_alphanumeric())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if legal {
            Ok(Self { name, content: content.into() })
        } else {
            Err(Error::invalid("first_run.name", format_args!("{name:?} is not a plain file name")))
        }
    }
}

/// Bounds on what a project may use. `None` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Memory of all services together, in bytes.
    pub memory_bytes: Option<u64>,
    /// Processor time of each service, in cores.
    pub cpus: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_ends_where_the_ports_end() {
        let block = PortBlock { first: 65_534, count: 5 };
        assert_eq!(block.iter().collect::<Vec<_>>(), [65_534, 65_535]);
        assert!(block.contains(65_535) && !block.contains(65_533));
        assert_eq!(PortBlock { first: 20_000, count: 0 }.iter().count(), 0);
    }

    #[test]
    fn a_first_run_file_cannot_leave_its_folder() {
        assert!(FirstRunFile::new("10-schema.sql", "select 1").is_ok());
        for name in ["../x.sql", "a/b", "", ".hidden"] {
            assert!(FirstRunFile::new(name, "").is_err(), "{name:?}");
        }
    }
}
