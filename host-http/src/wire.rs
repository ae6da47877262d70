//! What goes over the wire, as the OpenAPI document describes it. The server writes these types and the `freehold`
//! program reads them; core's own types stay behind them.

mod doctor;
mod error;
mod event;
mod observation;
mod operation;
mod organization;
mod project;
mod request;
mod secret;

pub use self::{
    doctor::{Diagnosis, Finding, RemoveOwnerless, TargetDiagnosis},
    error::ErrorBody,
    event::{Event, EventPage},
    observation::{
        Holding, Inventory, LogLine, PlannedChange, ProjectHealth, ProjectPlan, Readiness, ReadinessCheck,
        ServiceHealth, Stack, StackService, Target, TargetList,
    },
    operation::{LogEntry, Operation, OperationError, OperationPage, Report, Step},
    organization::{Organization, ProjectDefaults},
    project::{Address, Connection, Database, Endpoint, Limits, Ports, Project, ProjectPage, SecretValues},
    request::{
        Accepted, AmendProject, CreateProject, FirstRunFile, ReconfigureProject, RestartProject,
        ResumeProject,
    },
    secret::Secret,
};
