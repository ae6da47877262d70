//! Working under a lease: claiming, renewing, ending, and getting other ports.

use std::time::Duration;

use time::OffsetDateTime;

use super::{
    commit::{block, exhausted, ports_of},
    state::State,
};
use crate::{
    context::Progress,
    error::{Detail, Error, Result},
    event::Fact,
    operation::{Lease, LogEntry, Operation, OperationError, OperationId, OperationState, Step},
    project::Project,
    store::{Claim, Claimed, End, PortPool, RecordedProgress, Renewed, Settlement, TargetClaim, Transition},
};

impl State {
    pub(super) fn claim(&mut self, now: OffsetDateTime, claim: &Claim) -> Result<Option<Claimed>> {
        let next = claim.targets.iter().filter_map(|target| self.next_of(now, target, claim.margin)).min();
        let Some((_, id)) = next else { return Ok(None) };
        let Some(before) = self.operations.get(&id) else { return Ok(None) };
        let (project, takeover) = (before.project, before.state == OperationState::Running);
        let row = self.row_mut(&project)?;
        row.epoch += 1;
        let lease = Lease {
            operation: id,
            owner: claim.owner.clone(),
            epoch: row.epoch,
            expires_at: now + claim.lease,
        };
        self.change_operation(now, id, None, |operation| {
            operation.state = OperationState::Running;
            operation.attempt += 1;
            operation.lease = Some(lease.clone());
            operation.started_at.get_or_insert(now);
        })?;
        Ok(self.operations.get(&id).cloned().zip(self.rows.get(&project)).map(|(operation, row)| Claimed {
            lease,
            operation,
            project: row.project.clone(),
            sealed: self.strongbox.of(Some(project)),
            takeover,
        }))
    }

    /// The oldest operation of a target that may be worked on. What was abandoned already counts as running.
    fn next_of(
        &mut self,
        now: OffsetDateTime,
        target: &TargetClaim,
        margin: Duration,
    ) -> Option<(OffsetDateTime, OperationId)> {
        let queue = self.queues.get_mut(&target.name)?;
        let abandoned = queue.abandoned(now - margin).min();
        let has_room = u64::try_from(queue.running()).is_ok_and(|n| n < u64::from(target.max_operations));
        let (operations, rows) = (&self.operations, &self.rows);
        let is_free = |id: &OperationId| {
            let row = operations.get(id).and_then(|operation| rows.get(&operation.project));
            row.is_some_and(|row| row.running.is_none())
        };
        let due = if has_room { queue.due(now).find(|(_, id)| is_free(id)) } else { None };
        abandoned.into_iter().chain(due).min()
    }

    /// The operation that a lease is about, if the lease still holds.
    fn held(&self, lease: &Lease) -> Result<&Operation> {
        self.operations
            .get(&lease.operation)
            .filter(|operation| {
                operation.state == OperationState::Running
                    && operation.lease.as_ref().is_some_and(|held| held.epoch == lease.epoch)
            })
            .ok_or_else(|| {
                Error::detailed(
                    Detail::LeaseLost,
                    format!("write to operation {} under epoch {}", lease.operation, lease.epoch),
                )
            })
    }

    pub(super) fn renew(
        &mut self,
        now: OffsetDateTime,
        lease: &Lease,
        extend: Duration,
        progress: &[RecordedProgress],
    ) -> Result<Renewed> {
        let cancel_requested = self.held(lease)?.cancel_requested;
        let renewed = Lease { expires_at: now + extend, ..lease.clone() };
        self.change_operation(now, lease.operation, None, |operation| {
            operation.lease = Some(renewed.clone());
            record(operation, progress);
        })?;
        Ok(Renewed { lease: renewed, cancel_requested })
    }

    pub(super) fn settle(&mut self, now: OffsetDateTime, settlement: Settlement) -> Result<Project> {
        let Settlement { lease, end, error, report, facts } = settlement;
        let (id, reference) = (lease.operation, self.held(&lease)?.project);
        let row = self.row(&reference)?;
        let another_waits = row.waiting.is_some();
        let (state, not_before) = match end {
            End::Ended { state, transition } => {
                if let Some(transition) = transition.filter(|_| row.project.status_operation == Some(id)) {
                    let next = moved(&row.project, &transition);
                    self.replace(now, next, transition.reason)?;
                }
                (state, None)
            }
            End::Released { .. } if another_waits => (OperationState::Cancelled, None),
            End::Released { not_before } => (OperationState::Waiting, Some(not_before)),
        };
        let reason = error.as_ref().map(|error: &OperationError| error.message.clone());
        self.change_operation(now, id, reason, |operation| {
            operation.state = state;
            operation.lease = None;
            operation.error = error;
            operation.report = report.or(operation.report.take());
            operation.not_before = not_before.unwrap_or(operation.not_before);
            operation.ended_at = state.has_ended().then_some(now);
        })?;
        for fact in facts {
            self.tell(now, &reference, fact)?;
        }
        Ok(self.row(&reference)?.project.clone())
    }

    pub(super) fn reallocate(
        &mut self,
        now: OffsetDateTime,
        lease: &Lease,
        taken: u16,
        pool: &PortPool,
        aside: Duration,
    ) -> Result<Project> {
        let reference = self.held(lease)?.project;
        let row = self.row(&reference)?;
        let (project, machine) = (row.project.clone(), row.machine.clone());
        // An answer that was lost is asked for again: the block has moved by then.
        let Some(ports) = project.ports.filter(|ports| ports.contains(taken)) else {
            return Ok(project);
        };
        let machine = self.machines.entry(machine).or_default();
        let first = machine
            .ports
            .take(&ports_of(pool), ports.count.into(), now)
            .ok_or_else(|| exhausted("port_pool", pool.len()))?;
        machine.ports.set_aside(ports.first.into(), now + aside);
        let moved = block(first, ports.count);
        let next = Project { ports: Some(moved), ..project };
        self.replace(now, next, None)?;
        self.tell(now, &reference, Fact::PortsMoved { taken, first: moved.first })?;
        Ok(self.row(&reference)?.project.clone())
    }
}

fn moved(project: &Project, transition: &Transition) -> Project {
    let connection = transition.connection.clone().or_else(|| project.connection.clone());
    Project { status: transition.to, connection, ..project.clone() }
}

fn record(operation: &mut Operation, progress: &[RecordedProgress]) {
    for RecordedProgress { at, progress } in progress {
        match progress {
            Progress::Step { name, service } => operation.steps.push(Step {
                name: name.clone(),
                service: service.clone(),
                attempt: operation.attempt,
                at: *at,
            }),
            Progress::Log(message) => operation.log.push(LogEntry { at: *at, message: message.clone() }),
        }
    }
    let surplus = operation.steps.len().saturating_sub(Operation::MAX_STEPS);
    operation.steps.drain(..surplus);
    let surplus = operation.log.len().saturating_sub(Operation::MAX_LOG);
    operation.log.drain(..surplus);
}
