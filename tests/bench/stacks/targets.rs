//! What is aimed at, and whether it was reached.

use std::fmt;

use crate::{Action, Who, figures::Figures, stack::StackKind};

/// How many times as long as Freehold `docker compose` takes at least to bring up the larger stacks.
const FASTER: f64 = 5.0;
/// How many times as long as the floor Freehold takes at most to bring a stack up.
const FLOOR: f64 = 1.3;
/// How many times as long as with the intervals that it has a stack takes at most whose health checks run once in ten minutes.
const RARELY: f64 = 1.2;
/// How many times as long as one after the other copies take at most that come up at once.
const AT_ONCE: f64 = 0.7;

/// An aim, and what was measured.
#[derive(Debug)]
pub(crate) struct Target {
    what: String,
    bound: Bound,
    measured: f64,
}

#[derive(Clone, Copy, Debug)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    /// What is aimed at for one stack, as far as it was measured.
    pub(crate) fn of(kind: StackKind, stack: &str, figures: &Figures) -> Vec<Self> {
        let mut targets = Vec::new();
        let mut add = |what: &str, bound, action, above, below| {
            if let Some(measured) = figures.ratio(action, above, below) {
                targets.push(Self { what: format!("{stack}, {what}"), bound, measured });
            }
        };
        for action in figures.actions() {
            let large = matches!(kind, StackKind::Eight | StackKind::Chain);
            let least = if large && action == Action::Create { FASTER } else { 1.0 };
            let what = format!("{}: `docker compose` against Freehold", action.name());
            add(&what, Bound::AtLeast(least), action, Who::Compose, Who::Freehold);
        }
        let what = "create: Freehold against the floor";
        add(what, Bound::AtMost(FLOOR), Action::Create, Who::Freehold, Who::Floor);
        targets
    }

    /// What is aimed at for copies that come up at once: how many times as long as one after the other they took.
    pub(crate) fn at_once(stack: &str, copies: usize, measured: f64) -> Self {
        let what = format!("{stack}, {copies} created at once against one after the other");
        Self { what, bound: Bound::AtMost(AT_ONCE), measured }
    }

    /// What is aimed at for health checks that run rarely: how many times as long as with the stack's own intervals it took.
    pub(crate) fn checked_rarely(stack: &str, measured: f64) -> Self {
        let what = format!("{stack}, create with health checks every ten minutes against its own");
        Self { what, bound: Bound::AtMost(RARELY), measured }
    }

    fn is_met(&self) -> bool {
        match self.bound {
            Bound::AtLeast(least) => self.measured >= least,
            Bound::AtMost(most) => self.measured <= most,
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = match self.bound {
            Bound::AtLeast(least) => format!("at least {least}"),
            Bound::AtMost(most) => format!("at most {most}"),
        };
        let verdict = if self.is_met() { "met   " } else { "MISSED" };
        write!(f, "{verdict} {}: {:.2} times, {bound} is aimed at", self.what, self.measured)
    }
}
