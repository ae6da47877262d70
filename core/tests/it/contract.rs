//! The suites, on what is in memory: on real ones, and on ones that break a promise each.

mod broken;
mod memory_backend;
mod memory_store;
