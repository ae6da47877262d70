//! The watcher, with everything on record active and nothing else to do.

use std::{fmt, time::Duration};

use freehold_core::{PageRequest, ProjectFilter};
use time::OffsetDateTime;

use crate::world::World;

/// How long it is watched.
const LONG: Duration = Duration::from_secs(60);

/// What it came to.
pub(crate) struct Watching {
    projects: usize,
    /// How long ago the project was looked at that was looked at longest ago.
    oldest: Option<Duration>,
    lag: Duration,
    processor: f64,
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
        let lag = self.lag.as_secs_f64();
        write!(
            f,
            ", the round {lag:.1} s late, on {:.1} % of one processor (the host alone)",
            self.processor * 100.0
        )
    }
}

/// Lets one host watch everything at its default pace.
pub(crate) async fn run(world: &World) -> Watching {
    let host = world.watching_host().await;
    let before = processor_time();
    tokio::time::sleep(LONG).await;
    let processor = (processor_time() - before).as_secs_f64() / LONG.as_secs_f64();
    let lag = Duration::from_millis(host.metrics().await.unwrap().probe_lag_ms);
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

/// How long this process has run on any processor.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // Behind the program's name, which may hold anything.
    let fields: Vec<&str> = stat[stat.rfind(')').unwrap() + 2..].split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // The unit of /proc is a hundredth of a second on every Linux that there is (proc(5)).
    Duration::from_millis(ticks * 10)
}
