//! Which operation of a target is worked on next.

use std::collections::BTreeSet;

use time::OffsetDateTime;

use crate::operation::{Operation, OperationState};

/// The number under which an operation was recorded: older ones come first.
pub(super) type Number = u64;

/// The operations of one target that wait or run, in the orders in which they are asked for.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Waiting, not known to be due yet, by the moment from which they are.
    later: BTreeSet<(OffsetDateTime, Number)>,
    /// Waiting and due, oldest first.
    due: BTreeSet<Number>,
    /// Running, by the end of their lease.
    running: BTreeSet<(OffsetDateTime, Number)>,
}

impl Queue {
    /// Puts an operation where its state says.
    pub(super) fn insert(&mut self, number: Number, operation: &Operation) {
        match (operation.state, &operation.lease) {
            (OperationState::Waiting, _) => {
                self.later.insert((operation.not_before, number));
            }
            (OperationState::Running, Some(lease)) => {
                self.running.insert((lease.expires_at, number));
            }
            _ => {}
        }
    }

    /// Takes an operation out that stands where its state says.
    pub(super) fn remove(&mut self, number: Number, operation: &Operation) {
        self.due.remove(&number);
        self.later.remove(&(operation.not_before, number));
        if let Some(lease) = &operation.lease {
            self.running.remove(&(lease.expires_at, number));
        }
    }

    /// Those that run.
    pub(super) fn running(&self) -> impl ExactSizeIterator<Item = Number> {
        self.running.iter().map(|(_, number)| *number)
    }

    /// Those that wait and are due, oldest first.
    pub(super) fn due(&mut self, now: OffsetDateTime) -> impl Iterator<Item = Number> {
        while let Some((_, number)) = self.later.first().copied().filter(|(not_before, _)| *not_before <= now)
        {
            self.later.pop_first();
            self.due.insert(number);
        }
        self.due.iter().copied()
    }

    /// Those that run under a lease that ended before that moment.
    pub(super) fn abandoned(&self, ended_before: OffsetDateTime) -> impl Iterator<Item = Number> {
        self.running.iter().take_while(move |(end, _)| *end < ended_before).map(|(_, number)| *number)
    }

    /// How many that wait are older.
    pub(super) fn position(&self, number: Number) -> u64 {
        let older =
            self.due.range(..number).count() + self.later.iter().filter(|(_, other)| *other < number).count();
        u64::try_from(older).unwrap_or(u64::MAX).min(Operation::MAX_POSITION)
    }
}
