//! What a request costs, counted instead of timed: statements to the store's server, and allocations. Both are bounded, so
//! that a slide shows on noisy machines too.
//!
//! A program of its own, with one test: it counts what the whole program allocates.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod host;
mod statements;

use std::alloc::System;

use freehold_tests::postgresql;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use self::{host::Host, statements::Statements};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// How often each request is made: what happens beside it now and then counts little.
const ROUNDS: usize = 20;

/// Each request with the statements and the allocations that it may take. The allocations are what was counted when this
/// was last changed, and a tenth more.
const BOUNDS: [(&str, usize, usize); 4] = [
    ("project, for the superuser", 1, 77),
    ("project, for a person with an access token", 3, 121),
    ("page of 100, for the superuser", 1, 3_380),
    ("page of 100, for a person with an access token", 3, 3_425),
];

#[tokio::test]
async fn a_request_takes_no_more_statements_and_allocations_than_it_did() {
    if !postgresql() {
        return;
    }
    let host = Host::start(101).await;
    let (project, page) = (format!("projects/{}", host.project), "projects?limit=100".to_owned());
    let mut over = String::new();
    for (bound, (path, token)) in BOUNDS.iter().zip([
        (&project, &host.superuser),
        (&project, &host.personal),
        (&page, &host.superuser),
        (&page, &host.personal),
    ]) {
        let (what, most_statements, most_allocations) = *bound;
        // The first ones prepare statements and note the token's use.
        for _ in 0..ROUNDS {
            host.get(path, token).await;
        }
        let region = Region::new(ALLOCATOR);
        for _ in 0..ROUNDS {
            host.get(path, token).await;
        }
        let allocations = region.change().allocations / ROUNDS;
        let counted = Statements::count(async {
            for _ in 0..ROUNDS {
                host.get(path, token).await;
            }
        });
        let statements = counted.await / ROUNDS;
        println!("{what}: {statements} statements, {allocations} allocations");
        if statements > most_statements {
            over += &format!(
                "{what}: {statements} statements instead of {most_statements}: is something read twice? \
                 `Call::kept` has the project that the rule read, and what belongs together can be joined\n"
            );
        }
        if allocations > most_allocations {
            over += &format!(
                "{what}: {allocations} allocations instead of {most_allocations}: are rows or JSON copied on \
                 their way, or is a filter of warp walked for each route?\n"
            );
        }
    }
    host.stop().await;
    assert!(over.is_empty(), "{over}If that has to be, raise the bound and say in the commit why.");
}
