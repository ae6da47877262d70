//! Carrying out a change: everything is checked before anything is touched.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use super::{
    spans::Pool,
    state::{Row, State},
};
use crate::{
    error::{Detail, Error, Kind, Result},
    event::Fact,
    lifecycle::Status,
    operation::{Operation, OperationId, OperationState},
    project::Project,
    project_ref::ProjectRef,
    runtime::PortBlock,
    store::{
        Bounds, Change, Committed, Guard, IdempotencyKey, NewOperation, NewProject, PortPool, Preemption,
        ProjectChange, ProjectUpdate, Replay, SubnetPool,
    },
};

impl State {
    pub(super) fn commit(&mut self, now: OffsetDateTime, change: Change) -> Result<Committed> {
        if let Some(key) = &change.idempotency
            && let Some(committed) = self.replayed(key)?
        {
            return Ok(committed);
        }
        let by = change.operation.as_ref().map(|operation| operation.id);
        let reference = match change.project {
            ProjectChange::Create(new) => {
                let reference = new.reference;
                self.create(now, *new, by)?;
                reference
            }
            ProjectChange::Update(update) => {
                let reference = update.reference;
                self.check_update(&update, by.is_some(), change.preemption, change.cancel)?;
                self.update(now, *update, by)?;
                reference
            }
        };
        if let Some(operation) = change.operation {
            self.make_room(now, reference)?;
            self.record_new(now, reference, operation)?;
        }
        if let Some(operation) = change.cancel {
            self.request_cancel(now, operation)?;
        }
        for item in change.sealed {
            self.strongbox.put(item);
        }
        for fact in change.facts {
            self.tell(now, &reference, fact)?;
        }
        let operation = by.or(change.cancel);
        if let Some(IdempotencyKey { organization, key, body }) = change.idempotency {
            let replay = Replay { body, project: reference, operation };
            self.keys.insert((organization, key), (now, replay));
        }
        let operation = operation.and_then(|id| self.operations.get(&id)).map(|found| self.shown(found));
        Ok(Committed { project: self.row(&reference)?.project.clone(), operation, replayed: false })
    }

    /// What a key gave before, if it was used before.
    fn replayed(&self, key: &IdempotencyKey) -> Result<Option<Committed>> {
        let Some((_, replay)) = self.keys.get(&(key.organization.clone(), key.key.clone())) else {
            return Ok(None);
        };
        if replay.body != key.body {
            return Err(Error::detailed(
                Detail::KeyReused,
                format!("use the idempotency key {:?} again: it was used for another request", key.key),
            ));
        }
        let operation = replay.operation.and_then(|id| self.operations.get(&id));
        Ok(Some(Committed {
            project: self.row(&replay.project)?.project.clone(),
            operation: operation.map(|operation| self.shown(operation)),
            replayed: true,
        }))
    }

    fn create(&mut self, now: OffsetDateTime, new: NewProject, by: Option<OperationId>) -> Result<()> {
        if self.rows.contains_key(&new.reference) {
            return Err(Error::new(
                Kind::AlreadyExists,
                format!("create project {}: there is one", new.reference),
            ));
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

    fn check_update(
        &self,
        update: &ProjectUpdate,
        records: bool,
        preemption: Preemption,
        cancel: Option<OperationId>,
    ) -> Result<()> {
        let row = self.row(&update.reference)?;
        let project = &row.project;
        if project.version != update.expected_version {
            return Err(Error::detailed(
                Detail::LostRace,
                format!(
                    "change version {} of project {}: it is at {} by now",
                    update.expected_version, project.reference, project.version
                ),
            ));
        }
        let must_be_idle = update.guard == Guard::Idle || (records && preemption == Preemption::Refuse);
        if let Some(operation) = row.in_flight().filter(|_| must_be_idle) {
            return Err(Error::detailed(
                Detail::Busy { status: project.status, operation },
                format!("change project {}: operation {operation} runs or waits", project.reference),
            ));
        }
        match cancel {
            Some(operation) if !row.operations.contains(&operation) => Err(Error::not_found(
                "operation",
                format_args!("{operation} of project {}", project.reference),
            )),
            _ => Ok(()),
        }
    }

    fn update(&mut self, now: OffsetDateTime, update: ProjectUpdate, by: Option<OperationId>) -> Result<()> {
        let before = &self.row(&update.reference)?.project;
        let mut next = before.clone();
        let mut reason = None;
        if let Some(status) = update.status {
            next.status = status.to;
            next.status_operation = by;
            reason = status.reason;
        }
        let mut fields = Vec::new();
        amend(&mut next.name, update.name, "name", &mut fields);
        amend(&mut next.annotations, update.annotations, "annotations", &mut fields);
        amend(&mut next.protected, update.protected, "protected", &mut fields);
        next.generation = update.generation.unwrap_or(next.generation);
        next.excluded = update.excluded.unwrap_or(next.excluded);
        next.limits = update.limits.unwrap_or(next.limits);
        next.connection = update.connection.or(next.connection);
        if next != *before {
            self.replace(now, next, reason)?;
        }
        if !fields.is_empty() {
            self.tell(now, &update.reference, Fact::Amended { fields })?;
        }
        Ok(())
    }

    /// Ends the operation that waits, and asks for the end of the one that runs.
    fn make_room(&mut self, now: OffsetDateTime, project: ProjectRef) -> Result<()> {
        let row = self.row(&project)?;
        let (running, waiting) = (row.running, row.waiting);
        if let Some(waiting) = waiting {
            self.change_operation(now, waiting, None, |operation| {
                operation.state = OperationState::Cancelled;
                operation.ended_at = Some(now);
            })?;
        }
        running.map_or(Ok(()), |running| self.request_cancel(now, running))
    }

    fn record_new(&mut self, now: OffsetDateTime, project: ProjectRef, new: NewOperation) -> Result<()> {
        let (not_before, deadline) = new.moments(now);
        let target = self.row(&project)?.project.target.clone();
        self.record(
            now,
            Operation {
                id: new.id,
                project,
                target,
                kind: new.kind,
                scope: new.scope,
                generation: new.generation,
                state: OperationState::Waiting,
                attempt: 0,
                cancel_requested: false,
                deadline,
                not_before,
                lease: None,
                position: None,
                error: None,
                steps: Vec::new(),
                report: None,
                log: Vec::new(),
                planned_by: new.planned_by,
                created_at: now,
                started_at: None,
                ended_at: None,
            },
        )
    }

    /// Asks for an operation's end. One that waits for another try need not wait any longer to hear of it.
    fn request_cancel(&mut self, now: OffsetDateTime, id: OperationId) -> Result<()> {
        let Some(operation) = self.operations.get(&id) else { return Ok(()) };
        if operation.cancel_requested || operation.state.has_ended() {
            return Ok(());
        }
        let project = operation.project;
        self.change_operation(now, id, None, |operation| {
            operation.cancel_requested = true;
            operation.not_before = operation.not_before.min(now);
        })?;
        self.tell(now, &project, Fact::CancelRequested { operation: id })
    }
}

fn amend<T: PartialEq>(field: &mut T, value: Option<T>, name: &str, changed: &mut Vec<String>) {
    if let Some(value) = value.filter(|value| value != field) {
        *field = value;
        changed.push(name.to_owned());
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

fn network_at(pool: &SubnetPool, address: u64) -> Result<ipnet::Ipv4Net> {
    let first = u64::from(u32::from(pool.network.network()));
    u32::try_from((address - first) / addresses(pool))
        .ok()
        .and_then(|index| pool.subnet(index))
        .ok_or_else(|| Error::internal(format!("name the network at {address} of {}", pool.network)))
}
