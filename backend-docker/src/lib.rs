//! backend-docker
mod config;
mod engine;
mod error;
mod events;
mod graph;
mod labels;
mod probe;
pub use config::{Config, StackSource};
