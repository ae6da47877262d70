//! The members of an organization: who they are, and which roles they have.

use std::collections::BTreeSet;

use freehold_core::{
    Error, Kind, ProjectRef, Result,
    accounts::{Action, Decision, Grant, Member, Organization, Place, Resource, Role, Scope},
};
use serde::Deserialize;
use serde_json::{Value, json as object};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::{empty, organizations::named, roles};
use crate::{
    call::{Call, TRIES},
    error::{self, json},
    route::Route,
    rule::{At, Rule},
};

/// Whose roles somebody may change, each of them decides by its own row of the table.
const CHANGE: Rule = Rule::May(Action::Create, Resource::Roles, At::Organization);

pub(crate) const ROUTES: &[Route] = &[
    Route::new(
        Method::GET,
        "/api/platform/organizations/{slug}/members",
        Rule::May(Action::Read, Resource::Members, At::Organization),
        |call| Box::pin(list(call)),
    ),
    Route::new(Method::PATCH, "/api/platform/organizations/{slug}/members/{gotrue_id}", CHANGE, |call| {
        Box::pin(assign(call))
    }),
    Route::new(
        Method::DELETE,
        "/api/platform/organizations/{slug}/members/{gotrue_id}",
        Rule::May(Action::Delete, Resource::Members, At::Organization),
        |call| Box::pin(remove(call)),
    ),
    Route::new(
        Method::PUT,
        "/api/platform/organizations/{slug}/members/{gotrue_id}/roles/{role_id}",
        CHANGE,
        |call| Box::pin(rescope(call)),
    ),
    Route::new(
        Method::DELETE,
        "/api/platform/organizations/{slug}/members/{gotrue_id}/roles/{role_id}",
        CHANGE,
        |call| Box::pin(unassign(call)),
    ),
];

fn shown(member: &Member) -> Value {
    let person = &member.person;
    let ids: Vec<_> = member.grants.iter().map(|grant| roles::grant_id(person.id, grant)).collect();
    object!({
        "gotrue_id": person.subject,
        "primary_email": person.email,
        "username": person.names.username,
        "role_ids": ids,
        "mfa_enabled": false,
        "is_sso_user": false,
        "metadata": {},
    })
}

async fn list(call: Call) -> Result<Response> {
    let organization = named(&call).await?;
    let members = call.accounts()?.members(&organization.id).await?;
    Ok(json(StatusCode::OK, &members.iter().map(shown).collect::<Vec<_>>()))
}

/// The member that the path names.
async fn member(call: &Call, organization: &Organization) -> Result<Member> {
    let subject = call.parameter("gotrue_id");
    let members = call.accounts()?.members(&organization.id).await?;
    let found = members.into_iter().find(|member| member.person.subject.as_str() == subject);
    found.ok_or_else(|| Error::new(Kind::NotFound, "Member not found"))
}

/// Whether the caller may do that to members of a role.
pub(super) fn may(call: &Call, organization: &Organization, action: Action, role: Role) -> bool {
    let place = Place::organization(&organization.id);
    call.caller().decide(action, role.members(), place) == Decision::Allowed
}

/// The reply to who may not.
pub(super) fn refused(call: &Call, role: Role) -> Response {
    let message = format!("your role does not allow this for the role {}", roles::title(role));
    error::refusal(StatusCode::FORBIDDEN, "forbidden", &message, call.request_id())
}

/// The first role whose change the caller may not make.
fn forbidden(call: &Call, organization: &Organization, before: &[Grant], after: &[Grant]) -> Option<Role> {
    let lost = before.iter().filter(|grant| !after.contains(grant)).map(|grant| (Action::Delete, grant.role));
    let gained =
        after.iter().filter(|grant| !before.contains(grant)).map(|grant| (Action::Create, grant.role));
    let mut changes = lost.chain(gained);
    changes.find(|(action, role)| !may(call, organization, *action, *role)).map(|(_, role)| role)
}

/// The roles of which the caller may do that to members.
pub(super) fn roles_within_reach(call: &Call, organization: &Organization, action: Action) -> Vec<Role> {
    Role::ALL.into_iter().filter(|role| may(call, organization, action, *role)).collect()
}

/// Changes what the member that the path names holds, if the caller may change all that changes. What is decided on is
/// what is replaced: if somebody else changed it meanwhile, it is looked at and decided again. A role is the first whose
/// change the caller may not make.
async fn change(
    call: &Call,
    organization: &Organization,
    after: impl Fn(&Member) -> Result<Vec<Grant>>,
) -> Result<Result<Member, Role>> {
    let mut tries = 1;
    loop {
        let member = member(call, organization).await?;
        let mut after = after(&member)?;
        after.sort_by_key(|grant| grant.role);
        if let Some(role) = forbidden(call, organization, &member.grants, &after) {
            return Ok(Err(role));
        }
        if after == member.grants {
            return Ok(Ok(member));
        }
        let (accounts, person) = (call.accounts()?, member.person.id);
        match accounts.put_grants(&organization.id, person, &member.grants, &after).await {
            Err(error) if error.is_lost_race() && tries < TRIES => tries += 1,
            put => return put.map(|()| Ok(Member { grants: after, ..member })),
        }
    }
}

