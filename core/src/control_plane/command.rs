//! What callers ask of a control plane.

use std::collections::{BTreeMap, BTreeSet};

use secrecy::SecretString;

use crate::{
    names::{OrganizationId, ProjectName, SecretName, StackName, TargetName},
    operation::{Operation, OperationId},
    project::{Annotations, Project},
    project_ref::ProjectRef,
    runtime::{FirstRunFile, Limits},
};

/// Something asked of one project. Data first: [`ControlPlane::prepare`](super::ControlPlane::prepare) turns it into a
/// [`Change`](crate::store::Change), which a store commits.
#[derive(Clone, Debug)]
pub enum Command {
    /// Create a project.
    Create(Box<CreateProject>),
    /// Provision again after a failed first try.
    Retry(ProjectRef),
    /// Stop, keep the data.
    Pause(ProjectRef),
    /// Start again.
    Resume(ProjectRef, Resume),
    /// Restart services, and mend whatever is not as the stack has it.
    Restart(ProjectRef, Restart),
    /// Bring other settings into force.
    Reconfigure(ProjectRef, Box<Reconfigure>),
    /// Remove everything.
    Destroy(ProjectRef),
    /// Change what needs no work on its target.
    Amend(ProjectRef, Box<Amendment>),
    /// Ask for the end of an operation.
    Cancel(OperationId),
}

/// How a paused project is started again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resume {
    /// Data that is gone and may be made anew, empty. See [`Restart::accept_data_loss`].
    pub accept_data_loss: Vec<String>,
}

/// What is restarted, and at what price.
///
/// Data that is gone is never made anew silently: the operation fails with [`DataGone`](crate::Detail::DataGone), and goes
/// on only when each name in it is said here.
///
/// ```
/// use freehold_core::control_plane::Restart;
///
/// let all = Restart::default();
/// let proxy = Restart { services: vec!["proxy".to_owned()], ..Restart::default() };
/// let empty = Restart { accept_data_loss: vec!["abcdefghijklmnopqrst-db-data".to_owned()], ..all };
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restart {
    /// The services; empty is all.
    pub services: Vec<String>,
    /// Data that is gone and may be made anew, empty: the names that the backend gave when it refused.
    pub accept_data_loss: Vec<String>,
}

/// Whether destroy is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Destroy is refused until this is lifted.
    On,
    /// Destroy is allowed.
    Off,
}

/// A project to be created.
///
/// ```
/// use freehold_core::control_plane::CreateProject;
///
/// let demo = CreateProject::new("acme".parse()?, "demo".parse()?).secret("db_password".parse()?, "correct horse");
/// # Ok::<(), freehold_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CreateProject {
    /// Whose it is.
    pub organization: OrganizationId,
    /// What people call it: unique in the organization, whatever the case.
    pub name: ProjectName,
    /// The target that runs it; may be left out where only one offers the stack.
    pub target: Option<TargetName>,
    /// The stack; may be left out where the target has only one.
    pub stack: Option<StackName>,
    /// Secrets that the caller chooses; the rest is made.
    pub secrets: BTreeMap<SecretName, SecretString>,
    /// Settings of the stack's variables.
    pub variables: BTreeMap<String, SecretString>,
    /// The caller's own facts.
    pub annotations: Annotations,
    /// Services that do not run: `None` is the stack's defaults, an empty list excludes nothing.
    pub excluded: Option<Vec<String>>,
    /// Bounds on what it may use.
    pub limits: Limits,
    /// Files applied once before it is first ready.
    pub first_run: Vec<FirstRunFile>,
}

impl CreateProject {
    /// A project with everything left to the defaults.
    #[must_use]
    pub fn new(organization: OrganizationId, name: ProjectName) -> Self {
        Self {
            organization,
            name,
            target: None,
            stack: None,
            secrets: BTreeMap::new(),
            variables: BTreeMap::new(),
            annotations: Annotations::default(),
            excluded: None,
            limits: Limits::default(),
            first_run: Vec::new(),
        }
    }

    /// Chooses the target.
    #[must_use]
    pub fn on(mut self, target: TargetName) -> Self {
        self.target = Some(target);
        self
    }

    /// Chooses the stack.
    #[must_use]
    pub fn stack(mut self, stack: StackName) -> Self {
        self.stack = Some(stack);
        self
    }

    /// Chooses a secret.
    #[must_use]
    pub fn secret(mut self, name: SecretName, value: impl Into<SecretString>) -> Self {
        self.secrets.insert(name, value.into());
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn variable(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.variables.insert(name.into(), value.into());
        self
    }
}

/// Other settings for a project. `None` leaves a part as it is.
#[derive(Clone, Debug, Default)]
pub struct Reconfigure {
    /// Secrets that get another value. Tokens signed by one of them are made anew.
    pub secrets: BTreeMap<SecretName, SecretString>,
    /// Secrets that get a new value of their own making. Tokens signed by one of them are made anew.
    pub rotate: BTreeSet<SecretName>,
    /// All variables, replacing those that there were.
    pub variables: Option<BTreeMap<String, SecretString>>,
    /// Variables that get another value, or the stack's own again (`None`); the others stay as they are.
    pub amended: BTreeMap<String, Option<SecretString>>,
    /// Other exclusions.
    pub excluded: Option<Vec<String>>,
    /// Other limits.
    pub limits: Option<Limits>,
    /// The caller's own facts, replacing those that there were: they change with the settings or not at all.
    pub annotations: Option<Annotations>,
    /// The project's version that this was decided on; `None` is whichever it has. With another the command is
    /// [`LostRace`](crate::Detail::LostRace): look again, and decide again.
    pub expected: Option<u64>,
}

/// What changes about a project without work on its target. `None` leaves a part as it is; all parts change together or
/// none does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Amendment {
    /// Another name.
    pub name: Option<ProjectName>,
    /// Whether destroy is refused.
    pub protection: Option<Protection>,
    /// The caller's own facts, replacing those that there were.
    pub annotations: Option<Annotations>,
    /// The project's version that this was decided on; `None` is whichever it has. With another the command is
    /// [`LostRace`](crate::Detail::LostRace): look again, and decide again.
    pub expected: Option<u64>,
}

/// A command that is durable. The work happens behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Accepted {
    /// The project as it is now.
    pub project: Project,
    /// The operation that does the work; `None` where there is none to do.
    pub operation: Option<Operation>,
    /// Whether this is the answer to an earlier request with the same idempotency key.
    pub replayed: bool,
}
