//! What happened, in order: written first, numbered later, forgotten in the end.

use std::collections::VecDeque;

use time::OffsetDateTime;

use crate::{
    error::{Detail, Error, Result},
    event::{Event, EventPage, Fact},
    project::Project,
};

/// Events as they were written.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Numbered, oldest first, without gaps.
    numbered: VecDeque<Event>,
    /// Written since. Their number is 0 until they get one.
    written: Vec<Event>,
    /// The newest number that was given.
    newest: u64,
}

impl Journal {
    /// Writes a fact about a project.
    pub(super) fn write(&mut self, now: OffsetDateTime, project: &Project, fact: Fact) {
        self.written.push(Event {
            sequence: 0,
            at: now,
            project: project.reference,
            organization: project.organization.clone(),
            fact,
        });
    }

    /// Numbers what was written since and gives the newest number.
    pub(super) fn sequence(&mut self) -> u64 {
        for mut event in self.written.drain(..) {
            self.newest += 1;
            event.sequence = self.newest;
            self.numbered.push_back(event);
        }
        self.newest
    }

    /// How much there is to be numbered.
    pub(super) fn unnumbered(&self) -> usize {
        self.written.len()
    }

    /// Events after a number.
    pub(super) fn read(&self, after: u64, limit: u32) -> Result<EventPage> {
        let oldest = self.numbered.front().map_or(self.newest + 1, |event| event.sequence);
        let wanted = after.saturating_add(1);
        if wanted < oldest {
            return Err(Error::detailed(
                Detail::Gone { oldest },
                format!("read events after {after}: the oldest that is kept is {oldest}"),
            ));
        }
        let skip = usize::try_from(wanted - oldest).unwrap_or(usize::MAX);
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let events: Vec<Event> = self.numbered.iter().skip(skip).take(limit).cloned().collect();
        let next = events.last().map_or(after, |event| event.sequence);
        Ok(EventPage { events, next })
    }

    /// Forgets numbered events from before that moment.
    pub(super) fn forget_before(&mut self, moment: OffsetDateTime) {
        while self.numbered.front().is_some_and(|event| event.at < moment) {
            self.numbered.pop_front();
        }
    }
}
