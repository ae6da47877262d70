//! Tests that need several crates at once, on real parts.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod active_is_a_wish;
mod architecture;
mod canary;
mod crash;
mod crash_sweep;
mod host;
mod leftovers;
mod many;
mod model;
mod own_container;
mod postgres;
mod sequences;
mod store_password;
mod troubled;
mod webapp;
mod zombies;
