//! Projects: making them, finding them, changing what needs no work on their target.

use freehold_core::{
    Error, OrganizationId, PageRequest, ProjectFilter, ProjectName, Result, Status,
    accounts::{Action, Place, Resource},
    control_plane::{Amendment, Command, Protection},
};
use serde::Deserialize;
use utoipa::IntoParams;
use warp::{
    http::{HeaderValue, Method, StatusCode, header},
    reply::Response,
};

use super::commands;
use crate::{
    annotations, audit,
    call::{Call, List, TRIES},
    error::{json, private},
    route::Route,
    rule::{At, Rule},
    wire::{self, ErrorBody},
};

pub(crate) const ROUTES: &[Route] = &[
    Route::new(
        Method::POST,
        "/api/freehold/v1/projects",
        Rule::May(Action::Create, Resource::Projects, At::OrganizationIn(&["organization"])),
        |call| Box::pin(create(call)),
    ),
    Route::new(Method::GET, "/api/freehold/v1/projects", Rule::Known, |call| Box::pin(list(call))),
    Route::new(
        Method::GET,
        "/api/freehold/v1/projects/{ref}",
        Rule::May(Action::Read, Resource::Project, At::Project),
        |call| Box::pin(show(call)),
    ),
    Route::new(
        Method::PATCH,
        "/api/freehold/v1/projects/{ref}",
        Rule::May(Action::Update, Resource::Project, At::Project),
        |call| Box::pin(amend(call)),
    ),
    Route::new(
        Method::GET,
        "/api/freehold/v1/projects/{ref}/wait",
        Rule::May(Action::Read, Resource::Project, At::Project),
        |call| Box::pin(wait(call)),
    ),
    Route::new(
        Method::GET,
        "/api/freehold/v1/projects/{ref}/secrets",
        Rule::May(Action::Read, Resource::SigningSecret, At::Project),
        |call| Box::pin(secrets(call)),
    ),
];

/// Make a project.
///
/// It is durable when this answers; an operation brings it up. With an `Idempotency-Key` the same request is carried out
/// once in 24 hours, and answered alike.
#[utoipa::path(
    post, path = "/api/freehold/v1/projects", tag = "projects", operation_id = "create_project",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 characters that name this request")),
    request_body = wire::CreateProject,
    responses(
        (status = 201, body = wire::Accepted, headers(("Location" = String, description = "The project"))),
        (status = 400, body = ErrorBody, description = "The request is wrong: the message names the field"),
        (status = 409, body = ErrorBody, description = "The name is taken, or the key was used for another request"),
        (status = 429, body = ErrorBody, description = "A bound is reached: the message names the setting"),
    ),
)]
async fn create(call: Call) -> Result<Response> {
    let create = call.json::<wire::CreateProject>()?.try_into()?;
    let (project, mut response) = commands::accept(&call, Command::Create(Box::new(create))).await?;
    *response.status_mut() = StatusCode::CREATED;
    if let Ok(location) = HeaderValue::from_str(&format!("/api/freehold/v1/projects/{project}")) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(audit::made_project(response, project))
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct ListQuery {
    /// Only of this organization.
    organization: Option<String>,
    /// Only of this name, whatever the case.
    name: Option<String>,
    /// Only on these targets, separated by commas.
    #[param(value_type = Option<String>)]
    targets: List,
    /// Only in these statuses, separated by commas; all but `REMOVED` unless said.
    #[param(value_type = Option<String>)]
    statuses: List,
    /// The `next` of the page before.
    after: Option<String>,
    /// How many at most: 1 to 1000.
    limit: u32,
}

impl Default for ListQuery {
    fn default() -> Self {
        let (organization, name, after) = (None, None, None);
        let (targets, statuses) = (List::default(), List::default());
        Self { organization, name, targets, statuses, after, limit: PageRequest::default().limit }
    }
}

/// List projects, oldest first, page by page.
///
/// Those that the caller may not see are left out: a page may be shorter than its limit and have a `next` all the same.
#[utoipa::path(
    get, path = "/api/freehold/v1/projects", tag = "projects", operation_id = "list_projects",
    params(ListQuery),
    responses((status = 200, body = wire::ProjectPage), (status = 400, body = ErrorBody)),
)]
async fn list(call: Call) -> Result<Response> {
    let query = call.query::<ListQuery>()?;
    let filter = ProjectFilter {
        organization: query.organization.map(OrganizationId::new).transpose()?,
        targets: query.targets.parse()?,
        statuses: query.statuses.parse()?,
        name: query.name.map(ProjectName::new).transpose()?,
    };
    let page = PageRequest { after: query.after, ..PageRequest::first(query.limit) };
    let mut page = call.control().projects(&filter, &page).await?;
    page.items
        .retain(|project| call.caller().sees(Place::project(&project.organization, &project.reference)));
    Ok(json(StatusCode::OK, &wire::ProjectPage::from(page)))
}

