//! Looking at a project where it runs: health, plan, logs.

use freehold_core::{
    LogRequest, Result,
    accounts::{Action, Resource},
};
use serde::Deserialize;
use utoipa::IntoParams;
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use crate::{
    call::{Call, List},
    error::json,
    route::Route,
    rule::{At, Rule},
    stream,
    wire::{self, ErrorBody},
};

pub(crate) const ROUTES: &[Route] = &[
    Route::new(
        Method::GET,
        "/api/freehold/v1/projects/{ref}/health",
        Rule::May(Action::Read, Resource::Project, At::Project),
        |call| Box::pin(health(call)),
    ),
    Route::new(
        Method::GET,
        "/api/freehold/v1/projects/{ref}/plan",
        Rule::May(Action::Read, Resource::Project, At::Project),
        |call| Box::pin(plan(call)),
    ),
    Route::new(
        Method::GET,
        "/api/freehold/v1/projects/{ref}/logs",
        Rule::May(Action::ReadAnalytics, Resource::Logs, At::Project),
        |call| Box::pin(logs(call)),
    ),
];

/// Look at a project's health now.
#[utoipa::path(
    get, path = "/api/freehold/v1/projects/{ref}/health", tag = "observation", operation_id = "show_health",
    params(("ref" = String, Path, description = "The project")),
    responses(
        (status = 200, body = wire::ProjectHealth),
        (status = 404, body = ErrorBody),
        (status = 503, body = ErrorBody, description = "Its engine does not answer, or this host does not serve its target"),
    ),
)]
async fn health(call: Call) -> Result<Response> {
    let health = call.control().health(&call.project()?).await?;
    Ok(json(StatusCode::OK, &wire::ProjectHealth::from(health)))
}

/// Show what would have to be done for a project to be as it is meant to be.
#[utoipa::path(
    get, path = "/api/freehold/v1/projects/{ref}/plan", tag = "observation", operation_id = "show_plan",
    params(("ref" = String, Path, description = "The project")),
    responses(
        (status = 200, body = wire::ProjectPlan),
        (status = 404, body = ErrorBody),
        (status = 503, body = ErrorBody, description = "Its engine does not answer, or this host does not serve its target"),
    ),
)]
async fn plan(call: Call) -> Result<Response> {
    let plan = call.control().plan(&call.project()?).await?;
    Ok(json(StatusCode::OK, &wire::ProjectPlan::from(plan)))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct LogsQuery {
    /// Only of these services, separated by commas.
    #[param(value_type = Option<String>)]
    services: List,
    /// At most so many lines of each service from the past.
    tail: Option<u32>,
    /// Go on with new lines as server-sent events named `line`.
    follow: bool,
}

/// Read what a project's services print.
///
/// One JSON object a line; with `follow=true` server-sent events instead. What goes wrong on the way comes as the last
/// line or event (`error`), with the body of an error.
#[utoipa::path(
    get, path = "/api/freehold/v1/projects/{ref}/logs", tag = "observation", operation_id = "read_logs",
    params(("ref" = String, Path, description = "The project"), LogsQuery),
    responses(
        (status = 200, content(
            (wire::LogLine = "application/x-ndjson"),
            (wire::LogLine = "text/event-stream"),
        )),
        (status = 400, body = ErrorBody, description = "The stack has no such service: the message lists those it has"),
        (status = 404, body = ErrorBody),
    ),
)]
async fn logs(call: Call) -> Result<Response> {
    let query = call.query::<LogsQuery>()?;
    let request = LogRequest { services: query.services.parse()?, tail: query.tail, follow: query.follow };
    let mut lines = call.control().logs(&call.project()?, &request).await?;
    let send = move |_: Call, sender: stream::Sender| async move {
        while let Some(line) = lines.recv().await {
            sender.send("line", None, &wire::LogLine::from(line?)).await?;
        }
        Ok(())
    };
    Ok(if query.follow { stream::events(call, send) } else { stream::lines(call, send) })
}
