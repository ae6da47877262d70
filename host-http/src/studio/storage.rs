//! Buckets and what is in them: by the project's own storage service, with its service key (its API: supabase/storage,
//! `src/http/routes`).

use freehold_core::{
    Error, ExposeSecret, Kind, Result,
    accounts::{Action, Resource},
};
use reqwest::Method as Verb;
use serde::Deserialize;
use serde_json::{Map, Value, json as object};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::{
    keys::Keys,
    proxied::{self, Part, object_path, segment},
    view::View,
};
use crate::{
    call::Call,
    error::json,
    route::Route,
    rule::{At, Rule},
};

pub(crate) const READ: Rule = Rule::May(Action::InspectStorage, Resource::Anything, At::Project);
const ADMINISTER: Rule = Rule::May(Action::AdministerStorage, Resource::Anything, At::Project);
const WRITE: Rule = Rule::May(Action::WriteStorage, Resource::Anything, At::Project);

/// A route of this file.
macro_rules! storage {
    ($method:ident $path:literal, $rule:expr, $handler:ident) => {
        Route::new(Method::$method, concat!("/api/platform/storage/{ref}/", $path), $rule, |call| {
            Box::pin($handler(call))
        })
    };
}

pub(crate) const ROUTES: &[Route] = &[
    storage!(GET "buckets", READ, buckets),
    storage!(POST "buckets", ADMINISTER, create_bucket),
    storage!(GET "buckets/{id}", READ, bucket),
    storage!(PATCH "buckets/{id}", ADMINISTER, amend_bucket),
    storage!(DELETE "buckets/{id}", ADMINISTER, delete_bucket),
    storage!(POST "buckets/{id}/empty", ADMINISTER, empty_bucket),
    storage!(DELETE "buckets/{id}/objects", WRITE, delete_objects),
    storage!(POST "buckets/{id}/objects/list", READ, list_objects),
    storage!(POST "buckets/{id}/objects/move", WRITE, move_object),
    storage!(POST "buckets/{id}/objects/public-url", READ, public_url),
    storage!(POST "buckets/{id}/objects/sign", READ, sign),
    storage!(POST "buckets/{id}/objects/sign-multi", READ, sign_several),
    storage!(GET "credentials", READ, credentials),
    storage!(POST "credentials", ADMINISTER, create_credentials),
];

/// For how long a link is good that says nothing of it, in seconds.
const DAY: u64 = 24 * 3600;

async fn pass(call: &Call, verb: Verb, path: &str, body: Option<Value>) -> Result<Response> {
    let view = View::named(call).await?;
    proxied::pass(call, &view, Part::Storage, (verb, path), body.as_ref()).await
}

pub(crate) async fn buckets(call: Call) -> Result<Response> {
    let query = call.raw_query();
    let path = if query.is_empty() { "/bucket".to_owned() } else { format!("/bucket?{query}") };
    pass(&call, Verb::GET, &path, None).await
}

/// A bucket's settings, whatever else a form sends.
fn settings(call: &Call) -> Result<Map<String, Value>> {
    let mut sent = call.json::<Map<String, Value>>()?;
    sent.retain(|name, _| {
        ["id", "name", "type", "public", "file_size_limit", "allowed_mime_types"].contains(&name.as_str())
    });
    Ok(sent)
}

async fn create_bucket(call: Call) -> Result<Response> {
    let mut sent = settings(&call)?;
    let id = sent.get("id").and_then(Value::as_str).ok_or_else(|| Error::invalid("id", "is missing"))?;
    let name = Value::from(id);
    sent.entry("name").or_insert(name);
    pass(&call, Verb::POST, "/bucket", Some(Value::Object(sent))).await
}

async fn bucket(call: Call) -> Result<Response> {
    let path = format!("/bucket/{}", segment(&call, "id")?);
    pass(&call, Verb::GET, &path, None).await
}

async fn amend_bucket(call: Call) -> Result<Response> {
    let path = format!("/bucket/{}", segment(&call, "id")?);
    let mut sent = settings(&call)?;
    sent.retain(|name, _| !matches!(name.as_str(), "id" | "name"));
    pass(&call, Verb::PUT, &path, Some(Value::Object(sent))).await
}

async fn delete_bucket(call: Call) -> Result<Response> {
    let path = format!("/bucket/{}", segment(&call, "id")?);
    pass(&call, Verb::DELETE, &path, None).await
}

