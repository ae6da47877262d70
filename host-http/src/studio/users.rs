//! The people of a project's own application: by its own GoTrue, with its service key (its API: supabase/auth,
//! `openapi.yaml`).

use freehold_core::{
    Error, Result,
    accounts::{Action, Resource},
};
use reqwest::Method as Verb;
use serde_json::{Map, Value, json as object};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::{
    empty,
    proxied::{self, Part, segment},
    view::View,
};
use crate::{
    call::Call,
    route::Route,
    rule::{At, Rule},
};

/// A route of this file.
macro_rules! auth {
    ($method:ident $path:literal, $action:ident $resource:ident, $handler:ident) => {
        Route::new(
            Method::$method,
            concat!("/api/platform/auth/{ref}/", $path),
            Rule::May(Action::$action, Resource::$resource, At::Project),
            |call| Box::pin($handler(call)),
        )
    };
}

pub(crate) const ROUTES: &[Route] = &[
    auth!(POST "users", OperateAuth UserCreation, create),
    auth!(PATCH "users/{id}", OperateAuth Anything, amend),
    auth!(DELETE "users/{id}", DeleteRows Users, delete),
    auth!(DELETE "users/{id}/factors", DeleteRows MfaFactors, delete_factors),
    auth!(POST "invite", OperateAuth UserInvitation, invite),
    auth!(POST "magiclink", OperateAuth MagicLinks, send_link),
    auth!(POST "otp", OperateAuth OneTimePasswords, send_password),
    auth!(POST "recover", OperateAuth Recovery, recover),
];

async fn pass(call: &Call, verb: Verb, path: &str, body: Option<&Value>) -> Result<Response> {
    let view = View::named(call).await?;
    proxied::pass(call, &view, Part::Auth, (verb, path), body).await
}

async fn create(call: Call) -> Result<Response> {
    let sent = call.json::<Value>()?;
    let mut response = pass(&call, Verb::POST, "/admin/users", Some(&sent)).await?;
    if response.status().is_success() {
        *response.status_mut() = StatusCode::CREATED;
    }
    Ok(response)
}

async fn amend(call: Call) -> Result<Response> {
    let (path, sent) = (format!("/admin/users/{}", segment(&call, "id")?), call.json::<Value>()?);
    pass(&call, Verb::PUT, &path, Some(&sent)).await
}

#[derive(Default, serde::Deserialize)]
#[serde(default)]
struct Delete {
    soft_delete: bool,
}

async fn delete(call: Call) -> Result<Response> {
    let (path, query) = (format!("/admin/users/{}", segment(&call, "id")?), call.query::<Delete>()?);
    let body = object!({ "should_soft_delete": query.soft_delete });
    let response = pass(&call, Verb::DELETE, &path, Some(&body)).await?;
    Ok(if response.status().is_success() { empty(StatusCode::NO_CONTENT) } else { response })
}

/// Removes every second factor that somebody has, one after the other.
async fn delete_factors(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let path = format!("/admin/users/{}/factors", segment(&call, "id")?);
    let factors = match proxied::read(&call, &view, Part::Auth, (Verb::GET, &path), None).await? {
        Ok(factors) => factors,
        Err(refusal) => return Ok(refusal),
    };
    for factor in factors.as_array().into_iter().flatten() {
        // GoTrue's ids are UUIDs: what is none is not asked for.
        let Some(id) = factor["id"].as_str().and_then(|id| uuid::Uuid::parse_str(id).ok()) else { continue };
        let one = format!("{path}/{id}");
        let response = proxied::pass(&call, &view, Part::Auth, (Verb::DELETE, &one), None).await?;
        if !response.status().is_success() {
            return Ok(response);
        }
    }
    Ok(crate::error::json(StatusCode::OK, &object!({ "data": null, "error": null })))
}

/// What the body says of whom, and nothing else.
fn addressee(call: &Call, field: &str) -> Result<Value> {
    let sent = call.json::<Map<String, Value>>()?;
    let address = sent.get(field).and_then(Value::as_str);
    let address = address.ok_or_else(|| Error::invalid(field, "is missing, or no text"))?;
    Ok(object!({ field: address }))
}

async fn invite(call: Call) -> Result<Response> {
    let body = addressee(&call, "email")?;
    pass(&call, Verb::POST, "/invite", Some(&body)).await
}

async fn send_link(call: Call) -> Result<Response> {
    let body = addressee(&call, "email")?;
    pass(&call, Verb::POST, "/magiclink", Some(&body)).await
}

async fn send_password(call: Call) -> Result<Response> {
    let body = addressee(&call, "phone")?;
    pass(&call, Verb::POST, "/otp", Some(&body)).await
}

async fn recover(call: Call) -> Result<Response> {
    let body = addressee(&call, "email")?;
    pass(&call, Verb::POST, "/recover", Some(&body)).await
}
