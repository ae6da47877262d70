//! Runnable examples of Freehold, one per way of use:
//!
//! - `embed`: a control plane inside someone else's program.
//! - `custom_backend`: a backend of the reader's own.
//! - `contract_test`: testing one's own service against the mock target with a failure.
//!
//! Run one with `cargo run -p freehold-examples --bin embed`.
