//! The shell backend on real processes and a real PostgreSQL.

mod hooks;
mod isolation;
mod ordinary;
mod postgres;
mod secrets;
mod takeover;
mod world;
