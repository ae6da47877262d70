//! A project's own services, asked through its own gateway with its own service key. There is no other: a project that
//! is not up, or whose stack lacks the service, is an error.

use std::time::Duration;

use freehold_core::{Error, ExposeSecret, Kind, Result, SecretString};
use futures_util::TryStreamExt;
use reqwest::{Client, Method, redirect::Policy};
use serde_json::{Value, json as object};
use warp::{
    Reply,
    http::{HeaderValue, StatusCode, header},
    reply::Response,
};

use crate::{
    call::Call,
    error,
    studio::{keys::Keys, services, status, view::View},
};

/// How long a service may take to begin its answer: less than a request may take here.
const PATIENCE: Duration = Duration::from_secs(25);
/// How much of an answer is passed on, in bytes.
const MOST: usize = 64 * 1024 * 1024;
/// How much of an answer is read whole, in bytes: a tenant decides how long it is, and the memory is everybody's.
const MOST_AT_ONCE: usize = 8 * 1024 * 1024;
/// How much of a refusal is told, in characters.
const MOST_WORDS: usize = 4_096;

/// One service of one project.
#[derive(Debug)]
pub(crate) struct Upstream {
    client: Client,
    base: String,
    keys: Keys,
    service: String,
    /// For postgres-meta: on which connection it works, encrypted for it; its own where there is none.
    connection: Option<SecretString>,
}

/// A client for all projects. What is behind it is a tenant's: it leads nowhere else, and nothing of ours goes with it.
///
/// # Panics
/// Where no HTTP client can be made at all, as [`Client::new`] does.
pub(crate) fn client() -> Client {
    let builder = Client::builder().redirect(Policy::none()).no_proxy().referer(false);
    builder.build().expect("an HTTP client without TLS")
}

impl Upstream {
    /// The service of that name behind this path of the project's gateway.
    ///
    /// # Errors
    /// `Unsupported` if the project's stack has no such service or it is excluded; `Unavailable` while it is not up.
    pub(crate) async fn of(call: &Call, view: &View, service: &str, path: &str) -> Result<Self> {
        let reference = &view.project.reference;
        let there = view.stack.as_ref().and_then(|stack| services::named(stack, service));
        if there.is_none_or(|name| view.project.excluded.contains(name)) {
            return Err(Error::new(Kind::Unsupported, format!("project {reference} has no {service}")));
        }
        let api = view.project.connection.as_ref().and_then(|connection| connection.api.as_ref());
        let api = api.filter(|_| status::is_active(view.project.status)).ok_or_else(|| {
            Error::new(
                Kind::Unavailable,
                format!("ask {service} of project {reference}, which is {}", view.status()),
            )
        })?;
        let keys = Keys::of(call, &view.project).await?;
        if keys.service().is_empty() {
            return Err(Error::new(
                Kind::Unsupported,
                format!("project {reference} is missing a service role key"),
            ));
        }
        let base = format!("http://{}{path}", api.internal);
        Ok(Self {
            client: call.api().upstreams().clone(),
            base,
            keys,
            service: service.to_owned(),
            connection: None,
        })
    }

    /// The same, working on this connection.
    pub(crate) fn on(self, connection: Option<SecretString>) -> Self {
        Self { connection, ..self }
    }

    /// The project's keys.
    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Asks it, and gives what it answers.
    ///
    /// # Errors
    /// `Unavailable` if it does not.
    pub(crate) async fn ask(
        &self,
        call: &Call,
        method: Method,
        path: &str,
        body: Option<&serde_json::Value>,
    ) -> Result<reqwest::Response> {
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .header("apikey", self.keys.service())
            .bearer_auth(self.keys.service());
        if let Some(connection) = &self.connection {
            request = request.header("x-connection-encrypted", connection.expose_secret());
        }
        if let Some(name) = call.header("x-pg-application-name") {
            request = request.header("x-pg-application-name", name);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        let unavailable = |cause: Option<reqwest::Error>| {
            let error = Error::new(Kind::Unavailable, format!("ask the project's {}", self.service));
            match cause {
                Some(cause) => error.because(cause),
                None => error,
            }
        };
        let asked = tokio::time::timeout(PATIENCE, request.send()).await.map_err(|_| unavailable(None))?;
        asked.map_err(|cause| unavailable(Some(cause)))
    }
}

/// Passes an answer on as it comes: its status and its JSON. What is no JSON is passed on as plain text, whatever it says
/// it is: a tenant's page must not run where Studio does.
pub(crate) fn passed_on(answer: reqwest::Response) -> Response {
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let kind = answer.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next());
    // PostgREST describes itself as application/openapi+json.
    let is_json = kind.is_some_and(|kind| kind == "application/json" || kind.ends_with("+json"));
    let kind = if is_json { "application/json" } else { "text/plain; charset=utf-8" };
    let mut passed = 0;
    let bounded = answer.bytes_stream().map_err(std::io::Error::other).and_then(move |chunk| {
        passed += chunk.len();
        let fits =
            if passed <= MOST { Ok(chunk) } else { Err(std::io::Error::other("the answer is too long")) };
        async move { fits }
    });
    let mut response = warp::reply::stream(bounded).into_response();
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Reads an answer whole.
///
/// # Errors
/// `Unavailable` if it breaks off or is too long.
pub(crate) async fn whole(mut answer: reqwest::Response, what: &str) -> Result<Vec<u8>> {
    let unavailable = |why: &str| Error::new(Kind::Unavailable, format!("read {what}: {why}"));
    let mut read = Vec::new();
    while let Some(chunk) =
        answer.chunk().await.map_err(|cause| unavailable("it breaks off").because(cause))?
    {
        if read.len() + chunk.len() > MOST_AT_ONCE {
            return Err(unavailable(&format!("it is longer than {MOST_AT_ONCE} bytes")));
        }
        read.extend_from_slice(&chunk);
    }
    Ok(read)
}

/// Reads an answer whole, as JSON.
///
/// # Errors
/// As [`whole`]; `Unavailable` for what is no JSON.
pub(crate) async fn value(answer: reqwest::Response, what: &str) -> Result<serde_json::Value> {
    let read = whole(answer, what).await?;
    serde_json::from_slice(&read)
        .map_err(|cause| Error::new(Kind::Unavailable, format!("read {what}")).because(cause))
}

/// What a service refused, in the words that Studio and its kin read: `message`, and where postgres-meta has it
/// `formattedError`, which shows the line and where in it.
pub(crate) async fn refusal(call: &Call, answer: reqwest::Response) -> Response {
    let status = StatusCode::from_u16(answer.status().as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let body = value(answer, "a refusal").await.unwrap_or_default();
    let said = ["message", "error", "msg"].into_iter().find_map(|field| body.get(field)?.as_str());
    let bounded = |text: &str| text.chars().take(MOST_WORDS).collect::<String>();
    let said = bounded(said.unwrap_or("the project's service refused"));
    match body.get("formattedError").and_then(Value::as_str) {
        Some(formatted) => {
            let shown = object!({
                "code": "upstream",
                "message": said,
                "request_id": call.request_id(),
                "formattedError": bounded(formatted),
            });
            error::json(status, &shown)
        }
        None => error::refusal(status, "upstream", &said, call.request_id()),
    }
}
