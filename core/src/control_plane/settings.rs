//! What an operator can set about a control plane.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    operation::OperationKind,
    store::{Bounds, PortPool, Retention, SubnetPool},
};

/// What an operator can set about the control plane as a whole. The defaults are those of the host program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// How long a lease lasts unless renewed. Renewed three times as often.
    pub lease: Duration,
    /// How long after its end a lease is left alone: the time that one late request to an engine may still take.
    pub lease_margin: Duration,
    /// How often workers and readers look by themselves, behind the store's wake-ups.
    pub poll: Duration,
    /// How often each active project's health is looked at, and a sixth as often each paused one; zero never does.
    pub watch: Duration,
    /// How many looks in a row must find a service not well before its project's status follows.
    pub watch_agreement: u32,
    /// How many looks in a row must find it well again: more, so that a status does not flap.
    pub watch_recovery: u32,
    /// How many projects of one target are looked at at once, and half as many beside them whose looks take long.
    pub watch_concurrency: usize,
    /// How often a project that is found down is started again before that is left to people. Ten minutes of being well
    /// begin the count anew.
    pub revivals: u32,
    /// How long an operation may take, retries included.
    pub timeouts: Timeouts,
    /// After how many attempts that failed an operation is given up. With the pauses between them the default outlasts an
    /// engine that is away for three minutes.
    pub attempts: u32,
    /// How often an operation is taken over at most from a host that died or hung while it worked on it; after that it is
    /// given up, because it may be what its hosts die of. Such attempts are not among those that failed.
    pub takeovers: u32,
    /// The pause before the second attempt; it doubles with each further one, with jitter.
    pub backoff: Duration,
    /// The longest pause between two attempts.
    pub backoff_max: Duration,
    /// How long a service may take to confirm its health once its gates are open.
    pub confirm: Duration,
    /// How long things are kept.
    pub retention: Retention,
    /// How often each engine is searched for what landed after its project was removed; zero never does.
    pub sweep: Duration,
    /// How old what has no owner must be before it is removed: longer than any late request takes.
    pub grace: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            lease: Duration::from_secs(15),
            lease_margin: Duration::from_secs(10),
            poll: Duration::from_secs(1),
            watch: Duration::from_secs(10),
            watch_agreement: 2,
            watch_recovery: 3,
            watch_concurrency: 4,
            revivals: 3,
            timeouts: Timeouts::default(),
            attempts: 12,
            takeovers: 10,
            backoff: Duration::from_millis(500),
            backoff_max: Duration::from_secs(30),
            confirm: Duration::from_secs(30),
            retention: Retention {
                events: Duration::from_secs(30 * 24 * 3600),
                idempotency_keys: Duration::from_secs(24 * 3600),
                operations: Duration::from_secs(90 * 24 * 3600),
            },
            sweep: Duration::from_secs(600),
            grace: Duration::from_secs(3600),
        }
    }
}

impl Settings {
    /// Checks that the parts fit each other.
    ///
    /// # Errors
    /// `InvalidInput` naming the setting.
    pub fn validate(&self) -> Result<()> {
        if self.lease < Duration::from_millis(100) {
            return Err(Error::invalid("lease", "is shorter than 100 ms, too short to be renewed in time"));
        }
        if self.attempts == 0 {
            return Err(Error::invalid("attempts", "is 0, so no operation would ever begin"));
        }
        if self.retention.operations < self.retention.idempotency_keys {
            return Err(Error::invalid(
                "retention.operations",
                "is shorter than idempotency keys are kept, which are answered with operations",
            ));
        }
        if self.grace < self.lease_margin {
            return Err(Error::invalid(
                "grace",
                "is shorter than the lease margin: a late request to an engine may still be under way",
            ));
        }
        if self.poll.is_zero() {
            return Err(Error::invalid("poll", "is 0, so workers would never rest"));
        }
        Ok(())
    }

    /// The pause before attempt `attempt + 1`, before jitter.
    pub(crate) fn backoff_after(&self, attempt: u32) -> Duration {
        let factor = 2_u32.saturating_pow(attempt.saturating_sub(1).min(16));
        self.backoff.saturating_mul(factor).min(self.backoff_max)
    }
}

/// How long operations may take, retries included, from the moment that they are first begun: waiting in the queue costs
/// no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Create and retry: images may have to be pulled.
    pub provision: Duration,
    /// Pause.
    pub pause: Duration,
    /// Resume, restart and reconfigure.
    pub start: Duration,
    /// Destroy.
    pub destroy: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minutes = |n: u64| Duration::from_secs(n * 60);
        Self { provision: minutes(30), pause: minutes(5), start: minutes(15), destroy: minutes(10) }
    }
}

impl Timeouts {
    /// How long an operation of a kind may take.
    #[must_use]
    pub fn of(&self, kind: OperationKind) -> Duration {
        match kind {
            OperationKind::Create | OperationKind::Retry => self.provision,
            OperationKind::Pause => self.pause,
            OperationKind::Resume | OperationKind::Restart | OperationKind::Reconfigure => self.start,
            OperationKind::Destroy => self.destroy,
        }
    }
}

/// What an operator can set about one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TargetSettings {
    /// How many of its operations run at once; the others queue.
    pub max_operations: u32,
    /// How many operations of one organization run at once on it; the others queue, and let those of other organizations
    /// go first. No bound unless set.
    pub max_operations_per_organization: Option<u32>,
    /// Bounds on its projects.
    pub bounds: Bounds,
    /// Where its projects' ports come from.
    pub port_pool: PortPool,
    /// Where its projects' subnets come from.
    pub subnet_pool: SubnetPool,
}

impl Default for TargetSettings {
    fn default() -> Self {
        Self {
            max_operations: 8,
            max_operations_per_organization: None,
            bounds: Bounds::default(),
            port_pool: PortPool::default(),
            subnet_pool: SubnetPool::default(),
        }
    }
}

impl TargetSettings {
    /// Checks that the parts can be used.
    ///
    /// # Errors
    /// `InvalidInput` naming the setting.
    pub fn validate(&self) -> Result<()> {
        if self.max_operations == 0 {
            return Err(Error::invalid("max_operations", "is 0, so no operation would ever begin"));
        }
        if self.max_operations_per_organization == Some(0) {
            return Err(Error::invalid(
                "max_operations_per_organization",
                "is 0, so no operation would ever begin: leave it out for no bound",
            ));
        }
        self.port_pool.validate()?;
        self.subnet_pool.validate()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_between_attempts_doubles_up_to_its_bound() {
        let settings = Settings::default();
        let pauses: Vec<_> = (1..=8).map(|attempt| settings.backoff_after(attempt).as_millis()).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]);
    }

    #[test]
    fn settings_that_would_stop_all_work_are_refused() {
        assert!(Settings::default().validate().is_ok());
        assert!(Settings { attempts: 0, ..Settings::default() }.validate().is_err());
        assert!(Settings { grace: Duration::from_secs(1), ..Settings::default() }.validate().is_err());
        let mut settings = Settings::default();
        settings.retention.operations = Duration::from_secs(1);
        assert!(settings.validate().is_err());
        assert!(TargetSettings { max_operations: 0, ..TargetSettings::default() }.validate().is_err());
        let none = TargetSettings { max_operations_per_organization: Some(0), ..TargetSettings::default() };
        assert!(none.validate().is_err());
    }
}
