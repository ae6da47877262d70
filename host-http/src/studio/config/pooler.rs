//! The connection pooler: Supavisor's settings, and the same in the words of the older one, PgBouncer.

use freehold_core::{
    Error, Kind, Result,
    accounts::{Action, Resource},
};
use serde::Deserialize;
use serde_json::{Value, json as object};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use crate::{
    call::Call,
    error::json,
    route::Route,
    rule::{At, Rule},
    studio::{
        services,
        variables::{Changes, Variables},
        view::View,
    },
};

pub(crate) const SEEN: Rule = Rule::May(Action::Read, Resource::Project, At::Project);
pub(crate) const UPDATE: Rule = Rule::May(Action::Update, Resource::Project, At::Project);

pub(super) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/platform/projects/{ref}/config/supavisor", SEEN, |call| {
        Box::pin(supavisor(call))
    }),
    Route::new(Method::PATCH, "/api/platform/projects/{ref}/config/supavisor", UPDATE, |call| {
        Box::pin(amend_supavisor(call))
    }),
    Route::new(Method::GET, "/api/platform/projects/{ref}/config/pgbouncer", SEEN, |call| {
        Box::pin(pgbouncer(call))
    }),
    Route::new(Method::PATCH, "/api/platform/projects/{ref}/config/pgbouncer", UPDATE, |call| {
        Box::pin(amend_pgbouncer(call))
    }),
    Route::new(Method::GET, "/api/platform/projects/{ref}/config/pgbouncer/status", SEEN, |call| {
        Box::pin(status(call))
    }),
];

const POOL_SIZE: &str = "POOLER_DEFAULT_POOL_SIZE";
const MAX_CLIENTS: &str = "POOLER_MAX_CLIENT_CONN";

/// A project's pooler as people reach it.
struct Pooler {
    host: String,
    port: u16,
    user: String,
    name: String,
    url: String,
    pool_size: Option<i64>,
    max_clients: Option<i64>,
}

impl Pooler {
    /// The pooler; `None` if the stack has none, or it does not run, or it was never up.
    async fn of(call: &Call, view: &View) -> Result<Option<Self>> {
        let service = view.stack.as_ref().and_then(|stack| services::named(stack, "pooler"));
        let runs = service.is_some_and(|name| !view.project.excluded.contains(name));
        let endpoint = view.project.connection.as_ref().and_then(|connection| connection.pooler.as_ref());
        let Some(address) = endpoint.map(|endpoint| &endpoint.public).filter(|_| runs) else {
            return Ok(None);
        };
        let variables = Variables::of(call, view).await?;
        let tenant = service.is_some_and(|name| name.as_str() == "supavisor");
        // Supavisor knows a project by what follows the dot (its own docs, "Connecting").
        let user = match view.database_user() {
            user if tenant => format!("{user}.{}", view.project.reference),
            user => user.to_owned(),
        };
        let name = view.database_name().to_owned();
        Ok(Some(Self {
            // What Studio itself shows where the password goes.
            url: format!("postgresql://{user}:[YOUR-PASSWORD]@{address}/{name}"),
            host: address.host.clone(),
            port: address.port,
            user,
            name,
            pool_size: variables.number(POOL_SIZE),
            max_clients: variables.number(MAX_CLIENTS),
        }))
    }
}

pub(crate) async fn supavisor(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    Ok(json(StatusCode::OK, &supavisor_rows(&call, &view).await?))
}

async fn supavisor_rows(call: &Call, view: &View) -> Result<Value> {
    let Some(pooler) = Pooler::of(call, view).await? else { return Ok(object!([])) };
    Ok(object!([{
        "identifier": view.project.reference,
        "database_type": "PRIMARY",
        "connection_string": pooler.url,
        "connectionString": pooler.url,
        "db_host": pooler.host,
        "db_name": pooler.name,
        "db_port": pooler.port,
        "db_user": pooler.user,
        "default_pool_size": pooler.pool_size,
        "max_client_conn": pooler.max_clients,
        "is_using_scram_auth": true,
        "pool_mode": "transaction",
    }]))
}

async fn pgbouncer(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    Ok(json(StatusCode::OK, &pgbouncer_settings(&call, &view).await?))
}

async fn pgbouncer_settings(call: &Call, view: &View) -> Result<Value> {
    let pooler = Pooler::of(call, view).await?;
    let pooler = pooler.as_ref();
    Ok(object!({
        "pgbouncer_enabled": pooler.is_some(),
        "pool_mode": "transaction",
        "connection_string": pooler.map_or("", |pooler| &pooler.url),
        "db_dns_name": pooler.map_or("", |pooler| &pooler.host),
        "db_host": pooler.map_or("", |pooler| &pooler.host),
        "db_name": pooler.map_or("", |pooler| &pooler.name),
        "db_port": pooler.map_or(0, |pooler| pooler.port),
        "db_user": pooler.map_or("", |pooler| &pooler.user),
        "inserted_at": view.created_at(),
        "ssl_enforced": false,
        "default_pool_size": pooler.and_then(|pooler| pooler.pool_size),
        "max_client_conn": pooler.and_then(|pooler| pooler.max_clients),
    }))
}

/// Whether it takes connections: as far as the project is up.
async fn status(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let pooler = Pooler::of(&call, &view).await?;
    let up = pooler.is_some() && crate::studio::status::is_active(view.project.status);
    Ok(json(StatusCode::OK, &object!({ "active": up })))
}

/// What may change. Forms send everything that they show.
#[derive(Deserialize)]
struct Amend {
    default_pool_size: Option<u32>,
    max_client_conn: Option<u32>,
    pool_mode: Option<String>,
    pgbouncer_enabled: Option<bool>,
}

async fn change(call: &Call, view: &View) -> Result<()> {
    let amend = call.json::<Amend>()?;
    if Pooler::of(call, view).await?.is_none() {
        return Err(Error::new(Kind::Unsupported, "change the pooler: the project has none"));
    }
    if amend.pool_mode.is_some_and(|mode| mode != "transaction") {
        return Err(Error::new(Kind::Unsupported, "change pool_mode: the pooler's port decides it"));
    }
    if amend.pgbouncer_enabled == Some(false) {
        let message = "change pgbouncer_enabled: exclude the pooler's service to have none";
        return Err(Error::new(Kind::Unsupported, message));
    }
    let (variables, mut changes) = (Variables::of(call, view).await?, Changes::default());
    for (field, name, value) in [
        ("default_pool_size", POOL_SIZE, amend.default_pool_size),
        ("max_client_conn", MAX_CLIENTS, amend.max_client_conn),
    ] {
        let Some(value) = value else { continue };
        if value == 0 {
            return Err(Error::invalid(field, "is 0, so that nobody could connect"));
        }
        variables.change(&mut changes, field, name, value.to_string())?;
    }
    changes.apply(call, view).await
}

pub(crate) async fn amend_supavisor(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    change(&call, &view).await?;
    Ok(json(StatusCode::OK, &supavisor_rows(&call, &view).await?))
}

async fn amend_pgbouncer(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    change(&call, &view).await?;
    Ok(json(StatusCode::OK, &pgbouncer_settings(&call, &view).await?))
}
