//! Regions: the targets that a project may be made on, and one that leaves the choice to the defaults.

use freehold_core::Result;
use serde_json::{Value, json as object};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::wizard;
use crate::{call::Call, error::json, route::Route, rule::Rule};

pub(crate) const ROUTES: &[Route] =
    &[Route::new(Method::GET, "/api/platform/projects/available-regions", Rule::Known, |call| {
        Box::pin(list(call))
    })];

async fn list(call: Call) -> Result<Response> {
    let targets = call.control().targets();
    let specific = targets.iter().map(|target| {
        object!({ "code": target.name, "name": target.name, "provider": wizard::PROVIDER, "type": "specific" })
    });
    let specific: Vec<Value> = specific.collect();
    let any = object!({ "code": wizard::REGION, "name": "Local", "type": "smartGroup" });
    let shown = object!({
        "all": { "smartGroup": [any], "specific": specific },
        "recommendations": { "smartGroup": any, "specific": specific },
    });
    Ok(json(StatusCode::OK, &shown))
}
