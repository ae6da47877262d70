//! A Compose file as types: what the Compose specification says, restricted to what Freehold does. A key that it does not
//! understand is an error that names it; nothing is left out in silence.
//!
//! The way of a file: [`yaml`] makes text into a tree, [`interpolate`] puts variables into its values, [`merge`] makes one
//! of several, and what is read [`at`] each key becomes a [`ComposeFile`]. [`keys`] are the keys that there are.

pub(crate) mod at;
mod deploy;
pub(crate) mod dotenv;
mod environment;
mod files;
mod health;
pub(crate) mod interpolate;
mod keys;
pub(crate) mod merge;
mod mounts;
mod networks;
mod ports;
pub(crate) mod problem;
mod quantity;
mod service;
mod words;
pub(crate) mod yaml;

use std::collections::BTreeMap;

use self::{
    at::At,
    problem::{Problem, Result},
    yaml::Node,
};
pub(crate) use self::{
    files::{Declared, Grant, Sort},
    mounts::{ServiceMount, Source},
    networks::{DEFAULT_NETWORK, Network},
    service::Service,
};

/// A Compose file.
#[derive(Clone, Debug)]
pub(crate) struct ComposeFile {
    /// Its services, in the order of the file.
    pub(crate) services: Vec<Service>,
    /// The networks that it declares, and the default one.
    pub(crate) networks: BTreeMap<String, Network>,
    /// The volumes that it declares, and their own labels.
    pub(crate) volumes: BTreeMap<String, BTreeMap<String, String>>,
    /// The configs and secrets that it declares.
    pub(crate) files: BTreeMap<(Sort, String), Declared>,
}

impl ComposeFile {
    /// Reads an interpolated tree.
    ///
    /// # Errors
    /// The first thing that is wrong, with file, line and key.
    pub(crate) fn read(tree: &Node) -> Result<Self> {
        let root = At::root(tree);
        let mut compose = Self {
            services: Vec::new(),
            networks: BTreeMap::from([(DEFAULT_NETWORK.to_owned(), Network::default())]),
            volumes: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        for (key, at) in root.entries()? {
            match key {
                // Freehold names projects itself; the format has had no versions for years.
                "name" | "version" => drop(at.text()?),
                "services" => {
                    for (_, at) in at.entries()? {
                        compose.services.push(Service::read(&at)?);
                    }
                }
                "networks" => compose.networks.extend(networks::read(&at)?),
                "volumes" => compose.volumes = read_volumes(&at)?,
                "configs" => compose.declare(Sort::Config, &at)?,
                "secrets" => compose.declare(Sort::Secret, &at)?,
                _ => at.unknown(&keys::FILE)?,
            }
        }
        compose.check(&tree.file)?;
        Ok(compose)
    }

    fn declare(&mut self, sort: Sort, at: &At<'_>) -> Result<()> {
        let declared = files::read_declared(sort, at)?;
        self.files.extend(declared.into_iter().map(|(name, declared)| ((sort, name), declared)));
        Ok(())
    }

    /// The service of that name.
    pub(crate) fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == *name)
    }

    /// Checks that what services refer to is there.
    fn check(&self, file: &str) -> Result<()> {
        if self.services.is_empty() {
            return Err(Problem::of_file(file, "no services: write at least one under services"));
        }
        for service in &self.services {
            let problem = |key: &str, message: String| {
                Problem::of_file(file, message).at_key(format!("services.{}.{key}", service.name))
            };
            for mount in &service.mounts {
                if let Source::Named(volume) = &mount.source
                    && !self.volumes.contains_key(volume)
                {
                    let message = format!(
                        "the volume {volume} is not declared: add it under volumes, or write ./{volume}"
                    );
                    return Err(problem("volumes", message));
                }
            }
            for (sort, grant) in &service.grants {
                if !self.files.contains_key(&(*sort, grant.source.clone())) {
                    let message = format!("{} is not declared: add it under {}", grant.source, sort.key());
                    return Err(problem(sort.key(), message));
                }
            }
            for (network, _) in &service.networks {
                if !self.networks.contains_key(network) {
                    return Err(problem(
                        "networks",
                        format!("the network {network} is not declared: add it under networks"),
                    ));
                }
            }
            for dependency in &service.depends_on {
                if self.service(dependency.service.as_str()).is_none() {
                    let message = format!("there is no service {}", dependency.service);
                    return Err(problem("depends_on", message));
                }
            }
        }
        self.start_order().map(drop).map_err(|circle| {
            let circle = circle.join(" waits for ");
            Problem::of_file(file, format!("{circle}: break the circle")).at_key("services")
        })
    }

    /// The services, each behind all that it waits for, otherwise in the order of the file.
    ///
    /// # Errors
    /// The names along a circle, the first again at the end.
    pub(crate) fn start_order(&self) -> Result<Vec<&Service>, Vec<String>> {
        let mut order = Vec::with_capacity(self.services.len());
        for service in &self.services {
            self.visit(service, &mut Vec::new(), &mut order)?;
        }
        Ok(order)
    }

    fn visit<'a>(
        &'a self,
        service: &'a Service,
        path: &mut Vec<&'a str>,
        order: &mut Vec<&'a Service>,
    ) -> Result<(), Vec<String>> {
        let name = service.name.as_str();
        if order.iter().any(|done| done.name == service.name) {
            return Ok(());
        }
        if let Some(start) = path.iter().position(|visited| *visited == name) {
            return Err(path[start..].iter().chain([&name]).map(|name| (*name).to_owned()).collect());
        }
        path.push(name);
        for dependency in &service.depends_on {
            if let Some(needed) = self.service(dependency.service.as_str()) {
                self.visit(needed, path, order)?;
            }
        }
        path.pop();
        order.push(service);
        Ok(())
    }
}

fn read_volumes(at: &At<'_>) -> Result<BTreeMap<String, BTreeMap<String, String>>> {
    let mut volumes = BTreeMap::new();
    for (name, at) in at.entries()? {
        let mut labels = BTreeMap::new();
        for (key, at) in at.entries()? {
            match key {
                // Names come from Freehold, so that two projects never share a volume.
                "name" => drop(at.text()?),
                "driver" => at.read("local", |text| (text == "local").then_some(()))?,
                "labels" => labels = environment::read_labels(&at)?,
                "external" => at.only_false()?,
                _ => at.unknown(&keys::VOLUME)?,
            }
        }
        volumes.insert(name.to_owned(), labels);
    }
    Ok(volumes)
}

#[cfg(test)]
mod docs;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod tests;
