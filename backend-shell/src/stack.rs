//! What the hooks of a folder run: its `stack.toml`.

use std::{collections::BTreeSet, path::PathBuf};

use freehold_core::{
    Capability, Error, Result, ServiceName, StackName, StackSpec,
    stack::{DatabaseSpec, PortSpec, PortTarget, Protocol, SecretSpec, ServiceSpec},
};
use serde::Deserialize;

use crate::{error::Failure, hook::Hook, input::Format, kept::StackFile};

/// The name of the file that describes the stack.
pub(crate) const MANIFEST: &str = "stack.toml";

/// A kept stack: what it declares, and where its hooks lie.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    pub(crate) spec: StackSpec,
    pub(crate) format: Format,
    pub(crate) capabilities: BTreeSet<Capability>,
    folder: PathBuf,
}

impl Stack {
    /// Reads the stack from its files, which are kept in `folder`.
    pub(crate) fn read(files: &[StackFile], digest: String, folder: PathBuf) -> Result<Self> {
        let broken = |problem: String| Failure::ReadStack { file: folder.join(MANIFEST), problem };
        let manifest = files
            .iter()
            .find(|file| file.path == MANIFEST)
            .ok_or_else(|| broken("there is no such file".to_owned()))?;
        let text = std::str::from_utf8(&manifest.content).map_err(|error| broken(error.to_string()))?;
        let manifest: Manifest = toml::from_str(text).map_err(|error| broken(error.to_string()))?;
        for hook in Hook::ALL {
            if !files.iter().any(|file| file.path == hook.as_str() && file.executable) {
                let problem = format!("there is no program {hook} beside it");
                return Err(broken(problem).into());
            }
        }
        let (format, capabilities) = (manifest.input, manifest.capabilities.clone());
        let spec = manifest.into_spec(digest);
        spec.validate().map_err(|error| error.with("file", folder.join(MANIFEST).display()))?;
        let database = spec.database.as_ref().map(|database| (&database.service, database.port));
        let others =
            [&spec.pooler, &spec.gateway].into_iter().flatten().map(|target| (&target.service, target.port));
        for (service, port) in database.into_iter().chain(others) {
            if spec.port_offset(service, port, Protocol::Tcp).is_none() {
                return Err(broken(format!("port {port} of {service} is not among its ports")).into());
            }
        }
        Ok(Self { spec, format, capabilities, folder })
    }

    /// The program of a hook.
    pub(crate) fn program(&self, hook: Hook) -> PathBuf {
        self.folder.join(hook.as_str())
    }

    /// The services that are named, or all.
    pub(crate) fn services(&self, named: &[ServiceName]) -> Result<Vec<ServiceName>> {
        for name in named {
            self.spec.known_service("services", name.as_str())?;
        }
        if named.is_empty() {
            return Ok(self.spec.services.iter().map(|service| service.name.clone()).collect());
        }
        Ok(named.to_vec())
    }

    /// The service that lines without a name belong to.
    pub(crate) fn main_service(&self) -> Result<&ServiceName> {
        let first = self.spec.services.first().map(|service| &service.name);
        first.ok_or_else(|| Error::internal(format!("stack {} has no services", self.spec.name)))
    }
}

/// `stack.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    name: StackName,
    #[serde(default)]
    input: Format,
    #[serde(default)]
    capabilities: BTreeSet<Capability>,
    services: Vec<Service>,
    #[serde(default)]
    ports: Vec<Port>,
    #[serde(default)]
    secrets: Vec<SecretSpec>,
    database: Option<DatabaseSpec>,
    pooler: Option<PortTarget>,
    gateway: Option<PortTarget>,
    #[serde(default)]
    data: Vec<String>,
    first_run: Option<ServiceName>,
    #[serde(default)]
    subnet: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Service {
    name: ServiceName,
    wire: Option<String>,
    #[serde(default = "on")]
    default_on: bool,
    label: Option<String>,
    #[serde(default)]
    description: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Port {
    service: ServiceName,
    container_port: u16,
    #[serde(default)]
    protocol: Protocol,
}

fn on() -> bool {
    true
}

impl Manifest {
    fn into_spec(self, digest: String) -> StackSpec {
        let services = self.services.into_iter().map(|service| ServiceSpec {
            wire: service.wire.unwrap_or_else(|| service.name.to_string()),
            label: service.label.unwrap_or_else(|| service.name.to_string()),
            name: service.name,
            default_on: service.default_on,
            description: service.description,
        });
        let ports = self.ports.into_iter().map(|port| PortSpec {
            service: port.service,
            container_port: port.container_port,
            protocol: port.protocol,
        });
        StackSpec {
            name: self.name,
            digest,
            services: services.collect(),
            secrets: self.secrets,
            ports: ports.collect(),
            database: self.database,
            pooler: self.pooler,
            gateway: self.gateway,
            data: self.data,
            first_run: self.first_run,
            subnet: self.subnet,
            variables: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(manifest: &str, hooks: &[Hook]) -> Result<Stack> {
        let mut files = vec![StackFile::new(MANIFEST, false, manifest)];
        files.extend(hooks.iter().map(|hook| StackFile::new(hook.as_str(), true, "")));
        Stack::read(&files, "sha256:0".into(), "/stack".into())
    }

    #[test]
    fn a_manifest_needs_no_more_than_a_name_and_services() {
        let stack = read("name = 'web'\nservices = [{ name = 'app' }]", &Hook::ALL).unwrap();
        assert_eq!(stack.format, Format::Json);
        assert_eq!(stack.spec.services[0].label, "app");
        assert!(stack.spec.services[0].default_on);
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = read("name = 'web'\nservices = [{ name = 'app' }]", &Hook::ALL[1..]).unwrap_err();
        assert!(error.to_string().contains("/stack/stack.toml: there is no program check"), "{error}");
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = read("name = 'web'\nservices = []\nprots = []", &Hook::ALL).unwrap_err().to_string();
        assert!(error.contains("prots"), "{error}");
    }

    #[test]
    fn a_port_of_an_unknown_service_is_refused() {
        let text =
            "name = 'web'\nservices = [{ name = 'app' }]\nports = [{ service = 'web', container_port = 80 }]";
        let error = read(text, &Hook::ALL).unwrap_err().to_string();
        assert!(error.contains("\"web\"") && error.contains("stack.toml"), "{error}");
    }
}
