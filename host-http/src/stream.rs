//! Replies that go on: server-sent events, or lines of JSON.

use std::{convert::Infallible, future::Future};

use freehold_core::{Error, Kind, Result};
use futures_util::{Stream, StreamExt};
use serde::Serialize;
use tokio::sync::mpsc;
use tracing::Instrument;
use warp::{
    Reply,
    http::{HeaderValue, header},
    reply::Response,
    sse,
};

use crate::{call::Call, error};

/// How many items may wait for a slow reader.
const BACKLOG: usize = 32;

/// Where a stream's items go.
#[derive(Clone, Debug)]
pub(crate) struct Sender(mpsc::Sender<Item>);

/// One thing that is sent.
#[derive(Debug)]
struct Item {
    name: &'static str,
    id: Option<u64>,
    json: String,
}

impl Sender {
    /// Sends one thing, as soon as the reader has room for it.
    ///
    /// # Errors
    /// `Cancelled` if the reader went away.
    pub(crate) async fn send<T: Serialize>(
        &self,
        name: &'static str,
        id: Option<u64>,
        body: &T,
    ) -> Result<()> {
        let json =
            serde_json::to_string(body).map_err(|error| Error::internal("write an item").because(error))?;
        let sent = self.0.send(Item { name, id, json }).await;
        sent.map_err(|_| Error::new(Kind::Cancelled, "send to a reader that went away"))
    }
}

/// Answers with server-sent events (HTML Living Standard, section 9.2) until `source` ends, the reader goes away or the
/// host shuts down.
pub(crate) fn events<F, W>(call: Call, source: F) -> Response
where
    F: FnOnce(Call, Sender) -> W,
    W: Future<Output = Result<()>> + Send + 'static,
{
    let events = items(start(call, source)).map(|item| {
        let event = sse::Event::default().event(item.name).data(item.json);
        Ok::<_, Infallible>(match item.id {
            Some(id) => event.id(id.to_string()),
            None => event,
        })
    });
    sse::reply(sse::keep_alive().stream(events)).into_response()
}

/// Answers with one JSON object a line, likewise.
pub(crate) fn lines<F, W>(call: Call, source: F) -> Response
where
    F: FnOnce(Call, Sender) -> W,
    W: Future<Output = Result<()>> + Send + 'static,
{
    let lines = items(start(call, source)).map(|item| Ok::<_, Infallible>(item.json + "\n"));
    let mut response = warp::reply::stream(lines).into_response();
    let content_type = HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

fn items(mut receiver: mpsc::Receiver<Item>) -> impl Stream<Item = Item> + Send + Sync + 'static {
    futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx))
}

fn start<F, W>(call: Call, source: F) -> mpsc::Receiver<Item>
where
    F: FnOnce(Call, Sender) -> W,
    W: Future<Output = Result<()>> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(BACKLOG);
    let sender = Sender(sender);
    let (shutdown, request_id) = (call.api().shutdown().clone(), call.request_id().to_owned());
    let work = source(call, sender.clone());
    let pump = async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = sender.0.closed() => {}
            result = work => if let Err(failure) = result {
                tracing::debug!(error = %failure.chain(), "a stream broke off");
                // The reader may be what went away.
                let _ = sender.send("error", None, &error::body(&failure, &request_id)).await;
            }
        }
    };
    tokio::spawn(pump.in_current_span());
    receiver
}
