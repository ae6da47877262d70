//! Targets, and what is on their engines.

use freehold_core::{Result, TargetName};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use crate::{
    call::Call,
    error::json,
    route::Route,
    rule::Rule,
    wire::{self, ErrorBody},
};

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/freehold/v1/targets", Rule::Known, |call| Box::pin(list(call))),
    Route::new(Method::GET, "/api/freehold/v1/targets/{target}/inventory", Rule::Superuser, |call| {
        Box::pin(inventory(call))
    }),
];

/// List the targets that this host serves, with their stacks.
#[utoipa::path(
    get, path = "/api/freehold/v1/targets", tag = "targets", operation_id = "list_targets",
    responses((status = 200, body = wire::TargetList)),
)]
async fn list(call: Call) -> Result<Response> {
    Ok(json(StatusCode::OK, &wire::TargetList::from(call.control().targets())))
}

/// List what is on a target's engine, whether or not the store knows of it.
#[utoipa::path(
    get, path = "/api/freehold/v1/targets/{target}/inventory", tag = "targets", operation_id = "show_inventory",
    params(("target" = String, Path, description = "The target")),
    responses(
        (status = 200, body = wire::Inventory),
        (status = 404, body = ErrorBody),
        (status = 503, body = ErrorBody, description = "Its engine does not answer"),
    ),
)]
async fn inventory(call: Call) -> Result<Response> {
    let holdings = call.control().inventory(&TargetName::new(call.parameter("target"))?).await?;
    Ok(json(StatusCode::OK, &wire::Inventory::from(holdings)))
}
