//! An organization on the wire.

use freehold_core::{ServiceName, StackName, TargetName, accounts};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Those who own projects together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Organization {
    /// Its identity.
    pub slug: String,
    /// What people call it.
    pub name: String,
    /// What its projects are made with where nothing is said.
    pub defaults: ProjectDefaults,
}

/// What a project is made with by a wizard that says nothing of it. What is absent is the host's to say.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectDefaults {
    /// The target.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<TargetName>,
    /// The stack.
    #[schema(value_type = Option<String>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack: Option<StackName>,
    /// Services that are not to run; an empty list excludes nothing.
    #[schema(value_type = Option<Vec<String>>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub excluded_services: Option<Vec<ServiceName>>,
}

impl From<accounts::Organization> for Organization {
    fn from(organization: accounts::Organization) -> Self {
        let accounts::ProjectDefaults { target, stack, excluded } = organization.defaults;
        Self {
            slug: organization.id.as_str().to_owned(),
            name: organization.name,
            defaults: ProjectDefaults { target, stack, excluded_services: excluded },
        }
    }
}

impl From<ProjectDefaults> for accounts::ProjectDefaults {
    fn from(defaults: ProjectDefaults) -> Self {
        Self { target: defaults.target, stack: defaults.stack, excluded: defaults.excluded_services }
    }
}
