//! One project: what the store keeps of it and what callers see.

use std::collections::BTreeMap;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{
    connection::Connection,
    error::{Error, Result},
    lifecycle::Status,
    names::{OrganizationId, ProjectName, ServiceName, StackName, TargetName},
    operation::OperationId,
    project_ref::ProjectRef,
    runtime::{Limits, PortBlock},
};

/// One running copy of a stack, with its own network, volumes, ports and credentials. It holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Project {
    /// Its public identity.
    #[serde(rename = "ref")]
    pub reference: ProjectRef,
    /// A number for callers that need one; unique in the store.
    pub id: i64,
    /// What people call it.
    pub name: ProjectName,
    /// Whose it is.
    pub organization: OrganizationId,
    /// The target that runs it.
    pub target: TargetName,
    /// The stack that it is a copy of.
    pub stack: StackName,
    /// The digest that the stack had when the project was created.
    pub digest: String,
    /// Where it stands.
    pub status: Status,
    /// The operation that put it there; `None` if the watcher did.
    pub status_operation: Option<OperationId>,
    /// When its health was last seen.
    #[serde(with = "time::serde::rfc3339::option")]
    pub observed_at: Option<OffsetDateTime>,
    /// Whether it was ever ready: from then on only destroy deletes its data, and its ports never move silently.
    pub was_active: bool,
    /// The caller's own facts.
    pub annotations: Annotations,
    /// Whether destroy is refused.
    pub protected: bool,
    /// Services that do not run.
    pub excluded: Vec<ServiceName>,
    /// Bounds on what it may use.
    pub limits: Limits,
    /// Counts reconfigurations: 1 at first.
    pub generation: u64,
    /// Its ports; `None` once it was destroyed.
    pub ports: Option<PortBlock>,
    /// Its network's addresses; `None` if the stack needs none or the project was destroyed.
    pub subnet: Option<Ipv4Net>,
    /// How it is reached; there from the first time that it was ready.
    pub connection: Option<Connection>,
    /// When it was created.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When its row last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub updated_at: OffsetDateTime,
    /// Grows with each change of the row, for compare-and-set.
    pub version: u64,
}

/// A bounded map of the caller's own facts: region, cloud provider, whatever they like. Not for secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "BTreeMap<String, String>", into = "BTreeMap<String, String>")]
pub struct Annotations(BTreeMap<String, String>);

impl Annotations {
    /// How many annotations a project may have.
    pub const MAX_ENTRIES: usize = 64;
    /// How many bytes a key may have.
    pub const MAX_KEY: usize = 128;
    /// How many bytes a value may have.
    pub const MAX_VALUE: usize = 4096;

    /// Checks the bounds.
    ///
    /// # Errors
    /// `InvalidInput` naming the annotation and the bound.
    pub fn new(entries: BTreeMap<String, String>) -> Result<Self> {
        if entries.len() > Self::MAX_ENTRIES {
            let problem = format!("{} entries, and {} are allowed", entries.len(), Self::MAX_ENTRIES);
            return Err(Error::invalid("annotations", problem));
        }
        for (key, value) in &entries {
            let legal_key = (1..=Self::MAX_KEY).contains(&key.len()) && !key.chars().any(char::is_control);
            if !legal_key {
                let problem = format!("the key {key:?} is not 1 to {} bytes of text", Self::MAX_KEY);
                return Err(Error::invalid("annotations", problem));
            }
            if value.len() > Self::MAX_VALUE || value.contains('\0') {
                let problem = format!("is not at most {} bytes of text without NUL", Self::MAX_VALUE);
                return Err(Error::invalid(&format!("annotations.{key}"), problem));
            }
        }
        Ok(Self(entries))
    }

    /// The value of a key.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// All entries, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

impl TryFrom<BTreeMap<String, String>> for Annotations {
    type Error = Error;

    fn try_from(entries: BTreeMap<String, String>) -> Result<Self> {
        Self::new(entries)
    }
}

impl From<Annotations> for BTreeMap<String, String> {
    fn from(annotations: Annotations) -> Self {
        annotations.0
    }
}

/// Which projects a caller wants to see. The default: all but those that are removed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectFilter {
    /// Only of this organization.
    pub organization: Option<OrganizationId>,
    /// Only on these targets; empty is all.
    pub targets: Vec<TargetName>,
    /// Only in these statuses; empty is all but `REMOVED`.
    pub statuses: Vec<Status>,
    /// Only of this name, whatever the case.
    pub name: Option<ProjectName>,
}

impl ProjectFilter {
    /// Whether a project is one of those wanted.
    #[must_use]
    pub fn matches(&self, project: &Project) -> bool {
        self.organization.as_ref().is_none_or(|organization| *organization == project.organization)
            && (self.targets.is_empty() || self.targets.contains(&project.target))
            && self.name.as_ref().is_none_or(|name| name.folded() == project.name.folded())
            && if self.statuses.is_empty() {
                project.status != Status::Removed
            } else {
                self.statuses.contains(&project.status)
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_are_bounded_and_say_which_one_breaks_the_bound() {
        let entries = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert!(Annotations::new(entries("region", "local")).is_ok());
        assert!(Annotations::new(entries("", "x")).is_err());
        let error = Annotations::new(entries("note", &"x".repeat(5000))).unwrap_err();
        assert!(error.to_string().starts_with("annotations.note"), "{error}");
        let many = (0..65).map(|n| (n.to_string(), String::new())).collect();
        assert!(Annotations::new(many).is_err());
    }
}
