//! The store on a real PostgreSQL: one private server for all tests, a fresh database for each.
#![expect(clippy::unwrap_used, reason = "tests")]

mod accounts;
mod allocation;
mod claims;
mod commits;
#[cfg(feature = "embedded")]
mod embedded;
mod events;
mod fixture;
mod leases;
mod migrations;
mod outages;
mod pages;
mod schema;
mod sealing;
mod settings;
mod tls;
