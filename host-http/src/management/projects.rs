//! Organizations and projects, and what moves a project.

use freehold_core::{
    Result,
    accounts::{Action, Resource},
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
    studio::{
        create, lifecycle, organizations, projects,
        view::{self, View},
    },
};

const SEEN: Rule = Rule::May(Action::Read, Resource::Project, At::Project);

pub(crate) const ROUTES: &[[Route; 2]] = &[
    v1!(GET "/projects", Rule::Known, |call| Box::pin(list(call))),
    v1!(POST "/projects",
        Rule::May(Action::Create, Resource::Projects, At::OrganizationIn(&["organization_slug", "organization_id"])),
        |call| Box::pin(create(call))),
    v1!(GET "/projects/{ref}", SEEN, |call| Box::pin(show(call))),
    v1!(PATCH "/projects/{ref}", Rule::May(Action::Update, Resource::Project, At::Project), |call| {
        Box::pin(projects::rename(call))
    }),
    v1!(DELETE "/projects/{ref}", Rule::May(Action::Delete, Resource::Project, At::Project), |call| {
        Box::pin(delete(call))
    }),
    v1!(POST "/projects/{ref}/pause", Rule::May(Action::Operate, Resource::Pause, At::Project), |call| {
        Box::pin(pause(call))
    }),
    v1!(POST "/projects/{ref}/restore", Rule::May(Action::Operate, Resource::Resume, At::Project), |call| {
        Box::pin(restore(call))
    }),
    v1!(GET "/projects/{ref}/restore", SEEN, |call| Box::pin(versions(call))),
    v1!(GET "/projects/{ref}/branches", SEEN, |call| Box::pin(branches(call))),
    v1!(GET "/projects/{ref}/upgrade/status", SEEN, |call| Box::pin(upgrade_status(call))),
    v1!(GET "/projects/{ref}/upgrade/eligibility", SEEN, |call| Box::pin(upgrade_eligibility(call))),
];

fn shown(view: &View) -> Value {
    let version = view.database().map(|database| database.version.as_str()).unwrap_or_default();
    let engine = version.split('.').next().unwrap_or_default();
    object!({
        "id": view.project.reference,
        "ref": view.project.reference,
        "name": view.project.name,
        "organization_id": view.organization.id,
        "organization_slug": view.organization.id,
        "region": view.region(),
        "status": view.status(),
        "created_at": view.created_at(),
        "database": {
            "host": view.database_host(),
            "version": version,
            "postgres_engine": engine,
            "release_channel": "ga",
        },
    })
}

async fn list(call: Call) -> Result<Response> {
    let views = view::all(&call, &organizations::of_caller(&call).await?).await?;
    Ok(json(StatusCode::OK, &views.iter().map(shown).collect::<Vec<_>>()))
}

async fn create(call: Call) -> Result<Response> {
    let view = create::made(&call).await?;
    Ok(audit::made_project(json(StatusCode::CREATED, &shown(&view)), view.project.reference))
}

async fn show(call: Call) -> Result<Response> {
    Ok(json(StatusCode::OK, &shown(&View::named(&call).await?)))
}

async fn delete(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let project = call.control().destroy(&view.project.reference).await?.project;
    let shown = object!({ "id": project.id, "ref": project.reference, "name": project.name });
    Ok(json(StatusCode::OK, &shown))
}

async fn pause(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    call.control().pause(&view.project.reference).await?;
    Ok(json(StatusCode::OK, &object!({})))
}

async fn restore(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    lifecycle::start(&call, &view).await?;
    Ok(json(StatusCode::OK, &object!({})))
}

/// A project resumes with the stack that it has: there is nothing to choose from.
async fn versions(call: Call) -> Result<Response> {
    View::named(&call).await?;
    Ok(json(StatusCode::OK, &object!({ "available_versions": [] })))
}

/// Freehold has no branches.
async fn branches(call: Call) -> Result<Response> {
    View::named(&call).await?;
    Ok(json(StatusCode::OK, &object!([])))
}

/// Nothing is being upgraded: a project stays on the stack that it was made from.
async fn upgrade_status(call: Call) -> Result<Response> {
    View::named(&call).await?;
    Ok(json(StatusCode::OK, &object!({ "databaseUpgradeStatus": null })))
}

/// For the same reason none can be.
async fn upgrade_eligibility(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let version = view.database().map(|database| database.version.as_str()).unwrap_or_default();
    let shown = object!({
        "eligible": false,
        "current_app_version": version,
        "current_app_version_release_channel": "ga",
        "latest_app_version": version,
        "target_upgrade_versions": [],
        "duration_estimate_hours": 0,
        "legacy_auth_custom_roles": [],
        "objects_to_be_dropped": [],
        "unsupported_extensions": [],
        "user_defined_objects_in_internal_schemas": [],
        "validation_errors": [],
        "warnings": [],
    });
    Ok(json(StatusCode::OK, &shown))
}
