//! Working under a lease: claiming, renewing, ending, and getting other ports.

use std::{collections::BTreeMap, time::Duration};

use time::OffsetDateTime;

use super::{
    create::{block, exhausted, ports_of},
    queue::Number,
    state::{Recorded, State},
};
use crate::{
    context::Progress,
    error::{Detail, Error, Result},
    event::Fact,
    operation::{Lease, LogEntry, Operation, OperationError, OperationState, Step},
    project::Project,
    store::{Claim, Claimed, End, PortPool, RecordedProgress, Renewed, Settlement, TargetClaim, Transition},
};

/// The most bytes that a line of an operation's log keeps.
const MAX_LINE: usize = 4096;

impl State {
    pub(super) fn claim(&mut self, now: OffsetDateTime, claim: &Claim) -> Result<Vec<Claimed>> {
        let mut claimed = Vec::new();
        for _ in 0..claim.limit {
            match self.claim_one(now, claim) {
                Ok(Some(next)) => claimed.push(next),
                Ok(None) => break,
                Err(error) if claimed.is_empty() => return Err(error),
                // What was taken is given; the next claim meets the error first.
                Err(_) => break,
            }
        }
        Ok(claimed)
    }

    fn claim_one(&mut self, now: OffsetDateTime, claim: &Claim) -> Result<Option<Claimed>> {
        let next = claim.targets.iter().filter_map(|target| self.next_of(now, target, claim.margin)).min();
        let before = next.and_then(|number| self.numbers.get(&number)).and_then(|id| self.operations.get(id));
        let Some(Recorded { operation: before, .. }) = before else { return Ok(None) };
        let (id, project) = (before.id, before.project);
        let takeover = before.state == OperationState::Running;
        let row = self.row_mut(&project)?;
        row.epoch += 1;
        let lease = Lease {
            operation: id,
            owner: claim.owner.clone(),
            epoch: row.epoch,
            expires_at: now + claim.lease,
        };
        let reason = takeover.then(|| "the lease of the worker before ran out".to_owned());
        self.change_operation(now, id, reason, |operation| {
            operation.state = OperationState::Running;
            if !takeover {
                operation.deadline =
                    operation.deadline.max(now + (operation.deadline - operation.not_before));
            }
            operation.attempt += 1;
            operation.takeovers += u32::from(takeover);
            operation.lease = Some(lease.clone());
            operation.started_at.get_or_insert(now);
        })?;
        let (operation, project) = (self.shown(id), self.row(&project)?.project.clone());
        Ok(operation.map(|operation| Claimed {
            lease,
            operation,
            sealed: self.strongbox.of(Some(project.reference)),
            project,
            takeover,
        }))
    }

    /// The oldest operation of a target that may be worked on. What was abandoned already counts as running.
    fn next_of(&mut self, now: OffsetDateTime, target: &TargetClaim, margin: Duration) -> Option<Number> {
        let queue = self.queues.get_mut(&target.name)?;
        let abandoned = queue.abandoned(now - margin).min();
        let has_room =
            u64::try_from(queue.running().len()).is_ok_and(|n| n < u64::from(target.max_operations));
        let (numbers, operations, rows) = (&self.numbers, &self.operations, &self.rows);
        let row_of = |number: &Number| {
            let recorded = numbers.get(number).and_then(|id| operations.get(id));
            recorded.and_then(|recorded| rows.get(&recorded.operation.project))
        };
        let mut running = BTreeMap::new();
        if target.max_operations_per_organization.is_some() {
            for row in queue.running().filter_map(|number| row_of(&number)) {
                *running.entry(row.project.organization.clone()).or_default() += 1;
            }
        }
        let is_free = |number: &Number| {
            row_of(number).is_some_and(|row| {
                let of_its_organization: u32 =
                    running.get(&row.project.organization).copied().unwrap_or_default();
                let most = target.max_operations_per_organization;
                row.running.is_none() && most.is_none_or(|most| of_its_organization < most)
            })
        };
        let due = if has_room { queue.due(now).find(is_free) } else { None };
        abandoned.into_iter().chain(due).min()
    }

    /// The operation that a lease is about, if the lease still holds.
    fn held(&self, lease: &Lease) -> Result<&Operation> {
        self.operations
            .get(&lease.operation)
            .map(|recorded| &recorded.operation)
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
        let Settlement { lease, end, error, report, progress, facts } = settlement;
        let (id, reference) = (lease.operation, self.held(&lease)?.project);
        let row = self.row(&reference)?;
        let mut reason = error.as_ref().map(|error: &OperationError| error.message.clone());
        let (state, not_before, transition) = match end {
            End::Ended { state, .. } if !state.has_ended() => {
                return Err(Error::internal(format!("settle operation {id}: {state} is no end")));
            }
            End::Ended { state, transition } => (state, None, transition),
            End::Released { .. } if row.waiting.is_some() => {
                reason = Some("another operation took its place".to_owned());
                (OperationState::Cancelled, None, None)
            }
            End::Released { not_before } => (OperationState::Waiting, Some(not_before), None),
        };
        // What another operation or the watcher has moved since stays where it is.
        let transition = transition.filter(|_| row.project.status_operation == Some(id));
        let next = transition.map(|transition| (moved(&row.project, &transition), transition.reason));
        if let Some((next, _)) = &next {
            self.check(next)?;
        }
        self.change_operation(now, id, reason, |operation| {
            record(operation, &progress);
            operation.state = state;
            operation.lease = None;
            if state == OperationState::Waiting {
                operation.failures += u32::from(error.is_some());
                operation.error = error.or(operation.error.take());
            } else {
                operation.error = error;
            }
            operation.report = report.or(operation.report.take());
            operation.not_before = not_before.unwrap_or(operation.not_before);
            operation.ended_at = state.has_ended().then_some(now);
        })?;
        if let Some((next, reason)) = next {
            self.replace(now, next, reason)?;
        }
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
            Progress::Log(message) => {
                let message = message[..message.floor_char_boundary(MAX_LINE)].to_owned();
                operation.log.push(LogEntry { at: *at, message });
            }
        }
    }
    let surplus = operation.steps.len().saturating_sub(Operation::MAX_STEPS);
    operation.steps.drain(..surplus);
    let surplus = operation.log.len().saturating_sub(Operation::MAX_LOG);
    operation.log.drain(..surplus);
}
