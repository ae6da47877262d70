//! Who is signed in, and what they may do.

use freehold_core::{
    Error, Kind, Result,
    accounts::{Names, Person},
};
use serde::{Deserialize, Serialize};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::{empty, permissions};
use crate::{call::Call, error::json, route::Route, rule::Rule};

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/platform/profile", Rule::Known, |call| Box::pin(show(call))),
    Route::new(Method::POST, "/api/platform/profile", Rule::Known, |call| Box::pin(create(call))),
    Route::new(Method::PATCH, "/api/platform/profile", Rule::Known, |call| Box::pin(amend(call))),
    Route::new(Method::GET, "/api/platform/profile/permissions", Rule::Known, |call| {
        Box::pin(list_permissions(call))
    }),
    Route::new(Method::POST, "/api/platform/profile/audit-login", Rule::Known, |call| {
        Box::pin(signed_in(call))
    }),
];

/// What Freehold does not have, by Studio's names for it (`packages/common/enabled-features/enabled-features.json`):
/// Studio shows none of it.
const DISABLED: &[&str] = &[
    "billing:all",
    "billing:account_data",
    "billing:credits",
    "billing:invoices",
    "billing:payment_methods",
    "database:replication",
    "infrastructure:read_replicas",
    "integrations:vercel",
    "project_edge_function:all",
    "project_settings:custom_domains",
    "project_settings:database_upgrades",
    "project_settings:log_drains",
    "projects:transfer",
    "reports:all",
    "storage:analytics",
    "storage:vectors",
];

#[derive(Debug, Serialize)]
struct Profile {
    id: i64,
    gotrue_id: String,
    auth0_id: String,
    primary_email: String,
    username: String,
    first_name: Option<String>,
    last_name: Option<String>,
    mobile: Option<String>,
    is_alpha_user: bool,
    is_sso_user: bool,
    free_project_limit: Option<u32>,
    disabled_features: Vec<&'static str>,
}

impl Profile {
    /// What the caller is told of themselves. Organizations are the superuser's to make: the button is nobody else's.
    fn of(call: &Call, person: Person) -> Self {
        let own = if call.caller().superuser { None } else { Some("organizations:create") };
        Self {
            id: person.id.0,
            gotrue_id: person.subject.as_str().to_owned(),
            auth0_id: String::new(),
            primary_email: person.email,
            username: person.names.username,
            first_name: person.names.first,
            last_name: person.names.last,
            mobile: None,
            is_alpha_user: false,
            is_sso_user: false,
            free_project_limit: None,
            disabled_features: DISABLED.iter().copied().chain(own).collect(),
        }
    }
}

/// The person who is calling.
///
/// # Errors
/// `NotFound` in the words at which Studio makes a profile.
pub(super) fn person(call: &Call) -> Result<&Person> {
    let person = call.caller().person.as_ref();
    person.ok_or_else(|| Error::new(Kind::NotFound, "User's profile not found"))
}

async fn show(call: Call) -> Result<Response> {
    Ok(json(StatusCode::OK, &Profile::of(&call, person(&call)?.clone())))
}

async fn create(call: Call) -> Result<Response> {
    let exists = || Error::new(Kind::AlreadyExists, "User's profile exists already");
    let identity = call.identity().ok_or_else(exists)?;
    match call.accounts()?.enroll(identity).await? {
        (person, true) => Ok(json(StatusCode::CREATED, &Profile::of(&call, person))),
        (_, false) => Err(exists()),
    }
}

/// What changes; what is absent stays.
#[derive(Deserialize)]
struct Amend {
    username: Option<String>,
    first_name: Option<String>,
    last_name: Option<String>,
}

async fn amend(call: Call) -> Result<Response> {
    let (person, amend) = (person(&call)?, call.json::<Amend>()?);
    for (field, value) in
        [("username", &amend.username), ("first_name", &amend.first_name), ("last_name", &amend.last_name)]
    {
        if value.as_ref().is_some_and(|text| text.chars().count() > 128 || text.chars().any(char::is_control))
        {
            return Err(Error::invalid(field, "is longer than 128 characters, or has control characters"));
        }
    }
    let names = Names {
        username: amend.username.unwrap_or_else(|| person.names.username.clone()),
        first: amend.first_name.or_else(|| person.names.first.clone()),
        last: amend.last_name.or_else(|| person.names.last.clone()),
    };
    let person = call.accounts()?.rename_person(person.id, &names).await?;
    Ok(json(StatusCode::OK, &Profile::of(&call, person)))
}

async fn list_permissions(call: Call) -> Result<Response> {
    Ok(json(StatusCode::OK, &permissions::of(&call).await?))
}

/// Studio tells that somebody signed in. Whoever comes by a session for the first time becomes a person here.
async fn signed_in(call: Call) -> Result<Response> {
    if let Some(identity) = call.identity() {
        call.accounts()?.enroll(identity).await?;
    }
    Ok(empty(StatusCode::CREATED))
}
