//! The contract, as tests that anybody can run: what a backend and a store promise, clause by clause.
//!
//! [`backend`] is the page for backends and [`store`] the one for stores: each clause, and the tests that prove it. The
//! author of either writes a fixture, which says how to get at the thing under test, and runs the whole suite in one of
//! two ways.
//!
//! With a macro, each test is one of the author's own test program: it shows by its name and its clause, and is run alone
//! with `cargo test NAME`.
//!
//! ```
//! use std::sync::Arc;
//! use freehold_core::{Store, contract::StoreFixture, memory::MemoryStore};
//!
//! struct InMemory(Arc<MemoryStore>);
//!
//! impl StoreFixture for InMemory {
//!     fn store(&self) -> Arc<dyn Store> {
//!         self.0.clone()
//!     }
//! }
//!
//! // At the top of a test module; `mod contract { … }` keeps its names together.
//! freehold_core::store_contract!(InMemory(Arc::default()), not offered: OtherHost, CallerTransaction);
//! # fn main() {}
//! ```
//!
//! With a call, the suite is one future whose [`Findings`] say of each test whether it passed, failed, or needs what is
//! not offered:
//!
//! ```
//! # use std::sync::Arc;
//! # use freehold_core::{Store, contract::{self, StoreFixture}, memory::MemoryStore};
//! # struct InMemory(Arc<MemoryStore>);
//! # impl StoreFixture for InMemory {
//! #     fn store(&self) -> Arc<dyn Store> {
//! #         self.0.clone()
//! #     }
//! # }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let findings = contract::store::run(async || InMemory(Arc::default())).await;
//! assert!(findings.all_passed(), "{findings}");
//! println!("{findings}");
//! # }
//! ```
//!
//! # What is not offered
//! A fixture whose hooks keep their defaults does not offer what they are for. A test that needs it is never said to have
//! passed: [`Findings`] list it as not offered, and the macro marks it `ignored, not offered: …`. The macro must be told
//! what is not offered, because a test program lists its tests before it runs; one more test,
//! `not_offered::is_what_was_declared`, fails if that is not the truth.
//!
//! # What the author's crate needs
//! The feature `contract` of this crate as a development dependency, and tokio with `macros` and `rt-multi-thread`.

#[macro_use]
mod failure;
pub mod backend;
mod findings;
mod list;
#[cfg(test)]
mod page;
pub mod store;

pub use self::{
    backend::BackendFixture,
    findings::{Case, Findings, Verdict},
    store::{CallerTransaction, StoreFixture},
};
