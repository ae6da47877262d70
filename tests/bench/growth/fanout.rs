//! One writer, many who follow the events.

use std::{
    fmt,
    time::{Duration, Instant},
};

use time::OffsetDateTime;

use crate::{figures::Figures, load, world::World};

/// What it came to.
pub(crate) struct Fanout {
    /// From when an event was written to when a subscriber had it.
    deliveries: Figures,
    operations: Figures,
}

impl fmt::Display for Fanout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99] = [500, 990].map(|quantile| self.deliveries.quantile(quantile).as_secs_f64() * 1e3);
        write!(
            f,
            "{:.0} events/s to all, had {p50:.1} ms (p50), {p99:.1} ms (p99) ",
            self.deliveries.rate()
        )?;
        write!(f, "after they were written, at {:.0} operations/s", self.operations.rate())
    }
}

/// Lets so many follow while operations go on, until each has seen the last event.
pub(crate) async fn run(world: &World, subscribers: usize, callers: usize, operations: usize) -> Fanout {
    let first = newest(world).await;
    let mut following = tokio::task::JoinSet::new();
    let (stop, stopped) = tokio::sync::watch::channel(None::<u64>);
    for number in 0..subscribers {
        let mut events = world.hosts[number % world.hosts.len()].follow_events(first);
        let mut stopped = stopped.clone();
        following.spawn(async move {
            let (mut took, mut seen) = (Vec::new(), first);
            while stopped.borrow().is_none_or(|last| seen < last) {
                tokio::select! {
                    event = events.recv() => {
                        let event = event.expect("events go on").unwrap();
                        assert_eq!(event.sequence, seen + 1, "no event is missed or told twice");
                        seen = event.sequence;
                        took.push((OffsetDateTime::now_utc() - event.at).unsigned_abs());
                    }
                    _ = stopped.changed() => {}
                }
            }
            took
        });
    }
    let (begun, before) = (Instant::now(), world.processor());
    let operations = load::run(world, callers, operations).await;
    stop.send_replace(Some(newest(world).await));
    let took: Vec<Duration> = following.join_all().await.into_iter().flatten().collect();
    Fanout { deliveries: Figures::new(took, begun.elapsed(), world.processor().since(before)), operations }
}

/// The newest event's number.
async fn newest(world: &World) -> u64 {
    let mut newest = 0;
    loop {
        let page = world.hosts[0].events(newest, 1_000).await.unwrap();
        if page.events.is_empty() {
            return newest;
        }
        newest = page.next;
    }
}
