//! SQL and metadata: by the project's own postgres-meta, on the project's own database, and no other.

use freehold_core::{
    Error, Kind, Result,
    accounts::{Action, Resource},
};
use reqwest::Method as Verb;
use serde::Deserialize;
use serde_json::{Value, json as object};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::view::View;
use crate::{
    call::Call,
    error::json,
    route::Route,
    rule::{At, Rule},
    upstream::{self, Upstream},
};

/// Where postgres-meta is behind a project's gateway (Supabase's `kong.yml`, route `/pg/`).
pub(crate) const PATH: &str = "/pg";
/// The service.
pub(crate) const SERVICE: &str = "postgres-meta";

/// Whoever may run SQL. It runs as the database's owner, so that it is for those who may write: there is no connection
/// that can only read.
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

/// What Studio sends. The word in `x-connection-encrypted` is our own and says nothing that the path does not.
#[derive(Deserialize)]
struct Query {
    query: String,
}

async fn query(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let sql = call.json::<Query>()?.query;
    if sql.trim().is_empty() {
        return Ok(json(StatusCode::CREATED, &object!([])));
    }
    let meta = Upstream::of(&call, &view, SERVICE, PATH).await?;
    let answer = meta.ask(&call, Verb::POST, "/query", Some(&object!({ "query": sql }))).await?;
    Ok(if answer.status().is_success() {
        upstream::passed_on(answer)
    } else {
        upstream::refusal(&call, answer).await
    })
}

/// Runs SQL of our own on a project's database.
///
/// # Errors
/// `Unavailable` while it is not up or does not answer; `Unsupported` if its stack has no postgres-meta, or the database
/// refuses.
pub(crate) async fn ask(call: &Call, view: &View, sql: &str) -> Result<Value> {
    let meta = Upstream::of(call, view, SERVICE, PATH).await?;
    let answer = meta.ask(call, Verb::POST, "/query", Some(&object!({ "query": sql }))).await?;
    let status = answer.status();
    let body: Value = answer.json().await.map_err(|error| {
        Error::new(Kind::Unavailable, "read what the project's postgres-meta answered").because(error)
    })?;
    if status.is_success() {
        return Ok(body);
    }
    let said = body.get("error").and_then(Value::as_str).unwrap_or("it gave no reason");
    Err(Error::new(Kind::Unsupported, format!("ask the project's database: {said}")))
}

async fn list(call: Call, path: &'static str) -> Result<Response> {
    let view = View::named(&call).await?;
    let meta = Upstream::of(&call, &view, SERVICE, PATH).await?;
    let path =
        if call.raw_query().is_empty() { path.to_owned() } else { format!("{path}?{}", call.raw_query()) };
    Ok(upstream::passed_on(meta.ask(&call, Verb::GET, &path, None).await?))
}
