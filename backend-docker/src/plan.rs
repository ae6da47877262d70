//! *Plan*: a stack and a runtime become a graph. It is pure: the same input gives the same graph, and nothing is asked of
//! the engine or the disk.

mod container;
mod hash;
mod identity;
mod network;

use std::collections::BTreeMap;

use freehold_core::{Error, Result, Runtime};

use self::identity::Identity;
use crate::{
    compose::{ComposeFile, Service},
    graph::{FirstRunPlace, Graph, Surroundings, VolumeNode},
    stack::Stack,
};

/// What a project is on the engine while it runs.
///
/// # Errors
/// `InvalidInput` for a runtime that the stack cannot be run with: a variable it does not read or a value that breaks the
/// Compose file, an exclusion that leaves a service without what it needs, a mount that is not allowed.
pub(crate) fn plan(stack: &Stack, runtime: &Runtime, surroundings: &Surroundings) -> Result<Graph> {
    let variables = stack.variables(runtime, &surroundings.public_host)?;
    let compose = stack.compose(&variables)?;
    let services = included(stack, runtime, &compose)?;
    let identity = Identity { stack, runtime, surroundings };
    let planner = Planner { identity, variables, compose: &compose, services: &services };

    let mut volumes: BTreeMap<String, VolumeNode> = BTreeMap::new();
    let mut containers = Vec::with_capacity(services.len());
    for service in &services {
        containers.push(planner.container(service, &mut volumes)?);
    }
    let database = stack.manifest().database.as_ref();
    let runs = |name: &str| services.iter().any(|service| service.name == *name);
    Ok(Graph {
        project: runtime.project,
        networks: planner.networks()?,
        volumes: volumes.into_values().collect(),
        containers,
        first_run: stack
            .manifest()
            .first_run
            .as_ref()
            .filter(|place| runs(place.service.as_str()))
            .map(|place| FirstRunPlace { service: place.service.clone(), path: place.path.clone() }),
        origins: stack.origins(&services),
        roles: database.map(|database| database.roles(runtime)).transpose()?,
    })
}

/// What every part of a plan needs.
struct Planner<'a> {
    identity: Identity<'a>,
    variables: BTreeMap<String, String>,
    compose: &'a ComposeFile,
    services: &'a [&'a Service],
}

/// The services that run, each behind all that it waits for. A service that is off by default may be missing to others;
/// one that is on by default may not.
fn included<'a>(stack: &Stack, runtime: &Runtime, compose: &'a ComposeFile) -> Result<Vec<&'a Service>> {
    let order = compose
        .start_order()
        .map_err(|circle| Error::internal(format!("plan a circle: {}", circle.join(", "))))?;
    let services: Vec<_> =
        order.into_iter().filter(|service| !runtime.excluded.contains(&service.name)).collect();
    for service in &services {
        let said = stack.manifest().services.get(&service.name);
        if let Some(reason) = said.and_then(|said| said.refuse.as_ref()) {
            let message = format!("must hold {}, which no project may run: {reason}", service.name);
            return Err(Error::invalid("excluded_services", message));
        }
        for needed in service.depends_on.iter().filter(|dependency| dependency.required) {
            let off_by_default =
                stack.spec().services.iter().any(|spec| spec.name == needed.service && !spec.default_on);
            if runtime.excluded.contains(&needed.service) && !off_by_default {
                let message = format!(
                    "{} is excluded, and {} waits for it (depends_on): exclude {} too, or neither",
                    needed.service, service.name, service.name
                );
                return Err(Error::invalid("excluded_services", message));
            }
        }
    }
    Ok(services)
}

#[cfg(test)]
mod supabase;
#[cfg(test)]
mod tests;
