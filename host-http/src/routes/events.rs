//! Events: as a page, or as they happen.

use freehold_core::Result;
use serde::Deserialize;
use utoipa::IntoParams;
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use crate::{
    call::Call,
    error::json,
    route::Route,
    rule::Rule,
    stream,
    wire::{self, ErrorBody},
};

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/freehold/v1/events", Rule::Superuser, |call| Box::pin(page(call))),
    Route::new(Method::GET, "/api/freehold/v1/events/stream", Rule::Superuser, |call| Box::pin(follow(call))),
];

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct PageQuery {
    /// Only events after this number; 0 is the beginning.
    after: u64,
    /// How many at most: 1 to 1000.
    limit: u32,
}

impl Default for PageQuery {
    fn default() -> Self {
        Self { after: 0, limit: 100 }
    }
}

/// Read events in order.
#[utoipa::path(
    get, path = "/api/freehold/v1/events", tag = "events", operation_id = "read_events",
    params(PageQuery),
    responses(
        (status = 200, body = wire::EventPage),
        (status = 410, body = ErrorBody, description = "They are not kept any more; `detail.oldest` is"),
    ),
)]
async fn page(call: Call) -> Result<Response> {
    let query = call.query::<PageQuery>()?;
    let page = call.control().events(query.after, query.limit).await?;
    Ok(json(StatusCode::OK, &wire::EventPage::from(page)))
}

#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct FollowQuery {
    /// Only events after this number; 0, the beginning, unless said. `Last-Event-ID` goes before it.
    after: u64,
}

/// Follow events as they happen: server-sent events named by the fact's type, with the number as id.
#[utoipa::path(
    get, path = "/api/freehold/v1/events/stream", tag = "events", operation_id = "follow_events",
    params(
        FollowQuery,
        ("Last-Event-ID" = Option<u64>, Header, description = "The last number seen; browsers send it by themselves"),
    ),
    responses(
        (status = 200, body = wire::Event, content_type = "text/event-stream"),
        (status = 410, body = ErrorBody, description = "They are not kept any more; `detail.oldest` is"),
    ),
)]
async fn follow(call: Call) -> Result<Response> {
    let after = call.query::<FollowQuery>()?.after;
    let after = call.header("last-event-id").and_then(|id| id.parse().ok()).unwrap_or(after);
    // Whoever asks for what is gone is told by the status, before the stream begins.
    call.control().events(after, 1).await?;
    Ok(stream::events(call, move |call, sender| async move {
        let mut events = call.control().follow_events(after);
        while let Some(event) = events.recv().await {
            let event = wire::Event::from(event?);
            sender.send(event.name(), Some(event.sequence), &event).await?;
        }
        Ok(())
    }))
}
