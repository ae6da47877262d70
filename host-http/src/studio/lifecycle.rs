//! Pause, resume, restart, another database password.

use std::collections::BTreeMap;

use freehold_core::{
    Error, Kind, Result, StackSpec, Status,
    accounts::{Action, Resource},
    control_plane::Reconfigure,
};
use serde::Deserialize;
use serde_json::json as object;
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::{empty, moment, services, view::View};
use crate::{
    call::Call,
    error::json,
    route::Route,
    rule::{At, Rule},
    wire::Secret,
};

const SEEN: Rule = Rule::May(Action::Read, Resource::Project, At::Project);
const RESTART: Rule = Rule::May(Action::Operate, Resource::Restart, At::Project);

pub(crate) const ROUTES: &[Route] = &[
    Route::new(
        Method::POST,
        "/api/platform/projects/{ref}/pause",
        Rule::May(Action::Operate, Resource::Pause, At::Project),
        |call| Box::pin(pause(call)),
    ),
    Route::new(Method::GET, "/api/platform/projects/{ref}/pause/status", SEEN, |call| {
        Box::pin(pause_status(call))
    }),
    Route::new(
        Method::POST,
        "/api/platform/projects/{ref}/restore",
        Rule::May(Action::Operate, Resource::Resume, At::Project),
        |call| Box::pin(restore(call)),
    ),
    Route::new(Method::POST, "/api/platform/projects/{ref}/restart", RESTART, |call| Box::pin(restart(call))),
    Route::new(Method::POST, "/api/platform/projects/{ref}/restart-services", RESTART, |call| {
        Box::pin(restart_services(call))
    }),
    Route::new(
        Method::PATCH,
        "/api/platform/projects/{ref}/db-password",
        Rule::May(Action::Update, Resource::Project, At::Project),
        |call| Box::pin(change_password(call)),
    ),
];

async fn pause(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    call.control().pause(&view.project.reference).await?;
    Ok(empty(StatusCode::CREATED))
}

/// Whether it can be resumed: always, for as long as it is there.
async fn pause_status(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let paused = view.project.status == Status::Inactive;
    let shown = object!({
        "can_restore": true,
        "last_paused_on": paused.then(|| moment(view.project.updated_at)),
        "latest_downloadable_backup_id": null,
        "max_days_till_restore_disabled": 0,
        "remaining_days_till_restore_disabled": null,
    });
    Ok(json(StatusCode::OK, &shown))
}

/// Starts a project, as the management API does too.
///
/// # Errors
/// `Conflict` with the cause, where what is left can only be destroyed.
pub(crate) async fn start(call: &Call, view: &View) -> Result<View> {
    let reference = &view.project.reference;
    let accepted = match view.project.status {
        Status::InitFailed => call.control().retry(reference).await?,
        Status::DestroyFailed => {
            let cause = match view.project.status_operation {
                Some(operation) => call.control().operation(operation).await?.error,
                None => None,
            };
            let cause = cause.map_or("no cause is known".to_owned(), |error| error.message);
            let message = format!("this project could not be deleted ({cause}): delete it again");
            return Err(Error::new(Kind::Conflict, message));
        }
        _ => call.control().resume(reference).await?,
    };
    View::of(call, accepted.project).await
}

async fn restore(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let view = start(&call, &view).await?;
    let shown = object!({
        "id": view.project.id,
        "status": view.status(),
        "region": view.region(),
        "cloud_provider": view.provider(),
        "organization_id": view.organization.number,
        "back_ups": [],
    });
    Ok(json(StatusCode::OK, &shown))
}

async fn restart(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    call.control().restart(&view.project.reference, &[]).await?;
    Ok(empty(StatusCode::CREATED))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RestartServices {
    restart_request: RestartRequest,
}

#[derive(Deserialize)]
struct RestartRequest {
    services: Vec<String>,
}

async fn restart_services(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let words = call.json::<RestartServices>()?.restart_request.services;
    let named = |word: &String| match &view.stack {
        Some(stack) => service(stack, word),
        None => word.clone(),
    };
    let services: Vec<_> = words.iter().map(named).collect();
    if services.is_empty() {
        return Err(Error::invalid("restartRequest.services", "none is named"));
    }
    call.control().restart(&view.project.reference, &services).await?;
    Ok(empty(StatusCode::CREATED))
}

/// A service by any name for it, or as it stands: the control plane says which ones there are.
fn service(stack: &StackSpec, word: &str) -> String {
    services::named(stack, word).map_or(word, |name| name.as_str()).to_owned()
}

#[derive(Deserialize)]
struct ChangePassword {
    password: Secret,
}

async fn change_password(call: Call) -> Result<Response> {
    set_password(&call).await?;
    Ok(empty(StatusCode::OK))
}

/// Gives the database the password that the body has, as the management API does too.
///
/// # Errors
/// `InvalidInput` without one, `Unsupported` without a database, `Conflict` while the project cannot be reconfigured.
pub(crate) async fn set_password(call: &Call) -> Result<()> {
    let view = View::named(call).await?;
    let password = call.json::<ChangePassword>()?.password;
    if password.expose().is_empty() {
        return Err(Error::invalid("password", "is empty"));
    }
    let database = view.stack.as_ref().and_then(|stack| stack.database.as_ref());
    let database = database.ok_or_else(|| {
        Error::new(Kind::Unsupported, "change the database's password: the project's stack has no database")
    })?;
    let secrets = BTreeMap::from([(database.password.clone(), password.into_inner())]);
    let settings = Reconfigure { secrets, ..Reconfigure::default() };
    call.control().reconfigure(&view.project.reference, settings).await.map(drop)
}
