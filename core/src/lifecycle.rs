//! The lifecycle of a project: one table, one pure function.
//!
//! Nothing else in the workspace decides what status follows another. The control plane calls [`next`]; the store's
//! CHECK, the diagram in `ARCHITECTURE.md` and the tests are derived from [`TABLE`] or tested against it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::error::{Detail, Error, Result};

/// Where a project stands. `Inactive` is what people call paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Being provisioned for the first time.
    ComingUp,
    /// Could not be provisioned; what was made was destroyed again.
    InitFailed,
    /// Every gate opened and the control plane's own health check confirmed it.
    ActiveHealthy,
    /// Meant to run, and something is wrong.
    ActiveUnhealthy,
    /// Being stopped, with its data kept.
    Pausing,
    /// The pause could not be finished.
    PauseFailed,
    /// Stopped: data and ports kept, containers and memory given back.
    Inactive,
    /// Being started again.
    Restoring,
    /// Could not be started again; the data is kept.
    RestoreFailed,
    /// Some or all services are being restarted, perhaps with new settings.
    Restarting,
    /// Being destroyed.
    GoingDown,
    /// Something could not be destroyed; the operation lists it.
    DestroyFailed,
    /// Destroyed: a tombstone.
    Removed,
}

impl Status {
    /// Every status.
    pub const ALL: [Self; 13] = [
        Self::ComingUp,
        Self::InitFailed,
        Self::ActiveHealthy,
        Self::ActiveUnhealthy,
        Self::Pausing,
        Self::PauseFailed,
        Self::Inactive,
        Self::Restoring,
        Self::RestoreFailed,
        Self::Restarting,
        Self::GoingDown,
        Self::DestroyFailed,
        Self::Removed,
    ];

    /// The status as it stands in stores and on wires: `ACTIVE_HEALTHY`, …
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ComingUp => "COMING_UP",
            Self::InitFailed => "INIT_FAILED",
            Self::ActiveHealthy => "ACTIVE_HEALTHY",
            Self::ActiveUnhealthy => "ACTIVE_UNHEALTHY",
            Self::Pausing => "PAUSING",
            Self::PauseFailed => "PAUSE_FAILED",
            Self::Inactive => "INACTIVE",
            Self::Restoring => "RESTORING",
            Self::RestoreFailed => "RESTORE_FAILED",
            Self::Restarting => "RESTARTING",
            Self::GoingDown => "GOING_DOWN",
            Self::DestroyFailed => "DESTROY_FAILED",
            Self::Removed => "REMOVED",
        }
    }

    /// Whether the project is meant to run and no operation is on its way.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::ActiveHealthy | Self::ActiveUnhealthy)
    }

    /// Whether an operation put the project here and will move it on.
    #[must_use]
    pub const fn is_transitional(self) -> bool {
        matches!(self, Self::ComingUp | Self::Pausing | Self::Restoring | Self::Restarting | Self::GoingDown)
    }

    /// Whether the project's name is taken: unique in its organization among these.
    #[must_use]
    pub const fn holds_name(self) -> bool {
        !matches!(self, Self::GoingDown | Self::DestroyFailed | Self::Removed)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Status {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid("status", format_args!("{text:?} is none of {known}"))
        })
    }
}

/// What moves a project from one status to the next: a command, an outcome, or what the watcher saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trigger {
    /// Command: provision again after a failed first try.
    Retry,
    /// Command: stop, keep the data.
    Pause,
    /// Command: start again.
    Resume,
    /// Command: restart all or some services.
    Restart,
    /// Command: bring a new generation of settings into force.
    Reconfigure,
    /// Command: remove everything.
    Destroy,
    /// Outcome: gates opened and health confirmed it.
    Ready,
    /// Outcome: stopped.
    Paused,
    /// Outcome: nothing is left.
    Destroyed,
    /// Outcome: the operation ended without reaching its aim.
    GaveUp,
    /// Watcher: health is good again.
    Healthy,
    /// Watcher: health is bad.
    Unhealthy,
    /// Watcher: something of a paused project is there that a pause takes away.
    NotPaused,
}

