//! A Compose file as types: what the Compose specification says, restricted to what Freehold does. A key that it does not
//! understand is an error that names it; nothing is left out in silence.
//!
//! The way of a file: [`yaml`] makes text into a tree, [`interpolate`] puts variables into its values, and what is read
//! [`at`] each key becomes a [`ComposeFile`].

pub(crate) mod at;
pub(crate) mod dotenv;
mod environment;
mod health;
pub(crate) mod interpolate;
mod mounts;
mod networks;
mod ports;
pub(crate) mod problem;
mod quantity;
mod service;
mod words;
pub(crate) mod yaml;

use std::collections::{BTreeMap, BTreeSet};

use self::{
    at::At,
    problem::{Problem, Result},
    yaml::Node,
};
pub(crate) use self::{
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
    /// The volumes that it declares.
    pub(crate) volumes: BTreeSet<String>,
}

impl ComposeFile {
    /// Reads an interpolated tree.
    ///
    /// # Errors
    /// The first thing that is wrong, with file, line and key.
    pub(crate) fn read(file: &str, tree: &Node) -> Result<Self> {
        let root = At::root(file, tree);
        let mut compose = Self {
            services: Vec::new(),
            networks: BTreeMap::from([(DEFAULT_NETWORK.to_owned(), Network::default())]),
            volumes: BTreeSet::new(),
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
                _ => at.unknown()?,
            }
        }
        compose.check(file)?;
        Ok(compose)
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
                    && !self.volumes.contains(volume)
                {
                    let message = format!(
                        "the volume {volume} is not declared: add it under volumes, or write ./{volume}"
                    );
                    return Err(problem("volumes", message));
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

fn read_volumes(at: &At<'_>) -> Result<BTreeSet<String>> {
    let mut volumes = BTreeSet::new();
    for (name, at) in at.entries()? {
        for (key, at) in at.entries()? {
            match key {
                // Names come from Freehold, so that two projects never share a volume.
                "name" => drop(at.text()?),
                "driver" => at.read("local", |text| (text == "local").then_some(()))?,
                _ => at.unknown()?,
            }
        }
        volumes.insert(name.to_owned());
    }
    Ok(volumes)
}

#[cfg(test)]
mod tests;
