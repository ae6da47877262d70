//! Runnable examples of Freehold, one per way of use:
//!
//! - `embed`: a control plane inside someone else's program.
//! - `custom_backend`: a backend of the reader's own, [`key_value`], which the contract suite is run against.
//! - `contract_test`: testing one's own service against projects that fail; `http/contract_test.py` does so over HTTP.
//!
//! Run one with `cargo run -p freehold-examples --bin embed`.

pub mod key_value;
