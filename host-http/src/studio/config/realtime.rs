//! Realtime's settings: it keeps them in the project's own database, and that is asked.

use freehold_core::{
    Error, Kind, Result,
    accounts::{Action, Resource},
};
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
        meta::{Access, meta, run},
        services,
        view::View,
    },
};

const ROUTE: &str = "/api/platform/projects/{ref}/config/realtime";

pub(super) const ROUTES: &[Route] = &[
    Route::new(
        Method::GET,
        ROUTE,
        Rule::May(Action::InspectRealtime, Resource::Anything, At::Project),
        |call| Box::pin(show(call)),
    ),
    Route::new(Method::PATCH, ROUTE, Rule::May(Action::Update, Resource::Project, At::Project), |call| {
        Box::pin(amend(call))
    }),
];

/// Realtime's own table (supabase/realtime, `lib/realtime/api/tenant.ex`). Its secrets are left out.
const TENANT: &str = "select to_jsonb(t) - 'jwt_secret' - 'jwt_jwks' as tenant from _realtime.tenants t \
    order by inserted_at limit 1";

const NUMBERS: [&str; 7] = [
    "max_concurrent_users",
    "max_events_per_second",
    "max_bytes_per_second",
    "max_channels_per_client",
    "max_joins_per_second",
    "max_presence_events_per_second",
    "max_payload_size_in_kb",
];

async fn show(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let service = view.stack.as_ref().and_then(|stack| services::named(stack, "realtime"));
    if service.is_none_or(|name| view.project.excluded.contains(name)) {
        return Err(Error::new(Kind::Unsupported, "read Realtime's settings: the project does not run it"));
    }
    let rows = run(&call, &meta(&call, &view, Access::Write).await?, TENANT).await?;
    let tenant = &rows[0]["tenant"];
    let mut shown = object!({
        "connection_pool": null,
        "private_only": tenant["private_only"].as_bool().unwrap_or(false),
        "suspend": tenant["suspend"].as_bool().unwrap_or(false),
    });
    for name in NUMBERS {
        shown[name] = tenant.get(name).cloned().unwrap_or(Value::Null);
    }
    Ok(json(StatusCode::OK, &shown))
}

async fn amend(call: Call) -> Result<Response> {
    View::named(&call).await?;
    let message =
        "change Realtime's settings: it keeps them itself, and this host changes nothing behind its back";
    Err(Error::new(Kind::Unsupported, message))
}
