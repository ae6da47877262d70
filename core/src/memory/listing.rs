//! Looking things up: pages of projects and operations, and how much there is of everything.

use time::OffsetDateTime;

use super::{
    queue::Number,
    state::{Recorded, State},
};
use crate::{
    error::{Error, Result},
    operation::{Operation, OperationState},
    page::{Page, PageRequest},
    project::{Project, ProjectFilter},
    store::{Census, OperationFilter},
};

impl State {
    pub(super) fn projects(&self, filter: &ProjectFilter, page: &PageRequest) -> Result<Page<Project>> {
        let after = cursor(page)?.map_or(0, |after| i64::try_from(after).unwrap_or(i64::MAX));
        let rows = self
            .ids
            .range(after.saturating_add(1)..)
            .filter_map(|(_, reference)| self.rows.get(reference))
            .map(|row| &row.project)
            .filter(|project| filter.matches(project))
            .cloned();
        Ok(cut(rows, page, |project| project.id.to_string()))
    }

    pub(super) fn operations(&self, filter: &OperationFilter, page: &PageRequest) -> Result<Page<Operation>> {
        let before = cursor(page)?.unwrap_or(Number::MAX);
        let numbers: Box<dyn Iterator<Item = &Number>> = match &filter.project {
            None => Box::new(self.numbers.range(..before).map(|(number, _)| number).rev()),
            Some(project) => {
                let row = self.rows.get(project);
                Box::new(row.into_iter().flat_map(|row| row.operations.range(..before).rev()))
            }
        };
        let rows = numbers
            .filter_map(|number| Some((*number, self.operations.get(self.numbers.get(number)?)?)))
            .filter(|(_, recorded)| {
                filter.states.is_empty() || filter.states.contains(&recorded.operation.state)
            })
            .filter_map(|(number, recorded)| Some((number, self.shown(recorded.operation.id)?)));
        let page = cut(rows, page, |(number, _)| number.to_string());
        Ok(Page { items: page.items.into_iter().map(|(_, operation)| operation).collect(), next: page.next })
    }

    pub(super) fn census(&self, now: OffsetDateTime) -> Census {
        let mut census = Census::default();
        for row in self.rows.values() {
            *census.projects.entry(row.project.status).or_default() += 1;
        }
        let in_flight = self.operations.values().filter(|one| !one.operation.state.has_ended());
        for Recorded { operation, .. } in in_flight {
            *census.operations.entry((operation.kind, operation.state)).or_default() += 1;
            if operation.state == OperationState::Waiting && operation.not_before <= now {
                let waited = (now - operation.not_before).unsigned_abs();
                census.oldest_waiting = census.oldest_waiting.max(Some(waited));
            }
        }
        census
    }
}

fn cursor(page: &PageRequest) -> Result<Option<u64>> {
    page.after
        .as_deref()
        .map(|text| {
            text.parse().map_err(|_| Error::invalid("after", format_args!("no page ended with {text:?}")))
        })
        .transpose()
}

fn cut<T>(rows: impl Iterator<Item = T>, page: &PageRequest, cursor: impl Fn(&T) -> String) -> Page<T> {
    let limit = usize::try_from(page.limit.clamp(1, PageRequest::MAX)).unwrap_or(1);
    let mut items: Vec<T> = rows.take(limit + 1).collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(cursor);
    Page { items, next }
}
