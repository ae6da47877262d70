//! How a project is, service by service.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use crate::names::ServiceName;

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
        !self.services.is_empty()
            && self.services.iter().all(|s| matches!(s.state, ServiceState::Healthy | ServiceState::Done))
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

    /// The services that are neither healthy nor done, each with its reason, for messages.
    #[must_use]
    pub fn complaints(&self) -> String {
        let complaints: Vec<_> = self
            .services
            .iter()
            .filter(|s| !matches!(s.state, ServiceState::Healthy | ServiceState::Done))
            .map(|s| {
                let reason = s.last_error.as_deref().unwrap_or(&s.probe);
                format!("{} is {} ({reason})", s.service, s.state.as_str())
            })
            .collect();
        complaints.join("; ")
    }
}

impl ServiceState {
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
