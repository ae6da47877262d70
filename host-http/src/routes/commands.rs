//! Commands that set work in motion on a project's target.

use freehold_core::{
    ProjectRef, Result,
    accounts::{Action, Resource},
    control_plane::{Command, Restart, Resume},
};
use warp::{
    http::{HeaderValue, Method, StatusCode},
    reply::Response,
};

use crate::{
    call::Call,
    error::json,
    route::Route,
    rule::{At, Rule},
    wire::{self, ErrorBody},
};

pub(crate) const ROUTES: &[Route] = &[
    Route::new(
        Method::POST,
        "/api/freehold/v1/projects/{ref}/retry",
        Rule::May(Action::Operate, Resource::Resume, At::Project),
        |call| Box::pin(retry(call)),
    ),
    Route::new(
        Method::POST,
        "/api/freehold/v1/projects/{ref}/pause",
        Rule::May(Action::Operate, Resource::Pause, At::Project),
        |call| Box::pin(pause(call)),
    ),
    Route::new(
        Method::POST,
        "/api/freehold/v1/projects/{ref}/resume",
        Rule::May(Action::Operate, Resource::Resume, At::Project),
        |call| Box::pin(resume(call)),
    ),
    Route::new(
        Method::POST,
        "/api/freehold/v1/projects/{ref}/restart",
        Rule::May(Action::Operate, Resource::Restart, At::Project),
        |call| Box::pin(restart(call)),
    ),
    Route::new(
        Method::POST,
        "/api/freehold/v1/projects/{ref}/reconfigure",
        Rule::May(Action::Update, Resource::Project, At::Project),
        |call| Box::pin(reconfigure(call)),
    ),
    Route::new(
        Method::POST,
        "/api/freehold/v1/projects/{ref}/repair",
        Rule::May(Action::Operate, Resource::Restart, At::Project),
        |call| Box::pin(repair(call)),
    ),
    Route::new(
        Method::DELETE,
        "/api/freehold/v1/projects/{ref}",
        Rule::May(Action::Delete, Resource::Project, At::Project),
        |call| Box::pin(destroy(call)),
    ),
];

/// Carries out a command and answers with what it came to.
///
/// # Errors
/// Whatever the control plane says.
pub(crate) async fn accept(call: &Call, command: Command) -> Result<(ProjectRef, Response)> {
    let accepted = call.control().execute(command, call.header("idempotency-key")).await?;
    let (project, replayed) = (accepted.project.reference, accepted.replayed);
    let mut response = json(StatusCode::ACCEPTED, &wire::Accepted::from(accepted));
    if replayed {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    Ok((project, response))
}

/// Bring a project up again after a failed first try.
#[utoipa::path(
    post, path = "/api/freehold/v1/projects/{ref}/retry", tag = "commands", operation_id = "retry_project",
    params(("ref" = String, Path, description = "The project")),
    responses(
        (status = 202, body = wire::Accepted),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "Not in this status, or another operation is in flight"),
    ),
)]
async fn retry(call: Call) -> Result<Response> {
    Ok(accept(&call, Command::Retry(call.project()?)).await?.1)
}

/// Stop a project and keep its data.
#[utoipa::path(
    post, path = "/api/freehold/v1/projects/{ref}/pause", tag = "commands", operation_id = "pause_project",
    params(("ref" = String, Path, description = "The project")),
    responses(
        (status = 202, body = wire::Accepted),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "Not in this status, or another operation is in flight"),
    ),
)]
async fn pause(call: Call) -> Result<Response> {
    Ok(accept(&call, Command::Pause(call.project()?)).await?.1)
}

/// Start a project again.
#[utoipa::path(
    post, path = "/api/freehold/v1/projects/{ref}/resume", tag = "commands", operation_id = "resume_project",
    params(("ref" = String, Path, description = "The project")),
    request_body(content = Option<wire::ResumeProject>, description = "May be left out"),
    responses(
        (status = 202, body = wire::Accepted),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "Not in this status, or another operation is in flight"),
    ),
)]
async fn resume(call: Call) -> Result<Response> {
    let wire::ResumeProject { accept_data_loss } = call.json_or_default()?;
    Ok(accept(&call, Command::Resume(call.project()?, Resume { accept_data_loss })).await?.1)
}

/// Restart all or some services of a project.
#[utoipa::path(
    post, path = "/api/freehold/v1/projects/{ref}/restart", tag = "commands", operation_id = "restart_project",
    params(("ref" = String, Path, description = "The project")),
    request_body(content = Option<wire::RestartProject>, description = "Nothing restarts all services"),
    responses(
        (status = 202, body = wire::Accepted),
        (status = 400, body = ErrorBody, description = "The stack has no such service: the message lists those it has"),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "Not in this status, or another operation is in flight"),
    ),
)]
async fn restart(call: Call) -> Result<Response> {
    let wire::RestartProject { services, accept_data_loss } = call.json_or_default()?;
    let restart = Restart { services, accept_data_loss };
    Ok(accept(&call, Command::Restart(call.project()?, restart)).await?.1)
}

/// Bring other settings of a project into force.
#[utoipa::path(
    post, path = "/api/freehold/v1/projects/{ref}/reconfigure", tag = "commands", operation_id = "reconfigure_project",
    params(("ref" = String, Path, description = "The project")),
    request_body = wire::ReconfigureProject,
    responses(
        (status = 202, body = wire::Accepted),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "Not in this status, or another operation is in flight"),
    ),
)]
async fn reconfigure(call: Call) -> Result<Response> {
    let settings = call.json::<wire::ReconfigureProject>()?.into();
    Ok(accept(&call, Command::Reconfigure(call.project()?, Box::new(settings))).await?.1)
}

/// Bring a project's settings into force once more, as they are.
///
/// A database that does not take the passwords that the store has is given them, by a way that needs none.
#[utoipa::path(
    post, path = "/api/freehold/v1/projects/{ref}/repair", tag = "commands", operation_id = "repair_project",
    params(("ref" = String, Path, description = "The project")),
    responses(
        (status = 202, body = wire::Accepted),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "Not in this status, or another operation is in flight"),
    ),
)]
async fn repair(call: Call) -> Result<Response> {
    Ok(accept(&call, Command::Reconfigure(call.project()?, Box::default())).await?.1)
}

/// Destroy a project with its data.
///
/// It takes the place of whatever waits and ends whatever runs. A project that is going down or gone is answered with
/// the operation that exists.
#[utoipa::path(
    delete, path = "/api/freehold/v1/projects/{ref}", tag = "commands", operation_id = "destroy_project",
    params(("ref" = String, Path, description = "The project")),
    responses(
        (status = 202, body = wire::Accepted),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "The project is protected"),
    ),
)]
async fn destroy(call: Call) -> Result<Response> {
    Ok(accept(&call, Command::Destroy(call.project()?)).await?.1)
}
