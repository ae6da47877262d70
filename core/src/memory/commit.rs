//! Carrying out a change: everything is checked before anything is touched.

use time::OffsetDateTime;

use super::state::{Recorded, State};
use crate::{
    error::{Detail, Error, Result},
    event::Fact,
    operation::{Operation, OperationId, OperationKind, OperationState},
    project::Project,
    project_ref::ProjectRef,
    store::{
        Change, Committed, Guard, IdempotencyKey, NewOperation, Preemption, ProjectChange, ProjectUpdate,
        Replay,
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
                let next = self.updated(&update, by)?;
                if let Some(operation) = &change.operation {
                    self.make_way(now, reference, operation.kind)?;
                }
                self.write_update(now, next, *update)?;
                reference
            }
        };
        if let Some(operation) = change.cancel {
            self.request_cancel(now, operation)?;
        }
        if let Some(operation) = change.operation {
            self.record_new(now, reference, operation)?;
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
        let operation = operation.and_then(|id| self.shown(id));
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
        Ok(Some(Committed {
            project: self.row(&replay.project)?.project.clone(),
            operation: replay.operation.and_then(|id| self.shown(id)),
            replayed: true,
        }))
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
            Some(operation) if self.project_of(operation) != Some(project.reference) => Err(
                Error::not_found("operation", format_args!("{operation} of project {}", project.reference)),
            ),
            _ => Ok(()),
        }
    }

    /// The project as the update makes it; `None` if the update changes nothing.
    ///
    /// # Errors
    /// As [`State::check`].
    fn updated(&self, update: &ProjectUpdate, by: Option<OperationId>) -> Result<Option<Project>> {
        let mut next = self.row(&update.reference)?.project.clone();
        if let Some(status) = &update.status {
            next.status = status.to;
            next.status_operation = by;
        }
        let changes = [
            update.status.is_some(),
            set(&mut next.name, &update.name),
            set(&mut next.annotations, &update.annotations),
            set(&mut next.protected, &update.protected),
            set(&mut next.generation, &update.generation),
            set(&mut next.excluded, &update.excluded),
            set(&mut next.limits, &update.limits),
            update.connection.is_some(),
        ];
        next.connection = update.connection.clone().or(next.connection);
        self.check(&next)?;
        Ok(changes.contains(&true).then_some(next))
    }

    fn write_update(
        &mut self,
        now: OffsetDateTime,
        next: Option<Project>,
        update: ProjectUpdate,
    ) -> Result<()> {
        let Some(next) = next else { return Ok(()) };
        self.replace(now, next, update.status.and_then(|status| status.reason))?;
        let amended = [
            ("name", update.name.is_some()),
            ("annotations", update.annotations.is_some()),
            ("protected", update.protected.is_some()),
        ];
        let fields: Vec<String> =
            amended.into_iter().filter(|(_, changed)| *changed).map(|(field, _)| field.to_owned()).collect();
        if fields.is_empty() { Ok(()) } else { self.tell(now, &update.reference, Fact::Amended { fields }) }
    }

    /// Ends the operation that waits, and asks for the end of the one that runs.
    fn make_way(&mut self, now: OffsetDateTime, project: ProjectRef, next: OperationKind) -> Result<()> {
        let row = self.row(&project)?;
        let (running, waiting) = (row.running, row.waiting);
        if let Some(running) = running {
            self.request_cancel(now, running)?;
        }
        if let Some(waiting) = waiting {
            self.change_operation(now, waiting, Some(format!("{next} took its place")), |operation| {
                operation.state = OperationState::Cancelled;
                operation.cancel_requested = true;
                operation.ended_at = Some(now);
            })?;
        }
        Ok(())
    }

    fn project_of(&self, operation: OperationId) -> Option<ProjectRef> {
        self.operations.get(&operation).map(|recorded| recorded.operation.project)
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
                accept_data_loss: new.accept_data_loss,
                generation: new.generation,
                state: OperationState::Waiting,
                attempt: 0,
                failures: 0,
                takeovers: 0,
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
        let Some(Recorded { operation, .. }) = self.operations.get(&id) else { return Ok(()) };
        if operation.cancel_requested || operation.state.has_ended() {
            return Ok(());
        }
        let project = operation.project;
        self.change_operation(now, id, None, |operation| {
            operation.cancel_requested = true;
            if operation.state == OperationState::Waiting {
                operation.not_before = operation.not_before.min(now);
            }
        })?;
        self.tell(now, &project, Fact::CancelRequested { operation: id })
    }
}

fn set<T: Clone>(field: &mut T, value: &Option<T>) -> bool {
    if let Some(value) = value {
        field.clone_from(value);
    }
    value.is_some()
}