/// Show a project, one that was removed too.
#[utoipa::path(
    get, path = "/api/freehold/v1/projects/{ref}", tag = "projects", operation_id = "show_project",
    params(("ref" = String, Path, description = "The project")),
    responses((status = 200, body = wire::Project), (status = 404, body = ErrorBody)),
)]
async fn show(call: Call) -> Result<Response> {
    Ok(json(StatusCode::OK, &wire::Project::from(call.into_kept()?)))
}

/// Rename, protect or annotate a project: all that is asked for together, or nothing.
#[utoipa::path(
    patch, path = "/api/freehold/v1/projects/{ref}", tag = "projects", operation_id = "amend_project",
    params(("ref" = String, Path, description = "The project")),
    request_body = wire::AmendProject,
    responses(
        (status = 200, body = wire::Project),
        (status = 400, body = ErrorBody),
        (status = 404, body = ErrorBody),
        (status = 409, body = ErrorBody, description = "The name is taken"),
    ),
)]
async fn amend(call: Call) -> Result<Response> {
    let (reference, amend) = (call.project()?, call.json::<wire::AmendProject>()?);
    let mut amendment = Amendment {
        name: amend.name,
        protection: amend.protected.map(|protected| if protected { Protection::On } else { Protection::Off }),
        ..Amendment::default()
    };
    let Some(sent) = amend.annotations.map(annotations::sent).transpose()? else {
        let project = call.control().amend(&reference, amendment).await?;
        return Ok(json(StatusCode::OK, &wire::Project::from(project)));
    };
    // The host's own stay as they are, also those that came meanwhile.
    let mut tries = 1;
    loop {
        let seen = call.control().project(&reference).await?;
        amendment.annotations = Some(annotations::replaced(&seen.annotations, &sent)?);
        amendment.expected = Some(seen.version);
        match call.control().amend(&reference, amendment.clone()).await {
            Err(error) if error.is_lost_race() && tries < TRIES => tries += 1,
            amended => return Ok(json(StatusCode::OK, &wire::Project::from(amended?))),
        }
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct WaitQuery {
    /// The statuses to wait for, separated by commas.
    #[param(value_type = String)]
    statuses: List,
    /// How long to wait, in seconds: at most 25.
    timeout: Option<u64>,
}

/// Wait until a project has one of some statuses.
#[utoipa::path(
    get, path = "/api/freehold/v1/projects/{ref}/wait", tag = "projects", operation_id = "wait_for_project",
    params(("ref" = String, Path, description = "The project"), WaitQuery),
    responses(
        (status = 200, body = wire::Project),
        (status = 404, body = ErrorBody),
        (status = 504, body = ErrorBody, description = "It has another status still"),
    ),
)]
async fn wait(call: Call) -> Result<Response> {
    let query = call.query::<WaitQuery>()?;
    let statuses: Vec<Status> = query.statuses.parse()?;
    if statuses.is_empty() {
        return Err(Error::invalid("statuses", "none is named"));
    }
    let patience = call.patience(query.timeout);
    let project = call.control().wait(&call.project()?, &statuses, patience).await?;
    Ok(json(StatusCode::OK, &wire::Project::from(project)))
}

/// Show a project's secrets in clear.
#[utoipa::path(
    get, path = "/api/freehold/v1/projects/{ref}/secrets", tag = "projects", operation_id = "show_secrets",
    params(("ref" = String, Path, description = "The project")),
    responses((status = 200, body = wire::SecretValues), (status = 404, body = ErrorBody)),
)]
async fn secrets(call: Call) -> Result<Response> {
    let secrets = call.control().secrets(&call.project()?).await?;
    let secrets = secrets.into_iter().map(|(name, secret)| (name.into(), secret.into())).collect();
    Ok(private(StatusCode::OK, &wire::SecretValues { secrets }))
}
