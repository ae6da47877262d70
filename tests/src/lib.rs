//! What the tests that need several crates at once share: real parts, where they are found, and what is left of them.

mod census;
mod engine;
mod folder;
mod lab;
mod parts;
mod program;
mod psql;

pub use census::{containers, docker_census, listens};
pub use engine::{OwnEngine, in_own_network};
pub use folder::passable_folder;
pub use lab::{Lab, chosen, facts, wait_until};
pub use parts::{docker_engine, docker_host, freehold_program, postgresql, python, workspace};
pub use program::HostProcess;
pub use psql::{Psql, connection_password};
