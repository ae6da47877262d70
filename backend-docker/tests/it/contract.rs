//! The backend keeps the promises of a backend on a real engine, with a small stack: a service that keeps data, and a job.

use std::{any::Any, net::TcpListener, sync::Arc};

use async_trait::async_trait;
use bollard::query_parameters::{KillContainerOptions, WaitContainerOptionsBuilder};
use freehold_core::{
    Backend, Error, PortBlock, ProjectRef, Result, Runtime,
    contract::{BackendFixture, backend::Offer},
};
use futures_util::StreamExt as _;
use ipnet::Ipv4Net;
use tempfile::TempDir;

use crate::fixture::{Fixture, free_ports, free_subnet, shell, stack};

const COMPOSE: &str = r#"
services:
  keeper:
    image: freehold-test/sql-job:1
    entrypoint: [sh, -c]
    command:
      - >-
        echo ready; echo still here; exec perl -MIO::Socket::INET -e '
        $$door = IO::Socket::INET->new(LocalPort => 8080, Listen => 9) or die;
        push @guests, $$_ while $$_ = $$door->accept'
    init: true
    user: root
    environment:
      TOKEN: ${TOKEN}
      GREETING: ${GREETING:-hello}
    ports:
      - "8080:8080"
    volumes:
      - kept:/kept
  job:
    image: freehold-test/sql-job:1
    entrypoint: [sh, -c, "echo done"]
    depends_on:
      - keeper
volumes:
  kept:
"#;

const MANIFEST: &str = r#"
name = "small"

[gateway]
service = "keeper"
port = 8080

[[secrets]]
name = "token"
variable = "TOKEN"
generate = { kind = "token", length = 32 }
"#;

struct OnDocker {
    fixture: Fixture,
    backend: Arc<dyn Backend>,
    _stack: TempDir,
}

impl OnDocker {
    async fn new() -> Option<Self> {
        let folder = stack(COMPOSE, MANIFEST);
        let fixture = Fixture::new(folder.path()).await?;
        let backend = fixture.backend.clone();
        Some(Self { fixture, backend, _stack: folder })
    }
}

#[async_trait]
impl BackendFixture for OnDocker {
    fn backend(&self) -> Arc<dyn Backend> {
        self.backend.clone()
    }

    fn ports(&self, count: u16) -> PortBlock {
        free_ports(count)
    }

    fn subnet(&self) -> Option<Ipv4Net> {
        Some(free_subnet())
    }

    fn offers(&self) -> &[Offer] {
        &Offer::OF_FIXTURES
    }

    async fn write(&self, runtime: &Runtime, marker: &str) -> Result<()> {
        let line = format!("cat >/kept/marker <<'END'\n{marker}\nEND\n");
        match shell(&self.fixture, &runtime.project, "keeper", &line).await {
            printed if printed.is_empty() => Ok(()),
            printed => Err(Error::internal(format!("write a marker: {printed}"))),
        }
    }

    async fn read(&self, runtime: &Runtime) -> Result<Option<String>> {
        let line = "if [ -e /kept/marker ]; then cat /kept/marker; fi";
        let printed = shell(&self.fixture, &runtime.project, "keeper", line).await;
        Ok((!printed.is_empty()).then_some(printed))
    }

    async fn leftovers(&self, project: &ProjectRef) -> Result<Vec<String>> {
        Ok(self.fixture.census(project).await)
    }

    async fn occupy(&self, port: u16) -> Result<Box<dyn Any + Send>> {
        Ok(Box::new(TcpListener::bind(("127.0.0.1", port)).unwrap()))
    }

    async fn damage(&self, runtime: &Runtime) -> Result<()> {
        let keeper = self.fixture.container(&runtime.project, "keeper").await;
        self.fixture.docker.kill_container(&keeper, None::<KillContainerOptions>).await.unwrap();
        // The engine says that it was killed before it has ended.
        let ended = WaitContainerOptionsBuilder::default().condition("not-running").build();
        self.fixture.docker.wait_container(&keeper, Some(ended)).next().await;
        Ok(())
    }

    fn changed(&self, mut runtime: Runtime) -> Runtime {
        runtime.variables.insert("GREETING".into(), "good day, said somebody".into());
        runtime
    }
}

freehold_core::backend_contract!(match OnDocker::new().await {
    Some(fixture) => fixture,
    None => return,
});