impl Trigger {
    /// Every trigger but `create`, which has no status to come from.
    pub const ALL: [Self; 13] = [
        Self::Retry,
        Self::Pause,
        Self::Resume,
        Self::Restart,
        Self::Reconfigure,
        Self::Destroy,
        Self::Ready,
        Self::Paused,
        Self::Destroyed,
        Self::GaveUp,
        Self::Healthy,
        Self::Unhealthy,
        Self::NotPaused,
    ];

    /// The trigger as it stands in errors and events.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Restart => "restart",
            Self::Reconfigure => "reconfigure",
            Self::Destroy => "destroy",
            Self::Ready => "ready",
            Self::Paused => "paused",
            Self::Destroyed => "destroyed",
            Self::GaveUp => "gave_up",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::NotPaused => "not_paused",
        }
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The status of a project that was just created.
pub const CREATED: Status = Status::ComingUp;

/// The lifecycle: every legal `(from, trigger, to)`. A pair that is not here is illegal.
pub const TABLE: &[(Status, Trigger, Status)] = {
    use Status::*;
    use Trigger::*;
    &[
        (ComingUp, Ready, ActiveHealthy),
        (ComingUp, GaveUp, InitFailed),
        (ComingUp, Destroy, GoingDown),
        (InitFailed, Retry, ComingUp),
        (InitFailed, Destroy, GoingDown),
        (ActiveHealthy, Unhealthy, ActiveUnhealthy),
        (ActiveHealthy, Pause, Pausing),
        (ActiveHealthy, Restart, Restarting),
        (ActiveHealthy, Reconfigure, Restarting),
        (ActiveHealthy, Destroy, GoingDown),
        (ActiveUnhealthy, Healthy, ActiveHealthy),
        (ActiveUnhealthy, Pause, Pausing),
        (ActiveUnhealthy, Restart, Restarting),
        (ActiveUnhealthy, Reconfigure, Restarting),
        (ActiveUnhealthy, Destroy, GoingDown),
        (Pausing, Paused, Inactive),
        (Pausing, GaveUp, PauseFailed),
        (Pausing, Destroy, GoingDown),
        (PauseFailed, Pause, Pausing),
        (PauseFailed, Resume, Restoring),
        (PauseFailed, Destroy, GoingDown),
        (Inactive, Resume, Restoring),
        (Inactive, NotPaused, Pausing),
        (Inactive, Destroy, GoingDown),
        (Restoring, Ready, ActiveHealthy),
        (Restoring, GaveUp, RestoreFailed),
        (Restoring, Destroy, GoingDown),
        (RestoreFailed, Resume, Restoring),
        (RestoreFailed, Destroy, GoingDown),
        (Restarting, Ready, ActiveHealthy),
        (Restarting, GaveUp, ActiveUnhealthy),
        (Restarting, Destroy, GoingDown),
        (GoingDown, Destroyed, Removed),
        (GoingDown, GaveUp, DestroyFailed),
        (DestroyFailed, Destroy, GoingDown),
    ]
};

/// The status that follows `status` on `trigger`.
///
/// ```
/// use freehold_core::lifecycle::{Status, Trigger, next};
///
/// assert_eq!(next(Status::Inactive, Trigger::Resume)?, Status::Restoring);
/// assert!(next(Status::Inactive, Trigger::Restart).is_err());
/// # Ok::<(), freehold_core::Error>(())
/// ```
///
/// # Errors
/// [`Detail::IllegalTransition`] (kind `Conflict`) if the table has no such pair.
pub fn next(status: Status, trigger: Trigger) -> Result<Status> {
    TABLE
        .iter()
        .find(|(from, on, _)| *from == status && *on == trigger)
        .map(|(_, _, to)| *to)
        .ok_or_else(|| illegal(status, trigger, None))
}

/// The error for a trigger that a status does not take.
pub(crate) fn illegal(
    status: Status,
    trigger: Trigger,
    operation: Option<crate::operation::OperationId>,
) -> Error {
    let legal: Vec<_> = TABLE
        .iter()
        .filter(|(from, on, _)| *from == status && on.is_command())
        .map(|(_, on, _)| on.as_str())
        .collect();
    let way_out = if legal.is_empty() {
        "it takes no command any more".to_owned()
    } else {
        format!("it takes {}", legal.join(", "))
    };
    Error::detailed(
        Detail::IllegalTransition { status, trigger, operation },
        format!("{trigger} a project that is {status}: {way_out}"),
    )
}

