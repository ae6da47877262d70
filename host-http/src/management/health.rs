//! How a project's services are, looked at now.

use freehold_core::{
    Health, Kind, Result, ServiceState, Status,
    accounts::{Action, Resource},
};
use serde::Deserialize;
use serde_json::{Value, json as object};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::v1;
use crate::{
    call::{Call, List},
    error::json,
    route::Route,
    rule::{At, Rule},
    studio::{services, view::View},
};

pub(crate) const ROUTES: &[[Route; 2]] =
    &[v1!(GET "/projects/{ref}/health", Rule::May(Action::Read, Resource::Project, At::Project), |call| {
        Box::pin(health(call))
    })];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Query {
    services: List,
}

/// What is asked for where nothing is named.
const USUAL: [&str; 5] = ["auth", "db", "realtime", "rest", "storage"];

async fn health(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let asked = call.query::<Query>()?.services.words();
    let asked = if asked.is_empty() { USUAL.map(str::to_owned).to_vec() } else { asked };
    let seen = match call.control().health(&view.project.reference).await {
        Ok(health) => Some(health),
        // Nobody can see it now: that is no health, and no reason to fail the page.
        Err(error) if matches!(error.kind(), Kind::Unavailable | Kind::Timeout) => None,
        Err(error) => return Err(error),
    };
    let shown: Vec<_> = asked.iter().filter_map(|word| entry(&view, seen.as_ref(), word)).collect();
    Ok(json(StatusCode::OK, &shown))
}

/// One service by Studio's name for it; `None` if the stack has no such. An excluded `rest` is what Studio calls
/// disabled; of other excluded ones there is nothing to say.
fn entry(view: &View, seen: Option<&Health>, word: &str) -> Option<Value> {
    let stack = view.stack.as_ref()?;
    let name = services::named(stack, word)?.clone();
    if view.project.excluded.contains(&name) {
        let disabled = object!({
            "name": word, "healthy": true, "status": "ACTIVE_HEALTHY", "info": { "db_schema": "" },
        });
        return (word == "rest").then_some(disabled);
    }
    let service = seen.and_then(|health| health.services.iter().find(|service| service.service == name));
    let state = service.map_or(ServiceState::Unknown, |service| service.state);
    let coming = matches!(view.project.status, Status::ComingUp | Status::Restoring | Status::Restarting);
    let status = match state {
        ServiceState::Healthy | ServiceState::Done => "ACTIVE_HEALTHY",
        ServiceState::Starting => "COMING_UP",
        ServiceState::Unhealthy | ServiceState::Unknown if coming => "COMING_UP",
        ServiceState::Unhealthy | ServiceState::Unknown => "UNHEALTHY",
    };
    let healthy = status == "ACTIVE_HEALTHY";
    let mut entry = object!({ "name": word, "healthy": healthy, "status": status });
    if !healthy {
        let reason = service.and_then(|service| service.last_error.as_deref());
        entry["error"] = object!(reason.unwrap_or("it cannot be seen now"));
    }
    Some(entry)
}
