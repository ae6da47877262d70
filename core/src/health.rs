//! How a project is, service by service.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::{error::Error, names::ServiceName, plan::Plan};

/// How a project is: one entry for every service that is not excluded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The services.
    pub services: Vec<ServiceHealth>,
}

/// How one service is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceHealth {
    /// The service.
    pub service: ServiceName,
    /// How it is.
    pub state: ServiceState,
    /// How that is known: the probe, for instance `postgres 127.0.0.1:20000`, `exited 0`, `not probed`.
    pub probe: String,
    /// Since when it is so, where that is known.
    #[serde(with = "time::serde::rfc3339::option")]
    pub since: Option<OffsetDateTime>,
    /// What the probe said last when it failed.
    pub last_error: Option<String>,
    /// How long the probe took, in milliseconds.
    pub latency_ms: Option<u64>,
    /// Whether it went from well to not well and back so often of late that no single look says how it is. The control
    /// plane's watcher tells; a backend leaves it `false`.
    #[serde(default)]
    pub flapping: bool,
    /// What of it is not as its stack and settings have it, with files and keys and never their values. The control plane
    /// takes it from the backend's plan; a backend leaves it empty.
    #[serde(default)]
    pub drift: Vec<String>,
}

impl ServiceHealth {
    /// How a service is, and how that is known, with nothing else to say.
    #[must_use]
    pub fn new(service: ServiceName, state: ServiceState, probe: impl Into<String>) -> Self {
        Self {
            service,
            state,
            probe: probe.into(),
            since: None,
            last_error: None,
            latency_ms: None,
            flapping: false,
            drift: Vec::new(),
        }
    }

    /// The same with what is wrong.
    #[must_use]
    pub fn failed(self, error: impl Into<String>) -> Self {
        Self { last_error: Some(error.into()), ..self }
    }
}

/// How a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceState {
    /// It answers as it should.
    Healthy,
    /// It does not.
    Unhealthy,
    /// It is not expected to answer yet.
    Starting,
    /// It was meant to end, and did so well.
    Done,
    /// The observer could not see it.
    Unknown,
}

impl Health {
    /// Whether every service is healthy or done. A project without services is not.
    #[must_use]
    pub fn is_healthy(&self) -> bool {
        !self.services.is_empty() && self.services.iter().all(|s| s.state.is_well())
    }

    /// Whether nothing can be said: no service is known to be other than well, and some could not be seen.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        !self.is_healthy()
            && !self
                .services
                .iter()
                .any(|s| matches!(s.state, ServiceState::Unhealthy | ServiceState::Starting))
    }

    /// Adds what a plan finds to the services that it is about; what is about the whole project, to all.
    pub(crate) fn tell_drift(&mut self, plan: &Plan) {
        for service in &mut self.services {
            let changes = plan.changes.iter();
            let about = changes.filter(|c| c.service.is_empty() || service.service.as_str() == c.service);
            service.drift.extend(about.map(|c| format!("{} {}: {}", c.resource, c.name, c.reason)));
        }
    }

    /// Adds why a project cannot be compared with its stack, where another look would come to the same.
    pub(crate) fn tell_no_comparison(&mut self, error: &Error) {
        if error.kind().is_retryable() {
            return;
        }
        for service in &mut self.services {
            service.drift.push(format!("cannot be compared with its stack: {error}"));
        }
    }

    /// The services that are neither healthy nor done, or flap, each with its reason, for messages.
    #[must_use]
    pub fn complaints(&self) -> String {
        let complaints: Vec<_> = self
            .services
            .iter()
            .filter(|s| !s.state.is_well() || s.flapping)
            .map(|s| {
                let reason = s.last_error.as_deref().unwrap_or(&s.probe);
                let flapping = if s.flapping { "flapping, now " } else { "" };
                format!("{} is {flapping}{} ({reason})", s.service, s.state.as_str())
            })
            .collect();
        complaints.join("; ")
    }
}

impl ServiceState {
    /// Whether the service is as it should be: healthy or done.
    #[must_use]
    pub const fn is_well(self) -> bool {
        matches!(self, Self::Healthy | Self::Done)
    }

    /// The state as people and wires read it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Starting => "starting",
            Self::Done => "done",
            Self::Unknown => "unknown",
        }
    }
}
