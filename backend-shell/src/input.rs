//! What a hook is told: its environment, and the document on its standard input.

use std::{collections::BTreeMap, path::Path};

use freehold_core::{
    Error, ExposeSecret as _, Limits, LogRequest, ProjectRef, Result, Runtime, ServiceName, StackSpec, Wish,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::hook::Hook;

/// How the document is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// As JSON.
    #[default]
    Json,
    /// As lines of three fields separated by tabs: kind, key and value, for programs that have nothing to read JSON
    /// with. Backslash, tab, line feed and carriage return in a field are written `\\`, `\t`, `\n` and `\r`, as
    /// `printf %b` reads them.
    Tsv,
}

/// One call of a hook, as the hook sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) hook: Hook,
    pub(crate) epoch: u64,
    /// The project; `None` for what is about all of them.
    pub(crate) project: Option<&'a ProjectRef>,
    /// The project as it should be; destroy and inventory know none.
    pub(crate) runtime: Option<&'a Runtime>,
    pub(crate) spec: &'a StackSpec,
    /// The services that a restart or a request for logs is about.
    pub(crate) services: &'a [ServiceName],
    pub(crate) wish: Option<Wish>,
    pub(crate) logs: Option<&'a LogRequest>,
}

impl Request<'_> {
    /// The variables that tell what is no secret, the ones of the former control plane among them. `PROJECT_DB_PASSWORD`
    /// is not: secrets come on standard input only.
    pub(crate) fn environment(&self, data: &Path, root: Option<&Path>) -> BTreeMap<&'static str, String> {
        let mut variables = BTreeMap::from([
            ("FREEHOLD_OPERATION", self.hook.as_str().to_owned()),
            ("FREEHOLD_EPOCH", self.epoch.to_string()),
            ("FREEHOLD_STACK", self.spec.name.to_string()),
            ("FREEHOLD_DATA", data.display().to_string()),
            ("FREEHOLD_SERVICES", names(self.services)),
        ]);
        if let Some(project) = self.project {
            variables.insert("PROJECT_REF", project.to_string());
        }
        if let Some(root) = root {
            variables.insert("PROJECT_ROOT", root.display().to_string());
        }
        if let Some(runtime) = self.runtime {
            let annotation = |key| runtime.annotations.value(key).unwrap_or_default().replace('\0', "");
            variables.insert("FREEHOLD_INSTALLATION", runtime.installation.to_string());
            variables.insert("FREEHOLD_GENERATION", runtime.generation.to_string());
            variables.insert("PROJECT_NAME", runtime.name.to_string());
            variables.insert("PROJECT_ORG", runtime.organization.to_string());
            variables.insert("PROJECT_REGION", annotation("region"));
            variables.insert("PROJECT_CLOUD_PROVIDER", annotation("cloud_provider"));
        }
        if let Some(logs) = self.logs {
            variables.insert("FREEHOLD_TAIL", logs.tail.map_or_else(String::new, |tail| tail.to_string()));
            variables.insert("FREEHOLD_FOLLOW", u8::from(logs.follow).to_string());
        }
        variables
    }

    /// The document, which holds the secrets.
    pub(crate) fn document(&self, format: Format, root: Option<&Path>) -> Result<Zeroizing<Vec<u8>>> {
        let document = self.describe(root);
        match format {
            Format::Json => {
                let json = serde_json::to_vec(&document);
                json.map(Zeroizing::new)
                    .map_err(|error| Error::internal("write the hook's input").because(error))
            }
            Format::Tsv => Ok(Zeroizing::new(document.lines().into_bytes())),
        }
    }

    fn describe<'a>(&'a self, root: Option<&'a Path>) -> Document<'a> {
        let runtime = self.runtime;
        let ports = self.spec.ports.iter().zip(runtime.into_iter().flat_map(|runtime| runtime.ports.iter()));
        let secrets = runtime.into_iter().flat_map(|runtime| &runtime.secrets);
        let variables = runtime.into_iter().flat_map(|runtime| &runtime.variables);
        // Applied once, so told to provision alone.
        let first_run =
            runtime.filter(|_| self.hook == Hook::Provision).into_iter().flat_map(|r| &r.first_run);
        Document {
            operation: self.hook.as_str(),
            epoch: self.epoch,
            project: self.project,
            root,
            services: self.services,
            wish: self.wish,
            runtime: runtime.map(|runtime| Project {
                name: runtime.name.as_str(),
                organization: runtime.organization.as_str(),
                annotations: runtime.annotations.iter().collect(),
                stack: runtime.stack.as_str(),
                digest: &runtime.digest,
                generation: runtime.generation,
                subnet: runtime.subnet.map(|subnet| subnet.to_string()),
                excluded: &runtime.excluded,
                limits: runtime.limits,
            }),
            ports: ports
                .map(|(spec, port)| Port {
                    service: &spec.service,
                    container_port: spec.container_port,
                    protocol: spec.protocol,
                    port,
                })
                .collect(),
            secrets: secrets.map(|(name, secret)| (name.as_str(), secret.expose_secret())).collect(),
            variables: variables.map(|(name, value)| (name.as_str(), value.expose_secret())).collect(),
            accept_data_loss: runtime.map_or(&[], |runtime| &runtime.accept_data_loss),
            first_run: first_run
                .map(|file| FirstRun { name: &file.name, content: file.content.expose_secret() })
                .collect(),
        }
    }
}

