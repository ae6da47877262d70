//! Tests that need several crates at once, on real parts.

mod architecture;
