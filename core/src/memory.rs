//! A store and a backend that live in memory: real ones, with state, that forget everything when they are dropped.
//!
//! - [`MemoryStore`] keeps every promise of [`Store`](crate::Store) but durability.
//! - [`MemoryAccounts`] keeps every promise of [`AccountStore`](crate::accounts::AccountStore) but durability.
//! - [`MemoryBackend`] keeps every promise of [`Backend`](crate::Backend), and misbehaves when told to. A [`MemoryStack`]
//!   is what it runs.

mod accounts;
mod backend;
mod commit;
mod create;
mod journal;
mod lease;
mod listing;
mod queue;
mod spans;
mod state;
mod store;
mod strongbox;

pub use self::{
    accounts::MemoryAccounts,
    backend::{MemoryBackend, MemoryStack},
    store::MemoryStore,
};