/// The document as JSON has it.
#[derive(Serialize)]
struct Document<'a> {
    operation: &'static str,
    epoch: u64,
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    project: Option<&'a ProjectRef>,
    #[serde(skip_serializing_if = "Option::is_none")]
    root: Option<&'a Path>,
    services: &'a [ServiceName],
    #[serde(skip_serializing_if = "Option::is_none")]
    wish: Option<Wish>,
    #[serde(flatten)]
    runtime: Option<Project<'a>>,
    ports: Vec<Port<'a>>,
    secrets: BTreeMap<&'a str, &'a str>,
    variables: BTreeMap<&'a str, &'a str>,
    first_run: Vec<FirstRun<'a>>,
    /// Only where there is any: hooks that know of none are told of none.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    accept_data_loss: &'a [String],
}

#[derive(Serialize)]
struct Project<'a> {
    name: &'a str,
    organization: &'a str,
    annotations: BTreeMap<&'a str, &'a str>,
    stack: &'a str,
    digest: &'a str,
    generation: u64,
    subnet: Option<String>,
    excluded: &'a [ServiceName],
    limits: Limits,
}

#[derive(Serialize)]
struct Port<'a> {
    service: &'a ServiceName,
    container_port: u16,
    protocol: freehold_core::stack::Protocol,
    port: u16,
}

#[derive(Serialize)]
struct FirstRun<'a> {
    name: &'a str,
    content: &'a str,
}

impl Document<'_> {
    /// The same as lines of kind, key and value.
    fn lines(&self) -> String {
        let mut text = String::new();
        let mut line = |kind: &str, key: &str, value: &str| {
            for (field, end) in [(kind, '\t'), (key, '\t'), (value, '\n')] {
                escape(field, &mut text);
                text.push(end);
            }
        };
        if let Some(project) = &self.runtime {
            line("project", "name", project.name);
            line("project", "organization", project.organization);
            line("project", "generation", &project.generation.to_string());
            if let Some(subnet) = &project.subnet {
                line("project", "subnet", subnet);
            }
            for (key, value) in &project.annotations {
                line("annotation", key, value);
            }
            for service in project.excluded {
                line("excluded", service.as_str(), "1");
            }
            if let Some(bytes) = project.limits.memory_bytes {
                line("limit", "memory_bytes", &bytes.to_string());
            }
            if let Some(cpus) = project.limits.cpus {
                line("limit", "cpus", &cpus.to_string());
            }
        }
        for port in &self.ports {
            let protocol = protocol(port.protocol);
            let key = format!("{}:{}:{protocol}", port.service, port.container_port);
            line("port", &key, &port.port.to_string());
        }
        if let Some(wish) = self.wish {
            line(
                "plan",
                "wish",
                match wish {
                    Wish::Active => "active",
                    Wish::Paused => "paused",
                },
            );
        }
        for (name, secret) in &self.secrets {
            line("secret", name, secret);
        }
        for (name, value) in &self.variables {
            line("variable", name, value);
        }
        for file in &self.first_run {
            line("first_run", file.name, file.content);
        }
        for name in self.accept_data_loss {
            line("accept_data_loss", name, "1");
        }
        text
    }
}

const fn protocol(protocol: freehold_core::stack::Protocol) -> &'static str {
    match protocol {
        freehold_core::stack::Protocol::Tcp => "tcp",
        freehold_core::stack::Protocol::Udp => "udp",
    }
}

fn escape(field: &str, text: &mut String) {
    for c in field.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            c => text.push(c),
        }
    }
}

fn names(services: &[ServiceName]) -> String {
    services.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_many_lines_is_one_field() {
        let mut text = String::new();
        escape("a\tb\\n\r\nc", &mut text);
        assert_eq!(text, r"a\tb\\n\r\nc");
    }
}
