//! The API as a whole: what it needs, and the one filter that it is.

use std::{sync::Arc, time::Duration};

use freehold_core::{Result, control_plane::ControlPlane};
use tokio_util::sync::CancellationToken;
use warp::{Filter, filters::BoxedFilter, reply::Response};

use crate::{
    auth::Auth, cors, error, router::Router, routes, throttle::Throttle, unknown::Unknown, upstream,
};

/// Everything that the routes need. A cheap handle.
#[derive(Clone, Debug)]
pub struct Api(Arc<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    control: ControlPlane,
    auth: Auth,
    bounds: Bounds,
    shutdown: CancellationToken,
    origins: Vec<String>,
    throttle: Throttle,
    unknown: Unknown,
    upstreams: reqwest::Client,
}

/// What a request may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The longest body, in bytes.
    pub body: usize,
    /// The longest time until the reply begins. Streams may last longer.
    pub time: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { body: 1024 * 1024, time: Duration::from_secs(30) }
    }
}

impl Api {
    /// An API over a control plane.
    #[must_use]
    pub fn new(control: ControlPlane, auth: Auth) -> Self {
        Self(Arc::new(Inner {
            control,
            auth,
            bounds: Bounds::default(),
            shutdown: CancellationToken::new(),
            origins: Vec::new(),
            throttle: Throttle::default(),
            unknown: Unknown::default(),
            upstreams: upstream::client(),
        }))
    }

    /// Bounds other than the default ones.
    #[must_use]
    pub fn bounds(self, bounds: Bounds) -> Self {
        Self(Arc::new(Inner { bounds, ..Inner::clone(&self.0) }))
    }

    /// Ends streams when this token is cancelled, so that a graceful shutdown need not wait for their readers.
    #[must_use]
    pub fn shutdown_on(self, shutdown: CancellationToken) -> Self {
        Self(Arc::new(Inner { shutdown, ..Inner::clone(&self.0) }))
    }

    /// Lets pages from these origins (`https://studio.example.com`) use the API from a browser, with their credentials.
    /// Without one, browsers let none.
    ///
    /// # Errors
    /// `InvalidInput` naming what is no origin.
    pub fn allow_origins(self, origins: Vec<String>) -> Result<Self> {
        cors::check(&origins)?;
        Ok(Self(Arc::new(Inner { origins, ..Inner::clone(&self.0) })))
    }

    /// All routes as one filter, errors answered. Compose the [`routes`](Api::routes) with filters of your own before
    /// that if paths of yours come after these.
    #[must_use]
    pub fn filter(&self) -> BoxedFilter<(Response,)> {
        let all = self.routes().or(self.0.unknown.filter()).unify();
        let answered = all.recover(error::recover).unify().boxed();
        cors::wrap(answered, &self.0.origins)
    }

    /// All routes as one filter that rejects what is not its own.
    #[must_use]
    pub fn routes(&self) -> BoxedFilter<(Response,)> {
        Router::new(routes::all()).filter(self)
    }

    pub(crate) fn control(&self) -> &ControlPlane {
        &self.0.control
    }

    pub(crate) fn auth(&self) -> &Auth {
        &self.0.auth
    }

    pub(crate) fn unknown(&self) -> &Unknown {
        &self.0.unknown
    }

    pub(crate) fn upstreams(&self) -> &reqwest::Client {
        &self.0.upstreams
    }

    pub(crate) fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }

    pub(crate) fn limits(&self) -> Bounds {
        self.0.bounds
    }

    pub(crate) fn shutdown(&self) -> &CancellationToken {
        &self.0.shutdown
    }
}
