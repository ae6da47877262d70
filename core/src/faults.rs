//! Fault plans: what goes wrong where, as data.
//!
//! A plan is a list of [`Fault`]s. An [`Injector`] carries it out at the seams between the control plane and what it
//! stands on: [`FaultyBackend`] wraps any backend and [`FaultyStore`] any store, and
//! [`ControlPlaneBuilder::faults`](crate::control_plane::ControlPlaneBuilder::faults) wraps everything at once.
//!
//! # Points
//! A fault acts when a *point* is passed. Points have names that stay:
//!
//! | point | is passed |
//! | --- | --- |
//! | `step NAME` or `step NAME SERVICE` | before the effect of a step of a backend: `step create container db` |
//! | `call METHOD before` | before a backend is called: `call provision before` |
//! | `call METHOD after` | when the call has done its work and before its answer arrives |
//! | `store METHOD before`, `store METHOD after` | likewise for a method of the store: `store commit after` |
//!
//! Just after an effect of a step is at the next step, or at `call … after`. To lose an answer after the work was done is
//! to fail at `after`. [`Injector::passings`] lists what a run passed, so that a sweep can go wrong at each of them.
//!
//! # The format
//! As TOML (the host's `--faults FILE`); JSON has the same fields:
//!
//! ```toml
//! seed = 42                          # what `chance` draws from; 0 unless said
//!
//! [[fault]]                          # the second container is created, and then the host is gone
//! at = "step create container *"     # `*` at the end stands for any rest
//! during = "provision"               # only in this call; for steps
//! nth = 2                            # from this passing on; 1 unless said
//! then = "crash"
//!
//! [[fault]]                          # one commit in ten is done, and its answer is lost
//! at = "store commit after"
//! chance = 0.1                       # each passing with this probability
//! times = 5                          # at most so often: once unless said, or without a bound where `chance` is given
//! then = { fail = "unavailable" }
//! ```
//!
//! `then` is one of `{ fail = KIND }`, `{ delay_ms = N }`, `"hang"`, `"panic"`, `"crash"` and `"twice"`: see [`Then`].
//! Faults at the same point act in the order of the plan. Once one of them ends the passing, those behind it have to wait
//! for the next: two equal faults act at the first and at the second passing.
//!
//! Whether `chance` strikes follows from the seed, the fault's place in the plan and the number of the passing, and from
//! nothing else: the same run meets the same faults.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> freehold_core::Result<()> {
//! use std::{sync::Arc, time::Duration};
//! use freehold_core::{
//!     Context, Destroyer as _, Kind,
//!     faults::{Fault, Faults, FaultyBackend, Injector, Then},
//!     memory::MemoryBackend,
//! };
//!
//! let lost = Fault::new("call destroy after", Then::Fail(Kind::Unavailable));
//! let faults = Injector::new(Faults::from(lost))?;
//! let backend = FaultyBackend::new(Arc::new(MemoryBackend::new()?), Arc::new(faults));
//!
//! let (ctx, project) = (Context::new(Duration::from_secs(5)), "abcdefghijklmnopqrst".parse()?);
//! assert_eq!(backend.destroy(&ctx, &project).await.unwrap_err().kind(), Kind::Unavailable);
//! assert!(backend.destroy(&ctx, &project).await.is_ok());
//! # Ok(())
//! # }
//! ```

mod backend;
mod injector;
mod point;
mod store;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::{
    backend::FaultyBackend,
    injector::{Injector, Passing},
    store::FaultyStore,
};
use crate::error::{Error, Kind, Result};

/// A fault plan. The [module](self) documents its format.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Faults {
    /// What [`chance`](Fault::chance) draws from.
    pub seed: u64,
    /// What goes wrong.
    #[serde(rename = "fault")]
    pub faults: Vec<Fault>,
}

/// One thing that goes wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Where: a point, or the beginning of points followed by `*`.
    pub at: String,
    /// Only at steps in this call of a backend, for instance `resume`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub during: Option<String>,
    /// At which passing, counted from 1 and from when the fault was planned.
    #[serde(default = "first")]
    pub nth: u64,
    /// How often at most: once unless said, or without a bound where [`chance`](Self::chance) is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// With which probability at each passing from the `nth` on; 1 is always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
    /// What.
    pub then: Then,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Then {
    /// It fails with this kind: before the work, or with the work done and the answer lost.
    Fail(Kind),
    /// It takes so long more; at a step no longer than until the call is cancelled or its deadline passes.
    #[serde(rename = "delay_ms", with = "milliseconds")]
    Delay(Duration),
    /// It does not go on: at a step until the call is cancelled or its deadline passes, as of a backend that keeps its
    /// promises; elsewhere for ever, as of one that does not.
    Hang,
    /// It panics.
    Panic,
    /// The host dies at once; how is said by whoever built the [`Injector`].
    Crash,
    /// The work is done twice, as when a network repeats a request, and the first answer is given. For calls and stores.
    Twice,
}

