//! The settings of a project's services, in the Management API's own words where they differ from Studio's.

use freehold_core::{
    Result,
    accounts::{Action, Resource},
};
use serde_json::{Map, Value, json as object};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::v1;
use crate::{
    call::Call,
    error::{json, private},
    route::Route,
    rule::{At, Rule},
    studio::{
        config::{auth, pooler, postgrest, storage},
        lifecycle, storage as stored,
        view::View,
    },
};

pub(crate) const ROUTES: &[[Route; 2]] = &[
    v1!(GET "/projects/{ref}/postgrest", postgrest::READ, |call| Box::pin(postgrest(call))),
    v1!(PATCH "/projects/{ref}/postgrest", postgrest::UPDATE, |call| Box::pin(amend_postgrest(call))),
    v1!(GET "/projects/{ref}/config/auth", auth::READ, |call| Box::pin(auth(call))),
    v1!(PATCH "/projects/{ref}/config/auth", auth::UPDATE, |call| Box::pin(amend_auth(call))),
    v1!(GET "/projects/{ref}/config/database/pooler", pooler::SEEN, |call| Box::pin(pooler::supavisor(call))),
    v1!(PATCH "/projects/{ref}/config/database/pooler", pooler::UPDATE, |call| {
        Box::pin(pooler::amend_supavisor(call))
    }),
    v1!(GET "/projects/{ref}/config/storage", pooler::SEEN, |call| Box::pin(storage::show(call))),
    v1!(PATCH "/projects/{ref}/config/storage",
        Rule::May(Action::AdministerStorage, Resource::Anything, At::Project),
        |call| Box::pin(storage::amend(call))),
    v1!(GET "/projects/{ref}/storage/buckets", stored::READ, |call| Box::pin(stored::buckets(call))),
    v1!(PATCH "/projects/{ref}/database/password",
        Rule::May(Action::Update, Resource::Project, At::Project),
        |call| Box::pin(password(call))),
];

async fn postgrest(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    Ok(private(StatusCode::OK, &postgrest::settings(&call, &view).await?))
}

async fn amend_postgrest(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    postgrest::change(&call, &view).await?;
    Ok(private(StatusCode::OK, &postgrest::settings(&call, &view).await?))
}

/// The names here are Studio's in small letters.
fn named(settings: Map<String, Value>, as_here: fn(&str) -> String) -> Map<String, Value> {
    settings.into_iter().map(|(name, value)| (as_here(&name), value)).collect()
}

async fn auth(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let settings = auth::settings(&call, &view).await?;
    Ok(private(StatusCode::OK, &named(settings, str::to_ascii_lowercase)))
}

async fn amend_auth(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    auth::change(&call, &view, &named(call.json()?, str::to_ascii_uppercase)).await?;
    let settings = auth::settings(&call, &view).await?;
    Ok(private(StatusCode::OK, &named(settings, str::to_ascii_lowercase)))
}

async fn password(call: Call) -> Result<Response> {
    lifecycle::set_password(&call).await?;
    Ok(json(StatusCode::OK, &object!({ "message": "the database is getting this password" })))
}
