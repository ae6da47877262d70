//! The watcher, with everything on record active and nothing else to do.

use std::{fmt, time::Duration};

use freehold_core::{PageRequest, ProjectFilter};
use time::OffsetDateTime;

use crate::{processor::Processor, world::World};

/// How long it is watched.
const LONG: Duration = Duration::from_secs(60);

/// What it came to.
pub(crate) struct Watching {
    projects: usize,
    /// How long ago the project was looked at that was looked at longest ago.
    oldest: Option<Duration>,
    lag: Duration,
    processor: Processor,
}

impl fmt::Display for Watching {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.oldest {
            Some(oldest) => {
                write!(
                    f,
                    "each of {} projects was seen in the last {:.1} s",
                    self.projects,
                    oldest.as_secs_f64()
                )?;
            }
            None => write!(f, "in {} s not all of {} projects were seen", LONG.as_secs(), self.projects)?,
        }
        let share = |used: Duration| used.as_secs_f64() / LONG.as_secs_f64() * 100.0;
        let (host, server) = (share(self.processor.host), share(self.processor.server));
        let lag = self.lag.as_secs_f64();
        write!(f, ", the round {lag:.1} s late; of one processor, host {host:.1} %, server {server:.1} %")
    }
}

/// Lets one host watch everything at its default pace.
pub(crate) async fn run(world: &World) -> Watching {
    let host = world.watching_host().await;
    let before = world.processor();
    tokio::time::sleep(LONG).await;
    let processor = world.processor().since(before);
    let lags = host.metrics().await.unwrap().probe_lag_ms;
    let lag = Duration::from_millis(lags.into_values().max().unwrap_or(0));
    let oldest = oldest_look(world).await;
    host.shutdown(Duration::from_secs(10)).await;
    Watching { projects: world.projects.len(), oldest, lag, processor }
}

async fn oldest_look(world: &World) -> Option<Duration> {
    let mut page = PageRequest::first(PageRequest::MAX);
    let mut oldest = Duration::ZERO;
    loop {
        let found = world.hosts[0].projects(&ProjectFilter::default(), &page).await.unwrap();
        for project in found.items {
            oldest = oldest.max((OffsetDateTime::now_utc() - project.observed_at?).unsigned_abs());
        }
        let Some(next) = found.next else { return Some(oldest) };
        page.after = Some(next);
    }
}
