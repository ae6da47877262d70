//! SQL and metadata: by the project's own postgres-meta, on the project's own database, and no other.

use freehold_core::{
    Result,
    accounts::{Action, Resource},
};
use reqwest::Method as Verb;
use serde::Deserialize;
use serde_json::json as object;
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::{
    meta::{Access, meta},
    view::{self, View},
};
use crate::{
    call::Call,
    error::json,
    route::Route,
    rule::{At, Rule},
    upstream,
};

/// Whoever may run SQL: those who may write, also on the connection that only reads. It reads what no row-level policy
/// holds back, and with it what signs the project's keys.
pub(crate) const MAY_QUERY: Rule = Rule::May(Action::WriteSchema, Resource::Anything, At::Project);

/// A list that postgres-meta has, under its own name.
macro_rules! list {
    ($name:literal, $resource:ident) => {
        Route::new(
            Method::GET,
            concat!("/api/platform/pg-meta/{ref}/", $name),
            Rule::May(Action::ReadSchema, Resource::$resource, At::Project),
            |call| Box::pin(list(call, concat!("/", $name))),
        )
    };
}

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::POST, "/api/platform/pg-meta/{ref}/query", MAY_QUERY, |call| Box::pin(query(call))),
    list!("column-privileges", Tables),
    list!("extensions", Extensions),
    list!("foreign-tables", Tables),
    list!("functions", DatabaseFunctions),
    list!("materialized-views", Tables),
    list!("policies", Policies),
    list!("publications", Publications),
    list!("tables", Tables),
    list!("triggers", Triggers),
    list!("types", Tables),
    list!("views", Tables),
];

/// What Studio sends.
#[derive(Deserialize)]
struct Query {
    query: String,
}

/// Studio sends back one of the two words that it was given for connections; whoever sends nothing writes.
fn access(call: &Call) -> Access {
    match call.header("x-connection-encrypted") {
        Some(word) if word.ends_with(view::READ_ONLY) => Access::Read,
        _ => Access::Write,
    }
}

async fn query(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let sql = call.json::<Query>()?.query;
    if sql.trim().is_empty() {
        return Ok(json(StatusCode::CREATED, &object!([])));
    }
    let meta = meta(&call, &view, access(&call)).await?;
    let answer = meta.ask(&call, Verb::POST, "/query", Some(&object!({ "query": sql }))).await?;
    Ok(if answer.status().is_success() {
        upstream::passed_on(answer)
    } else {
        upstream::refusal(&call, answer).await
    })
}

async fn list(call: Call, path: &'static str) -> Result<Response> {
    let view = View::named(&call).await?;
    let meta = meta(&call, &view, Access::Write).await?;
    let path =
        if call.raw_query().is_empty() { path.to_owned() } else { format!("{path}?{}", call.raw_query()) };
    Ok(upstream::passed_on(meta.ask(&call, Verb::GET, &path, None).await?))
}
