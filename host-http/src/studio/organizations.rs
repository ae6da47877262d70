//! Organizations, their members and roles.

use std::collections::BTreeMap;

use freehold_core::{
    Error, Kind, OrganizationId, ProjectRef, Result,
    accounts::{Action, Organization, Place, Resource, Role, Scope, check_name},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json as object};
use uuid::Uuid;
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::roles;
use crate::{
    audit,
    call::Call,
    error::json,
    route::Route,
    rule::{At, Rule},
};

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/platform/organizations", Rule::Known, |call| Box::pin(list(call))),
    Route::new(Method::POST, "/api/platform/organizations", Rule::Superuser, |call| Box::pin(create(call))),
    Route::new(Method::GET, "/api/platform/organizations/{slug}", Rule::Member, |call| Box::pin(show(call))),
    Route::new(
        Method::PATCH,
        "/api/platform/organizations/{slug}",
        Rule::May(Action::Update, Resource::Organization, At::Organization),
        |call| Box::pin(amend(call)),
    ),
    Route::new(
        Method::DELETE,
        "/api/platform/organizations/{slug}",
        Rule::May(Action::Delete, Resource::Organization, At::Organization),
        |call| Box::pin(delete(call)),
    ),
    Route::new(
        Method::GET,
        "/api/platform/organizations/{slug}/roles",
        Rule::May(Action::Read, Resource::Members, At::Organization),
        |call| Box::pin(list_roles(call)),
    ),
];

/// One organization as Studio lists it. There is no billing: every organization is on the plan that hides the least.
#[derive(Debug, Serialize)]
struct Shown {
    id: i64,
    slug: OrganizationId,
    name: String,
    plan: Plan,
    billing_email: Option<String>,
    billing_partner: Option<String>,
    has_oriole_project: bool,
    is_owner: bool,
    opt_in_tags: [String; 0],
    organization_missing_address: bool,
    organization_missing_tax_id: bool,
    organization_requires_mfa: bool,
    restriction_data: Option<Value>,
    restriction_status: Option<String>,
    stripe_customer_id: Option<String>,
    subscription_id: Option<String>,
    usage_billing_enabled: bool,
}

#[derive(Debug, Serialize)]
struct Plan {
    id: &'static str,
    name: &'static str,
}

fn shown(call: &Call, organization: Organization) -> Shown {
    let caller = call.caller();
    let place = Place::organization(&organization.id);
    let owner = caller.decide(Action::Update, Resource::Organization, place);
    Shown {
        is_owner: owner == freehold_core::accounts::Decision::Allowed,
        id: organization.number,
        slug: organization.id,
        name: organization.name,
        plan: Plan { id: "enterprise", name: "Enterprise" },
        billing_email: None,
        billing_partner: None,
        has_oriole_project: false,
        opt_in_tags: [],
        organization_missing_address: false,
        organization_missing_tax_id: false,
        organization_requires_mfa: false,
        restriction_data: None,
        restriction_status: None,
        stripe_customer_id: None,
        subscription_id: None,
        usage_billing_enabled: false,
    }
}

/// The organizations that the caller sees.
pub(crate) async fn of_caller(call: &Call) -> Result<Vec<Organization>> {
    match (&call.caller().person, call.caller().superuser) {
        (_, true) => call.accounts()?.organizations(None).await,
        (Some(person), false) => call.accounts()?.organizations(Some(person.id)).await,
        (None, false) => Ok(Vec::new()),
    }
}

/// The organization that the path names.
///
/// # Errors
/// `NotFound` in Studio's words: the superuser may ask for any.
pub(crate) async fn named(call: &Call) -> Result<Organization> {
    let found = call.accounts()?.organization(&call.parameter("slug").parse()?).await?;
    found.ok_or_else(|| Error::new(Kind::NotFound, "Organization not found"))
}

async fn list(call: Call) -> Result<Response> {
    let found = of_caller(&call).await?;
    Ok(json(StatusCode::OK, &found.into_iter().map(|one| shown(&call, one)).collect::<Vec<_>>()))
}

async fn show(call: Call) -> Result<Response> {
    let found = named(&call).await?;
    Ok(json(StatusCode::OK, &shown(&call, found)))
}

#[derive(Deserialize)]
struct Create {
    name: String,
}

