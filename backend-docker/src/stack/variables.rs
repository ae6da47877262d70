//! The variables that a project's Compose file is read with: the stack's `.env`, over it public addresses, over them what
//! the caller chose, over all the project's secrets. The environment of this process is never looked at.

use std::collections::{BTreeMap, BTreeSet};

use freehold_core::{
    Error, ExposeSecret, HashKey, Limits, OrganizationId, PortBlock, ProjectName, Result, Runtime,
    SecretString,
    project::Annotations,
    stack::{SecretGenerator, VariableSpec},
};

use super::{Stack, nobody};
use crate::{
    compose::{
        ComposeFile, Service,
        dotenv::Precedence,
        interpolate::{interpolate, variables_of},
        problem::Problem,
        yaml::{Entry, Node, Value},
    },
    manifest::{FILE, Places, Secret},
};

/// What stands for a secret while there is no project.
const MADE_UP: &str = "made-up";

impl Stack {
    /// The variables of a project.
    ///
    /// # Errors
    /// `InvalidInput` for a variable that the stack does not read or that a secret sets.
    pub(crate) fn variables(&self, runtime: &Runtime, public_host: &str) -> Result<BTreeMap<String, String>> {
        let mut given = self.urls(public_host, runtime)?;
        let known = self.known_variables();
        for (name, value) in &runtime.variables {
            let field = format!("variables.{name}");
            if let Some(secret) =
                self.manifest.secrets.iter().find(|secret| secret.variable.as_ref() == Some(name))
            {
                return Err(Error::invalid(
                    &field,
                    format_args!("is set by the secret {}: choose that", secret.name),
                ));
            }
            if !known.contains(name.as_str()) {
                return Err(Error::invalid(
                    &field,
                    format_args!("stack {} reads no such variable", self.spec.name),
                ));
            }
            given.insert(name.clone(), value.expose_secret().to_owned());
        }
        for secret in self.own_secrets() {
            if let Some(variable) = &secret.variable {
                given.insert(variable.clone(), runtime.secret(&secret.name)?.expose_secret().to_owned());
            }
        }
        let mut variables = self.env.evaluate(&given, Precedence::Outside)?;
        variables.extend(given);
        Ok(variables)
    }

    /// The variables of a service's container: its files in their order, over them what `environment` says. A name without
    /// a value takes the project's variable of that name, if there is one.
    ///
    /// # Errors
    /// `InvalidInput` for a file that is not there, or whose values are no templates.
    pub(crate) fn environment(
        &self,
        service: &Service,
        variables: &BTreeMap<String, String>,
    ) -> Result<BTreeMap<String, Option<String>>> {
        let mut environment = BTreeMap::new();
        for file in &service.env_files {
            match self.env_file(&file.path) {
                Some(env) => {
                    let values = env.evaluate(variables, Precedence::File)?;
                    environment.extend(values.into_iter().map(|(name, value)| (name, Some(value))));
                }
                None if file.required => {
                    let message = format!("{} was not there when the stack was loaded", file.path);
                    return Err(self.problem(service.name.as_str(), "env_file", message).into());
                }
                None => {}
            }
        }
        for (name, value) in &service.environment {
            match value.as_ref().or_else(|| variables.get(name)) {
                Some(value) => drop(environment.insert(name.clone(), Some(value.clone()))),
                None => drop(environment.entry(name.clone()).or_insert(None)),
            }
        }
        Ok(environment)
    }

    /// The variables of a project that is never made, for the first look at the Compose file. Ports are not known yet.
    pub(super) fn made_up_variables(&self) -> Result<BTreeMap<String, String>> {
        let secrets = self.manifest.secrets.iter().filter_map(|secret| secret.variable.as_ref());
        let mut given: BTreeMap<_, _> = secrets.map(|name| (name.clone(), MADE_UP.to_owned())).collect();
        for url in &self.manifest.urls {
            let value = if url.is_fixed() { url.value.clone() } else { MADE_UP.to_owned() };
            given.insert(url.variable.clone(), value);
        }
        let mut variables = self.env.evaluate(&given, Precedence::Outside)?;
        variables.extend(given);
        Ok(variables)
    }

    /// A project that is never made.
    pub(super) fn made_up_runtime(&self) -> Result<Runtime> {
        let secrets =
            self.spec.secrets.iter().map(|secret| (secret.name.clone(), SecretString::from(MADE_UP)));
        Ok(Runtime {
            project: nobody()?,
            name: ProjectName::new(MADE_UP)?,
            organization: OrganizationId::new(MADE_UP)?,
            annotations: Annotations::default(),
            stack: self.spec.name.clone(),
            digest: self.spec.digest.clone(),
            generation: 1,
            ports: PortBlock { first: 20_000, count: self.spec.port_count() },
            subnet: None,
            secrets: secrets.collect(),
            hash_key: HashKey::new(Vec::new()),
            excluded: self.spec.exclusions(None)?,
            variables: BTreeMap::new(),
            accept_data_loss: vec![],
            first_run: Vec::new(),
            installation: "made-up".parse()?,
            limits: Limits::default(),
        })
    }

