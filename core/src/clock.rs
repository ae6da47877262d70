//! What time it is.

use std::fmt::Debug;

use time::OffsetDateTime;

/// Tells the time of day. Stores have clocks of their own, on which leases run; this one is for what is only shown and
/// for stores in memory. Waiting is tokio's business, so that tests can pause it.
pub trait Clock: Debug + Send + Sync + 'static {
    /// The present moment in UTC.
    fn now(&self) -> OffsetDateTime;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> OffsetDateTime {
        OffsetDateTime::now_utc()
    }
}

/// A clock that begins at a given moment and moves with tokio's time: it stands while a test's time is paused and
/// jumps when the test advances it.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    origin: OffsetDateTime,
    started: tokio::time::Instant,
}

impl TokioClock {
    /// A clock that shows `origin` now.
    #[must_use]
    pub fn starting_at(origin: OffsetDateTime) -> Self {
        Self { origin, started: tokio::time::Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> OffsetDateTime {
        self.origin + self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_test_moves_the_clock_with_tokios_time() {
        let clock = TokioClock::starting_at(OffsetDateTime::UNIX_EPOCH);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(clock.now(), OffsetDateTime::UNIX_EPOCH + Duration::from_secs(3600));
    }
}
