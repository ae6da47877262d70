//! Organizations, as far as they say how their projects are made; and what a build of Studio can be told of that.

use freehold_core::{
    Error, Result,
    accounts::{Action, Resource},
};
use serde::Deserialize;
use utoipa::IntoParams;
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use crate::{
    call::Call,
    error::json,
    route::Route,
    rule::{At, Rule},
    studio::{check_defaults, custom_content},
    wire::{self, ErrorBody},
};

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/freehold/v1/organizations/{slug}", Rule::Member, |call| {
        Box::pin(show(call))
    }),
    Route::new(
        Method::PUT,
        "/api/freehold/v1/organizations/{slug}/defaults",
        Rule::May(Action::Update, Resource::Organization, At::Organization),
        |call| Box::pin(set_defaults(call)),
    ),
    Route::new(Method::GET, "/api/freehold/v1/studio/custom-content", Rule::Known, |call| {
        Box::pin(show_content(call))
    }),
];

/// Show an organization, with what its projects are made with where nothing is said.
#[utoipa::path(
    get, path = "/api/freehold/v1/organizations/{slug}", tag = "organizations", operation_id = "show_organization",
    params(("slug" = String, Path, description = "The organization")),
    responses((status = 200, body = wire::Organization), (status = 404, body = ErrorBody)),
)]
async fn show(call: Call) -> Result<Response> {
    let slug = call.parameter("slug").parse()?;
    let found = call.accounts()?.organization(&slug).await?;
    let found = found.ok_or_else(|| Error::not_found("organization", &slug))?;
    Ok(json(StatusCode::OK, &wire::Organization::from(found)))
}

/// Set what an organization's projects are made with where nothing is said, as by an unforked Studio's wizard.
#[utoipa::path(
    put, path = "/api/freehold/v1/organizations/{slug}/defaults", tag = "organizations", operation_id = "set_defaults",
    params(("slug" = String, Path, description = "The organization")),
    request_body = wire::ProjectDefaults,
    responses(
        (status = 200, body = wire::Organization),
        (status = 400, body = ErrorBody, description = "There is no such target, stack or service"),
        (status = 404, body = ErrorBody),
    ),
)]
async fn set_defaults(call: Call) -> Result<Response> {
    let slug = call.parameter("slug").parse()?;
    let defaults = call.json::<wire::ProjectDefaults>()?.into();
    check_defaults(&defaults, &call.control().targets())?;
    let set = call.accounts()?.set_defaults(&slug, &defaults).await?;
    Ok(json(StatusCode::OK, &wire::Organization::from(set)))
}

#[derive(Default, Deserialize, IntoParams)]
#[serde(default)]
#[into_params(parameter_in = Query)]
struct Content {
    /// With the keys that only a patched Studio reads.
    patched: bool,
}

/// Show what a build of Studio can be told of targets and services: keys for its `custom-content.json`.
#[utoipa::path(
    get, path = "/api/freehold/v1/studio/custom-content", tag = "organizations", operation_id = "show_custom_content",
    params(Content),
    responses((status = 200, body = serde_json::Value)),
)]
async fn show_content(call: Call) -> Result<Response> {
    let patched = call.query::<Content>()?.patched;
    let content = custom_content::content(&call.control().targets(), call.wizard_defaults(), patched);
    Ok(json(StatusCode::OK, &content))
}
