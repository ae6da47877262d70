//! A Freehold backend that runs programs: the operator's own *hooks*, or the ones that come with it, which give each
//! project a real PostgreSQL server.
//!
//! ```no_run
//! # async fn example() -> freehold_core::Result<()> {
//! use std::time::Duration;
//! use freehold_core::{Context, Provisioner};
//! use freehold_shell::{Config, ShellBackend};
//!
//! let backend = ShellBackend::open(Config::new("/var/lib/freehold/shell"))?;
//! let described = backend.describe(&Context::new(Duration::from_secs(10))).await?;
//! assert_eq!(described.stacks[0].name.as_str(), "postgres");
//! # Ok(())
//! # }
//! ```
//!
//! The README says how to write hooks of your own. What this crate promises them, and asks of them:
//!
//! - A hook is a program, started with arguments and never as a shell line, in a process group of its own. At the call's
//!   deadline, or when the call is cancelled, the whole group is told to end and then killed; what is left of it when
//!   the hook has ended is killed as well.
//! - Secrets come on standard input, and nowhere else. What a hook prints is kept up to a bound, without the secrets.
//! - One hook at a time changes a project: it inherits a lock on the project's folder. A host that takes over from one
//!   that was killed ends that one's hook first.
//!
//! # Trust
//!
//! Started as root, the shipped hooks run each project's server as an operating-system user of its own: whoever is
//! superuser of one database reaches neither Freehold's files nor another project's. Started as anybody else, all servers
//! run as that user; the role that people log in as is then no superuser and may touch neither files nor programs, but
//! **the target is one trust domain**: a hole in PostgreSQL would open all of its projects. Limits are not enforced.
//!
//! # Modules
//!
//! - `config`: what an operator says
//! - `backend`: the traits, thin
//! - `change`, `observe`, `logs`: the calls that change a project, that look at it, and that read what it prints
//! - `hook`, `group`, `lock`: running one program, ending all of it, and letting one at a time act
//! - `input`, `output`: what a hook is told, and what it answers
//! - `stack`, `kept`, `shipped`: what the hooks run, where a copy of them is kept, and the ones that come with Freehold
//! - `folder`, `engine`: where things lie, and which machine this is
//! - `error`: what can go wrong

mod backend;
mod change;
mod config;
mod engine;
mod error;
mod folder;
mod group;
mod hook;
mod input;
mod kept;
mod lock;
mod logs;
mod observe;
mod output;
mod shipped;
mod stack;

pub use crate::{backend::ShellBackend, config::Config};
