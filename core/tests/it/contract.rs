//! The suites, on what is in memory: on real ones, and on ones that break a promise each.

mod memory_store;
