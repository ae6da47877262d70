//! Everything that the store in memory knows, and the two moves that keep its indexes right.

use std::collections::{BTreeMap, BTreeSet};

use time::OffsetDateTime;

use super::{
    journal::Journal,
    queue::{Number, Queue},
    spans::Spans,
    strongbox::Strongbox,
};
use crate::{
    error::{Error, Kind, Result},
    event::Fact,
    lifecycle::Status,
    names::{OrganizationId, ProjectName, TargetName},
    operation::{Operation, OperationId, OperationState},
    project::Project,
    project_ref::ProjectRef,
    store::{Replay, TargetRecord},
};

/// The store's tables. Every method sees them whole and leaves them whole: they are under one lock.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) rows: BTreeMap<ProjectRef, Row>,
    /// Projects by number: oldest first.
    pub(super) ids: BTreeMap<i64, ProjectRef>,
    /// Who holds a name in an organization, whatever the case.
    names: BTreeMap<(OrganizationId, String), ProjectRef>,
    pub(super) operations: BTreeMap<OperationId, Recorded>,
    /// Operations in the order in which they were recorded.
    pub(super) numbers: BTreeMap<Number, OperationId>,
    /// The newest number that was given out: none comes twice, though operations are forgotten.
    last_number: Number,
    pub(super) queues: BTreeMap<TargetName, Queue>,
    pub(super) machines: BTreeMap<String, Machine>,
    pub(super) journal: Journal,
    pub(super) strongbox: Strongbox,
    pub(super) keys: BTreeMap<(OrganizationId, String), (OffsetDateTime, Replay)>,
    /// Organizations that get no project any more.
    pub(super) closed: BTreeSet<OrganizationId>,
    pub(super) targets: BTreeMap<TargetName, TargetRecord>,
    pub(super) settings: BTreeMap<String, String>,
}

/// A project and what only the store knows of it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) project: Project,
    /// The machine whose ports and subnets it uses.
    pub(super) machine: String,
    /// The newest fencing token that was given out.
    pub(super) epoch: u64,
    pub(super) running: Option<OperationId>,
    pub(super) waiting: Option<OperationId>,
    pub(super) operations: BTreeSet<Number>,
}

/// An operation and its number.
#[derive(Debug)]
pub(super) struct Recorded {
    pub(super) number: Number,
    pub(super) operation: Operation,
}

impl Row {
    /// The operation in flight: the one that runs before the one that waits.
    pub(super) fn in_flight(&self) -> Option<OperationId> {
        self.running.or(self.waiting)
    }
}

/// What of a machine is in use.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) ports: Spans,
    pub(super) subnets: Spans,
}

impl State {
    pub(super) fn row(&self, project: &ProjectRef) -> Result<&Row> {
        self.rows.get(project).ok_or_else(|| no_project(project))
    }

    pub(super) fn row_mut(&mut self, project: &ProjectRef) -> Result<&mut Row> {
        self.rows.get_mut(project).ok_or_else(|| no_project(project))
    }

    /// Writes a fact about a project.
    pub(super) fn tell(&mut self, now: OffsetDateTime, project: &ProjectRef, fact: Fact) -> Result<()> {
        let row = self.rows.get(project).ok_or_else(|| no_project(project))?;
        self.journal.write(now, &row.project, fact);
        Ok(())
    }

    /// An operation as callers see it.
    pub(super) fn shown(&self, id: OperationId) -> Option<Operation> {
        let Recorded { number, operation } = self.operations.get(&id)?;
        let position = (operation.state == OperationState::Waiting)
            .then(|| self.queues.get(&operation.target).map(|queue| queue.position(*number)))
            .flatten();
        Some(Operation { position, ..operation.clone() })
    }

    /// Refuses a name that another project of the organization holds.
    pub(super) fn check_name(
        &self,
        organization: &OrganizationId,
        name: &ProjectName,
        project: ProjectRef,
    ) -> Result<()> {
        match self.names.get(&(organization.clone(), name.folded())) {
            Some(holder) if *holder != project => Err(Error::new(
                Kind::AlreadyExists,
                format!("name a project {name:?}: {holder} of organization {organization} has that name"),
            )),
            _ => Ok(()),
        }
    }

    /// Adds a project.
    pub(super) fn insert(&mut self, now: OffsetDateTime, row: Row) {
        let project = &row.project;
        let fact = Fact::StatusChanged {
            from: None,
            to: project.status,
            operation: project.status_operation,
            reason: None,
        };
        self.journal.write(now, project, fact);
        self.names.insert((project.organization.clone(), project.name.folded()), project.reference);
        self.ids.insert(project.id, project.reference);
        self.rows.insert(project.reference, row);
    }

