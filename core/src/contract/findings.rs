//! What a suite found.

use std::{any::Any, fmt, future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;

use super::failure::Verified;

/// One test of a suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Case {
    /// The clause that it proves.
    pub clause: &'static str,
    /// Its name, a sentence.
    pub name: &'static str,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.clause, self.name)
    }
}

/// What a test came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The promise was kept.
    Passed,
    /// It was broken: how, and where the suite saw it.
    Failed(String),
    /// The test needs what the fixture, the backend or the stack does not offer.
    NotOffered(String),
}

impl Verdict {
    /// Runs a test and catches it if it panics.
    pub(super) async fn of(test: impl Future<Output = Verified> + Send) -> Self {
        match AssertUnwindSafe(test).catch_unwind().await {
            Ok(Ok(())) => Self::Passed,
            Ok(Err(failure)) => Self::Failed(failure.to_string()),
            Err(panic) => Self::Failed(format!("panicked: {}", words(&*panic))),
        }
    }

    /// Panics unless the test passed.
    pub(super) fn unwrap(self, case: Case) {
        match self {
            Self::Passed => {}
            Self::Failed(why) => panic!("{case}: {why}"),
            Self::NotOffered(what) => panic!("{case}: {what} is not offered: declare it to the macro"),
        }
    }
}

/// What a panic said.
pub(super) fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "something".to_owned())
}

/// What a suite found, test by test. Its `Display` has a line for each test and one that counts them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Each test and what it came to, in the order of the clauses.
    pub verdicts: Vec<(Case, Verdict)>,
}

impl Findings {
    /// Whether no test failed. What is not offered has not passed, and does not make this false.
    #[must_use]
    pub fn all_passed(&self) -> bool {
        self.failed().next().is_none()
    }

    /// The tests that failed.
    pub fn failed(&self) -> impl Iterator<Item = Case> {
        self.with(|verdict| matches!(verdict, Verdict::Failed(_)))
    }

    /// The tests that passed.
    pub fn passed(&self) -> impl Iterator<Item = Case> {
        self.with(|verdict| *verdict == Verdict::Passed)
    }

    /// The tests that need what is not offered.
    pub fn not_offered(&self) -> impl Iterator<Item = Case> {
        self.with(|verdict| matches!(verdict, Verdict::NotOffered(_)))
    }

    fn with(&self, wanted: impl Fn(&Verdict) -> bool) -> impl Iterator<Item = Case> {
        self.verdicts.iter().filter(move |(_, verdict)| wanted(verdict)).map(|(case, _)| *case)
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (case, verdict) in &self.verdicts {
            match verdict {
                Verdict::Passed => writeln!(f, "passed       {case}")?,
                Verdict::Failed(why) => writeln!(f, "FAILED       {case}: {why}")?,
                Verdict::NotOffered(what) => writeln!(f, "not offered  {case}: {what}")?,
            }
        }
        let (passed, failed) = (self.passed().count(), self.failed().count());
        write!(f, "{passed} passed, {failed} failed, {} not offered", self.not_offered().count())
    }
}
