//! When looks agree: what the watcher remembers of a project, and what that comes to.
//!
//! A service is not well once a few looks in a row said so, and well again once some more did. One that keeps changing *flaps*: it
//! counts as not well until it has been quiet for as long as changes are remembered. A look that could not see a service
//! says nothing about it.

use std::collections::BTreeMap;

use time::OffsetDateTime;

use super::Settings;
use crate::{
    health::{Health, ServiceState},
    names::ServiceName,
    operation::OperationId,
};

/// So many changes among the last 16 looks are flapping: down and up, twice.
const FLAPS: u32 = 4;

/// What is remembered of one project between two looks.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// The last operation that put the project where it was seen. Another one makes all that was seen before it void.
    operation: Option<OperationId>,
    services: BTreeMap<ServiceName, Service>,
    /// Whether the last look took long.
    pub(super) slow: bool,
}

#[derive(Debug, Default)]
struct Service {
    /// What enough looks agreed on last; `None` until some did.
    settled: Option<bool>,
    /// What the newest look saw, and when that was first seen.
    state: Option<ServiceState>,
    since: Option<OffsetDateTime>,
    /// How many looks in a row said as the newest whether it is well.
    agreeing: u32,
    /// Whether each of the last looks said otherwise than the one before, the newest in the lowest bit.
    changes: u16,
}

impl Memory {
    /// Takes in what a look saw of a project that an operation put where it is, or the watcher did.
    pub(super) fn learn(
        &mut self,
        operation: Option<OperationId>,
        health: &Health,
        now: OffsetDateTime,
        settings: &Settings,
    ) {
        if operation.is_some() && operation != self.operation {
            self.operation = operation;
            self.services.clear();
        }
        self.services.retain(|name, _| health.services.iter().any(|seen| seen.service == *name));
        for seen in &health.services {
            let service = self.services.entry(seen.service.clone()).or_default();
            if seen.state != ServiceState::Unknown {
                service.learn(seen.state, now, settings);
            }
        }
    }

    /// Whether the project is well: not if any service is not, and so only if all are. `None` where looks do not agree yet.
    pub(super) fn verdict(&self) -> Option<bool> {
        let well = |service: &Service| if service.is_flapping() { Some(false) } else { service.settled };
        if self.services.values().any(|service| well(service) == Some(false)) {
            return Some(false);
        }
        let all =
            !self.services.is_empty() && self.services.values().all(|service| well(service) == Some(true));
        all.then_some(true)
    }

    /// Adds what only the one who looked before can know.
    pub(super) fn annotate(&self, health: &mut Health) {
        for seen in &mut health.services {
            let Some(service) = self.services.get(&seen.service) else { continue };
            seen.flapping = service.is_flapping();
            if service.state == Some(seen.state) {
                seen.since = seen.since.or(service.since);
            }
        }
    }
}

impl Service {
    fn learn(&mut self, state: ServiceState, now: OffsetDateTime, settings: &Settings) {
        let well = state.is_well();
        let changed = self.state.is_some_and(|before| before.is_well() != well);
        if self.state != Some(state) {
            (self.state, self.since) = (Some(state), Some(now));
        }
        self.changes = self.changes << 1 | u16::from(changed);
        self.agreeing = if changed { 1 } else { self.agreeing.saturating_add(1) };
        let needed = if well { settings.watch_recovery } else { settings.watch_agreement };
        if self.agreeing >= needed {
            self.settled = Some(well);
        }
    }

    fn is_flapping(&self) -> bool {
        self.changes.count_ones() >= FLAPS
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
    use time::macros::datetime;

    use super::*;
    use crate::health::ServiceHealth;

    const NOW: OffsetDateTime = datetime!(2026-11-25 12:00 UTC);

    /// What looks at one service come to: `+` well, `-` not, `?` not seen.
    fn verdicts(memory: &mut Memory, looks: &str) -> Vec<Option<bool>> {
        let learn = |look: char| {
            let state = match look {
                '+' => ServiceState::Healthy,
                '-' => ServiceState::Unhealthy,
                _ => ServiceState::Unknown,
            };
            let seen = ServiceHealth::new("db".parse().unwrap(), state, "");
            memory.learn(None, &Health { services: vec![seen] }, NOW, &Settings::default());
            memory.verdict()
        };
        looks.chars().map(learn).collect()
    }

    #[test]
    fn it_takes_two_looks_to_go_and_three_to_come_back_and_one_that_saw_nothing_says_nothing() {
        let (well, unwell) = (Some(true), Some(false));
        let mut memory = Memory::default();
        assert_eq!(verdicts(&mut memory, "++?+"), [None, None, None, well]);
        assert_eq!(verdicts(&mut memory, "-+-?-"), [well, well, well, well, unwell]);
        assert_eq!(verdicts(&mut Memory::default(), "--++?+"), [None, unwell, unwell, unwell, unwell, well]);
    }

    #[test]
    fn what_flaps_is_not_well_and_says_so_until_it_was_quiet_for_long() {
        let mut memory = Memory::default();
        let verdicts_of = verdicts(&mut memory, "+++-+-+");
        assert_eq!(verdicts_of.last(), Some(&Some(false)));
        let mut health = Health {
            services: vec![ServiceHealth::new("db".parse().unwrap(), ServiceState::Healthy, "tcp")],
        };
        memory.annotate(&mut health);
        assert!(health.services[0].flapping && health.complaints().contains("flapping"), "{health:?}");
        let quiet = verdicts(&mut memory, &"+".repeat(16));
        assert_eq!(quiet.iter().position(|verdict| *verdict == Some(true)), Some(12));
    }

    #[test]
    fn however_a_service_behaves_its_verdict_changes_at_most_once_in_two_looks_and_rarely_while_it_flaps() {
        for seed in 0..500 {
            let mut rng = StdRng::seed_from_u64(seed);
            let looks: String = (0..200).map(|_| if rng.random_bool(0.5) { '+' } else { '-' }).collect();
            let verdicts = verdicts(&mut Memory::default(), &looks);
            let changes = verdicts.windows(2).filter(|pair| pair[0].is_some() && pair[0] != pair[1]).count();
            // A coin changes sides a hundred times; three quiet stretches are many.
            assert!(changes <= 12, "seed {seed}: {changes} changes");
        }
    }

    #[test]
    fn another_operation_makes_what_was_seen_before_it_void() {
        let mut memory = Memory::default();
        verdicts(&mut memory, "--");
        let operation = OperationId::from_uuid(uuid::Uuid::from_u128(1));
        let seen = ServiceHealth::new("db".parse().unwrap(), ServiceState::Healthy, "");
        memory.learn(Some(operation), &Health { services: vec![seen] }, NOW, &Settings::default());
        assert_eq!(memory.verdict(), None);
    }
}
