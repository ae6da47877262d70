//! PostgREST's settings: which schemas it serves, and how much at once.

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
    error::private,
    route::Route,
    rule::{At, Rule},
    studio::{
        keys::Keys,
        services,
        settings::may,
        variables::{Changes, Variables},
        view::View,
    },
};

/// Whoever may see the settings.
pub(crate) const READ: Rule = Rule::May(Action::Read, Resource::ApiSettings, At::Project);
/// Whoever may change them.
pub(crate) const UPDATE: Rule = Rule::May(Action::Update, Resource::ApiSettings, At::Project);

pub(super) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/platform/projects/{ref}/config/postgrest", READ, |call| {
        Box::pin(show(call))
    }),
    Route::new(Method::PATCH, "/api/platform/projects/{ref}/config/postgrest", UPDATE, |call| {
        Box::pin(amend(call))
    }),
];

/// The stack's variables of them, as Supabase's own folder has them.
pub(crate) const SCHEMAS: &str = "PGRST_DB_SCHEMAS";
const SEARCH_PATH: &str = "PGRST_DB_EXTRA_SEARCH_PATH";
const MAX_ROWS: &str = "PGRST_DB_MAX_ROWS";
const POOL: &str = "PGRST_DB_POOL";
const ANON_ROLE: &str = "rest/PGRST_DB_ANON_ROLE";

/// What the settings are. No schema is what Studio shows as a Data API that is off: so it is without the service.
pub(crate) async fn settings(call: &Call, view: &View) -> Result<Value> {
    let variables = Variables::of(call, view).await?;
    let service = view.stack.as_ref().and_then(|stack| services::named(stack, "postgrest"));
    let runs = service.is_some_and(|name| !view.project.excluded.contains(name));
    let schemas = variables.text(SCHEMAS).filter(|_| runs).unwrap_or_default();
    let secret = if may(call, view, Action::Read, Resource::SigningSecret) {
        Keys::of(call, &view.project).await?.signing_secret(view).unwrap_or_default().to_owned()
    } else {
        String::new()
    };
    Ok(object!({
        "db_schema": schemas,
        "db_extra_search_path": variables.text(SEARCH_PATH).unwrap_or_default(),
        "max_rows": variables.number(MAX_ROWS).unwrap_or_default(),
        "db_pool": variables.number(POOL),
        "db_anon_role": variables.text(ANON_ROLE).unwrap_or("anon"),
        "role_claim_key": ".role",
        "jwt_secret": secret,
    }))
}

#[derive(Deserialize)]
struct Amend {
    db_schema: Option<String>,
    db_extra_search_path: Option<String>,
    max_rows: Option<u32>,
    db_pool: Option<u32>,
}

/// Changes what the body names.
///
/// # Errors
/// `InvalidInput` naming the field; `Unsupported` for what the stack has no setting for.
pub(crate) async fn change(call: &Call, view: &View) -> Result<()> {
    let (amend, variables) = (call.json::<Amend>()?, Variables::of(call, view).await?);
    let mut changes = Changes::default();
    if let Some(schemas) = amend.db_schema {
        let list = list("db_schema", &schemas)?;
        if list.is_empty() {
            let problem =
                "names no schema, and then PostgREST would serve `public`: exclude its service to have none";
            return Err(Error::invalid("db_schema", problem));
        }
        let service = view.stack.as_ref().and_then(|stack| services::named(stack, "postgrest"));
        if service.is_some_and(|name| view.project.excluded.contains(name)) {
            let message = "change db_schema: the project runs without PostgREST";
            return Err(Error::new(Kind::Unsupported, message));
        }
        variables.change(&mut changes, "db_schema", SCHEMAS, list)?;
    }
    if let Some(path) = amend.db_extra_search_path {
        let list = list("db_extra_search_path", &path)?;
        variables.change(&mut changes, "db_extra_search_path", SEARCH_PATH, list)?;
    }
    if let Some(rows) = amend.max_rows {
        variables.change(&mut changes, "max_rows", MAX_ROWS, rows.to_string())?;
    }
    if let Some(pool) = amend.db_pool {
        variables.change(&mut changes, "db_pool", POOL, pool.to_string())?;
    }
    changes.apply(call, view).await
}

/// Schemas separated by commas, without white space and empty ones.
pub(crate) fn list(field: &str, text: &str) -> Result<String> {
    let names: Vec<_> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
    match names.iter().find(|name| name.len() > 63 || name.chars().any(char::is_control)) {
        Some(name) => Err(Error::invalid(field, format_args!("{name:?} is the name of no schema"))),
        None => Ok(names.join(",")),
    }
}

async fn show(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    Ok(private(StatusCode::OK, &settings(&call, &view).await?))
}

async fn amend(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    change(&call, &view).await?;
    Ok(private(StatusCode::OK, &settings(&call, &view).await?))
}
