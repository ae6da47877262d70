//! The shell backend on real processes and a real PostgreSQL.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod contract;
mod drift;
mod hooks;
mod isolation;
mod ordinary;
mod postgres;
mod secrets;
mod takeover;
mod world;
