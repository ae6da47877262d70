//! What Studio and the Management API's clients ask for and nobody answers: told as they expect it, and counted, so that
//! what the next Studio needs can be seen.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use warp::{
    Filter,
    filters::BoxedFilter,
    http::{Method, StatusCode},
    path::FullPath,
    reply::Response,
};

use crate::{call, error};

/// How often, by surface. A cheap handle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Unknown(Arc<[AtomicU64; 2]>);

/// Whose routes they would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Surface {
    Studio,
    Management,
}

impl Surface {
    fn of(path: &str) -> Option<Self> {
        if path.starts_with("/api/platform/") {
            Some(Self::Studio)
        } else if path.starts_with("/v1/") || path.starts_with("/api/v1/") {
            Some(Self::Management)
        } else {
            None
        }
    }
}

impl Unknown {
    /// Answers those; it rejects what is no path of theirs.
    pub(crate) fn filter(&self) -> BoxedFilter<(Response,)> {
        let unknown = self.clone();
        warp::method()
            .and(warp::path::full())
            .and_then(move |method: Method, path: FullPath| {
                let answer = unknown.answer(&method, path.as_str());
                async move { answer.ok_or_else(warp::reject::not_found) }
            })
            .boxed()
    }

    fn answer(&self, method: &Method, path: &str) -> Option<Response> {
        let surface = Surface::of(path)?;
        self.0[surface as usize].fetch_add(1, Ordering::Relaxed);
        tracing::info!(%method, path, "a route that this host does not have was asked for");
        let id = call::new_request_id();
        let mut response = match surface {
            Surface::Studio => {
                error::refusal(StatusCode::NOT_FOUND, "not_found", "this host does not have this route", &id)
            }
            Surface::Management => {
                let message = "this host does not have this part of the Management API";
                error::refusal(StatusCode::NOT_IMPLEMENTED, "unsupported", message, &id)
            }
        };
        call::name_request(&mut response, &id);
        Some(response)
    }

    /// The counts, as Prometheus reads them.
    pub(crate) fn text(&self) -> String {
        let count = |surface: Surface| self.0[surface as usize].load(Ordering::Relaxed);
        format!(
            "# HELP freehold_unknown_routes_total Requests for routes that this host does not have, by surface.\n\
             # TYPE freehold_unknown_routes_total counter\n\
             freehold_unknown_routes_total{{surface=\"studio\"}} {}\n\
             freehold_unknown_routes_total{{surface=\"management\"}} {}\n",
            count(Surface::Studio),
            count(Surface::Management),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_those_surfaces_are_answered_and_each_is_counted() {
        let unknown = Unknown::default();
        let status = |path: &str| unknown.answer(&Method::GET, path).map(|reply| reply.status().as_u16());
        assert_eq!(status("/api/platform/new-thing"), Some(404));
        assert_eq!(status("/v1/projects/x/functions"), Some(501));
        assert_eq!(status("/api/v1/branches/x"), Some(501));
        assert_eq!(status("/somebody/elses"), None);
        let text = unknown.text();
        assert!(
            text.contains("{surface=\"studio\"} 1\n") && text.contains("{surface=\"management\"} 2\n"),
            "{text}"
        );
    }
}
