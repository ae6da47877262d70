//! A store, one mock engine, and the hosts that share both.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use clap::ValueEnum;
use freehold_core::{
    CreateProject, Fact, Keyring, OperationId, OperationState, ProjectRef, Store,
    control_plane::{Accepted, ControlPlane, Settings, TargetSettings},
    memory::{MemoryBackend, MemoryStack, MemoryStore},
    seal::SealKey,
};
use freehold_pg::{EmbeddedConfig, EmbeddedServer, PgStore};
use freehold_tests::passable_folder;
use tempfile::TempDir;
use tokio::sync::oneshot;

use crate::processor::Processor;

/// Where projects are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StoreKind {
    /// In memory.
    Memory,
    /// In a PostgreSQL of the benchmark's own, as the `freehold` program would start it: every commit is durable.
    Postgres,
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Postgres => "PostgreSQL",
        })
    }
}

/// Everything that is measured.
pub(crate) struct World {
    pub(crate) hosts: Vec<ControlPlane>,
    pub(crate) projects: Vec<ProjectRef>,
    pub(crate) ends: Arc<Ends>,
    memory: Arc<MemoryStore>,
    stores: Vec<PgStore>,
    backend: Arc<MemoryBackend>,
    key: SealKey,
    /// How many operations the target runs at once.
    most: u32,
    pub(crate) server: Option<(EmbeddedServer, TempDir)>,
}

impl World {
    pub(crate) async fn start(kind: StoreKind, hosts: usize, callers: usize) -> Self {
        let server = match kind {
            StoreKind::Memory => None,
            StoreKind::Postgres => {
                let folder = passable_folder();
                let config = EmbeddedConfig::new(folder.path().join("store"));
                Some((EmbeddedServer::start(&config).await.unwrap(), folder))
            }
        };
        let mut world = Self {
            hosts: vec![],
            projects: vec![],
            ends: Arc::default(),
            memory: Arc::new(MemoryStore::new()),
            stores: vec![],
            backend: Arc::new(backend()),
            key: SealKey::random().unwrap(),
            most: u32::try_from(callers).unwrap(),
            server,
        };
        for _ in 0..hosts {
            let store: Arc<dyn Store> = match &world.server {
                None => Arc::clone(&world.memory) as _,
                Some((server, _)) => {
                    let store = PgStore::connect(&freehold_pg::Config::new(server.url())).await.unwrap();
                    world.stores.push(store.clone());
                    Arc::new(store)
                }
            };
            let host = world.host(store, Duration::ZERO).await;
            world.hosts.push(host);
        }
        Ends::follow(&world.ends, &world.hosts[0]);
        world
    }

    async fn host(&self, store: Arc<dyn Store>, watch: Duration) -> ControlPlane {
        let settings = TargetSettings { max_operations: self.most, ..TargetSettings::default() };
        ControlPlane::builder()
            .store(store)
            .sealer(Arc::new(Keyring::new(self.key.clone())))
            .settings(Settings { watch, ..Settings::default() })
            .target("mock".parse().unwrap(), Arc::clone(&self.backend) as _, settings)
            .build()
            .await
            .unwrap()
    }

    /// One more host, that watches as hosts do unless told otherwise.
    pub(crate) async fn watching_host(&self) -> ControlPlane {
        let store: Arc<dyn Store> = match self.stores.first() {
            Some(store) => Arc::new(store.clone()),
            None => Arc::clone(&self.memory) as _,
        };
        self.host(store, Settings::default().watch).await
    }

    /// Adds projects until there are so many, all of them active.
    pub(crate) async fn fill(&mut self, count: usize, callers: usize) {
        let missing = self.projects.len()..count.max(self.projects.len());
        let mut adding = tokio::task::JoinSet::new();
        for caller in 0..callers {
            let numbers: Vec<_> = missing.clone().skip(caller).step_by(callers).collect();
            let (host, ends) = (self.hosts[caller % self.hosts.len()].clone(), Arc::clone(&self.ends));
            adding.spawn(async move {
                let mut added = Vec::with_capacity(numbers.len());
                for number in numbers {
                    let accepted = create(&host, &format!("project {number}")).await;
                    added.push(accepted.project.reference);
                    ends.wait(accepted).await;
                }
                added
            });
        }
        self.projects.extend(adding.join_all().await.into_iter().flatten());
    }

    /// The processor time that was used until now.
    pub(crate) fn processor(&self) -> Processor {
        let postmaster =
            self.server.as_ref().map(|(_, folder)| folder.path().join("store/server/data/postmaster.pid"));
        Processor::used(postmaster.as_ref())
    }

    pub(crate) async fn stop(self) {
        for host in &self.hosts {
            host.shutdown(Duration::from_secs(10)).await;
        }
        for store in &self.stores {
            store.close().await;
        }
        if let Some((server, _folder)) = self.server {
            server.stop().await.unwrap();
        }
    }
}

/// Records one project.
pub(crate) async fn create(host: &ControlPlane, name: &str) -> Accepted {
    let create = CreateProject::new("acme".parse().unwrap(), name.parse().unwrap());
    host.create(create, None).await.expect("a project can be created")
}

/// The mock, without ports: there are fewer ports than projects.
fn backend() -> MemoryBackend {
    let mut stack = MemoryStack::mock().unwrap();
    stack.spec.ports = vec![];
    stack.spec.database = None;
    stack.spec.gateway = None;
    MemoryBackend::new().unwrap().with_stacks(vec![stack])
}

/// Learns from the events which operations have ended, as a client would: one reader for all callers.
#[derive(Default)]
pub(crate) struct Ends(Mutex<HashMap<OperationId, End>>);

enum End {
    Awaited(oneshot::Sender<()>),
    Seen,
}

impl Ends {
    fn follow(ends: &Arc<Self>, host: &ControlPlane) {
        let (ends, mut events) = (Arc::clone(ends), host.follow_events(0));
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let Fact::OperationChanged { operation, state, reason, .. } = event.unwrap().fact else {
                    continue;
                };
                if state.has_ended() {
                    assert_eq!(state, OperationState::Succeeded, "{operation}: {reason:?}");
                    ends.ended(operation);
                }
            }
        });
    }

    fn ended(&self, operation: OperationId) {
        let mut ends = self.0.lock().unwrap();
        if let Some(End::Awaited(sender)) = ends.insert(operation, End::Seen) {
            ends.remove(&operation);
            // Whoever waited may have gone.
            let _ = sender.send(());
        }
    }

    /// Returns once the operation's end was told.
    pub(crate) async fn wait(&self, accepted: Accepted) {
        let id = accepted.operation.expect("there is an operation").id;
        let told = {
            let mut ends = self.0.lock().unwrap();
            if ends.remove(&id).is_some() {
                return;
            }
            let (sender, told) = oneshot::channel();
            ends.insert(id, End::Awaited(sender));
            told
        };
        told.await.expect("events go on");
    }
}
