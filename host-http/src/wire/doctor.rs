//! What the doctor found, as callers see it.

use std::collections::BTreeMap;

use freehold_core::{
    Error, InstallationId, ProjectName, ProjectRef, Result, Status, TargetName,
    control_plane::{self, Trouble},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{
    ToSchema,
    openapi::{Object, ObjectBuilder, Type},
};

use super::project::status_schema;

/// Where engines and store do not say the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Diagnosis {
    /// The installation that was examined: the store and the hosts on it.
    #[schema(value_type = String)]
    pub installation: InstallationId,
    /// Whether nothing is left for anybody to do.
    pub well: bool,
    /// What was found on each target.
    pub targets: Vec<TargetDiagnosis>,
}

/// What was found on one target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TargetDiagnosis {
    /// The target.
    #[schema(value_type = String)]
    pub target: TargetName,
    /// Why it could not be looked at; absent if it could.
    pub error: Option<String>,
    /// The projects of which engine and store do not say the same.
    pub findings: Vec<Finding>,
}

/// One project of which engine and store do not say the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// The project.
    #[serde(rename = "ref")]
    #[schema(value_type = String, pattern = "^[a-z]{20}$")]
    pub project: ProjectRef,
    /// What is wrong: `missing` (a live project of which the engine has nothing), `unknown` (made by this installation,
    /// and its store does not know it), `removed` (the project was removed, and this is on the engine), `failed` (left
    /// of a project that could not be made or destroyed), `unlabelled` (nobody can tell whose it is), `foreign` (another
    /// installation's, nothing is wrong).
    #[schema(schema_with = trouble_schema)]
    pub trouble: String,
    /// Whether somebody has to do something about it still.
    pub needs_attention: bool,
    /// What people call it, if the store knows it.
    #[schema(value_type = Option<String>)]
    pub name: Option<ProjectName>,
    /// Where it stands, if the store knows it.
    #[schema(schema_with = status_schema)]
    pub status: Option<Status>,
    /// The installation that its resources were made for, if all of them say the same.
    #[schema(value_type = Option<String>)]
    pub installation: Option<InstallationId>,
    /// What there is of it: how many things of which kind.
    pub resources: BTreeMap<String, u32>,
    /// When the oldest of that was made.
    #[serde(with = "time::serde::rfc3339::option")]
    pub since: Option<OffsetDateTime>,
    /// Whether it was removed; absent where that was not tried.
    pub removed: Option<bool>,
    /// Why it could not be removed.
    pub error: Option<String>,
}

/// What the doctor removes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RemoveOwnerless {
    /// Only what is older than that; an hour unless the host was told otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub older_than_seconds: Option<u64>,
}

fn trouble_schema() -> Object {
    let words = Trouble::ALL.map(Trouble::as_str);
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

impl From<&control_plane::Diagnosis> for Diagnosis {
    fn from(diagnosis: &control_plane::Diagnosis) -> Self {
        let target = |(target, found): (&TargetName, &Result<Vec<control_plane::Finding>>)| TargetDiagnosis {
            target: target.clone(),
            error: found.as_ref().err().map(told),
            findings: found.iter().flatten().map(Finding::from).collect(),
        };
        Self {
            installation: diagnosis.installation.clone(),
            well: diagnosis.is_well(),
            targets: diagnosis.targets.iter().map(target).collect(),
        }
    }
}

impl From<&control_plane::Finding> for Finding {
    fn from(finding: &control_plane::Finding) -> Self {
        let removed = finding.removed.as_ref();
        Self {
            project: finding.project,
            trouble: finding.trouble.as_str().to_owned(),
            needs_attention: finding.needs_attention(),
            name: finding.name.clone(),
            status: finding.status,
            installation: finding.installation.clone(),
            resources: finding.resources.clone(),
            since: finding.since,
            removed: removed.map(Result::is_ok),
            error: removed.and_then(|removed| removed.as_ref().err()).map(told),
        }
    }
}

/// An error inside a reply. Its causes stay in the log.
fn told(error: &Error) -> String {
    format!("failed to {error}")
}
