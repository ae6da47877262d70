#![doc = include_str!("backend/promises.md")]

mod apart;
mod bounded;
mod cases;
mod data;
mod describes;
mod errors;
mod idempotent;
mod interrupt;
mod inventory;
mod looking;
mod ordering;
mod output;
mod stage;

use std::{any::Any, collections::BTreeSet, fmt, sync::Arc};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use ipnet::Ipv4Net;

use self::stage::Stage;
use super::{
    failure::Verified,
    findings::{Case, Findings, Verdict},
};
use crate::{
    destroyer::Backend,
    error::{Error, Kind, Result},
    names::StackName,
    project_ref::ProjectRef,
    runtime::{PortBlock, Runtime},
};

/// A backend to be tested, on a real engine or a pretended one.
///
/// [`backend`](Self::backend) and [`ports`](Self::ports) are all that is needed. What a fixture can do besides it says in
/// [`offers`](Self::offers), and implements the method of that name.
#[async_trait]
pub trait BackendFixture: Send + Sync + 'static {
    /// The backend. Every call on one fixture gives the same one; fixtures may share an engine.
    fn backend(&self) -> Arc<dyn Backend>;

    /// Consecutive ports of the machine that nobody uses: other ones with each call, also on other fixtures.
    fn ports(&self, count: u16) -> PortBlock;

    /// The stack that the tests' projects run. Unless said, the first that the backend describes.
    fn stack(&self) -> Option<StackName> {
        None
    }

    /// Addresses that nobody uses, other ones with each call, for a stack that needs a network.
    fn subnet(&self) -> Option<Ipv4Net> {
        None
    }

    /// The last word on a project before it is made: variables that the stack wants, limits, exclusions.
    fn adjust(&self, runtime: Runtime) -> Runtime {
        runtime
    }

    /// What it can do besides, of [`Offer::OF_FIXTURES`].
    fn offers(&self) -> &[Offer] {
        &[]
    }

    /// [`Offer::Data`]: writes a marker into a running project's data in the place of an earlier one, as its users would.
    ///
    /// # Errors
    /// Whatever keeps it from being written.
    async fn write(&self, runtime: &Runtime, marker: &str) -> Result<()> {
        let _ = (runtime, marker);
        Err(unoffered(Offer::Data))
    }

    /// [`Offer::Data`]: reads the marker, if there is one, from a running project.
    ///
    /// # Errors
    /// Whatever keeps it from being read.
    async fn read(&self, runtime: &Runtime) -> Result<Option<String>> {
        let _ = runtime;
        Err(unoffered(Offer::Data))
    }

    /// [`Offer::Leftovers`]: everything that a project has on the machine, seen without the backend.
    ///
    /// # Errors
    /// Whatever keeps it from being seen.
    async fn leftovers(&self, project: &ProjectRef) -> Result<Vec<String>> {
        let _ = project;
        Err(unoffered(Offer::Leftovers))
    }

    /// [`Offer::Strangers`]: lets a stranger hold a port until what is returned is dropped.
    ///
    /// # Errors
    /// Whatever keeps it from being held.
    async fn occupy(&self, port: u16) -> Result<Box<dyn Any + Send>> {
        let _ = port;
        Err(unoffered(Offer::Strangers))
    }

    /// [`Offer::Damage`]: breaks a running project behind the backend's back, so that it does not answer as it should; its
    /// data stays.
    ///
    /// # Errors
    /// Whatever keeps it from being broken.
    async fn damage(&self, runtime: &Runtime) -> Result<()> {
        let _ = runtime;
        Err(unoffered(Offer::Damage))
    }

    /// [`Offer::Settings`]: the project with other settings, which the backend can bring into force and can tell apart.
    fn changed(&self, runtime: Runtime) -> Runtime {
        runtime
    }
}

fn unoffered(offer: Offer) -> Error {
    Error::new(Kind::Unsupported, format!("do what the fixture offers: {offer} is not implemented"))
}

/// What not every backend, stack or fixture can offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Offer {
    /// The fixture can [write](BackendFixture::write) and [read](BackendFixture::read) a project's data.
    Data,
    /// The fixture sees [what is left](BackendFixture::leftovers) without the backend.
    Leftovers,
    /// The fixture can let a stranger [hold a port](BackendFixture::occupy).
    Strangers,
    /// The fixture can [break](BackendFixture::damage) a project.
    Damage,
    /// The fixture knows [other settings](BackendFixture::changed).
    Settings,
    /// The stack publishes ports.
    Ports,
    /// The backend's [`RestartServices`](crate::Capability::RestartServices).
    RestartServices,
    /// The backend's [`FollowLogs`](crate::Capability::FollowLogs).
    FollowLogs,
}

