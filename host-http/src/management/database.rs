//! SQL on a project's own database, and the types that are made of it.

use freehold_core::{
    Error, Result,
    accounts::{Action, Resource},
};
use reqwest::Method as Verb;
use serde::Deserialize;
use serde_json::{Value, json as object};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::v1;
use crate::{
    call::Call,
    error::json,
    route::Route,
    rule::{At, Rule},
    studio::{
        meta::{Access, meta},
        sql::MAY_QUERY,
        view::View,
    },
    upstream,
};

pub(crate) const ROUTES: &[[Route; 2]] = &[
    v1!(POST "/projects/{ref}/database/query", MAY_QUERY, |call| Box::pin(query(call, None))),
    v1!(POST "/projects/{ref}/database/query/read-only", MAY_QUERY, |call| {
        Box::pin(query(call, Some(Access::Read)))
    }),
    v1!(GET "/projects/{ref}/types/typescript",
        Rule::May(Action::ReadSchema, Resource::Tables, At::Project),
        |call| Box::pin(typescript(call))),
];

#[derive(Deserialize)]
struct Query {
    query: String,
    #[serde(default)]
    parameters: Option<Vec<Value>>,
    #[serde(default)]
    read_only: bool,
}

/// Runs SQL. Where the path does not say what it may do, the body does.
async fn query(call: Call, access: Option<Access>) -> Result<Response> {
    let view = View::named(&call).await?;
    let sent = call.json::<Query>()?;
    let mut body = object!({ "query": sent.query });
    if let Some(parameters) = sent.parameters {
        body["parameters"] = parameters.into();
    }
    let asked = if sent.read_only { Access::Read } else { Access::Write };
    let meta = meta(&call, &view, access.unwrap_or(asked)).await?;
    let answer = meta.ask(&call, Verb::POST, "/query", Some(&body)).await?;
    if !answer.status().is_success() {
        return Ok(upstream::refusal(&call, answer).await);
    }
    let mut response = upstream::passed_on(answer);
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Types {
    included_schemas: Option<String>,
}

async fn typescript(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let schemas = call.query::<Types>()?.included_schemas.unwrap_or_else(|| "public".to_owned());
    let known = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ',' | '-');
    if !schemas.chars().all(known) {
        return Err(Error::invalid("included_schemas", "is no list of schemas, separated by commas"));
    }
    let meta = meta(&call, &view, Access::Write).await?;
    let path = format!("/generators/typescript?included_schemas={schemas}");
    let answer = meta.ask(&call, Verb::GET, &path, None).await?;
    if !answer.status().is_success() {
        return Ok(upstream::refusal(&call, answer).await);
    }
    let types = upstream::whole(answer, "the types that the project's postgres-meta made").await?;
    let types = String::from_utf8_lossy(&types);
    Ok(json(StatusCode::OK, &object!({ "types": types })))
}
