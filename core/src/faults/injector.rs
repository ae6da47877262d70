//! Carrying out a fault plan.

use std::{
    collections::BTreeMap,
    fmt, future,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;

use super::{Fault, Faults, Then, point};
use crate::{
    context::Interceptor,
    error::{Error, Result},
};

/// Carries out a fault plan at every point that is passed, and remembers what was passed if it is told to.
///
/// One injector is one host's: after a crash it lets nothing of that host happen any more.
pub struct Injector {
    seed: u64,
    state: Mutex<State>,
    crash: Option<Box<dyn Fn() + Send + Sync>>,
    /// Whether the host is gone.
    dead: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    planned: Vec<Planned>,
    /// How often each point was passed.
    passed: BTreeMap<String, u64>,
    /// What was passed, in order, if that is wanted.
    record: Option<Vec<Passing>>,
    /// How often a fault acted.
    acted: u64,
}

#[derive(Debug)]
struct Planned {
    fault: Fault,
    /// How often it saw its point passed.
    seen: u64,
    /// How often it acted.
    acted: u64,
}

/// A point that was passed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Passing {
    /// Which.
    pub point: String,
    /// For how many-th time, counted from 1.
    pub nth: u64,
}

impl Passing {
    /// A fault at exactly this passing of an equal run.
    #[must_use]
    pub fn fault(&self, then: Then) -> Fault {
        Fault::new(&*self.point, then).nth(self.nth)
    }
}

impl Injector {
    /// Carries out a plan that has no crash.
    ///
    /// # Errors
    /// `InvalidInput` naming the field of a fault that cannot act.
    pub fn new(faults: Faults) -> Result<Self> {
        Self::with(faults, None)
    }

    /// Carries out a plan. `crash` ends the host: [`std::process::abort`] for one that is a process. If it returns, as in
    /// a simulation, whatever of the host comes to another point waits there for ever.
    ///
    /// # Errors
    /// `InvalidInput` naming the field of a fault that cannot act.
    pub fn crashing_by(faults: Faults, crash: impl Fn() + Send + Sync + 'static) -> Result<Self> {
        Self::with(faults, Some(Box::new(crash)))
    }

    fn with(faults: Faults, crash: Option<Box<dyn Fn() + Send + Sync>>) -> Result<Self> {
        faults.validate()?;
        refuse_crash(&faults, crash.is_some())?;
        let planned = faults.faults.into_iter().map(Planned::new).collect();
        let state = Mutex::new(State { planned, ..State::default() });
        Ok(Self { seed: faults.seed, state, crash, dead: AtomicBool::new(false) })
    }

    /// Remembers every passing from now on, for [`passings`](Self::passings).
    #[must_use]
    pub fn recording(self) -> Self {
        self.state().record = Some(Vec::new());
        self
    }

    /// What was passed since [`recording`](Self::recording) began, in order. At the level `debug` each passing is also
    /// logged as it happens, by the target `freehold_core::faults`, with the fields `point` and `nth`.
    #[must_use]
    pub fn passings(&self) -> Vec<Passing> {
        self.state().record.clone().unwrap_or_default()
    }

    /// How often a fault acted.
    #[must_use]
    pub fn acted(&self) -> u64 {
        self.state().acted
    }

    /// Plans another fault. It counts passings from now on.
    ///
    /// # Errors
    /// `InvalidInput` naming the field, if it cannot act.
    pub fn plan(&self, fault: Fault) -> Result<()> {
        let faults = Faults::from(fault);
        faults.validate()?;
        refuse_crash(&faults, self.crash.is_some())?;
        self.state().planned.extend(faults.faults.into_iter().map(Planned::new));
        Ok(())
    }

    /// Lets nothing more go wrong.
    pub fn stand_down(&self) {
        self.state().planned.clear();
    }

    /// Lets the host die, as [`Then::Crash`] does.
    pub fn crash(&self) {
        self.dead.store(true, Ordering::SeqCst);
        if let Some(crash) = &self.crash {
            crash();
        }
    }

    /// Runs a call between its two points.
    pub(super) async fn around<T, F>(&self, seam: &str, method: &str, work: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let repeat = self.pass(&format!("{seam} {method} before"), None).await?;
        let answer = work().await;
        if repeat == Repeat::Once {
            // The network repeated the request; nobody hears the second answer.
            drop(work().await);
        }
        self.pass(&format!("{seam} {method} after"), None).await?;
        answer
    }

