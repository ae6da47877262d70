//! Which operation of a target is worked on next.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use crate::operation::{Operation, OperationId, OperationState};

/// The age of an operation: older ones come first.
pub(super) type Age = (OffsetDateTime, OperationId);

/// The operations of one target that wait or run, in the orders in which they are asked for.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Waiting, not known to be due yet, by the moment from which they are.
    later: BTreeSet<(OffsetDateTime, Age)>,
    /// Waiting and due, by age.
    due: BTreeSet<Age>,
    /// Running, by the end of their lease.
    running: BTreeSet<(OffsetDateTime, Age)>,
}

impl Queue {
    /// Puts an operation where its state says.
    pub(super) fn insert(&mut self, operation: &Operation) {
        match (operation.state, &operation.lease) {
            (OperationState::Waiting, _) => {
                self.later.insert((operation.not_before, age(operation)));
            }
            (OperationState::Running, Some(lease)) => {
                self.running.insert((lease.expires_at, age(operation)));
            }
            _ => {}
        }
    }

    /// Takes an operation out that stands where its state says.
    pub(super) fn remove(&mut self, operation: &Operation) {
        self.due.remove(&age(operation));
        self.later.remove(&(operation.not_before, age(operation)));
        if let Some(lease) = &operation.lease {
            self.running.remove(&(lease.expires_at, age(operation)));
        }
    }

    /// How many run.
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// Those that wait and are due, oldest first.
    pub(super) fn due(&mut self, now: OffsetDateTime) -> impl Iterator<Item = Age> {
        while let Some((_, age)) = self.later.first().copied().filter(|(not_before, _)| *not_before <= now) {
            self.later.pop_first();
            self.due.insert(age);
        }
        self.due.iter().copied()
    }

    /// Those that run under a lease that ended before that moment.
    pub(super) fn abandoned(&self, ended_before: OffsetDateTime) -> impl Iterator<Item = Age> {
        self.running.iter().take_while(move |(end, _)| *end < ended_before).map(|(_, age)| *age)
    }

    /// How many that wait are older.
    pub(super) fn position(&self, operation: &Operation) -> u64 {
        let age = age(operation);
        let older =
            self.due.range(..age).count() + self.later.iter().filter(|(_, other)| *other < age).count();
        u64::try_from(older).unwrap_or(u64::MAX)
    }
}

fn age(operation: &Operation) -> Age {
    (operation.created_at, operation.id)
}
