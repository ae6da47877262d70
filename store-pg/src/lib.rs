//! The [`Store`](freehold_core::Store) of Freehold on PostgreSQL 13 or newer.
//!
//! ```no_run
//! use freehold_core::Store;
//! use freehold_pg::{Config, PgStore};
//!
//! # async fn example() -> freehold_core::Result<()> {
//! let store = PgStore::connect(&Config::new("postgres://freehold:…@127.0.0.1:5432/freehold")).await?;
//! println!("the store's clock says {}", store.now().await?);
//! # Ok(())
//! # }
//! ```
//!
//! A service that has a database of its own hands its pool over ([`PgStore::from_pool`]) and commits a project together
//! with its own rows ([`PgStore::commit_in`]). With the feature `embedded`, `EmbeddedServer` runs a server for the store
//! where there is none.

mod accounts;
mod allocate;
mod claim;
mod commit;
mod config;
#[cfg(feature = "embedded")]
mod embedded;
mod error;
mod facts;
mod lane;
mod lease;
mod listen;
mod migrate;
mod observed;
mod organizations;
mod queries;
mod rows;
mod sealed;
mod sequencer;
mod settings;
mod settle;
mod store;
mod transaction;

#[cfg(feature = "embedded")]
pub use crate::embedded::{Binaries, EmbeddedConfig, EmbeddedServer, Repaired};
pub use crate::{config::Config, store::PgStore};
