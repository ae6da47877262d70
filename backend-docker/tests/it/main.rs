//! The Docker backend against the real engine, and against sockets that misbehave. The real engine is the one that
//! `DOCKER_HOST` names, or the one at Docker's default address; without one its tests say `skipped: …`, which is an
//! error where `CI=true`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod compose;
mod contract;
mod cost;
mod counter;
mod drift;
mod engines;
mod evidence;
mod failures;
mod fake_engine;
mod fixture;
mod isolation;
mod life;
mod neighbours;
mod passwords;
mod registry;
mod stopping;
mod supabase;
mod troubled_engine;
mod troubles;
