//! What a route costs at the least: warp, one `SELECT`, and the rows as JSON. It checks nobody and decides nothing. Its
//! connections are as many as the store's, and like those not tried before each use.

use std::convert::Infallible;

use freehold_core::{ExposeSecret as _, SecretString};
use serde::Serialize;
use serde_json::Value;
use sqlx::{PgPool, postgres::PgPoolOptions, types::Uuid};
use time::{OffsetDateTime, serde::rfc3339};
use warp::{Filter, Reply, filters::BoxedFilter, http::StatusCode, reply::Response};

/// What the table says of a project, and callers see.
#[derive(Debug, Serialize, sqlx::FromRow)]
struct Row {
    reference: String,
    id: i64,
    name: String,
    organization: String,
    target: String,
    stack: String,
    digest: String,
    status: String,
    status_operation: Option<Uuid>,
    #[serde(with = "rfc3339::option")]
    observed_at: Option<OffsetDateTime>,
    annotations: Value,
    protected: bool,
    excluded: Vec<String>,
    memory_bytes: Option<i64>,
    cpus: Option<f64>,
    generation: i64,
    connection: Option<Value>,
    #[serde(with = "rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "rfc3339")]
    updated_at: OffsetDateTime,
    version: i64,
}

/// `/REF` answers one project's row, `/page` a hundred.
pub(crate) async fn route(url: &SecretString) -> BoxedFilter<(Response,)> {
    let pool = PgPoolOptions::new().max_connections(10).test_before_acquire(false);
    let pool = pool.connect(url.expose_secret()).await.unwrap();
    let pages = pool.clone();
    let page = warp::path!("page").then(move || page(pages.clone()));
    let row = warp::path!(String).then(move |project| row(pool.clone(), project));
    page.or(row)
        .unify()
        .recover(|_| async { Ok::<_, Infallible>(StatusCode::NOT_FOUND.into_response()) })
        .unify()
        .boxed()
}

macro_rules! select {
    ($tail:literal) => {
        concat!(
            "SELECT reference, id, name, organization, target, stack, digest, status, status_operation, \
             observed_at, annotations, protected, excluded, memory_bytes, cpus, generation, connection, \
             created_at, updated_at, version FROM freehold.projects ",
            $tail
        )
    };
}

async fn row(pool: PgPool, project: String) -> Response {
    json(sqlx::query_as::<_, Row>(select!("WHERE reference = $1")).bind(project).fetch_one(&pool).await)
}

async fn page(pool: PgPool) -> Response {
    json(sqlx::query_as::<_, Row>(select!("ORDER BY id LIMIT 100")).fetch_all(&pool).await)
}

fn json<T: Serialize>(read: Result<T, sqlx::Error>) -> Response {
    match read {
        Ok(read) => warp::reply::json(&read).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
