//! What a route costs at the least: warp, one `SELECT`, and the rows as JSON. It checks nobody and decides nothing.

use std::convert::Infallible;

use freehold_core::{ExposeSecret as _, SecretString};
use sqlx::{PgPool, postgres::PgPoolOptions};
use warp::{
    Filter, Reply,
    filters::BoxedFilter,
    http::{StatusCode, header},
    reply::Response,
};

/// `/REF` answers one project's row, `/page` a hundred.
pub(crate) async fn route(url: &SecretString) -> BoxedFilter<(Response,)> {
    let pool = PgPoolOptions::new().max_connections(10).connect(url.expose_secret()).await.unwrap();
    let pages = pool.clone();
    let page = warp::path!("page").then(move || page(pages.clone()));
    let row = warp::path!(String).then(move |project| row(pool.clone(), project));
    page.or(row)
        .unify()
        .recover(|_| async { Ok::<_, Infallible>(StatusCode::NOT_FOUND.into_response()) })
        .unify()
        .boxed()
}

async fn row(pool: PgPool, project: String) -> Response {
    let row = sqlx::query_scalar("SELECT row_to_json(p)::text FROM freehold.projects p WHERE reference = $1");
    json(row.bind(project).fetch_one(&pool).await)
}

async fn page(pool: PgPool) -> Response {
    let rows = sqlx::query_scalar(
        "SELECT json_agg(row_to_json(p))::text FROM (SELECT * FROM freehold.projects ORDER BY id LIMIT 100) p",
    );
    json(rows.fetch_one(&pool).await)
}

fn json(text: Result<String, sqlx::Error>) -> Response {
    match text {
        Ok(text) => warp::reply::with_header(text, header::CONTENT_TYPE, "application/json").into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
