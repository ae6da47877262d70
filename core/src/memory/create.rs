//! Adding a project: within the bounds, with its ports and its network.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;
use time::OffsetDateTime;

use super::{
    spans::Pool,
    state::{Row, State},
};
use crate::{
    error::{Detail, Error, Kind, Result},
    lifecycle::Status,
    names::OrganizationId,
    operation::OperationId,
    project::Project,
    runtime::PortBlock,
    store::{Bounds, NewProject, PortPool, SubnetPool},
};

impl State {
    pub(super) fn create(
        &mut self,
        now: OffsetDateTime,
        new: NewProject,
        by: Option<OperationId>,
    ) -> Result<()> {
        if self.rows.contains_key(&new.reference) {
            return Err(Error::new(
                Kind::AlreadyExists,
                format!("create project {}: there is one", new.reference),
            ));
        }
        if self.closed.contains(&new.organization) {
            return Err(NewProject::refused(&new.organization));
        }
        self.check_name(&new.organization, &new.name, new.reference)?;
        self.check_bounds(&new)?;
        let machine = self.machines.entry(new.machine.clone()).or_default();
        let first = match new.ports {
            0 => None,
            count => Some(
                machine
                    .ports
                    .take(&ports_of(&new.port_pool), count.into(), now)
                    .ok_or_else(|| exhausted("port_pool", new.port_pool.len()))?,
            ),
        };
        let subnet = match &new.subnet_pool {
            None => None,
            Some(pool) => match machine.subnets.take(&addresses_of(pool), addresses(pool), now) {
                Some(address) => Some(network_at(pool, address)?),
                None => {
                    first.inspect(|first| machine.ports.release(*first));
                    return Err(exhausted("subnet_pool", pool.len().into()));
                }
            },
        };
        let project = Project {
            reference: new.reference,
            id: self.ids.last_key_value().map_or(1, |(id, _)| id + 1),
            name: new.name,
            organization: new.organization,
            target: new.target,
            stack: new.stack,
            digest: new.digest,
            status: new.status,
            status_operation: by,
            observed_at: None,
            was_active: false,
            annotations: new.annotations,
            protected: false,
            excluded: new.excluded,
            limits: new.limits,
            generation: 1,
            ports: first.map(|first| block(first, new.ports)),
            subnet,
            connection: None,
            created_at: now,
            updated_at: now,
            version: 1,
        };
        let row = Row {
            project,
            machine: new.machine,
            epoch: 0,
            running: None,
            waiting: None,
            operations: BTreeSet::new(),
        };
        self.insert(now, row);
        Ok(())
    }

    pub(super) fn close(&mut self, organization: &OrganizationId) -> Result<()> {
        let projects = self.rows.values().map(|row| &row.project);
        let left = projects
            .filter(|project| project.organization == *organization && project.status != Status::Removed);
        if let Some(project) = left.min_by_key(|project| project.id) {
            return Err(NewProject::left(organization, &project.name));
        }
        self.closed.insert(organization.clone());
        Ok(())
    }

    fn check_bounds(&self, new: &NewProject) -> Result<()> {
        let Bounds { max_projects, max_memory_bytes, max_projects_per_organization } = new.bounds;
        let live =
            || self.rows.values().map(|row| &row.project).filter(|project| project.status != Status::Removed);
        let on_target = || live().filter(|project| project.target == new.target);
        if let Some(limit) = max_projects
            && count(on_target()) >= limit
        {
            return Err(exhausted("max_projects", limit));
        }
        if let Some(limit) = max_memory_bytes {
            let used: u64 = on_target().filter_map(|project| project.limits.memory_bytes).sum();
            if used.saturating_add(new.limits.memory_bytes.unwrap_or(0)) > limit {
                return Err(exhausted("max_memory_bytes", limit));
            }
        }
        if let Some(limit) = max_projects_per_organization
            && count(live().filter(|project| project.organization == new.organization)) >= limit
        {
            return Err(exhausted("max_projects_per_organization", limit));
        }
        Ok(())
    }
}

fn count<T>(items: impl Iterator<Item = T>) -> u64 {
    u64::try_from(items.count()).unwrap_or(u64::MAX)
}

/// The error for a bound that the operator set.
pub(super) fn exhausted(setting: &str, limit: u64) -> Error {
    Error::detailed(
        Detail::Bound { setting: setting.to_owned(), limit },
        format!("stay within {setting} ({limit}): raise it, or destroy a project"),
    )
}

/// The ports of a pool.
pub(super) fn ports_of(pool: &PortPool) -> Pool {
    Pool { numbers: pool.first.into()..=pool.last.into(), step: 1 }
}

/// The block of `count` ports that begins at `first`, which a pool of ports gave.
pub(super) fn block(first: u64, count: u16) -> PortBlock {
    PortBlock { first: u16::try_from(first).unwrap_or(u16::MAX), count }
}

/// The addresses of a pool, to be given by whole networks.
fn addresses_of(pool: &SubnetPool) -> Pool {
    let (first, last) = (u32::from(pool.network.network()), u32::from(pool.network.broadcast()));
    Pool { numbers: first.into()..=last.into(), step: addresses(pool) }
}

/// How many addresses each network of a pool has.
fn addresses(pool: &SubnetPool) -> u64 {
    1 << (32 - u32::from(pool.prefix).min(32))
}

fn network_at(pool: &SubnetPool, address: u64) -> Result<Ipv4Net> {
    let first = u64::from(u32::from(pool.network.network()));
    u32::try_from((address - first) / addresses(pool))
        .ok()
        .and_then(|index| pool.subnet(index))
        .ok_or_else(|| Error::internal(format!("name the network at {address} of {}", pool.network)))
}