impl Trigger {
    /// Whether a person asks for it, as against what an operation or the watcher reports.
    #[must_use]
    pub const fn is_command(self) -> bool {
        match self {
            Self::Retry | Self::Pause | Self::Resume | Self::Restart | Self::Reconfigure | Self::Destroy => {
                true
            }
            Self::Ready
            | Self::Paused
            | Self::Destroyed
            | Self::GaveUp
            | Self::Healthy
            | Self::Unhealthy
            | Self::NotPaused => false,
        }
    }
}

/// The table as a Mermaid state diagram, as `ARCHITECTURE.md` shows it.
#[must_use]
pub fn diagram() -> String {
    let mut lines = vec!["stateDiagram-v2".to_owned(), format!("    [*] --> {CREATED}: create")];
    lines.extend(TABLE.iter().map(|(from, on, to)| format!("    {from} --> {to}: {on}")));
    lines.push(format!("    {} --> [*]", Status::Removed));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the design, written a second time by hand and the other way round: by status, what it takes.
    fn expected(status: Status, trigger: Trigger) -> Option<Status> {
        use Status::*;
        use Trigger::*;
        match (status, trigger) {
            (GoingDown | Removed, Destroy) => None,
            (_, Destroy) => Some(GoingDown),
            (ComingUp | Restoring | Restarting, Ready) => Some(ActiveHealthy),
            (ComingUp, GaveUp) => Some(InitFailed),
            (InitFailed, Retry) => Some(ComingUp),
            (ActiveHealthy, Unhealthy) => Some(ActiveUnhealthy),
            (ActiveUnhealthy, Healthy) => Some(ActiveHealthy),
            (ActiveHealthy | ActiveUnhealthy | PauseFailed, Pause) | (Inactive, NotPaused) => Some(Pausing),
            (Pausing, Paused) => Some(Inactive),
            (Pausing, GaveUp) => Some(PauseFailed),
            (Inactive | PauseFailed | RestoreFailed, Resume) => Some(Restoring),
            (Restoring, GaveUp) => Some(RestoreFailed),
            (ActiveHealthy | ActiveUnhealthy, Restart | Reconfigure) => Some(Restarting),
            (Restarting, GaveUp) => Some(ActiveUnhealthy),
            (GoingDown, Destroyed) => Some(Removed),
            (GoingDown, GaveUp) => Some(DestroyFailed),
            _ => None,
        }
    }

    #[test]
    fn every_pair_of_status_and_trigger_is_legal_or_illegal_as_designed() {
        for status in Status::ALL {
            for trigger in Trigger::ALL {
                match (next(status, trigger), expected(status, trigger)) {
                    (Ok(to), Some(wanted)) => assert_eq!(to, wanted, "{status} on {trigger}"),
                    (Err(error), None) => assert_eq!(
                        error.detail(),
                        Some(&Detail::IllegalTransition { status, trigger, operation: None })
                    ),
                    (got, wanted) => panic!("{status} on {trigger}: got {got:?}, wanted {wanted:?}"),
                }
            }
        }
    }

    #[test]
    fn no_pair_stands_twice_in_the_table() {
        let mut pairs: Vec<_> = TABLE.iter().map(|(from, on, _)| (*from, *on)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        assert_eq!(pairs.len(), TABLE.len());
    }

    #[test]
    fn every_transitional_status_can_give_up_and_every_status_but_the_last_two_can_be_destroyed() {
        for status in Status::ALL {
            assert_eq!(next(status, Trigger::GaveUp).is_ok(), status.is_transitional(), "{status}");
            let ends = matches!(status, Status::GoingDown | Status::Removed);
            assert_eq!(next(status, Trigger::Destroy).is_ok(), !ends, "{status}");
        }
    }

    #[test]
    fn statuses_round_trip_through_their_text() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse::<Status>().unwrap(), status);
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        assert!("ACTIVE".parse::<Status>().unwrap_err().to_string().contains("ACTIVE_HEALTHY"));
    }

    #[test]
    fn an_illegal_command_says_what_the_status_takes() {
        let error = next(Status::Inactive, Trigger::Pause).unwrap_err();
        assert_eq!(error.to_string(), "pause a project that is INACTIVE: it takes resume, destroy");
    }
}