/// The reply to whoever changed a member, or may not change members of a role.
fn answer(call: &Call, changed: Result<Member, Role>, done: impl FnOnce(&Member) -> Response) -> Response {
    match changed {
        Ok(member) => done(&member),
        Err(role) => refused(call, role),
    }
}

#[derive(Deserialize)]
pub(super) struct Assign {
    role_id: i64,
    role_scoped_projects: Option<Vec<ProjectRef>>,
}

impl Assign {
    /// What is to be held.
    ///
    /// # Errors
    /// `InvalidInput` naming the field.
    pub(super) async fn grant(self, call: &Call, organization: &Organization) -> Result<Grant> {
        let role = Role::ALL.into_iter().find(|role| roles::id(*role) == self.role_id);
        let role = role.ok_or_else(|| Error::invalid("role_id", "is the number of no role"))?;
        let scope = match self.role_scoped_projects {
            Some(projects) if !projects.is_empty() => scope(call, organization, projects).await?,
            _ => Scope::Everywhere,
        };
        Ok(Grant { role, scope })
    }
}

/// Projects of the organization as a scope.
async fn scope(call: &Call, organization: &Organization, projects: Vec<ProjectRef>) -> Result<Scope> {
    for reference in &projects {
        let found = call.control().project(reference).await;
        if !found.is_ok_and(|project| project.organization == organization.id) {
            let problem = format_args!("{reference} is no project of {}", organization.id);
            return Err(Error::invalid("role_scoped_projects", problem));
        }
    }
    Ok(Scope::Projects(projects.into_iter().collect::<BTreeSet<_>>()))
}

/// Gives a member a role. One for the whole organization takes the place of the one that they have there.
async fn assign(call: Call) -> Result<Response> {
    let organization = named(&call).await?;
    member(&call, &organization).await?;
    let grant = call.json::<Assign>()?.grant(&call, &organization).await?;
    let everywhere = grant.scope == Scope::Everywhere;
    let changed = change(&call, &organization, |member| {
        let mut after = member.grants.clone();
        after.retain(|held| held.role != grant.role && !(everywhere && held.scope == Scope::Everywhere));
        after.push(grant.clone());
        Ok(after)
    });
    Ok(answer(&call, changed.await?, |member| json(StatusCode::OK, &shown(member))))
}

/// What a member holds by the number in the path.
fn by_number<'a>(call: &Call, member: &'a Member) -> Option<&'a Grant> {
    let number: i64 = call.parameter("role_id").parse().ok()?;
    member.grants.iter().find(|grant| roles::grant_id(member.person.id, grant) == number)
}

#[derive(Deserialize)]
struct Rescope {
    role_scoped_projects: Vec<ProjectRef>,
}

/// Changes for which projects a member has a role.
async fn rescope(call: Call) -> Result<Response> {
    let organization = named(&call).await?;
    let absent = || Error::new(Kind::NotFound, "Role not found");
    by_number(&call, &member(&call, &organization).await?).ok_or_else(absent)?;
    let scope = scope(&call, &organization, call.json::<Rescope>()?.role_scoped_projects).await?;
    let changed = change(&call, &organization, |member| {
        let held = by_number(&call, member).ok_or_else(absent)?;
        let mut after = member.grants.clone();
        after.retain(|grant| grant != held);
        after.push(Grant { role: held.role, scope: scope.clone() });
        Ok(after)
    });
    Ok(answer(&call, changed.await?, |member| json(StatusCode::OK, &shown(member))))
}

/// Takes a role from a member; with their last one they leave. Studio takes away what giving another role has taken
/// already: that is done, too.
async fn unassign(call: Call) -> Result<Response> {
    let organization = named(&call).await?;
    let changed = change(&call, &organization, |member| {
        let taken = by_number(&call, member);
        Ok(member.grants.iter().filter(|grant| Some(*grant) != taken).cloned().collect())
    });
    Ok(answer(&call, changed.await?, |_| empty(StatusCode::NO_CONTENT)))
}

async fn remove(call: Call) -> Result<Response> {
    let organization = named(&call).await?;
    let changed = change(&call, &organization, |_| Ok(Vec::new()));
    Ok(answer(&call, changed.await?, |_| empty(StatusCode::NO_CONTENT)))
}