const fn first() -> u64 {
    1
}

impl From<Fault> for Faults {
    fn from(fault: Fault) -> Self {
        Self { faults: vec![fault], ..Self::default() }
    }
}

impl Faults {
    /// Checks that every fault can act.
    ///
    /// # Errors
    /// `InvalidInput` naming the field: `fault[2].at: …`.
    pub fn validate(&self) -> Result<()> {
        self.faults.iter().enumerate().try_for_each(|(index, fault)| fault.validate(index))
    }
}

impl Fault {
    /// A fault at the first passing of a point, once.
    #[must_use]
    pub fn new(at: impl Into<String>, then: Then) -> Self {
        Self { at: at.into(), during: None, nth: 1, times: None, chance: None, then }
    }

    /// Not before the `nth` passing, counted from 1.
    #[must_use]
    pub fn nth(mut self, nth: u64) -> Self {
        self.nth = nth;
        self
    }

    /// At most so often.
    #[must_use]
    pub fn times(mut self, times: u64) -> Self {
        self.times = Some(times);
        self
    }

    /// With this probability at each passing.
    #[must_use]
    pub fn chance(mut self, chance: f64) -> Self {
        self.chance = Some(chance);
        self
    }

    /// Only at steps in this call of a backend.
    #[must_use]
    pub fn during(mut self, call: impl Into<String>) -> Self {
        self.during = Some(call.into());
        self
    }

    fn validate(&self, index: usize) -> Result<()> {
        let wrong =
            |field: &str, problem: String| Err(Error::invalid(&format!("fault[{index}].{field}"), problem));
        if let Err(problem) = point::check(&self.at) {
            return wrong("at", problem);
        }
        if let Some(call) = self.during.as_deref() {
            if !self.at.starts_with("step ") {
                return wrong("during", format!("{} is no step, so it is in no call", self.at));
            }
            if let Err(problem) = point::check_call(call) {
                return wrong("during", problem);
            }
        }
        if self.nth == 0 {
            return wrong("nth", "is 0, and passings are counted from 1".to_owned());
        }
        if self.times == Some(0) {
            return wrong("times", "is 0, so it never acts".to_owned());
        }
        if self.chance.is_some_and(|chance| !(chance > 0.0 && chance <= 1.0)) {
            return wrong("chance", "is not above 0 and at most 1".to_owned());
        }
        if self.then == Then::Twice && (self.at.starts_with("step ") || self.at.ends_with(" after")) {
            return wrong(
                "then",
                format!("only a call or a store's method can be done twice, and not {}", self.at),
            );
        }
        Ok(())
    }
}

mod milliseconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<Duration, D::Error> {
        u64::deserialize(from).map(Duration::from_millis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_round_trips_through_its_text() {
        let text = r#"{"seed":7,"fault":[
            {"at":"step create container *","during":"provision","nth":2,"then":"crash"},
            {"at":"store commit after","chance":0.5,"times":3,"then":{"fail":"unavailable"}},
            {"at":"call destroy before","then":{"delay_ms":1500}}]}"#;
        let faults: Faults = serde_json::from_str(text).unwrap();
        faults.validate().unwrap();
        assert_eq!(
            faults.faults[2],
            Fault::new("call destroy before", Then::Delay(Duration::from_millis(1500)))
        );
        let again: Faults = serde_json::from_str(&serde_json::to_string(&faults).unwrap()).unwrap();
        assert_eq!(again, faults);
    }

    #[test]
    fn what_cannot_act_is_refused_by_the_name_of_its_field() {
        let crash = |at: &str| Fault::new(at, Then::Crash);
        for (fault, field) in [
            (crash("call provison before"), "at: no call of a backend is named provison"),
            (crash("store commit"), "at: \"store commit\" says neither before nor after"),
            (crash("create container"), "at: \"create container\" begins with none of"),
            (crash("step a*b"), "at: \"step a*b\" has a * that does not stand at its end"),
            (crash("store commit after").during("provision"), "during: "),
            (crash("step start").during("start"), "during: no call of a backend is named start"),
            (crash("step start").nth(0), "nth: "),
            (crash("step start").times(0), "times: "),
            (crash("step start").chance(1.5), "chance: "),
            (Fault::new("store commit after", Then::Twice), "then: "),
        ] {
            let error = Faults { seed: 0, faults: vec![crash("*"), fault] }.validate().unwrap_err();
            assert_eq!(error.kind(), Kind::InvalidInput);
            assert!(error.to_string().starts_with(&format!("fault[1].{field}")), "{error}, not {field}");
        }
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let text = r#"{"fault":[{"at":"step start","then":"crash","n":2}]}"#;
        assert!(serde_json::from_str::<Faults>(text).unwrap_err().to_string().contains("unknown field `n`"));
    }
}