impl Offer {
    /// Everything that may be offered.
    pub const ALL: [Self; 8] = [
        Self::Data,
        Self::Leftovers,
        Self::Strangers,
        Self::Damage,
        Self::Settings,
        Self::Ports,
        Self::RestartServices,
        Self::FollowLogs,
    ];

    /// What a fixture has to say of itself; the rest is seen in the backend's description.
    pub const OF_FIXTURES: [Self; 5] =
        [Self::Data, Self::Leftovers, Self::Strangers, Self::Damage, Self::Settings];
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Makes a test of each of the suite's: see [`contract`](crate::contract). The fixture is an expression that is evaluated
/// in each test anew; it may await, and return where there is nothing to test.
#[macro_export]
macro_rules! backend_contract {
    ($fixture:expr $(, not offered: $($offer:ident),+)? $(,)?) => {
        $crate::__backend_cases! { __contract_tests { backend ($fixture) [$($($offer)+)?] } }
    };
}

/// A test, with what it needs.
struct Entry {
    case: Case,
    needs: &'static [Offer],
    test: for<'a> fn(&'a Stage) -> BoxFuture<'a, Verified>,
}

crate::__backend_cases! { __contract_table {} }

impl Entry {
    /// Runs the test and, whatever it came to, removes what it made: what cannot be removed is a failure too.
    async fn verdict(&self, fixture: impl BackendFixture) -> Verdict {
        let stage = match Box::pin(Stage::open(fixture)).await {
            Ok(stage) => stage,
            Err(failure) => return Verdict::Failed(failure.to_string()),
        };
        if let Some(missing) = self.needs.iter().find(|need| !stage.offers().contains(need)) {
            return Verdict::NotOffered(missing.to_string());
        }
        let verdict = Verdict::of((self.test)(&stage)).await;
        let swept = Verdict::of(Box::pin(stage.sweep())).await;
        if verdict == Verdict::Passed { swept } else { verdict }
    }
}

/// Every test of the suite.
pub fn cases() -> impl Iterator<Item = Case> {
    TABLE.iter().map(|entry| entry.case)
}

/// Runs the whole suite, each test on a fixture of its own and with projects of its own.
pub async fn run<F: BackendFixture>(fixture: impl AsyncFn() -> F) -> Findings {
    run_some(fixture, |_| true).await
}

/// Runs those tests of the suite that are wanted, for instance one clause.
pub async fn run_some<F: BackendFixture>(
    fixture: impl AsyncFn() -> F,
    wanted: impl Fn(Case) -> bool,
) -> Findings {
    let mut findings = Findings::default();
    for entry in TABLE.iter().filter(|entry| wanted(entry.case)) {
        findings.verdicts.push((entry.case, Box::pin(entry.verdict(fixture().await)).await));
    }
    findings
}

/// Runs one test, and panics unless it passes.
#[doc(hidden)]
pub async fn check(case: Case, fixture: impl BackendFixture) {
    let entry = TABLE.iter().find(|entry| entry.case == case);
    let Some(entry) = entry else { panic!("there is no test {case}") };
    Box::pin(entry.verdict(fixture)).await.unwrap(case);
}

/// Panics unless a fixture offers all but what was declared.
#[doc(hidden)]
pub async fn check_declaration(fixture: impl BackendFixture, not_offered: &[Offer]) {
    let declared = not_offered.iter().copied().collect::<BTreeSet<_>>();
    match Box::pin(Stage::open(fixture)).await {
        Err(failure) => panic!("{failure}"),
        Ok(stage) => {
            let missing = |offer: &Offer| !stage.offers().contains(offer);
            let missing: BTreeSet<_> = Offer::ALL.into_iter().filter(missing).collect();
            assert_eq!(declared, missing, "declared as not offered (left), and not offered (right)");
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_names_each_test_under_its_clause_and_no_other() {
        let page = crate::contract::page::tests_by_clause(include_str!("backend/promises.md"));
        let table: Vec<_> =
            super::cases().map(|case| (case.clause.to_owned(), case.name.to_owned())).collect();
        assert_eq!(page, table);
    }
}
