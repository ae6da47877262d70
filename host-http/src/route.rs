//! One route: where it is, who may use it, and what it does.

use std::{convert::Infallible, future::Future, pin::Pin};

use freehold_core::{Error, Kind, Result};
use tracing::Instrument;
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use crate::{
    audit,
    call::{self, Call},
    error,
    rule::Rule,
};

/// What a handler gives back.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<Response>> + Send>>;

/// One route. Each is in a table of its group, so that none can be without a rule.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    /// The HTTP method.
    pub(crate) method: Method,
    /// The path, with parameters in braces, as the OpenAPI document has it.
    pub(crate) path: &'static str,
    /// Who may use it.
    pub(crate) rule: Rule,
    handler: fn(Call) -> Answer,
}

impl Route {
    /// A route: there is none without a rule.
    pub(crate) const fn new(
        method: Method,
        path: &'static str,
        rule: Rule,
        handler: fn(Call) -> Answer,
    ) -> Self {
        Self { method, path, rule, handler }
    }

    /// Whether Studio and its kin call it, which compare messages.
    fn is_studios(&self) -> bool {
        ["/api/platform/", "/api/v1/", "/v1/"].iter().any(|prefix| self.path.starts_with(prefix))
    }

    /// Checks the credential and the rule, does the work within the time limit, and turns whatever comes of it into a reply.
    pub(crate) async fn answer(self, mut call: Call) -> Result<Response, Infallible> {
        let id = call.request_id().to_owned();
        let span = tracing::info_span!(
            "request",
            request_id = %id,
            method = %self.method,
            route = self.path,
            status = tracing::field::Empty
        );
        let answer = async {
            if self.rule.needs_credential()
                && let Err(refusal) = call.identify().await
            {
                return refusal;
            }
            let limit = call.api().limits();
            let work = async {
                if !call.read_body().await {
                    let message = format!("the body is broken off or longer than {} bytes", limit.body);
                    return Ok(error::refusal(StatusCode::PAYLOAD_TOO_LARGE, "too_large", &message, &id));
                }
                let verdict = match self.rule.check(&mut call).await {
                    // What is no ref or slug names nothing, as far as they know.
                    Err(failure) if self.is_studios() && self.rule.finds_nothing(&failure) => {
                        let (status, absence) = (StatusCode::NOT_FOUND, self.rule.absence());
                        return Ok(error::refusal(status, "not_found", absence, &id));
                    }
                    verdict => verdict?,
                };
                let recorded = if audit::concerns(&self) {
                    if let Some(refusal) = call.overspent_by_person() {
                        return Ok(refusal);
                    }
                    audit::begin(&self, &call).await?
                } else {
                    None
                };
                if verdict.is_err() {
                    if let Some(recorded) = recorded {
                        recorded.refused().await;
                    }
                    let message = "your role does not allow this";
                    return Ok(error::refusal(StatusCode::FORBIDDEN, "forbidden", message, &id));
                }
                // A task of its own: a caller that goes away stops no command halfway, and a panic ends nothing else.
                let work = apart((self.handler)(call));
                let Some(recorded) = recorded else { return work.await };
                apart(async move {
                    let worked = work.await;
                    recorded.conclude(&worked).await;
                    worked
                })
                .await
            };
            let late = || Error::new(Kind::Timeout, format!("answer within {} s", limit.time.as_secs()));
            match tokio::time::timeout(limit.time, work).await {
                Ok(Ok(response)) => response,
                Ok(Err(failure)) => error::reply(&failure, &id),
                Err(_) => error::reply(&late(), &id),
            }
        };
        let mut response = answer.instrument(span.clone()).await;
        span.record("status", response.status().as_u16());
        call::name_request(&mut response, &id);
        Ok(response)
    }
}

/// Does something in a task of its own.
fn apart(
    work: impl Future<Output = Result<Response>> + Send + 'static,
) -> impl Future<Output = Result<Response>> + Send {
    let task = tokio::spawn(work.in_current_span());
    async { task.await.unwrap_or_else(|panic| Err(Error::internal("answer the request").because(panic))) }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use freehold_core::{
        Keyring,
        control_plane::{ControlPlane, TargetSettings},
        memory::{MemoryBackend, MemoryStore},
        seal::SealKey,
    };

    use super::*;
    use crate::{
        api::{Api, Bounds},
        auth::Auth,
        router::Router,
    };

    async fn answer(handler: fn(Call) -> Answer) -> (u16, String) {
        let control = ControlPlane::builder()
            .store(Arc::new(MemoryStore::default()))
            .sealer(Arc::new(Keyring::new(SealKey::new([1; 32]))))
            .target(
                "mock".parse().unwrap(),
                Arc::new(MemoryBackend::new().unwrap()),
                TargetSettings::default(),
            )
            .build()
            .await
            .unwrap();
        let bounds = Bounds { time: Duration::from_millis(50), ..Bounds::default() };
        let api = Api::new(control, Auth::Embedder).bounds(bounds);
        let route = Route::new(Method::GET, "/x", Rule::Known, handler);
        let filter = Router::new([route].into_iter()).filter(&api);
        let reply = warp::test::request().path("/x").reply(&filter).await;
        (reply.status().as_u16(), String::from_utf8_lossy(reply.body()).into_owned())
    }

    #[tokio::test]
    async fn work_that_takes_too_long_is_answered_in_time() {
        let (status, body) = answer(|_| Box::pin(std::future::pending())).await;
        assert_eq!(status, 504, "{body}");
    }

    #[tokio::test]
    async fn a_panic_is_a_fault_inside_and_shows_nothing_of_it() {
        let (status, body) = answer(|_| Box::pin(async { panic!("hunter2") })).await;
        assert_eq!(status, 500, "{body}");
        assert!(!body.contains("hunter2"), "{body}");
    }
}
