//! How a project is reached, with what keys, and who may.

use std::time::Duration;

use freehold_core::{
    Result,
    accounts::{Action, Decision, Place, Resource},
};
use reqwest::Method as Verb;
use serde_json::json as object;
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::{
    keys::Keys,
    proxied::{self, Part},
    status,
    view::View,
};
use crate::{
    call::Call,
    error::{json, private},
    route::Route,
    rule::{At, Rule},
};

const SEEN: Rule = Rule::May(Action::Read, Resource::Project, At::Project);

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/platform/projects/{ref}/settings", SEEN, |call| Box::pin(settings(call))),
    Route::new(Method::GET, "/api/platform/projects/{ref}/databases", SEEN, |call| Box::pin(databases(call))),
    Route::new(Method::GET, "/api/platform/projects/{ref}/databases-statuses", SEEN, |call| {
        Box::pin(databases_statuses(call))
    }),
    Route::new(Method::GET, "/api/platform/projects/{ref}/service-versions", SEEN, |call| {
        Box::pin(service_versions(call))
    }),
    Route::new(Method::GET, "/api/platform/projects/{ref}/members", SEEN, |call| Box::pin(members(call))),
];

/// Whether the caller may do something to the project; what they may not see of a reply is left out.
pub(crate) fn may(call: &Call, view: &View, action: Action, resource: Resource) -> bool {
    let place = Place::project(&view.project.organization, &view.project.reference);
    call.caller().decide(action, resource, place) == Decision::Allowed
}

async fn settings(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let address = view.api().map(ToString::to_string).unwrap_or_default();
    let mut shown = object!({
        "ref": view.project.reference,
        "name": view.project.name,
        "region": view.region(),
        "status": view.status(),
        "cloud_provider": view.provider(),
        "inserted_at": view.created_at(),
        "is_sensitive": false,
        "db_host": view.database_host(),
        "db_port": view.database_port(),
        "db_name": view.database_name(),
        "db_user": view.database_user(),
        "db_dns_name": view.database_host(),
        "db_ip_addr_config": "legacy",
        "ssl_enforced": false,
        "app_config": {
            "db_schema": "public",
            "endpoint": address,
            "storage_endpoint": address,
            "protocol": "http",
        },
        // Without this field Studio asks again every two seconds.
        "service_api_keys": [],
    });
    let keys = Keys::of(&call, &view.project).await?;
    if may(&call, &view, Action::Read, Resource::ServiceKeys) {
        let key = |name, value: &str, role| object!({ "api_key": value, "name": name, "tags": role });
        let keys = [("service_role key", keys.service(), "service_role"), ("anon key", keys.anon(), "anon")];
        let there = keys.into_iter().filter(|(_, value, _)| !value.is_empty());
        shown["service_api_keys"] = there.map(|(name, value, role)| key(name, value, role)).collect();
    }
    if may(&call, &view, Action::Read, Resource::SigningSecret)
        && let Some(secret) = keys.signing_secret(&view)
    {
        shown["jwt_secret"] = object!(secret);
    }
    Ok(private(StatusCode::OK, &shown))
}

/// The project's database, which is its only one: Studio finds it by the project's own ref.
async fn databases(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let database = object!({
        "identifier": view.project.reference,
        "cloud_provider": view.provider(),
        "region": view.region(),
        "connectionString": view.connection_string(),
        "connection_string_read_only": view.read_only_connection_string(),
        "db_host": view.database_host(),
        "db_port": view.database_port(),
        "db_name": view.database_name(),
        "db_user": view.database_user(),
        "inserted_at": view.created_at(),
        "restUrl": view.rest_url(),
        "size": view.size(),
        "status": status::of_database(view.project.status),
    });
    Ok(json(StatusCode::OK, &[database]))
}

async fn databases_statuses(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let status = status::of_database(view.project.status);
    Ok(json(StatusCode::OK, &[object!({ "identifier": view.project.reference, "status": status })]))
}

/// How long a service may take to tell its version: it is worth no longer wait.
const PATIENCE: Duration = Duration::from_secs(3);

/// The version that the database told of itself, and those that the others tell now. Who tells none has none.
async fn service_versions(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let version = view.database().map(|database| database.version.as_str()).unwrap_or_default();
    let mut shown = object!({ "supabase-postgres": version });
    let asked = async |part, path: &str, place: &str| {
        let reply = proxied::read(&call, &view, part, (Verb::GET, path), None);
        let reply = tokio::time::timeout(PATIENCE, reply).await.ok()?.ok()?.ok()?;
        reply.pointer(place)?.as_str().map(str::to_owned)
    };
    let (auth, rest) =
        tokio::join!(asked(Part::Auth, "/health", "/version"), asked(Part::Rest, "/", "/info/version"));
    for (name, version) in [("gotrue", auth), ("postgrest", rest)] {
        if let Some(version) = version {
            shown[name] = version.into();
        }
    }
    Ok(json(StatusCode::OK, &shown))
}

async fn members(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let members = call.accounts()?.members(&view.organization.id).await?;
    let members: Vec<_> = members
        .into_iter()
        .filter(|member| member.grants.iter().any(|grant| grant.scope.covers(&view.project.reference)))
        .map(|member| {
            let person = member.person;
            object!({
                "user_id": person.subject,
                "username": person.names.username,
                "primary_email": person.email,
            })
        })
        .collect();
    Ok(json(StatusCode::OK, &object!({ "members": members })))
}