    /// Refuses what a project must not become.
    ///
    /// # Errors
    /// `AlreadyExists` (name); `Internal` if it would be `ACTIVE_HEALTHY` without a connection.
    pub(super) fn check(&self, next: &Project) -> Result<()> {
        if next.status == Status::ActiveHealthy && next.connection.is_none() {
            let (project, status) = (next.reference, next.status);
            let problem = format!("move project {project} to {status}: nobody said how it is reached");
            return Err(Error::internal(problem));
        }
        if next.status.holds_name() {
            self.check_name(&next.organization, &next.name, next.reference)?;
        }
        Ok(())
    }

    /// Puts a changed project in the place of the present one, as its next version.
    ///
    /// # Errors
    /// As [`State::check`]. Nothing has changed then.
    pub(super) fn replace(
        &mut self,
        now: OffsetDateTime,
        mut next: Project,
        reason: Option<String>,
    ) -> Result<()> {
        self.check(&next)?;
        let reference = next.reference;
        let before = &self.row(&reference)?.project;
        let (from, old_name) = (before.status, (before.organization.clone(), before.name.folded()));

        if self.names.get(&old_name) == Some(&reference) {
            self.names.remove(&old_name);
        }
        if next.status.holds_name() {
            self.names.insert((next.organization.clone(), next.name.folded()), reference);
        }
        if next.status == Status::Removed {
            self.free(&mut next)?;
        }
        next.was_active |= next.status == Status::ActiveHealthy;
        next.version += 1;
        next.updated_at = now;
        if from != next.status {
            let operation = next.status_operation;
            let fact = Fact::StatusChanged { from: Some(from), to: next.status, operation, reason };
            self.journal.write(now, &next, fact);
        }
        self.row_mut(&reference)?.project = next;
        Ok(())
    }

    /// Gives back the ports and the subnet of a project that is no more, and forgets its secrets.
    fn free(&mut self, project: &mut Project) -> Result<()> {
        let machine = self.row(&project.reference)?.machine.clone();
        let machine = self.machines.entry(machine).or_default();
        if let Some(ports) = project.ports.take() {
            machine.ports.release(ports.first.into());
        }
        if let Some(subnet) = project.subnet.take() {
            machine.subnets.release(u32::from(subnet.network()).into());
        }
        self.strongbox.forget(project.reference);
        Ok(())
    }

    /// Changes an operation, keeps its place in the queue and its project's row right, and writes the fact if there is one.
    pub(super) fn change_operation(
        &mut self,
        now: OffsetDateTime,
        id: OperationId,
        reason: Option<String>,
        change: impl FnOnce(&mut Operation),
    ) -> Result<()> {
        let Recorded { number, operation } =
            self.operations.get_mut(&id).ok_or_else(|| Error::not_found("operation", id))?;
        let row = self.rows.get_mut(&operation.project).ok_or_else(|| no_project(&operation.project))?;
        let queue = self.queues.entry(operation.target.clone()).or_default();
        let before = (operation.state, operation.attempt);
        queue.remove(*number, operation);
        change(operation);
        queue.insert(*number, operation);
        place(&mut row.running, id, operation.state == OperationState::Running);
        place(&mut row.waiting, id, operation.state == OperationState::Waiting);
        if before != (operation.state, operation.attempt) {
            self.journal.write(now, &row.project, changed(operation, reason));
        }
        Ok(())
    }

    /// Adds an operation that waits.
    pub(super) fn record(&mut self, now: OffsetDateTime, operation: Operation) -> Result<()> {
        self.last_number += 1;
        let number = self.last_number;
        let row = self.row_mut(&operation.project)?;
        row.waiting = Some(operation.id);
        row.operations.insert(number);
        self.tell(now, &operation.project, changed(&operation, None))?;
        self.queues.entry(operation.target.clone()).or_default().insert(number, &operation);
        self.numbers.insert(number, operation.id);
        self.operations.insert(operation.id, Recorded { number, operation });
        Ok(())
    }

    /// Forgets operations that ended before that moment, but for those that put their project where it stands.
    pub(super) fn forget_operations(&mut self, ended_before: OffsetDateTime) {
        let Self { rows, operations, numbers, .. } = self;
        operations.retain(|id, Recorded { number, operation }| {
            let Some(row) = rows.get_mut(&operation.project) else { return true };
            let old = operation.ended_at.is_some_and(|end| end < ended_before);
            if !old || row.project.status_operation == Some(*id) {
                return true;
            }
            row.operations.remove(number);
            numbers.remove(number);
            false
        });
    }
}

fn place(slot: &mut Option<OperationId>, id: OperationId, there: bool) {
    if there {
        *slot = Some(id);
    } else {
        slot.take_if(|present| *present == id);
    }
}

fn changed(operation: &Operation, reason: Option<String>) -> Fact {
    Fact::OperationChanged {
        operation: operation.id,
        kind: operation.kind,
        state: operation.state,
        attempt: operation.attempt,
        reason,
    }
}

fn no_project(project: &ProjectRef) -> Error {
    Error::not_found("project", project)
}
