//! Who may use a route: the rule that every route has, and its check.

use freehold_core::{
    Error, Kind, OrganizationId, Project, Result,
    accounts::{Action, Caller, Decision, Grant, Membership, Place, Resource, Role},
};
use serde_json::Value;

use crate::call::Call;

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    /// Anybody, without a credential.
    Anyone,
    /// Whoever has a valid credential: the answer holds only what they may see.
    Known,
    /// The superuser alone.
    Superuser,
    /// Whoever may know of the organization that the path names: its members, also those of one project alone.
    Member,
    /// Whoever has a valid credential and the token of an invitation, which the path names: the handler looks at that.
    Invited,
    /// Whoever may do this to that, there.
    May(Action, Resource, At),
}

/// Where a route does what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// To the project that the path names (`{ref}`).
    Project,
    /// To the project of the operation that the path names (`{id}`).
    Operation,
    /// In the organization that the path names (`{slug}`).
    Organization,
    /// In the organization that the body names, in the first of these fields that it has.
    OrganizationIn(&'static [&'static str]),
}

impl Rule {
    /// Whether it asks for a credential.
    pub(crate) fn needs_credential(self) -> bool {
        self != Self::Anyone
    }

    /// Whom it lets in, as the documents say it: `anyone`, `known`, `superuser`, `members`, `invited`, or roles by their names.
    pub(crate) fn audience(self) -> Value {
        match self {
            Self::Anyone => "anyone".into(),
            Self::Known => "known".into(),
            Self::Superuser => "superuser".into(),
            Self::Member => "members".into(),
            Self::Invited => "invited".into(),
            Self::May(action, resource, _) => Role::ALL
                .into_iter()
                .filter(|role| allows(*role, action, resource))
                .map(Role::as_str)
                .collect(),
        }
    }

    /// Whether a failed check means that what the path names is not there.
    pub(crate) fn finds_nothing(self, failure: &Error) -> bool {
        let by_path = matches!(self, Self::Member | Self::May(_, _, At::Project | At::Organization));
        failure.kind() == Kind::NotFound || (failure.kind() == Kind::InvalidInput && by_path)
    }

    /// What Studio and its kin expect to read where there is nothing, or nothing that the caller may know of.
    pub(crate) fn absence(self) -> &'static str {
        match self {
            Self::May(_, _, At::Project | At::Operation) => "Project not found",
            Self::Member | Self::May(_, _, At::Organization | At::OrganizationIn(_)) => {
                "Organization not found"
            }
            Self::Anyone | Self::Known | Self::Superuser | Self::Invited => "Not found",
        }
    }

    /// Checks the caller against it. What is found on the way is kept for the handler.
    ///
    /// # Errors
    /// `NotFound` for what they may not know of; `Err(Forbidden)` for what they may not do.
    pub(crate) async fn check(self, call: &mut Call) -> Result<Result<(), Forbidden>> {
        match self {
            Self::Anyone | Self::Known | Self::Invited => Ok(Ok(())),
            Self::Superuser => Ok(if call.caller().superuser { Ok(()) } else { Err(Forbidden) }),
            Self::Member => {
                let organization: OrganizationId = call.parameter("slug").parse()?;
                let sees = if call.caller().superuser {
                    call.accounts()?.organization(&organization).await?.is_some()
                } else {
                    call.caller().sees(Place::organization(&organization))
                };
                sees.then_some(Ok(())).ok_or_else(|| Error::not_found("organization", organization))
            }
            Self::May(action, resource, At::Project) => {
                let reference = call.project()?;
                let project = call.control().project(&reference).await?;
                let verdict = on_project(call.caller(), action, resource, &project);
                call.keep(project);
                verdict
            }
            Self::May(action, resource, At::Operation) => {
                let id = call.operation()?;
                let operation = call.control().operation(id).await?;
                let project = call.control().project(&operation.project).await?;
                let hidden = |_| Error::not_found("operation", id);
                let verdict = on_project(call.caller(), action, resource, &project).map_err(hidden);
                call.keep(project);
                verdict
            }
            Self::May(action, resource, At::Organization) => {
                let organization = call.parameter("slug").parse()?;
                in_organization(call.caller(), action, resource, &organization)
            }
            Self::May(action, resource, At::OrganizationIn(fields)) => {
                let body: Value = call.json()?;
                let named = fields.iter().find_map(|field| body.get(field)?.as_str());
                let named =
                    named.ok_or_else(|| Error::invalid(&fields.join(" or "), "is missing, or no text"))?;
                let organization = OrganizationId::new(named)?;
                let verdict = in_organization(call.caller(), action, resource, &organization);
                call.keep_organization(organization);
                verdict
            }
        }
    }
}

/// Whether whoever has a role in the whole of an organization may do this there.
fn allows(role: Role, action: Action, resource: Resource) -> bool {
    let Ok(organization) = OrganizationId::new("any") else { return false };
    let grants = vec![Grant::everywhere(role)];
    let caller = Caller::of_memberships(vec![Membership { organization: organization.clone(), grants }]);
    caller.decide(action, resource, Place::organization(&organization)) == Decision::Allowed
}

/// They may see it, but not do that to it.
#[derive(Debug)]
pub(crate) struct Forbidden;

fn on_project(
    caller: &Caller,
    action: Action,
    resource: Resource,
    project: &Project,
) -> Result<Result<(), Forbidden>> {
    let place = Place::project(&project.organization, &project.reference);
    match caller.decide(action, resource, place) {
        Decision::Allowed => Ok(Ok(())),
        Decision::Refused => Ok(Err(Forbidden)),
        Decision::Hidden => Err(Error::not_found("project", project.reference)),
    }
}

fn in_organization(
    caller: &Caller,
    action: Action,
    resource: Resource,
    organization: &OrganizationId,
) -> Result<Result<(), Forbidden>> {
    match caller.decide(action, resource, Place::organization(organization)) {
        Decision::Allowed => Ok(Ok(())),
        Decision::Refused => Ok(Err(Forbidden)),
        Decision::Hidden => Err(Error::not_found("organization", organization)),
    }
}
