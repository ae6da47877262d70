//! How the control plane works: the `[control]` table.

use std::time::Duration;

use freehold_core::control_plane::Settings;
use serde::{Deserialize, Serialize};

use crate::exit::{Failure, Result};

const DAY: u64 = 24 * 3600;

/// How the control plane works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ControlConfig {
    /// How often each active project's health is looked at, in seconds; 0 never does.
    watch_seconds: u64,
    /// After how many attempts that failed an operation is given up. With the pauses between them the default outlasts an
    /// engine that is away for three minutes.
    attempts: u32,
    /// How often an operation is taken over at most from a host that died while it worked on it.
    takeovers: u32,
    /// How long a host that is heard of no more keeps what it works on, in seconds.
    lease_seconds: u64,
    /// How long after that another host waits, in seconds: longer than one request to an engine may take.
    lease_margin_seconds: u64,
    /// How often a project that is found down is started again before that is left to people.
    revivals: u32,
    /// How often each engine is searched for what landed after its project was removed, in seconds; 0 never is.
    sweep_seconds: u64,
    /// How old what has no owner must be before it is removed, by that search and by `freehold doctor --fix`, in seconds:
    /// longer than any late request to an engine takes.
    grace_seconds: u64,
    /// How long events are kept, in days.
    keep_events_days: u64,
    /// How long operations that have ended are kept, in days.
    keep_operations_days: u64,
    /// How long running operations may go on when the host is told to end, in seconds; then they are handed back.
    pub(crate) shutdown_grace_seconds: u64,
}

impl Default for ControlConfig {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            watch_seconds: settings.watch.as_secs(),
            attempts: settings.attempts,
            takeovers: settings.takeovers,
            lease_seconds: settings.lease.as_secs(),
            lease_margin_seconds: settings.lease_margin.as_secs(),
            revivals: settings.revivals,
            sweep_seconds: settings.sweep.as_secs(),
            grace_seconds: settings.grace.as_secs(),
            keep_events_days: settings.retention.events.as_secs() / DAY,
            keep_operations_days: settings.retention.operations.as_secs() / DAY,
            shutdown_grace_seconds: 20,
        }
    }
}

impl ControlConfig {
    /// Checks that the parts fit each other.
    ///
    /// # Errors
    /// Naming the setting.
    pub(super) fn validate(&self) -> Result<()> {
        self.settings().validate().map_err(|error| Failure::usage(format!("[control] {error}")))
    }

    /// What it comes to for the control plane.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings {
            watch: Duration::from_secs(self.watch_seconds),
            attempts: self.attempts,
            takeovers: self.takeovers,
            lease: Duration::from_secs(self.lease_seconds),
            lease_margin: Duration::from_secs(self.lease_margin_seconds),
            revivals: self.revivals,
            sweep: Duration::from_secs(self.sweep_seconds),
            grace: Duration::from_secs(self.grace_seconds),
            ..Settings::default()
        };
        settings.retention.events = Duration::from_secs(self.keep_events_days.saturating_mul(DAY));
        settings.retention.operations = Duration::from_secs(self.keep_operations_days.saturating_mul(DAY));
        settings
    }
}
