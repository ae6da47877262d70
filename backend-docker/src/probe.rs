//! Finding out whether a service is ready, by asking it, and never on the schedule of a health check.

mod exec;
mod http;
mod postgres;
mod tcp;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::{Duration, Instant},
};

use freehold_core::{Context, Error, Result};
use tokio::sync::Semaphore;

pub(crate) use self::postgres::server_version;
use crate::{
    engine::{Engine, State},
    graph::{ContainerNode, Probe},
};

/// How long one answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// The shortest time between two probes of one service.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);

/// The longest, of a service that answers quickly.
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Asks services whether they are ready, a bounded number at a time.
#[derive(Clone, Debug)]
pub(crate) struct Prober {
    engine: Engine,
    direct: bool,
    in_flight: Arc<Semaphore>,
}

/// What a service is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Question {
    /// Whether it is ready.
    Ready,
    /// Whether it decides who may log in, whatever it decides.
    Decides,
}

/// What a probe came to.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What was asked, for people: `postgres 10.200.0.2:5432`.
    pub(crate) probe: String,
    /// How long it took.
    pub(crate) latency: Duration,
    /// Why the service is not ready, if it is not.
    pub(crate) problem: Option<String>,
}

impl Prober {
    /// A prober that may have so many probes in flight, and connects to containers itself only if it is `direct`.
    pub(crate) fn new(engine: Engine, direct: bool, in_flight: usize) -> Self {
        Self { engine, direct, in_flight: Arc::new(Semaphore::new(in_flight.max(1))) }
    }

    /// Whether it logs in to a service by itself, and so hears what its server decides.
    pub(crate) fn logs_in(&self, node: &ContainerNode) -> bool {
        self.direct && matches!(node.probe, Some(Probe::Postgres { .. }))
    }

    /// Asks a running service once. `None` if there is no way to ask it: then it is ready when it runs.
    ///
    /// # Errors
    /// Only if the call has to end. An engine that does not answer is a service that is not known to be ready.
    pub(crate) async fn ask(
        &self,
        ctx: &Context,
        id: &str,
        node: &ContainerNode,
        state: &State,
        question: Question,
    ) -> Result<Option<Answer>> {
        let work = async {
            let Ok(_permit) = self.in_flight.acquire().await else {
                return Err(Error::internal("probe: the prober is closed"));
            };
            let began = Instant::now();
            let (probe, problem) = match (&node.probe, address(node, state)) {
                (Some(probe), Some(address)) if self.direct => connect(probe, address, question).await,
                _ if !state.test.is_empty() => exec::probe(&self.engine, ctx, id, &state.test).await?,
                _ => return Ok(None),
            };
            Ok(Some(Answer { probe, latency: began.elapsed(), problem }))
        };
        ctx.bounded("probe", work).await
    }
}

impl Answer {
    /// How long to leave a service alone that was waited for so long already: a tenth of that, so that being ready is noticed
    /// soon by any measure, and long enough that probing never becomes the service's work.
    pub(crate) fn pause(&self, waited: Duration) -> Duration {
        (waited / 10).clamp(SHORTEST_PAUSE, LONGEST_PAUSE).max(self.latency * 4)
    }
}

/// The address that a container has in the first of its networks.
pub(crate) fn address(node: &ContainerNode, state: &State) -> Option<IpAddr> {
    let network = &node.networks.first()?.network;
    state.addresses.get(network)?.parse().ok()
}

/// Whether a published port leads to what a container has at its port `inside`. Where that is what the service's probe asks,
/// the service answers by itself; elsewhere a connection that stays open has to do.
pub(crate) async fn published_port(
    probe: Option<&Probe>,
    inside: u16,
    outside: SocketAddr,
) -> Result<(), String> {
    match probe {
        Some(Probe::Http { port, path }) if *port == inside => within(http::probe(outside, path)).await,
        Some(Probe::Postgres { port, .. }) if *port == inside => within(postgres::speaks(outside)).await,
        _ => within(tcp::stays_open(outside)).await,
    }
}

async fn connect(probe: &Probe, ip: IpAddr, question: Question) -> (String, Option<String>) {
    let (name, answer) = match probe {
        Probe::Http { port, path } => {
            let address = SocketAddr::new(ip, *port);
            (format!("http {address}{path}"), within(http::probe(address, path)).await)
        }
        Probe::Tcp { port } => {
            let address = SocketAddr::new(ip, *port);
            (format!("tcp {address}"), within(tcp::probe(address)).await)
        }
        Probe::Postgres { port, user, database, password } => {
            let address = SocketAddr::new(ip, *port);
            let answer = match question {
                Question::Ready => within(postgres::probe(address, user, database, password)).await,
                Question::Decides => within(postgres::decides(address, user, database, password)).await,
            };
            (format!("postgres {address}"), answer)
        }
    };
    (name, answer.err())
}

/// What a probe says within the time that an answer may take.
async fn within<T, E: From<String>>(probe: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    tokio::time::timeout(PATIENCE, probe)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {PATIENCE:?}").into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_asked_again_after_a_tenth_of_the_wait_and_never_for_a_fifth_of_its_time() {
        let (ms, took) = (Duration::from_millis, Duration::from_micros(300));
        let quick = Answer { probe: String::new(), latency: took, problem: None };
        let pauses = [0, 100, 300, 9_000].map(|waited| quick.pause(ms(waited)));
        assert_eq!(pauses, [5, 10, 30, 50].map(ms));
        let slow = Answer { latency: ms(60), ..quick };
        assert_eq!(slow.pause(ms(100)), ms(240));
    }
}
