//! The control plane over the store and the backend in memory, on paused time.

mod doctor;
mod drift;
mod durability;
mod failures;
mod life;
#[cfg(feature = "mock")]
mod outages;
mod requests;
mod rotation;
mod survival;
mod takeovers;
mod watching;
mod wishes;

use std::{sync::Arc, time::Duration};

use freehold_core::{
    Keyring, OperationState, Project, ProjectRef, Status,
    clock::TokioClock,
    control_plane::{Accepted, ControlPlane, CreateProject, Settings, TargetSettings},
    memory::{MemoryBackend, MemoryStore},
    seal::SealKey,
};
use time::macros::datetime;

/// Far more than anything here takes, on time that costs nothing.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A control plane, and the parts behind it.
struct Fixture {
    control: ControlPlane,
    backend: Arc<MemoryBackend>,
    store: Arc<MemoryStore>,
}

fn key() -> SealKey {
    SealKey::new([7; 32])
}

fn new_store() -> Arc<MemoryStore> {
    Arc::new(MemoryStore::on_clock(Arc::new(TokioClock::starting_at(datetime!(2026-11-23 00:00 UTC)))))
}

fn new_backend() -> Arc<MemoryBackend> {
    Arc::new(MemoryBackend::new().unwrap())
}

async fn started(
    store: &Arc<MemoryStore>,
    backend: &Arc<MemoryBackend>,
    settings: Settings,
    target: TargetSettings,
) -> freehold_core::Result<ControlPlane> {
    ControlPlane::builder()
        .store(Arc::clone(store) as _)
        .sealer(Arc::new(Keyring::new(key())))
        .target("local".parse().unwrap(), Arc::clone(backend) as _, target)
        .clock(Arc::new(TokioClock::starting_at(datetime!(2026-11-23 00:00 UTC))))
        .seed(42)
        .settings(settings)
        .build()
        .await
}

/// Settings without a watcher, so that time stands still while nothing happens.
fn calm() -> Settings {
    Settings { watch: Duration::ZERO, ..Settings::default() }
}

impl Fixture {
    async fn new() -> Self {
        Self::with(calm(), TargetSettings::default()).await
    }

    async fn with(settings: Settings, target: TargetSettings) -> Self {
        let (store, backend) = (new_store(), new_backend());
        let control = started(&store, &backend, settings, target).await.unwrap();
        Self { control, backend, store }
    }

    async fn create(&self, name: &str) -> Accepted {
        self.control.create(demo(name), None).await.unwrap()
    }

    /// A project that is up.
    async fn active(&self, name: &str) -> ProjectRef {
        let project = self.create(name).await.project.reference;
        self.wait(&project, Status::ActiveHealthy).await;
        project
    }

    async fn wait(&self, project: &ProjectRef, status: Status) -> Project {
        self.control.wait(project, &[status], PATIENCE).await.unwrap()
    }

    /// Waits for the end of an accepted operation.
    async fn end(&self, accepted: &Accepted) -> OperationState {
        let operation = accepted.operation.as_ref().unwrap().id;
        self.control.wait_operation(operation, PATIENCE).await.unwrap().state
    }
}

pub(crate) fn demo(name: &str) -> CreateProject {
    CreateProject::new("acme".parse().unwrap(), name.parse().unwrap())
}
