//! A command as data: prepared by the control plane, committed by a store in one transaction.

use std::time::Duration;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    connection::Connection,
    error::{Error, Kind, Result},
    event::Fact,
    lifecycle::Status,
    names::{OrganizationId, ProjectName, ServiceName, StackName, TargetName},
    operation::{Operation, OperationId, OperationKind},
    project::{Annotations, Project},
    project_ref::ProjectRef,
    runtime::Limits,
    seal::{Place, Sealed},
};

/// A command, validated, with its secrets sealed: all that a store needs to carry it out in one transaction.
#[derive(Clone, Debug)]
pub struct Change {
    /// What happens to the project.
    pub project: ProjectChange,
    /// The operation that is recorded with it, where there is work to do.
    pub operation: Option<NewOperation>,
    /// What happens to operations that run or wait.
    pub preemption: Preemption,
    /// An operation of the project whose end is asked for.
    pub cancel: Option<OperationId>,
    /// Sealed items that are added; one at the same project and name replaces those of a lower version.
    pub sealed: Vec<SealedItem>,
    /// The caller's key, under which the same change is made once.
    pub idempotency: Option<IdempotencyKey>,
    /// Facts that do not follow from the change by themselves.
    pub facts: Vec<Fact>,
}

/// What happens to the project.
#[derive(Clone, Debug)]
pub enum ProjectChange {
    /// It is created.
    Create(Box<NewProject>),
    /// It changes.
    Update(Box<ProjectUpdate>),
}

/// A project to be created. The store gives it its number, ports and subnet.
#[derive(Clone, Debug)]
pub struct NewProject {
    /// Its identity.
    pub reference: ProjectRef,
    /// What people call it.
    pub name: ProjectName,
    /// Whose it is.
    pub organization: OrganizationId,
    /// The target that will run it.
    pub target: TargetName,
    /// The stack.
    pub stack: StackName,
    /// The stack's digest.
    pub digest: String,
    /// Where its life begins.
    pub status: Status,
    /// The caller's own facts.
    pub annotations: Annotations,
    /// Services that do not run.
    pub excluded: Vec<ServiceName>,
    /// Bounds on what it may use.
    pub limits: Limits,
    /// The machine whose ports and subnets it uses.
    pub machine: String,
    /// How many ports it needs, and from where. A count of 0 allocates none.
    pub ports: u16,
    /// Where ports come from.
    pub port_pool: PortPool,
    /// Where its subnet comes from, if it needs one.
    pub subnet_pool: Option<SubnetPool>,
    /// Bounds that hold for all projects together.
    pub bounds: Bounds,
}

impl NewProject {
    /// What a store says to a project of an organization that was closed.
    #[must_use]
    pub fn refused(organization: &OrganizationId) -> Error {
        let message = format!(
            "create a project in organization {organization}: it was deleted, and its name is not used again; \
             choose another organization"
        );
        Error::new(Kind::Conflict, message)
    }

    /// What a store says to the closing of an organization that has a project left.
    #[must_use]
    pub fn left(organization: &OrganizationId, project: &ProjectName) -> Error {
        let message = format!(
            "close organization {organization}: it has projects, {project} among them; destroy them first"
        );
        Error::new(Kind::Conflict, message)
    }
}

/// Changes of a project's row. `None` leaves a field as it is.
#[derive(Clone, Debug)]
pub struct ProjectUpdate {
    /// The project.
    pub reference: ProjectRef,
    /// The version that the change was prepared from.
    pub expected_version: u64,
    /// What else must hold.
    pub guard: Guard,
    /// Where it stands from now on.
    pub status: Option<StatusChange>,
    /// Another name.
    pub name: Option<ProjectName>,
    /// Other annotations, all of them.
    pub annotations: Option<Annotations>,
    /// Another protection.
    pub protected: Option<bool>,
    /// The next generation of settings.
    pub generation: Option<u64>,
    /// Other exclusions.
    pub excluded: Option<Vec<ServiceName>>,
    /// Other limits.
    pub limits: Option<Limits>,
    /// Another way to reach it.
    pub connection: Option<Connection>,
}

impl ProjectUpdate {
    /// An update of a project that changes nothing yet.
    #[must_use]
    pub fn of(project: &Project) -> Self {
        Self {
            reference: project.reference,
            expected_version: project.version,
            guard: Guard::None,
            status: None,
            name: None,
            annotations: None,
            protected: None,
            generation: None,
            excluded: None,
            limits: None,
            connection: None,
        }
    }
}

/// A move of the lifecycle that the table allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StatusChange {
    /// Where to.
    pub to: Status,
    /// Why, where there is something to say.
    pub reason: Option<String>,
}

/// What must hold besides the version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Nothing.
    None,
    /// No operation of the project runs or waits; else `Busy`.
    Idle,
}

/// What happens to operations of the project that run or wait when a new one is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preemption {
    /// Nothing: if there is one, the change is refused with `Busy`.
    Refuse,
    /// A waiting one ends as cancelled in the same transaction; a running one is asked to end, and the new one waits
    /// behind it.
    Cancel,
}

/// An operation to be recorded. It begins waiting.
#[derive(Clone, Debug)]
pub struct NewOperation {
    /// Its identity.
    pub id: OperationId,
    /// What it does.
    pub kind: OperationKind,
    /// The services that it is about; empty is all.
    pub scope: Vec<ServiceName>,
    /// Data that is gone and that it may make anew.
    pub accept_data_loss: Vec<String>,
    /// The generation that it brings into force.
    pub generation: u64,
    /// How long it may take from when it is first begun, and from now on where it need not wait in the queue.
    pub timeout: Duration,
    /// Not begun before so long from now on.
    pub delay: Duration,
    /// The version of Freehold that planned it.
    pub planned_by: String,
}

