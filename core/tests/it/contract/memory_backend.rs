//! The backend in memory keeps the promises of a backend, and offers everything.

use std::{
    any::Any,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
};

use async_trait::async_trait;
use freehold_core::{
    Backend, PortBlock, ProjectRef, Result, Runtime,
    contract::{
        BackendFixture,
        backend::{self, Offer},
    },
    memory::MemoryBackend,
};

/// A backend in memory, or one in whose inside is one.
#[derive(Clone)]
pub(crate) struct InMemory {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) inside: Arc<MemoryBackend>,
}

impl InMemory {
    fn new() -> Self {
        let inside = Arc::new(MemoryBackend::new().unwrap());
        Self { backend: inside.clone(), inside }
    }
}

/// Ports that no other test has: in memory they cost nothing.
pub(crate) fn ports(count: u16) -> PortBlock {
    static NEXT: AtomicU16 = AtomicU16::new(1024);
    PortBlock { first: NEXT.fetch_add(count, Ordering::Relaxed), count }
}

/// Frees a stranger's port when it is dropped.
struct Stranger(Arc<MemoryBackend>, u16);

impl Drop for Stranger {
    fn drop(&mut self) {
        self.0.free_port(self.1);
    }
}

#[async_trait]
impl BackendFixture for InMemory {
    fn backend(&self) -> Arc<dyn Backend> {
        self.backend.clone()
    }

    fn ports(&self, count: u16) -> PortBlock {
        ports(count)
    }

    fn offers(&self) -> &[Offer] {
        &Offer::OF_FIXTURES
    }

    async fn write(&self, runtime: &Runtime, marker: &str) -> Result<()> {
        self.inside.write(&runtime.project, "marker", marker)
    }

    async fn read(&self, runtime: &Runtime) -> Result<Option<String>> {
        Ok(self.inside.read(&runtime.project, "marker"))
    }

    async fn leftovers(&self, project: &ProjectRef) -> Result<Vec<String>> {
        Ok(self.inside.census(project))
    }

    async fn occupy(&self, port: u16) -> Result<Box<dyn Any + Send>> {
        self.inside.occupy_port(port);
        Ok(Box::new(Stranger(Arc::clone(&self.inside), port)))
    }

    async fn damage(&self, runtime: &Runtime) -> Result<()> {
        self.inside.kill(&runtime.project, &"db".parse()?);
        Ok(())
    }

    fn changed(&self, mut runtime: Runtime) -> Runtime {
        runtime.limits.memory_bytes = Some(1 << 30);
        runtime
    }
}

freehold_core::backend_contract!(InMemory::new());

#[tokio::test]
async fn the_suite_passes_twice_in_a_row_on_one_engine() {
    let fixture = InMemory::new();
    for _ in 0..2 {
        let findings = backend::run(async || fixture.clone()).await;
        assert!(findings.all_passed(), "{findings}");
        assert_eq!(
            (findings.passed().count(), findings.not_offered().count()),
            (backend::cases().count(), 0)
        );
    }
}
