//! A project's API keys: those that are signed by its own secret.

use freehold_core::{
    Result,
    accounts::{Action, Resource},
};
use serde::Deserialize;
use serde_json::json as object;
use warp::{
    http::{HeaderValue, Method, StatusCode, header},
    reply::Response,
};

use super::v1;
use crate::{
    call::Call,
    error::json,
    route::Route,
    rule::{At, Rule},
    studio::{keys::Keys, view::View},
};

const READ: Rule = Rule::May(Action::Read, Resource::ApiKeys, At::Project);

pub(crate) const ROUTES: &[[Route; 2]] = &[
    v1!(GET "/projects/{ref}/api-keys", READ, |call| Box::pin(list(call))),
    v1!(GET "/projects/{ref}/api-keys/legacy", READ, |call| Box::pin(legacy(call))),
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Query {
    reveal: Option<String>,
}

/// The keys. The one that may do everything is shown only to those who ask for it.
async fn list(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let reveal = call.query::<Query>()?.reveal.as_deref() == Some("true");
    let keys = Keys::of(&call, &view.project).await?;
    let shown: Vec<_> = [("anon", keys.anon(), true), ("service_role", keys.service(), reveal)]
        .into_iter()
        .filter(|(_, key, _)| !key.is_empty())
        .map(|(name, key, clear)| {
            let key = if clear { key.to_owned() } else { masked(key) };
            object!({
                "id": name,
                "name": name,
                "type": "legacy",
                "api_key": key,
                "description": null,
                "hash": null,
                "prefix": null,
                "secret_jwt_template": null,
                "inserted_at": view.created_at(),
                "updated_at": view.created_at(),
            })
        })
        .collect();
    let mut response = json(StatusCode::OK, &shown);
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// The beginning, which all such keys share, and the end, which is too short to be of use.
fn masked(key: &str) -> String {
    let (start, end) = (key.get(..6), key.get(key.len().saturating_sub(4)..));
    format!("{}...{}", start.unwrap_or_default(), end.unwrap_or_default())
}

async fn legacy(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let enabled = !Keys::of(&call, &view.project).await?.anon().is_empty();
    Ok(json(StatusCode::OK, &object!({ "enabled": enabled })))
}
