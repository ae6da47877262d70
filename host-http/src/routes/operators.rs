//! What operators and their tools ask: is it alive, is it ready, how is it doing, what can it do.

use freehold_core::{Error, Result};
use warp::{
    Reply,
    http::{HeaderValue, Method, StatusCode, header},
    reply::Response,
};

use crate::{
    call::Call,
    error::json,
    metrics, openapi,
    route::Route,
    rule::Rule,
    wire::{self, ErrorBody},
};

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/healthz", Rule::Anyone, |call| Box::pin(alive(call))),
    Route::new(Method::GET, "/readyz", Rule::Anyone, |call| Box::pin(ready(call))),
    Route::new(Method::GET, "/metrics", Rule::Superuser, |call| Box::pin(figures(call))),
    Route::new(Method::GET, "/openapi.json", Rule::Known, |call| Box::pin(document(call))),
    Route::new(Method::GET, "/openapi/studio.json", Rule::Known, |call| Box::pin(studio_document(call))),
    Route::new(Method::GET, "/openapi/management.json", Rule::Known, |call| {
        Box::pin(management_document(call))
    }),
];

/// Tell whether the host is alive.
#[utoipa::path(
    get, path = "/healthz", tag = "operators", operation_id = "alive", security(()),
    responses((status = 200, body = String, content_type = "text/plain")),
)]
async fn alive(_: Call) -> Result<Response> {
    Ok("ok\n".into_response())
}

/// Tell whether the host can do its work: the store, each target and the key are there, and so are accounts.
#[utoipa::path(
    get, path = "/readyz", tag = "operators", operation_id = "ready", security(()),
    responses((status = 200, body = wire::Readiness), (status = 503, body = wire::Readiness)),
)]
async fn ready(call: Call) -> Result<Response> {
    let readiness = call.control().readiness().await;
    let own = [("store", &readiness.store), ("key", &readiness.key)];
    let targets = readiness.targets.iter().map(|(name, result)| (name.as_str(), result));
    for (check, result) in own.into_iter().chain(targets) {
        if let Err(error) = result {
            tracing::warn!(check, error = %error.chain(), "not ready");
        }
    }
    let mut shown = wire::Readiness::from(&readiness);
    if let Some(accounts) = call.api().auth().accounts() {
        let trouble = accounts.trouble().map(|kind| kind.as_str().to_owned());
        shown.ready &= trouble.is_none();
        let check = wire::ReadinessCheck { ready: trouble.is_none(), code: trouble, reason: None };
        shown.checks.insert("accounts".to_owned(), check);
    }
    let status = if shown.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(json(status, &shown))
}

/// Read figures for monitoring, as Prometheus reads them.
#[utoipa::path(
    get, path = "/metrics", tag = "operators", operation_id = "metrics",
    responses((status = 200, body = String, content_type = "text/plain"), (status = 503, body = ErrorBody)),
)]
async fn figures(call: Call) -> Result<Response> {
    let figures = metrics::text(&call.control().metrics().await?) + &call.api().unknown().text();
    let mut response = figures.into_response();
    let version = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, version);
    Ok(response)
}

/// Read the document that describes this API.
#[utoipa::path(
    get, path = "/openapi.json", tag = "operators", operation_id = "openapi",
    responses((status = 200, body = Object)),
)]
async fn document(_: Call) -> Result<Response> {
    written(openapi::json())
}

/// Read the document that describes what Studio calls.
#[utoipa::path(
    get, path = "/openapi/studio.json", tag = "operators", operation_id = "openapi_studio",
    responses((status = 200, body = Object)),
)]
async fn studio_document(_: Call) -> Result<Response> {
    written(openapi::studio_json())
}

/// Read the document that describes the Management API.
#[utoipa::path(
    get, path = "/openapi/management.json", tag = "operators", operation_id = "openapi_management",
    responses((status = 200, body = Object)),
)]
async fn management_document(_: Call) -> Result<Response> {
    written(openapi::management_json())
}

fn written(document: Result<String, serde_json::Error>) -> Result<Response> {
    let text = document.map_err(|error| Error::internal("write the document").because(error))?;
    let mut response = text.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    Ok(response)
}