    fn urls(&self, public_host: &str, runtime: &Runtime) -> Result<BTreeMap<String, String>> {
        let port = |service: &str, inside, protocol| {
            let spec = self.spec.services.iter().find(|spec| spec.name == *service)?;
            runtime.ports.port(self.spec.port_offset(&spec.name, inside, protocol)?)
        };
        let own = self.env.evaluate(&BTreeMap::new(), Precedence::File)?;
        let urls = self.manifest.urls.iter();
        urls.map(|url| {
            let places = Places {
                public_host,
                project: runtime.project.as_str(),
                path: own.get(&url.variable).map_or("", |address| path_of(address)),
                gateway: self.spec.gateway.as_ref(),
                port: &port,
            };
            Ok((url.variable.clone(), url.expand(&places)?))
        })
        .collect()
    }

    /// The settings that the manifest names, where the Compose files have them.
    ///
    /// # Errors
    /// `InvalidInput` for one that holds a secret of the project's.
    pub(super) fn settings(&self, compose: &ComposeFile) -> Result<Vec<VariableSpec>> {
        let settings = &self.manifest.settings;
        let values = self.env.evaluate(&BTreeMap::new(), Precedence::File)?;
        let read = self.read_variables();
        let mut found = Vec::new();
        for name in settings.shown.iter().chain(&settings.hidden) {
            if self.manifest.secrets.iter().any(|secret| secret.variable.as_ref() == Some(name)) {
                let problem = Problem::of_file(FILE, format!("{name} holds a secret: leave it out"));
                return Err(problem.at_key("settings").into());
            }
            let default = match name.split_once('/') {
                Some((service, variable)) => {
                    let service = compose.service(service);
                    let value = service.and_then(|service| service.environment.get(variable)?.clone());
                    let Some(value) = value else { continue };
                    Some(value)
                }
                None if !read.contains(name.as_str()) => continue,
                None => values.get(name).cloned().or_else(|| self.written_default(name)),
            };
            let default = default.filter(|_| settings.shown.contains(name));
            found.push(VariableSpec { name: name.clone(), default });
        }
        Ok(found)
    }

    /// What a Compose file itself gives a variable that is not set: `${NAME:-default}`.
    fn written_default(&self, name: &str) -> Option<String> {
        let mut templates = Vec::new();
        self.trees.iter().for_each(|tree| templates_in(tree, &mut templates));
        let alone = |template: &&str| variables_of(template).eq([name]) && template.starts_with("${");
        let template = templates.into_iter().find(|template| alone(template) && template.ends_with('}'))?;
        interpolate(template, &|_| None).ok().filter(|value| !value.is_empty())
    }

    /// The variables that the stack gives a value or reads.
    fn known_variables(&self) -> BTreeSet<&str> {
        let mut known = self.read_variables();
        known.extend(self.env.names());
        known.extend(self.manifest.urls.iter().map(|url| url.variable.as_str()));
        known
    }

    /// The variables that the Compose files read.
    fn read_variables(&self) -> BTreeSet<&str> {
        let mut read = BTreeSet::new();
        self.trees.iter().for_each(|tree| read_in(tree, false, &mut read));
        read
    }

    /// The secrets of the manifest that a project has. An API key that no file reads opens nothing: older folders of
    /// Supabase's know no opaque ones.
    pub(super) fn own_secrets(&self) -> impl Iterator<Item = &Secret> {
        let read = self.read_variables();
        self.manifest.secrets.iter().filter(move |secret| {
            let opens = |variable: &String| read.contains(variable.as_str());
            !matches!(secret.generate, SecretGenerator::ApiKey { .. })
                || secret.variable.as_ref().is_some_and(opens)
        })
    }
}

/// The path of an address: what follows its host and port.
fn path_of(address: &str) -> &str {
    let host = address.split_once("://").map_or(address, |(_, rest)| rest);
    host.find('/').map_or("", |slash| &host[slash..])
}

/// Adds the values of a tree as they are written.
fn templates_in<'a>(node: &'a Node, templates: &mut Vec<&'a str>) {
    match &node.value {
        Value::Null => {}
        Value::Scalar(scalar) => templates.push(&scalar.written),
        Value::List(items) => items.iter().for_each(|item| templates_in(item, templates)),
        Value::Map(entries) => entries.iter().for_each(|entry| templates_in(&entry.node, templates)),
    }
}

/// Adds what the values of a tree read. In `environment`, a name alone is a variable too.
fn read_in<'a>(node: &'a Node, environment: bool, known: &mut BTreeSet<&'a str>) {
    match &node.value {
        Value::Null => {}
        Value::Scalar(scalar) => {
            known.extend(variables_of(&scalar.written));
            if environment {
                known.insert(&scalar.written);
            }
        }
        Value::List(items) => items.iter().for_each(|item| read_in(item, environment, known)),
        Value::Map(entries) => {
            for Entry { key, node, .. } in entries {
                if environment && matches!(node.value, Value::Null) {
                    known.insert(key);
                }
                read_in(node, key == "environment" && !environment, known);
            }
        }
    }
}