/// A sealed item and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedItem {
    /// Where it stands.
    pub place: Place,
    /// What stands there.
    pub sealed: Sealed,
}

/// A caller's key, under which the same change is made once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey {
    /// Whose key it is.
    pub organization: OrganizationId,
    /// The key: 1 to 255 bytes.
    pub key: String,
    /// An HMAC of the request.
    pub body: String,
}

/// What an idempotency key was used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replay {
    /// The HMAC of that request.
    pub body: String,
    /// The project that it was about.
    pub project: ProjectRef,
    /// The operation that it recorded.
    pub operation: Option<OperationId>,
}

/// What a change came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Committed {
    /// The project as it is now.
    pub project: Project,
    /// The operation that was recorded, or asked to end.
    pub operation: Option<Operation>,
    /// Whether nothing was changed because the idempotency key had been used for the same change.
    pub replayed: bool,
}

/// The host ports of a machine that projects get: blocks of consecutive ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortPool {
    /// The first port.
    pub first: u16,
    /// The last port.
    pub last: u16,
}

impl Default for PortPool {
    /// 20000 to 29999: below Linux's ephemeral range, which begins at 32768.
    fn default() -> Self {
        Self { first: 20_000, last: 29_999 }
    }
}

impl PortPool {
    /// Checks the pool.
    ///
    /// # Errors
    /// `InvalidInput` if it is empty, has privileged ports, or reaches into the ephemeral range.
    pub fn validate(&self) -> Result<()> {
        if self.first < 1024 || self.first > self.last || self.last >= 32_768 {
            return Err(Error::invalid(
                "port_pool",
                format_args!(
                    "{}-{} is not a range of ports within 1024-32767: from 32768 on the system hands them out itself",
                    self.first, self.last
                ),
            ));
        }
        Ok(())
    }

    /// How many ports it has.
    #[must_use]
    pub fn len(&self) -> u64 {
        u64::from(self.last.saturating_sub(self.first)) + 1
    }

    /// Whether it has none. A validated pool always has some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.first > self.last
    }
}

/// The addresses that projects get their networks from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubnetPool {
    /// All of them.
    pub network: Ipv4Net,
    /// How long the prefix of each project's network is.
    pub prefix: u8,
}

impl Default for SubnetPool {
    /// 2048 networks of 30 addresses each in 10.213.0.0/16.
    fn default() -> Self {
        Self { network: Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 213, 0, 0), 16), prefix: 27 }
    }
}

impl SubnetPool {
    /// Checks the pool.
    ///
    /// # Errors
    /// `InvalidInput` if the prefix is not longer than the network's, or leaves fewer than 6 addresses.
    pub fn validate(&self) -> Result<()> {
        if self.prefix <= self.network.prefix_len() || self.prefix > 29 {
            return Err(Error::invalid(
                "subnet_pool.prefix",
                format_args!("/{} is not between {} and /29", self.prefix, self.network),
            ));
        }
        Ok(())
    }

    /// How many networks it has.
    #[must_use]
    pub fn len(&self) -> u32 {
        1 << self.prefix.saturating_sub(self.network.prefix_len()).min(31)
    }

    /// Whether it has none. A validated pool always has some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prefix < self.network.prefix_len()
    }

    /// The network at an index.
    #[must_use]
    pub fn subnet(&self, index: u32) -> Option<Ipv4Net> {
        if index >= self.len() {
            return None;
        }
        let first = u32::from(self.network.network());
        let address = first.checked_add(index.checked_shl(32 - u32::from(self.prefix))?)?;
        Ipv4Net::new(address.into(), self.prefix).ok()
    }
}

/// Bounds that hold for all projects together. `None` is no bound. Projects that are removed do not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    /// Projects of one target: the setting `max_projects`.
    pub max_projects: Option<u64>,
    /// Memory limits of one target's projects together, in bytes: the setting `max_memory_bytes`.
    pub max_memory_bytes: Option<u64>,
    /// Projects of one organization: the setting `max_projects_per_organization`.
    pub max_projects_per_organization: Option<u64>,
}

/// Where an operation's moments are computed from, so that both stores do it alike.
impl NewOperation {
    /// When it may begin, and when it is given up.
    #[must_use]
    pub fn moments(&self, now: OffsetDateTime) -> (OffsetDateTime, OffsetDateTime) {
        (now + self.delay, now + self.delay + self.timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subnets_of_a_pool_do_not_overlap_and_end_with_it() {
        let pool = SubnetPool::default();
        assert_eq!(pool.len(), 2048);
        assert_eq!(pool.subnet(0).unwrap().to_string(), "10.213.0.0/27");
        assert_eq!(pool.subnet(2047).unwrap().to_string(), "10.213.255.224/27");
        assert_eq!(pool.subnet(2048), None);
    }

    #[test]
    fn a_pool_in_the_ephemeral_range_is_refused() {
        assert!(PortPool::default().validate().is_ok());
        for (first, last) in [(40_000, 50_000), (2_000, 1_999), (80, 2_000), (30_000, 32_768)] {
            assert!(PortPool { first, last }.validate().is_err(), "{first}-{last}");
        }
    }
}
