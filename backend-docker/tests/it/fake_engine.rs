//! A Docker Engine on a Unix socket that has no containers, only knows what they would be like: it keeps what it is asked
//! to make, refuses what an engine refuses, and gets into trouble by plan. It speaks as much of API 1.41 as our backend does.
//!
//! It is served by hyper itself, because it has to cut connections and to hand one over to a program in a container.

mod serve;
mod trouble;
mod world;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use freehold_core::Error;
use freehold_docker::{Config, DockerBackend, StackSource};
use serde_json::Value;
use tempfile::TempDir;
use tokio::{
    net::UnixListener,
    sync::{broadcast, watch},
};
use tokio_util::sync::CancellationToken;

pub(crate) use self::trouble::{Call, Trouble};
use self::world::{Container, World};

/// How long an engine that is gone stays away.
const AWAY: Duration = Duration::from_millis(100);

/// The engine. It ends with the last clone of this, and with its runtime.
#[derive(Clone)]
pub(crate) struct FakeEngine(Arc<Inner>);

struct Inner {
    folder: TempDir,
    api: &'static str,
    state: Mutex<State>,
}

struct State {
    world: World,
    /// What goes wrong with which request of its kind, counted from 1; 0 is all of them.
    plan: Vec<(Call, usize, Trouble)>,
    /// How often anything went wrong.
    struck: usize,
    /// All that was asked, in order.
    asked: Vec<Call>,
    counts: BTreeMap<Call, usize>,
    /// What was before a change, for the next list.
    stale: BTreeMap<Call, World>,
    late: Vec<Asked>,
    events: broadcast::Sender<String>,
    /// How many events nobody hears of.
    missed: usize,
    up: CancellationToken,
    is_up: watch::Sender<bool>,
}

/// A container that somebody was about to make and start when it was given up.
pub(crate) struct Straggler(Container);

/// A request, taken apart.
#[derive(Clone)]
struct Asked {
    call: Call,
    path: Vec<String>,
    query: BTreeMap<String, String>,
    body: Value,
}

impl FakeEngine {
    /// An engine without trouble.
    pub(crate) fn start() -> Self {
        Self::of_api("1.41")
    }

    /// An engine that says so of its version.
    pub(crate) fn of_api(api: &'static str) -> Self {
        let state = State {
            world: World::default(),
            plan: Vec::new(),
            struck: 0,
            asked: Vec::new(),
            counts: BTreeMap::new(),
            stale: BTreeMap::new(),
            late: Vec::new(),
            events: broadcast::Sender::new(1024),
            missed: 0,
            up: CancellationToken::new(),
            is_up: watch::Sender::new(false),
        };
        let engine =
            Self(Arc::new(Inner { folder: tempfile::tempdir().unwrap(), api, state: Mutex::new(state) }));
        engine.come_up();
        engine
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    fn socket(&self) -> PathBuf {
        self.0.folder.path().join("engine.sock")
    }

    /// Where its backend keeps folders.
    pub(crate) fn data(&self) -> PathBuf {
        self.0.folder.path().join("data")
    }

    /// A backend on it that offers this stack, if any, and cannot connect to anything in it.
    pub(crate) async fn backend(&self, stack: Option<&TempDir>) -> Result<DockerBackend, Error> {
        let stacks = stack.map(|folder| StackSource::new(folder.path()));
        let mut config = Config::new(self.data(), stacks);
        config.host = Some(format!("unix://{}", self.socket().display()));
        config.probe_directly = Some(false);
        DockerBackend::connect(config).await
    }

    /// Plans trouble for the n-th request of a kind from now on, or for all of them where `n` is 0.
    pub(crate) fn plan(&self, call: Call, n: usize, trouble: Trouble) {
        let mut state = self.state();
        let before = state.counts.get(&call).copied().unwrap_or_default();
        state.plan.push((call, if n == 0 { 0 } else { before + n }, trouble));
    }

    /// All that was asked of it so far.
    pub(crate) fn asked(&self) -> Vec<Call> {
        self.state().asked.clone()
    }

    /// All that is on it, by kind and name.
    pub(crate) fn census(&self) -> Vec<String> {
        let state = self.state();
        let World { containers, networks, volumes, .. } = &state.world;
        let mut found: Vec<_> = containers.iter().map(|it| format!("container {}", it.name)).collect();
        found.extend(networks.iter().map(|it| format!("network {}", it.name)));
        found.extend(volumes.iter().map(|it| format!("volume {}", it.name)));
        found.sort();
        found
    }

    /// The services that run, in order.
    pub(crate) fn running(&self) -> Vec<String> {
        self.state().world.running()
    }

    /// Each volume with what tells it from another of its name.
    pub(crate) fn volumes(&self) -> BTreeMap<String, u64> {
        self.state().world.volumes.iter().map(|volume| (volume.name.clone(), volume.born)).collect()
    }

    /// The container of a service, as somebody may still be about to make it.
    pub(crate) fn straggler(&self, service: &str) -> Straggler {
        let state = self.state();
        let found = state.world.containers.iter().find(|it| it.label("freehold.service") == service);
        Straggler(found.unwrap().clone())
    }

    /// Makes and starts it, with whatever else is there.
    pub(crate) fn land(&self, straggler: &Straggler) {
        self.state().world.land(straggler.0.clone());
    }

    /// How often anything went wrong.
    pub(crate) fn struck(&self) -> usize {
        self.state().struck
    }

    /// Waits until it listens.
    pub(crate) async fn up(&self) {
        let mut is_up = self.state().is_up.subscribe();
        is_up.wait_for(|up| *up).await.unwrap();
    }

    /// Listens from now on.
    fn come_up(&self) {
        let mut state = self.state();
        let _ = std::fs::remove_file(self.socket());
        let listener = UnixListener::bind(self.socket()).unwrap();
        state.up = CancellationToken::new();
        tokio::spawn(serve::serve(Arc::downgrade(&self.0), listener, state.up.clone()));
        state.is_up.send_replace(true);
    }

    /// Ends, and is back a moment later as after an engine's restart.
    fn go_away(&self) {
        let mut state = self.state();
        state.up.cancel();
        state.is_up.send_replace(false);
        state.world.restart();
        state.stale.clear();
        let weak = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            tokio::time::sleep(AWAY).await;
            if let Some(inner) = weak.upgrade() {
                Self(inner).come_up();
            }
        });
    }
}

impl State {
    /// Counts a request, and says what goes wrong with it.
    fn trouble(&mut self, call: Call) -> Option<Trouble> {
        self.asked.push(call);
        let count = self.counts.entry(call).or_default();
        *count += 1;
        let planned = self.plan.iter().find(|(of, n, _)| *of == call && (*n == 0 || *n == *count));
        let trouble = planned.map(|(.., trouble)| *trouble);
        self.struck += usize::from(trouble.is_some());
        trouble
    }

    /// Tells all who listen what happened.
    fn tell(&mut self) {
        for event in std::mem::take(&mut self.world.events) {
            if self.missed > 0 {
                self.missed -= 1;
            } else {
                // Nobody may be listening.
                let _ = self.events.send(format!("{event}\n"));
            }
        }
    }
}
