//! Freehold runs many isolated project stacks on machines you own. This crate is its heart: the model, the lifecycle,
//! the three traits that backends and stores implement, and the control plane that drives them. It knows tokio and
//! nothing of Docker, HTTP or SQL.

pub mod clock;
pub mod connection;
pub mod context;
pub mod control_plane;
pub mod destroyer;
pub mod error;
pub mod event;
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
    names::{OrganizationId, ProjectName, SecretName, ServiceName, StackName, TargetName},
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
