//! The store on a real PostgreSQL: one private server for all tests, a fresh database for each.
#![expect(clippy::unwrap_used, reason = "tests")]

mod accounts;
mod audit;
mod contract;
mod cost;
#[cfg(feature = "embedded")]
mod embedded;
mod events;
mod fixture;
mod isolation;
mod leases;
mod migrations;
mod outages;
mod poisoned;
mod schema;
mod tls;
