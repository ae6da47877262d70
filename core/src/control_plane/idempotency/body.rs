//! What makes two requests the same: a command as canonical JSON, its secrets in clear, only ever fed into an HMAC.
//!
//! The hash outlives the program that made it, so the form stands: keys in a fixed order, and what was not said left
//! out, so that a part that a later version adds changes no request that does not use it.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::{
    control_plane::command::{Amendment, Command, CreateProject, Protection, Reconfigure, Restart, Resume},
    error::{Error, Result},
    names::{OrganizationId, ProjectName, SecretName, StackName, TargetName},
    operation::OperationId,
    project::Annotations,
    project_ref::ProjectRef,
    runtime::Limits,
};

/// The command's canonical form.
pub(super) fn canonical(command: &Command) -> Result<Zeroizing<Vec<u8>>> {
    let json = serde_json::to_vec(&Body::of(command));
    json.map(Zeroizing::new).map_err(|error| Error::internal("write a request down").because(error))
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Body<'a> {
    Create(Create<'a>),
    Retry(&'a ProjectRef),
    Pause(&'a ProjectRef),
    Resume {
        project: &'a ProjectRef,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        accept_data_loss: &'a [String],
    },
    Restart {
        project: &'a ProjectRef,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        services: &'a [String],
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        accept_data_loss: &'a [String],
    },
    Reconfigure(Settings<'a>),
    Destroy(&'a ProjectRef),
    Amend {
        project: &'a ProjectRef,
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<&'a ProjectName>,
        #[serde(skip_serializing_if = "Option::is_none")]
        protected: Option<bool>,
        #[serde(skip_serializing_if = "Option::is_none")]
        annotations: Option<&'a Annotations>,
        #[serde(skip_serializing_if = "Option::is_none")]
        expected: Option<u64>,
    },
    Cancel(&'a OperationId),
}

#[derive(Serialize)]
struct Create<'a> {
    organization: &'a OrganizationId,
    name: &'a ProjectName,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a TargetName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stack: Option<&'a StackName>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    secrets: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    variables: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a Annotations>,
    #[serde(skip_serializing_if = "Option::is_none")]
    excluded: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Bounds>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    first_run: Vec<(&'a str, &'a str)>,
}

#[derive(Serialize)]
struct Settings<'a> {
    project: &'a ProjectRef,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    secrets: BTreeMap<&'a str, &'a str>,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    rotate: &'a BTreeSet<SecretName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variables: Option<BTreeMap<&'a str, &'a str>>,
    /// Null is the stack's own value again.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    amended: BTreeMap<&'a str, Option<&'a str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    excluded: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limits: Option<Bounds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annotations: Option<&'a Annotations>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<u64>,
}

#[derive(Serialize)]
struct Bounds {
    #[serde(skip_serializing_if = "Option::is_none")]
    memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpus: Option<f64>,
}

// All fields are named here, so that one that is added cannot be forgotten.
impl<'a> Body<'a> {
    fn of(command: &'a Command) -> Self {
        match command {
            Command::Create(create) => Self::Create(Create::of(create)),
            Command::Retry(project) => Self::Retry(project),
            Command::Pause(project) => Self::Pause(project),
            Command::Resume(project, Resume { accept_data_loss }) => {
                Self::Resume { project, accept_data_loss }
            }
            Command::Restart(project, Restart { services, accept_data_loss }) => {
                Self::Restart { project, services, accept_data_loss }
            }
            Command::Reconfigure(project, settings) => Self::Reconfigure(Settings::of(project, settings)),
            Command::Destroy(project) => Self::Destroy(project),
            Command::Amend(project, amendment) => {
                let Amendment { name, protection, annotations, expected } = &**amendment;
                Self::Amend {
                    project,
                    name: name.as_ref(),
                    protected: protection.map(|protection| protection == Protection::On),
                    annotations: annotations.as_ref(),
                    expected: *expected,
                }
            }
            Command::Cancel(operation) => Self::Cancel(operation),
        }
    }
}

impl<'a> Create<'a> {
    fn of(create: &'a CreateProject) -> Self {
        let CreateProject {
            organization,
            name,
            target,
            stack,
            secrets,
            variables,
            annotations,
            excluded,
            limits,
            first_run,
        } = create;
        Self {
            organization,
            name,
            target: target.as_ref(),
            stack: stack.as_ref(),
            secrets: exposed(secrets, SecretName::as_str),
            variables: exposed(variables, String::as_str),
            annotations: (*annotations != Annotations::default()).then_some(annotations),
            excluded: excluded.as_deref(),
            limits: (*limits != Limits::default()).then(|| Bounds::of(*limits)),
            first_run: first_run.iter().map(|file| (&*file.name, file.content.expose_secret())).collect(),
        }
    }
}

impl<'a> Settings<'a> {
    fn of(project: &'a ProjectRef, settings: &'a Reconfigure) -> Self {
        let Reconfigure { secrets, rotate, variables, amended, excluded, limits, annotations, expected } =
            settings;
        let own = |value: &'a Option<SecretString>| value.as_ref().map(|value| value.expose_secret());
        Self {
            project,
            secrets: exposed(secrets, SecretName::as_str),
            rotate,
            variables: variables.as_ref().map(|variables| exposed(variables, String::as_str)),
            amended: amended.iter().map(|(name, value)| (&**name, own(value))).collect(),
            excluded: excluded.as_deref(),
            limits: limits.map(Bounds::of),
            annotations: annotations.as_ref(),
            expected: *expected,
        }
    }
}

impl Bounds {
    fn of(Limits { memory_bytes, cpus }: Limits) -> Self {
        Self { memory_bytes, cpus }
    }
}

fn exposed<N>(secrets: &BTreeMap<N, SecretString>, name: fn(&N) -> &str) -> BTreeMap<&str, &str> {
    secrets.iter().map(|(key, value)| (name(key), value.expose_secret())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::FirstRunFile;

    fn written(command: &Command) -> String {
        String::from_utf8(canonical(command).unwrap().to_vec()).unwrap()
    }

    fn create() -> CreateProject {
        CreateProject::new("acme".parse().unwrap(), "demo".parse().unwrap())
    }

    /// Hashes of this form are kept in stores. If this test fails, requests under one key across an upgrade conflict.
    #[test]
    fn the_form_of_a_request_stands() {
        let project: ProjectRef = "abcdefghijklmnopqrst".parse().unwrap();
        assert_eq!(
            written(&Command::Create(Box::new(create()))),
            r#"{"create":{"organization":"acme","name":"demo"}}"#
        );
        let mut full = create()
            .on("here".parse().unwrap())
            .stack("web".parse().unwrap())
            .secret("password".parse().unwrap(), "s\"1")
            .variable("B", "2")
            .variable("A", "1");
        full.annotations =
            Annotations::try_from(BTreeMap::from([("region".to_owned(), "eu".to_owned())])).unwrap();
        full.excluded = Some(vec![]);
        full.limits = Limits { memory_bytes: Some(1024), cpus: Some(0.5) };
        full.first_run = vec![FirstRunFile::new("1.sql", "select 1").unwrap()];
        assert_eq!(
            written(&Command::Create(Box::new(full))),
            concat!(
                r#"{"create":{"organization":"acme","name":"demo","target":"here","stack":"web","#,
                r#""secrets":{"password":"s\"1"},"variables":{"A":"1","B":"2"},"annotations":{"region":"eu"},"#,
                r#""excluded":[],"limits":{"memory_bytes":1024,"cpus":0.5},"first_run":[["1.sql","select 1"]]}}"#
            )
        );
        let settings = Reconfigure {
            rotate: BTreeSet::from(["key".parse().unwrap()]),
            amended: BTreeMap::from([("A".to_owned(), None), ("B".to_owned(), Some("2".into()))]),
            ..Reconfigure::default()
        };
        assert_eq!(
            written(&Command::Reconfigure(project, Box::new(settings))),
            concat!(
                r#"{"reconfigure":{"project":"abcdefghijklmnopqrst","rotate":["key"],"#,
                r#""amended":{"A":null,"B":"2"}}}"#
            )
        );
        assert_eq!(
            written(&Command::Restart(project, Restart::default())),
            r#"{"restart":{"project":"abcdefghijklmnopqrst"}}"#
        );
        let amendment = Amendment { protection: Some(Protection::On), ..Amendment::default() };
        assert_eq!(
            written(&Command::Amend(project, Box::new(amendment))),
            r#"{"amend":{"project":"abcdefghijklmnopqrst","protected":true}}"#
        );
    }

    #[test]
    fn what_is_said_apart_is_written_apart() {
        let one = create().variable("A", "1").variable("B", "2");
        let other = create().variable("A", "1\",\"B\":\"2");
        assert_ne!(written(&Command::Create(Box::new(one))), written(&Command::Create(Box::new(other))));
    }
}
