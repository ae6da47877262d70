//! Comparing engines with the store.

use std::time::Duration;

use freehold_core::{Result, control_plane::Removal};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use crate::{call::Call, error::json, route::Route, rule::Rule, wire};

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/freehold/v1/doctor", Rule::Superuser, |call| Box::pin(examine(call))),
    Route::new(Method::POST, "/api/freehold/v1/doctor", Rule::Superuser, |call| Box::pin(remove(call))),
];

/// Compare what is on every target's engine with what the store knows.
#[utoipa::path(
    get, path = "/api/freehold/v1/doctor", tag = "operators", operation_id = "examine",
    responses((status = 200, body = wire::Diagnosis)),
)]
async fn examine(call: Call) -> Result<Response> {
    answer(&call, Removal::Never).await
}

/// Remove what this installation made and has no owner: what the store does not know, or knows as removed.
#[utoipa::path(
    post, path = "/api/freehold/v1/doctor", tag = "operators", operation_id = "remove_ownerless",
    request_body(content = Option<wire::RemoveOwnerless>, description = "Nothing removes what is older than the host's grace period"),
    responses((status = 200, body = wire::Diagnosis, description = "What was found, and what came of removing it")),
)]
async fn remove(call: Call) -> Result<Response> {
    let request = call.json_or_default::<wire::RemoveOwnerless>()?;
    let removal = match request.older_than_seconds {
        Some(seconds) => Removal::OlderThan(Duration::from_secs(seconds)),
        None => Removal::AfterGrace,
    };
    answer(&call, removal).await
}

async fn answer(call: &Call, removal: Removal) -> Result<Response> {
    let diagnosis = call.control().doctor(removal).await;
    for (target, found) in &diagnosis.targets {
        if let Err(error) = found {
            tracing::warn!(%target, error = %error.chain(), "cannot examine a target");
        }
    }
    Ok(json(StatusCode::OK, &wire::Diagnosis::from(&diagnosis)))
}
