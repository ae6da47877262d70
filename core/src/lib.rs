//! Freehold runs many isolated project stacks on machines you own. This crate is its heart: the model, the lifecycle,
//! the three traits that backends and stores implement, and the control plane that drives them. It knows tokio and
//! nothing of Docker, HTTP or SQL.
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use freehold_core::{
//!     Keyring, Status,
//!     control_plane::{ControlPlane, CreateProject, TargetSettings},
//!     memory::{MemoryBackend, MemoryStore},
//!     seal::SealKey,
//! };
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> freehold_core::Result<()> {
//! let control = ControlPlane::builder()
//!     .store(Arc::new(MemoryStore::new()))
//!     .sealer(Arc::new(Keyring::new(SealKey::random()?)))
//!     .target("local".parse()?, Arc::new(MemoryBackend::new()?), TargetSettings::default())
//!     .build()
//!     .await?;
//!
//! // Durable when this returns; the work goes on behind it.
//! let accepted = control.create(CreateProject::new("acme".parse()?, "demo".parse()?), None).await?;
//! let demo = accepted.project.reference;
//! control.wait(&demo, &[Status::ActiveHealthy], Duration::from_secs(60)).await?;
//!
//! control.pause(&demo).await?;
//! control.wait(&demo, &[Status::Inactive], Duration::from_secs(60)).await?;
//! control.shutdown(Duration::from_secs(5)).await;
//! # Ok(())
//! # }
//! ```
//!
//! To write a backend, implement [`Provisioner`] and [`Destroyer`]; to keep projects somewhere else, implement [`Store`].
//!
//! # Modules
//!
//! - [`accounts`]: who people are and what they may do
//! - [`clock`]: what time it is, so that tests may say it
//! - [`connection`]: how a running project is reached
//! - [`context`]: what travels with each call to a backend: cancellation, deadline, lease, progress
//! - `contract`: what backends and stores promise, as tests that anybody can run (feature `contract`)
//! - [`control_plane`]: commands in, durable operations, the lifecycle kept: where to begin
//! - [`destroyer`]: the trait that removes projects
//! - [`error`]: one error type: a kind by the caller's next move, a detail for programs, the chain for people
//! - [`event`]: facts about projects, in order
//! - [`faults`]: fault plans: what goes wrong where, as data, for any backend and any store
//! - [`health`]: how a project is, service by service
//! - [`inventory`]: what is on an engine, whether or not a store knows of it
//! - [`lifecycle`]: which status follows which: one table, one pure function
//! - [`memory`]: a store and a backend with state in memory, that misbehave when told to
//! - `mock`: mocks of the traits, for expectations on calls (feature `mock`)
//! - [`names`]: names that are parsed once and then trusted
//! - [`operation`]: one command on one project: its lease, steps, log and end
//! - [`page`]: lists, page by page
//! - [`plan`]: what a backend would do to bring a project to where it is wished
//! - [`project`]: what the store keeps of a project and what callers see
//! - [`provisioner`]: the trait that makes, stops, starts and watches projects
//! - [`redact`]: taking secrets out of text that others wrote
//! - [`report`]: what a backend ran and what it printed, bounded
//! - [`runtime`]: what a backend is given to run one project
//! - [`seal`]: sealing secrets, under a keyring or a KMS of your own
//! - [`stack`]: what a backend declares of a stack
//! - [`store`]: the trait that keeps everything, and what is said to it

pub mod accounts;
pub mod clock;
pub mod connection;
pub mod context;
#[cfg(feature = "contract")]
pub mod contract;
pub mod control_plane;
pub mod destroyer;
pub mod error;
pub mod event;
pub mod faults;
pub mod health;
pub mod inventory;
pub mod lifecycle;
pub mod memory;
#[cfg(feature = "mock")]
pub mod mock;
pub mod names;
pub mod operation;
pub mod page;
pub mod plan;
pub mod project;
mod project_ref;
pub mod provisioner;
pub mod redact;
pub mod report;
pub mod runtime;
pub mod seal;
mod secrets;
pub mod stack;
pub mod store;

pub use crate::{
    clock::{Clock, SystemClock},
    connection::{Address, Connection, DatabaseConnection, Endpoint},
    context::{Context, ContextBuilder, Interceptor, Progress},
    control_plane::{ControlPlane, CreateProject},
    destroyer::{Backend, Destroyer},
    error::{Detail, Error, Kind, Result},
    event::{Event, EventPage, Fact},
    health::{Health, ServiceHealth, ServiceState},
    inventory::Holding,
    lifecycle::{Status, Trigger},
    names::{
        InstallationId, OrganizationId, ProjectName, SecretName, ServiceName, StackName, Subject, TargetName,
    },
    operation::{Operation, OperationError, OperationId, OperationKind, OperationState, Step},
    page::{Page, PageRequest},
    plan::{Action, Plan, PlannedChange, Wish},
    project::{Annotations, Project, ProjectFilter},
    project_ref::ProjectRef,
    provisioner::{Capability, Description, LogLine, LogRequest, LogStream, Outcome, Provisioner, Scope},
    redact::Redactor,
    report::{Report, ReportBuilder},
    runtime::{FirstRunFile, HashKey, Limits, PortBlock, Runtime},
    seal::{Keyring, Sealer},
    stack::StackSpec,
    store::Store,
};
/// A string that does not print itself.
pub use secrecy::{ExposeSecret, SecretString};
