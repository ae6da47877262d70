//! The storage service's settings. They stand in the stack's files: no project changes them.

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
    studio::{services, variables::Variables, view::View},
};

pub(super) const ROUTES: &[Route] = &[
    Route::new(
        Method::GET,
        "/api/platform/projects/{ref}/config/storage",
        Rule::May(Action::Read, Resource::Project, At::Project),
        |call| Box::pin(show(call)),
    ),
    Route::new(
        Method::PATCH,
        "/api/platform/projects/{ref}/config/storage",
        Rule::May(Action::AdministerStorage, Resource::Anything, At::Project),
        |call| Box::pin(amend(call)),
    ),
];

const LIMIT: &str = "storage/FILE_SIZE_LIMIT";
const TRANSFORMATION: &str = "storage/ENABLE_IMAGE_TRANSFORMATION";
const S3_KEY: &str = "s3_access_key_id";

async fn shown(call: &Call, view: &View) -> Result<Value> {
    let variables = Variables::of(call, view).await?;
    let service = view.stack.as_ref().and_then(|stack| services::named(stack, "storage"));
    let runs = service.is_some_and(|name| !view.project.excluded.contains(name));
    let has_s3 = view.stack.iter().flat_map(|stack| &stack.secrets).any(|one| one.name.as_str() == S3_KEY);
    Ok(object!({
        "fileSizeLimit": variables.number(LIMIT).filter(|_| runs).unwrap_or_default(),
        "features": {
            "imageTransformation": { "enabled": runs && variables.flag(TRANSFORMATION).unwrap_or(false) },
            "s3Protocol": { "enabled": runs && has_s3 },
            "icebergCatalog": { "enabled": false, "maxCatalogs": 0, "maxNamespaces": 0, "maxTables": 0 },
            "vectorBuckets": { "enabled": false, "maxBuckets": 0, "maxIndexes": 0 },
        },
        "capabilities": { "list_v2": false, "iceberg_catalog": false },
        "external": { "upstreamTarget": "main" },
        "isFreeTier": false,
    }))
}

pub(crate) async fn show(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    Ok(json(StatusCode::OK, &shown(&call, &view).await?))
}

/// Refuses what differs from what is.
pub(crate) async fn amend(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let (sent, settings) = (call.json::<Value>()?, shown(&call, &view).await?);
    if !is_within(&sent, &settings) {
        let message = "change the storage's settings: they stand in the stack's own files (FILE_SIZE_LIMIT)";
        return Err(Error::new(Kind::Unsupported, message));
    }
    Ok(json(StatusCode::OK, &settings))
}

/// Whether everything that one value says, the other says too.
fn is_within(part: &Value, whole: &Value) -> bool {
    match part.as_object() {
        None => part == whole,
        Some(fields) => {
            fields.iter().all(|(name, value)| whole.get(name).is_some_and(|other| is_within(value, other)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_that_sends_back_what_it_was_shown_changes_nothing() {
        let whole = object!({ "fileSizeLimit": 5, "features": { "s3Protocol": { "enabled": true } } });
        assert!(is_within(&object!({ "features": { "s3Protocol": { "enabled": true } } }), &whole));
        assert!(is_within(&object!({}), &whole));
        assert!(!is_within(&object!({ "fileSizeLimit": 6 }), &whole));
        assert!(!is_within(&object!({ "unknown": 1 }), &whole));
    }
}
