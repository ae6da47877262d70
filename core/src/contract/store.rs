#![doc = include_str!("store/promises.md")]

mod allocation;
mod amounts;
mod atomic;
mod cases;
mod changes;
mod claims;
mod events;
mod hosts;
mod idempotency_keys;
mod leases;
mod lists;
mod names;
mod one_operation;
mod organizations;
mod outcomes;
mod sealed_items;
mod settings;
mod transactions;
mod versions;

use std::{collections::BTreeSet, fmt, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio::time::timeout;

use super::{
    failure::{Failure, Verified},
    findings::{Case, Findings, Verdict},
};
use crate::{
    error::Result,
    store::{Change, Committed, Store},
};

/// A store to be tested, fresh for each test. Every hook but [`store`](Self::store) is an offer: its default offers nothing.
#[async_trait]
pub trait StoreFixture: Send + Sync + 'static {
    /// The store, with nothing in it. Every call on one fixture gives the same one.
    fn store(&self) -> Arc<dyn Store>;

    /// The store as another host has it: on the same data, by a connection of its own.
    ///
    /// # Errors
    /// Whatever keeps it from being opened.
    async fn other_host(&self) -> Result<Option<Arc<dyn Store>>> {
        Ok(None)
    }

    /// A transaction of a caller of the library, in the same database.
    ///
    /// # Errors
    /// Whatever keeps it from being begun.
    async fn begin(&self) -> Result<Option<Box<dyn CallerTransaction>>> {
        Ok(None)
    }
}

/// A transaction of a caller's own, in which the store can commit a change.
#[async_trait]
pub trait CallerTransaction: Send {
    /// Commits a change in the transaction.
    ///
    /// # Errors
    /// As [`Store::commit`].
    async fn commit_change(&mut self, change: Change) -> Result<Committed>;

    /// Ends the transaction so that all of it happened.
    ///
    /// # Errors
    /// Whatever keeps it from being committed.
    async fn commit(self: Box<Self>) -> Result<()>;

    /// Ends the transaction so that none of it happened.
    ///
    /// # Errors
    /// Whatever keeps it from being rolled back.
    async fn roll_back(self: Box<Self>) -> Result<()>;
}

/// What not every store, or not every fixture, can offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Offer {
    /// [`StoreFixture::other_host`].
    OtherHost,
    /// [`StoreFixture::begin`].
    CallerTransaction,
}

impl Offer {
    /// Everything that may be offered.
    pub const ALL: [Self; 2] = [Self::OtherHost, Self::CallerTransaction];
}

impl fmt::Display for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Makes a test of each of the suite's: see [`contract`](crate::contract). The fixture is an expression that is evaluated
/// in each test anew; it may await, and return where there is nothing to test.
#[macro_export]
macro_rules! store_contract {
    ($fixture:expr $(, not offered: $($offer:ident),+)? $(,)?) => {
        $crate::__store_cases! { __contract_tests { store ($fixture) [$($($offer)+)?] } }
    };
}

/// How long a test may take. It is far more than any takes, so that one that hangs has an end.
const PATIENCE: Duration = Duration::from_secs(300);

/// A test, with what it needs.
struct Entry {
    case: Case,
    needs: &'static [Offer],
    test: fn(Stage) -> BoxFuture<'static, Verified>,
}

crate::__store_cases! { __contract_table {} }

/// What a test is given.
#[derive(Clone)]
struct Stage {
    fixture: Arc<dyn StoreFixture>,
    store: Arc<dyn Store>,
}

impl Stage {
    fn new(fixture: impl StoreFixture) -> Self {
        let store = fixture.store();
        Self { fixture: Arc::new(fixture), store }
    }

    async fn offers(&self) -> Verified<BTreeSet<Offer>> {
        let mut offers = BTreeSet::new();
        if self.fixture.other_host().await?.is_some() {
            offers.insert(Offer::OtherHost);
        }
        if let Some(transaction) = self.fixture.begin().await? {
            transaction.roll_back().await?;
            offers.insert(Offer::CallerTransaction);
        }
        Ok(offers)
    }

    async fn transaction(&self) -> Verified<Box<dyn CallerTransaction>> {
        super::failure::there(self.fixture.begin().await?, "a caller's transaction")
    }
}

impl Entry {
    async fn verdict(&self, stage: Stage) -> Verdict {
        if !self.needs.is_empty() {
            let offers = match stage.offers().await {
                Ok(offers) => offers,
                Err(failure) => return Verdict::Failed(failure.to_string()),
            };
            if let Some(missing) = self.needs.iter().find(|need| !offers.contains(need)) {
                return Verdict::NotOffered(missing.to_string());
            }
        }
        let hangs = |_| Err(Failure::new(format!("it takes more than {} s", PATIENCE.as_secs())));
        let test = (self.test)(stage);
        Verdict::of(async { timeout(PATIENCE, test).await.unwrap_or_else(hangs) }).await
    }
}

/// Every test of the suite.
pub fn cases() -> impl Iterator<Item = Case> {
    TABLE.iter().map(|entry| entry.case)
}

/// Runs the whole suite, each test on a fixture of its own.
pub async fn run<F: StoreFixture>(fixture: impl AsyncFn() -> F) -> Findings {
    run_some(fixture, |_| true).await
}

/// Runs those tests of the suite that are wanted, for instance one clause.
pub async fn run_some<F: StoreFixture>(
    fixture: impl AsyncFn() -> F,
    wanted: impl Fn(Case) -> bool,
) -> Findings {
    let mut findings = Findings::default();
    for entry in TABLE.iter().filter(|entry| wanted(entry.case)) {
        let stage = Stage::new(fixture().await);
        findings.verdicts.push((entry.case, Box::pin(entry.verdict(stage)).await));
    }
    findings
}

/// Runs one test, and panics unless it passes.
#[doc(hidden)]
pub async fn check(case: Case, fixture: impl StoreFixture) {
    let entry = TABLE.iter().find(|entry| entry.case == case);
    let Some(entry) = entry else { panic!("there is no test {case}") };
    Box::pin(entry.verdict(Stage::new(fixture))).await.unwrap(case);
}

/// Panics unless a fixture offers all but what was declared.
#[doc(hidden)]
pub async fn check_declaration(fixture: impl StoreFixture, not_offered: &[Offer]) {
    let declared = not_offered.iter().copied().collect::<BTreeSet<_>>();
    match Stage::new(fixture).offers().await {
        Err(failure) => panic!("{failure}"),
        Ok(offers) => {
            let missing: BTreeSet<_> =
                Offer::ALL.into_iter().filter(|offer| !offers.contains(offer)).collect();
            assert_eq!(declared, missing, "declared as not offered (left), and not offered (right)");
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_page_names_each_test_under_its_clause_and_no_other() {
        let page = crate::contract::page::tests_by_clause(include_str!("store/promises.md"));
        let mut table = Vec::new();
        for case in super::cases() {
            table.push((case.clause.to_owned(), case.name.to_owned()));
        }
        assert_eq!(page, table);
    }
}
