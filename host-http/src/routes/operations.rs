//! Operations: what was commanded and what came of it.

use std::time::Duration;

use freehold_core::{
    Error, Kind, OperationState, PageRequest, Result,
    accounts::{Action, Place, Resource},
    control_plane::Command,
    store::OperationFilter,
};
use serde::Deserialize;
use utoipa::IntoParams;
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::commands;
use crate::{
    call::{Call, List},
    error::json,
    route::Route,
    rule::{At, Rule},
    stream,
    wire::{self, ErrorBody},
};

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/freehold/v1/operations", Rule::Known, |call| Box::pin(list(call))),
    Route::new(
        Method::GET,
        "/api/freehold/v1/operations/{id}",
        Rule::May(Action::Read, Resource::Project, At::Operation),
        |call| Box::pin(show(call)),
    ),
    Route::new(
        Method::GET,
        "/api/freehold/v1/operations/{id}/wait",
        Rule::May(Action::Read, Resource::Project, At::Operation),
        |call| Box::pin(wait(call)),
    ),
    Route::new(
        Method::GET,
        "/api/freehold/v1/operations/{id}/progress",
        Rule::May(Action::Read, Resource::Project, At::Operation),
        |call| Box::pin(progress(call)),
    ),
    Route::new(
        Method::POST,
        "/api/freehold/v1/operations/{id}/cancel",
        Rule::May(Action::Update, Resource::Project, At::Operation),
        |call| Box::pin(cancel(call)),
    ),
];

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only of this project.
    #[serde(rename = "ref")]
    project: Option<String>,
    /// Only in these states, separated by commas.
    #[param(value_type = Option<String>)]
    states: List,
    /// The `next` of the page before.
    after: Option<String>,
    /// How many at most: 1 to 1000.
    limit: u32,
}

impl Default for ListQuery {
    fn default() -> Self {
        Self { project: None, states: List::default(), after: None, limit: PageRequest::default().limit }
    }
}

/// List operations, newest first, page by page.
#[utoipa::path(
    get, path = "/api/freehold/v1/operations", tag = "operations", operation_id = "list_operations",
    params(ListQuery),
    responses((status = 200, body = wire::OperationPage), (status = 400, body = ErrorBody)),
)]
async fn list(call: Call) -> Result<Response> {
    let query = call.query::<ListQuery>()?;
    let project = query.project.map(|text| text.parse()).transpose()?;
    match &project {
        _ if call.caller().superuser => {}
        None => return Err(Error::invalid("ref", "is missing: only the superuser may list all operations")),
        Some(reference) => {
            let project = call.control().project(reference).await?;
            if !call.caller().sees(Place::project(&project.organization, reference)) {
                return Err(Error::not_found("project", reference));
            }
        }
    }
    let filter = OperationFilter { project, states: query.states.parse::<OperationState>()? };
    let page = PageRequest { after: query.after, ..PageRequest::first(query.limit) };
    let page = call.control().operations(&filter, &page).await?;
    Ok(json(StatusCode::OK, &wire::OperationPage::from(page)))
}

/// Show an operation with its steps, its log and what was printed.
#[utoipa::path(
    get, path = "/api/freehold/v1/operations/{id}", tag = "operations", operation_id = "show_operation",
    params(("id" = String, Path, description = "The operation")),
    responses((status = 200, body = wire::Operation), (status = 404, body = ErrorBody)),
)]
async fn show(call: Call) -> Result<Response> {
    let operation = call.control().operation(call.operation()?).await?;
    Ok(json(StatusCode::OK, &wire::Operation::from(operation)))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WaitQuery {
    /// How long to wait, in seconds: at most 25.
    timeout: Option<u64>,
}

/// Wait until an operation has ended.
#[utoipa::path(
    get, path = "/api/freehold/v1/operations/{id}/wait", tag = "operations", operation_id = "wait_for_operation",
    params(("id" = String, Path, description = "The operation"), WaitQuery),
    responses(
        (status = 200, body = wire::Operation),
        (status = 404, body = ErrorBody),
        (status = 504, body = ErrorBody, description = "It has not ended yet"),
    ),
)]
async fn wait(call: Call) -> Result<Response> {
    let patience = call.patience(call.query::<WaitQuery>()?.timeout);
    let operation = call.control().wait_operation(call.operation()?, patience).await?;
    Ok(json(StatusCode::OK, &wire::Operation::from(operation)))
}

/// How often an operation's record is read for those who watch its steps: those are no events.
const LOOK: Duration = Duration::from_millis(200);

/// Watch an operation: a server-sent event `operation` with the whole record whenever it changes, until it has ended.
#[utoipa::path(
    get, path = "/api/freehold/v1/operations/{id}/progress", tag = "operations", operation_id = "watch_operation",
    params(("id" = String, Path, description = "The operation")),
    responses(
        (status = 200, body = wire::Operation, content_type = "text/event-stream"),
        (status = 404, body = ErrorBody),
    ),
)]
async fn progress(call: Call) -> Result<Response> {
    let id = call.operation()?;
    let mut seen = call.control().operation(id).await?;
    Ok(stream::events(call, move |call, sender| async move {
        sender.send("operation", None, &wire::Operation::from(seen.clone())).await?;
        while !seen.state.has_ended() {
            let now = match call.control().wait_operation(id, LOOK).await {
                Err(error) if error.kind() == Kind::Timeout => call.control().operation(id).await?,
                result => result?,
            };
            if now != seen {
                sender.send("operation", None, &wire::Operation::from(now.clone())).await?;
                seen = now;
            }
        }
        Ok(())
    }))
}

/// Ask for the end of an operation.
///
/// It ends in its own gave-up status once the call that carries it out has returned. One that has ended is answered as
/// it is.
#[utoipa::path(
    post, path = "/api/freehold/v1/operations/{id}/cancel", tag = "operations", operation_id = "cancel_operation",
    params(("id" = String, Path, description = "The operation")),
    responses((status = 202, body = wire::Accepted), (status = 404, body = ErrorBody)),
)]
async fn cancel(call: Call) -> Result<Response> {
    Ok(commands::accept(&call, Command::Cancel(call.operation()?)).await?.1)
}