async fn empty_bucket(call: Call) -> Result<Response> {
    let path = format!("/bucket/{}/empty", segment(&call, "id")?);
    pass(&call, Verb::POST, &path, None).await
}

#[derive(Deserialize)]
struct Delete {
    paths: Vec<String>,
}

async fn delete_objects(call: Call) -> Result<Response> {
    let path = format!("/object/{}", segment(&call, "id")?);
    let sent = call.json::<Delete>()?;
    pass(&call, Verb::DELETE, &path, Some(object!({ "prefixes": sent.paths }))).await
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    path: String,
    #[serde(default)]
    options: Map<String, Value>,
}

async fn list_objects(call: Call) -> Result<Response> {
    let path = format!("/object/list/{}", segment(&call, "id")?);
    let List { path: prefix, options: mut body } = call.json()?;
    body.insert("prefix".to_owned(), prefix.trim_start_matches('/').into());
    pass(&call, Verb::POST, &path, Some(Value::Object(body))).await
}

#[derive(Deserialize)]
struct Move {
    from: String,
    to: String,
}

async fn move_object(call: Call) -> Result<Response> {
    let (bucket, sent) = (segment(&call, "id")?, call.json::<Move>()?);
    let body = object!({ "bucketId": bucket, "sourceKey": sent.from, "destinationKey": sent.to });
    pass(&call, Verb::POST, "/object/move", Some(body)).await
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sign<P> {
    path: P,
    expires_in: Option<u64>,
}

/// Where people reach the storage service.
fn public(view: &View) -> String {
    view.api().map(|address| format!("http://{address}/storage/v1")).unwrap_or_default()
}

async fn public_url(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let (bucket, sent) = (segment(&call, "id")?, call.json::<Sign<String>>()?);
    if let Err(refusal) = proxied::open(&call, &view, Part::Storage).await? {
        return Ok(refusal);
    }
    let url = format!("{}/object/public/{bucket}/{}", public(&view), object_path("path", &sent.path)?);
    Ok(json(StatusCode::OK, &object!({ "publicUrl": url })))
}

async fn sign(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let (bucket, sent) = (segment(&call, "id")?, call.json::<Sign<String>>()?);
    let path = format!("/object/sign/{bucket}/{}", object_path("path", &sent.path)?);
    let body = object!({ "expiresIn": sent.expires_in.unwrap_or(DAY) });
    match proxied::read(&call, &view, Part::Storage, (Verb::POST, &path), Some(&body)).await? {
        Ok(signed) => Ok(json(StatusCode::OK, &object!({ "signedUrl": signed_url(&view, &signed) }))),
        Err(refusal) => Ok(refusal),
    }
}

async fn sign_several(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let (bucket, sent) = (segment(&call, "id")?, call.json::<Sign<Vec<String>>>()?);
    let path = format!("/object/sign/{bucket}");
    let body = object!({ "expiresIn": sent.expires_in.unwrap_or(DAY), "paths": sent.path });
    let signed = match proxied::read(&call, &view, Part::Storage, (Verb::POST, &path), Some(&body)).await? {
        Ok(signed) => signed,
        Err(refusal) => return Ok(refusal),
    };
    let one = |one: &Value| object!({ "error": one["error"], "path": one["path"], "signedUrl": signed_url(&view, one) });
    let signed: Vec<_> = signed.as_array().into_iter().flatten().map(one).collect();
    Ok(json(StatusCode::CREATED, &signed))
}

/// The link that the service made, at the address that people know; `null` where it made none.
fn signed_url(view: &View, signed: &Value) -> Option<String> {
    let path = signed["signedURL"].as_str()?;
    Some(format!("{}{path}", public(view)))
}

/// The one pair of S3 keys that a project has: which, not what it opens with.
async fn credentials(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let keys = Keys::of(&call, &view.project).await?;
    let shown = keys.secret("s3_access_key_id").map(|id| {
        object!({
            "id": id.expose_secret(),
            "access_key": id.expose_secret(),
            "description": "made with the project",
            "created_at": view.created_at(),
        })
    });
    Ok(json(StatusCode::OK, &object!({ "data": shown.into_iter().collect::<Vec<_>>() })))
}

async fn create_credentials(call: Call) -> Result<Response> {
    View::named(&call).await?;
    let message =
        "make S3 keys: a project has one pair, whose secret `rotate` of s3_access_key_secret changes";
    Err(Error::new(Kind::Unsupported, message))
}
