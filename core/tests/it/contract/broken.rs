//! Backends and stores that break one promise each, and the test that each is caught by.

mod backend;
mod store;

use freehold_core::contract::{Case, Findings};

/// Fails unless the test that is meant for a flaw is among those that failed.
fn assert_caught(findings: &Findings, flaw: &str, by: &str) {
    let failed: Vec<String> = findings.failed().map(|case| case.to_string()).collect();
    assert!(failed.iter().any(|case| case == by), "{flaw} is not caught by {by}, but by {failed:?}");
}

/// The tests of the clause that a test belongs to.
fn of_clause(test: &str) -> impl Fn(Case) -> bool {
    move |case| test.split("::").next() == Some(case.clause)
}