async fn create(call: Call) -> Result<Response> {
    let made = made(&call).await?;
    let id = made.id.clone();
    Ok(audit::made_in(json(StatusCode::CREATED, &shown(&call, made)), id))
}

/// Makes the organization that the body names, as the management API does too. Its owner is the caller; its slug is made
/// of its name.
///
/// # Errors
/// `InvalidInput` naming the field.
pub(crate) async fn made(call: &Call) -> Result<Organization> {
    let name = call.json::<Create>()?.name.trim().to_owned();
    check_name("name", &name)?;
    let (accounts, owner) = (call.accounts()?, call.caller().person.as_ref().map(|person| person.id));
    let slug = slug(&name);
    match accounts.create_organization(&slug.parse()?, &name, owner).await {
        Err(error) if error.kind() == Kind::AlreadyExists => {
            // The end of such a UUID is random (RFC 9562 section 5.7).
            let number = Uuid::now_v7().simple().to_string();
            let other = format!("{slug}-{}", number.get(24..).unwrap_or_default());
            accounts.create_organization(&other.parse()?, &name, owner).await
        }
        made => made,
    }
}

/// A name as part of a URL: small letters, digits and single hyphens, 40 at most.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let slug = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    let slug = slug.get(..40).unwrap_or(&slug).trim_end_matches('-');
    if slug.is_empty() { "organization".to_owned() } else { slug.to_owned() }
}

#[derive(Deserialize)]
struct Amend {
    name: Option<String>,
}

/// Renames an organization; what there is no billing for is left as it is.
async fn amend(call: Call) -> Result<Response> {
    let organization = named(&call).await?;
    let organization = match call.json::<Amend>()?.name {
        Some(name) => call.accounts()?.rename_organization(&organization.id, &name).await?,
        None => organization,
    };
    Ok(json(StatusCode::OK, &shown(&call, organization)))
}

/// Removes an organization that has no project any more.
async fn delete(call: Call) -> Result<Response> {
    let organization = named(&call).await?;
    // In this order: what is closed gets no project any more, so that none is left without an organization. Whoever is cut
    // off between the two has an organization that can only be deleted, and does it again.
    call.control().close_organization(&organization.id).await?;
    call.accounts()?.delete_organization(&organization.id).await?;
    Ok(json(StatusCode::OK, &shown(&call, organization)))
}

async fn list_roles(call: Call) -> Result<Response> {
    let organization = named(&call).await?;
    let role = |id: i64, role: Role, projects: Vec<Value>| {
        object!({
            "id": id,
            "base_role_id": roles::id(role),
            "name": roles::title(role),
            "description": null,
            "projects": projects,
        })
    };
    let everywhere: Vec<_> = Role::ALL.into_iter().map(|one| role(roles::id(one), one, Vec::new())).collect();
    let mut scoped = Vec::new();
    let mut names = BTreeMap::new();
    for member in call.accounts()?.members(&organization.id).await? {
        for grant in &member.grants {
            let Scope::Projects(projects) = &grant.scope else { continue };
            let mut shown = Vec::new();
            for reference in projects {
                if let Some(name) = name_of(&call, *reference, &mut names).await? {
                    shown.push(object!({ "ref": reference, "name": name }));
                }
            }
            scoped.push(role(roles::grant_id(member.person.id, grant), grant.role, shown));
        }
    }
    let shown = object!({ "org_scoped_roles": everywhere, "project_scoped_roles": scoped });
    Ok(json(StatusCode::OK, &shown))
}

/// What a project is called, if it is there; each is looked up once.
async fn name_of(
    call: &Call,
    reference: ProjectRef,
    names: &mut BTreeMap<ProjectRef, Option<String>>,
) -> Result<Option<String>> {
    if let Some(name) = names.get(&reference) {
        return Ok(name.clone());
    }
    let name = match call.control().project(&reference).await {
        Ok(project) => Some(project.name.as_str().to_owned()),
        Err(error) if error.kind() == Kind::NotFound => None,
        Err(error) => return Err(error),
    };
    names.insert(reference, name.clone());
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn a_slug_is_made_of_what_a_name_has() {
        assert_eq!(slug("Acme & Söhne  GmbH"), "acme-s-hne-gmbh");
        assert_eq!(slug("✓"), "organization");
        assert!(slug(&"ab ".repeat(60)).len() <= 40);
    }
}
