//! Organizations: who has projects, and who is in them.

use freehold_core::{
    Result,
    accounts::{Action, Member, Organization, Resource},
};
use serde_json::{Value, json as object};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::v1;
use crate::{
    audit,
    call::Call,
    error::json,
    route::Route,
    rule::{At, Rule},
    studio::{organizations, projects, roles},
};

pub(crate) const ROUTES: &[[Route; 2]] = &[
    v1!(GET "/organizations", Rule::Known, |call| Box::pin(list(call))),
    v1!(POST "/organizations", Rule::Superuser, |call| Box::pin(create(call))),
    v1!(GET "/organizations/{slug}", Rule::Member, |call| Box::pin(show(call))),
    v1!(GET "/organizations/{slug}/projects", Rule::Member, |call| Box::pin(projects::of_organization(call))),
    v1!(GET "/organizations/{slug}/members",
        Rule::May(Action::Read, Resource::Members, At::Organization),
        |call| Box::pin(members(call))),
];

fn shown(organization: &Organization) -> Value {
    object!({ "id": organization.id, "slug": organization.id, "name": organization.name })
}

async fn list(call: Call) -> Result<Response> {
    let found = organizations::of_caller(&call).await?;
    Ok(json(StatusCode::OK, &found.iter().map(shown).collect::<Vec<_>>()))
}

async fn create(call: Call) -> Result<Response> {
    let made = organizations::made(&call).await?;
    Ok(audit::made_in(json(StatusCode::CREATED, &shown(&made)), made.id))
}

/// There is no billing: every organization is on the plan that hides the least.
async fn show(call: Call) -> Result<Response> {
    let organization = organizations::named(&call).await?;
    let mut shown = shown(&organization);
    shown["plan"] = object!("enterprise");
    shown["opt_in_tags"] = object!([]);
    shown["allowed_release_channels"] = object!(["ga"]);
    Ok(json(StatusCode::OK, &shown))
}

async fn members(call: Call) -> Result<Response> {
    let organization = organizations::named(&call).await?;
    let shown = |member: &Member| {
        let role = member.grants.first().map(|grant| grant.role);
        object!({
            "user_id": member.person.subject,
            "user_name": member.person.names.username,
            "email": member.person.email,
            "role_name": role.map(roles::title),
            "mfa_enabled": false,
        })
    };
    let members = call.accounts()?.members(&organization.id).await?;
    Ok(json(StatusCode::OK, &members.iter().map(shown).collect::<Vec<_>>()))
}
