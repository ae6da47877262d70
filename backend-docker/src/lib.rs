//! A Freehold backend on the Docker Engine: a stack is a folder with a Compose file and a small manifest beside it, and
//! each project is a copy of it, running as containers with a network, volumes, ports and secrets of its own.
//!
//! ```no_run
//! use freehold_core::{Context, Provisioner};
//! use freehold_docker::{Config, DockerBackend, StackSource};
//!
//! # async fn example() -> freehold_core::Result<()> {
//! let stacks = [StackSource::new("/srv/stacks/webapp")];
//! let backend = DockerBackend::connect(Config::new("/var/lib/freehold/docker", stacks)).await?;
//! let described = backend.describe(&Context::new(std::time::Duration::from_secs(10))).await?;
//! println!("{} offers {} stack(s)", described.machine, described.stacks.len());
//! # Ok(())
//! # }
//! ```
//!
//! The way of the data, and the modules on it:
//!
//! - *load*: `compose` reads Compose files, `manifest` what they do not say, `stack` makes a stack of both;
//! - *plan*: `plan` makes a `graph` of a stack and a project, and touches nothing;
//! - *apply*: `apply` walks the graph, `gates` hold containers back, `image_volumes` and `files` give them what they
//!   mount, `registry` says where images come from, `ports` finds taken ones first, `stop` and `destroy` undo it, `connection` tells how to reach the result;
//! - *watch*: `watch` waits for containers, woken by `events` and asking by `probe`; `health`, `drift`, `inventory` and
//!   `logs` tell how things are;
//! - `vantage` finds out where this process is, and what it reaches from there;
//! - `engine` speaks to the engine, `observed` and `labels` find what is ours, `error` maps what goes wrong;
//! - `project` is what each call of the contract comes to, `backend` the traits.

mod addresses;
mod apply;
mod backend;
mod compose;
mod config;
mod connection;
mod destroy;
mod difference;
mod drift;
mod ending;
mod engine;
mod error;
mod events;
mod files;
mod gates;
mod graph;
mod health;
mod image_volumes;
mod inventory;
mod labels;
mod logs;
mod manifest;
mod observed;
mod plan;
mod ports;
mod probe;
mod project;
mod registry;
mod roles;
mod stack;
mod stop;
mod vantage;
mod verifier;
mod watch;

pub use crate::{
    backend::DockerBackend,
    config::{Config, StackSource},
};
