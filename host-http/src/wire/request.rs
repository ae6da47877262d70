//! What callers ask for, and the answer to a command.

use std::collections::{BTreeMap, BTreeSet};

use freehold_core::{
    OrganizationId, ProjectName, Result, SecretName, SecretString, StackName, TargetName,
    control_plane::{self, Reconfigure},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Limits, Operation, Project, Secret};
use crate::annotations;

/// A project to be made.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateProject {
    /// Whose it is: 1 to 128 printable ASCII characters without spaces.
    #[schema(value_type = String, example = "default")]
    pub organization: OrganizationId,
    /// What people call it: 1 to 64 characters, unique in the organization whatever the case.
    #[schema(value_type = String, example = "demo")]
    pub name: ProjectName,
    /// The target that is to run it; may be left out where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub target: Option<TargetName>,
    /// The stack that it is a copy of; may be left out where the target offers only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub stack: Option<StackName>,
    /// Secrets that the caller chooses; the others are made.
    #[serde(default)]
    #[schema(value_type = BTreeMap<String, Secret>)]
    pub secrets: BTreeMap<SecretName, Secret>,
    /// Values for the stack's variables. They are kept sealed.
    #[serde(default)]
    pub variables: BTreeMap<String, Secret>,
    /// The caller's own facts.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
    /// Services that are not to run. Absent is the stack's defaults, an empty list excludes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub excluded_services: Option<Vec<String>>,
    /// Bounds on what it may use.
    #[serde(default)]
    pub limits: Limits,
    /// Files applied once, before the project is first ready, in the order of their names.
    #[serde(default)]
    pub first_run: Vec<FirstRunFile>,
}

/// A file that is applied once.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FirstRunFile {
    /// A file name without folders.
    #[schema(example = "10-schema.sql")]
    pub name: String,
    /// What it holds.
    pub content: Secret,
}

/// What changes about a project without work on its target: all that is named together, or nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AmendProject {
    /// Its new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub name: Option<ProjectName>,
    /// Whether destroy is refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protected: Option<bool>,
    /// The caller's own facts, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// How a project is started again.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ResumeProject {
    /// Data that is gone and may be made anew, empty: the names in the error of the operation that refused.
    pub accept_data_loss: Vec<String>,
}

/// Which services are restarted.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RestartProject {
    /// The services; empty is all.
    pub services: Vec<String>,
    /// Data that is gone and may be made anew, empty: the names in the error of the operation that refused.
    pub accept_data_loss: Vec<String>,
}

/// New settings, brought into force by a new generation. What is absent stays as it is.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReconfigureProject {
    /// Values for the stack's variables, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variables: Option<BTreeMap<String, Secret>>,
    /// Secrets that get another value. Tokens signed by one of them are made anew.
    #[schema(value_type = BTreeMap<String, Secret>)]
    pub secrets: BTreeMap<SecretName, Secret>,
    /// Secrets that get a new value of the host's making. Tokens signed by one of them are made anew.
    #[schema(value_type = BTreeSet<String>)]
    pub rotate: BTreeSet<SecretName>,
    /// Services that are not to run, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excluded_services: Option<Vec<String>>,
    /// Bounds on what it may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
}

/// A command that was accepted: it is durable, and the work goes on behind it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Accepted {
    /// The project as the command left it.
    pub project: Project,
    /// The operation that does the work; absent where there is none to do.
    pub operation: Option<Operation>,
}

impl TryFrom<CreateProject> for control_plane::CreateProject {
    type Error = freehold_core::Error;

    fn try_from(request: CreateProject) -> Result<Self> {
        let first_run = request
            .first_run
            .into_iter()
            .map(|file| freehold_core::FirstRunFile::new(file.name, file.content.into_inner()));
        Ok(Self {
            organization: request.organization,
            name: request.name,
            target: request.target,
            stack: request.stack,
            secrets: opened(request.secrets),
            variables: opened(request.variables),
            annotations: annotations::sent(request.annotations)?,
            excluded: request.excluded_services,
            limits: request.limits.into(),
            first_run: first_run.collect::<Result<_>>()?,
        })
    }
}

impl From<ReconfigureProject> for Reconfigure {
    fn from(request: ReconfigureProject) -> Self {
        Self {
            secrets: opened(request.secrets),
            rotate: request.rotate,
            variables: request.variables.map(opened),
            amended: BTreeMap::new(),
            excluded: request.excluded_services,
            limits: request.limits.map(freehold_core::Limits::from),
            annotations: None,
            expected: None,
        }
    }
}

impl From<control_plane::Accepted> for Accepted {
    fn from(accepted: control_plane::Accepted) -> Self {
        Self { project: accepted.project.into(), operation: accepted.operation.map(Operation::from) }
    }
}

fn opened<K: Ord>(secrets: BTreeMap<K, Secret>) -> BTreeMap<K, SecretString> {
    secrets.into_iter().map(|(name, secret)| (name, secret.into_inner())).collect()
}