    /// Passes a point: does what is planned for it.
    pub(super) async fn pass(&self, point: &str, during: Option<&str>) -> Result<Repeat> {
        let mut repeat = Repeat::Never;
        if self.dead.load(Ordering::SeqCst) {
            future::pending::<()>().await;
        }
        let acting = self.state().pass(self.seed, point, during);
        for then in acting {
            tracing::warn!(target: "freehold_core::faults", point, ?then, "a planned fault");
            match then {
                Then::Fail(kind) => {
                    return Err(Error::new(kind, format!("pass {point:?}: the fault plan says so")));
                }
                Then::Delay(time) => tokio::time::sleep(time).await,
                Then::Hang => future::pending().await,
                Then::Panic => panic!("at {point:?}, as the fault plan says"),
                Then::Crash => {
                    self.crash();
                    future::pending().await
                }
                Then::Twice => repeat = Repeat::Once,
            }
        }
        if self.dead.load(Ordering::SeqCst) {
            future::pending::<()>().await;
        }
        Ok(repeat)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Nobody can crash who was not told how.
fn refuse_crash(faults: &Faults, told: bool) -> Result<()> {
    match faults.faults.iter().position(|fault| fault.then == Then::Crash) {
        Some(index) if !told => {
            Err(Error::invalid(&format!("fault[{index}].then"), "crash: nobody said how this host dies"))
        }
        _ => Ok(()),
    }
}

/// Whether a call is made again behind its caller's back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeat {
    Never,
    Once,
}

impl State {
    /// Counts a passing, and says what goes wrong at it.
    fn pass(&mut self, seed: u64, point: &str, during: Option<&str>) -> Vec<Then> {
        let nth = self.passed.entry(point.to_owned()).or_default();
        *nth += 1;
        tracing::debug!(target: "freehold_core::faults", point, nth, "passed");
        if let Some(record) = &mut self.record {
            record.push(Passing { point: point.to_owned(), nth: *nth });
        }
        let mut acting = Vec::new();
        for (index, planned) in self.planned.iter_mut().enumerate() {
            let is_over = acting.last().is_some_and(|then| !matches!(then, Then::Delay(_) | Then::Twice));
            if planned.sees(seed, index, point, during) && !is_over {
                planned.acted += 1;
                self.acted += 1;
                acting.push(planned.fault.then);
            }
        }
        acting
    }
}

impl Planned {
    const fn new(fault: Fault) -> Self {
        Self { fault, seen: 0, acted: 0 }
    }

    /// Counts a passing if it is one of this fault's point, and says whether the fault is due.
    fn sees(&mut self, seed: u64, index: usize, point: &str, during: Option<&str>) -> bool {
        let Fault { at, nth, times, chance, then, .. } = &self.fault;
        let here = point::matches(at, point)
            && self.fault.during.as_deref().is_none_or(|call| during == Some(call))
            // Whatever else an open end may match.
            && (*then != Then::Twice || (!point.starts_with("step ") && point.ends_with(" before")));
        if !here {
            return false;
        }
        self.seen += 1;
        let most = times.unwrap_or(if chance.is_some() { u64::MAX } else { 1 });
        self.seen >= *nth
            && self.acted < most
            && chance.is_none_or(|chance| draw(seed, index as u64, self.seen) < chance)
    }
}

/// A number from 0 to 1 that follows from three others: splitmix64, so that plans keep their meaning whatever becomes of
/// the generators that we depend on.
fn draw(seed: u64, fault: u64, passing: u64) -> f64 {
    let mut mixed = seed;
    for next in [fault, passing] {
        mixed = mixed.wrapping_add(next).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
    }
    #[expect(clippy::cast_precision_loss, reason = "53 bits are what a double holds exactly")]
    let number = (mixed >> 11) as f64 / (1_u64 << 53) as f64;
    number
}

#[async_trait]
impl Interceptor for Injector {
    async fn at_step(&self, name: &str, service: &str) -> Result<()> {
        self.pass(&point::of_step(name, service), None).await.map(drop)
    }
}

/// Acts at the steps of one call.
#[derive(Debug)]
pub(super) struct InCall {
    pub(super) injector: Arc<Injector>,
    pub(super) call: &'static str,
    /// Who acts at steps besides.
    pub(super) other: Option<Arc<dyn Interceptor>>,
}

#[async_trait]
impl Interceptor for InCall {
    async fn at_step(&self, name: &str, service: &str) -> Result<()> {
        self.injector.pass(&point::of_step(name, service), Some(self.call)).await?;
        match &self.other {
            Some(other) => other.at_step(name, service).await,
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Injector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("Injector")
            .field("seed", &self.seed)
            .field("faults", &state.planned.len())
            .field("acted", &state.acted)
            .field("dead", &self.dead)
            .finish_non_exhaustive()
    }
}
