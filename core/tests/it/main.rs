//! The public interface of the crate, from the outside.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

#[cfg(feature = "contract")]
mod contract;
mod control_plane;
mod exhaustive;
mod faults;
mod memory_backend;
mod memory_store;
#[cfg(feature = "mock")]
mod mocks;
mod simulation;
