//! A store and a backend that live in memory: real ones, with state, that forget everything when they are dropped.
//!
//! - [`MemoryStore`] keeps every promise of [`Store`](crate::Store) but durability.

mod commit;
mod journal;
mod lease;
mod listing;
mod queue;
mod spans;
mod state;
mod store;
mod strongbox;

pub use self::store::MemoryStore;
