//! A fake engine, a backend on it, and one project.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use freehold_core::{Context, ContextBuilder, Destroyer, Outcome, Provisioner, Result, Runtime, Scope, Wish};
use freehold_docker::DockerBackend;
use tempfile::TempDir;

use super::Step;
use crate::{
    fake_engine::FakeEngine,
    fixture::{PATIENCE, runtime, stack},
};

/// How long the engine may take over one request: long for a fake, short for who waits.
pub(super) const MARGIN: Duration = Duration::from_secs(2);

/// Two networks, data, files, a health check, a job between two services: all kinds of requests.
const COMPOSE: &str = "
services:
  db:
    image: fake/server:1
    environment:
      PASSWORD: ${PASSWORD}
      GREETING: ${GREETING:-hello}
    networks: [default, back]
    volumes: [data:/data]
    configs: [{source: motd, target: /motd}]
    healthcheck: {test: [CMD, is-well]}
    ports: ['5432:5432']
    restart: unless-stopped
    stop_grace_period: 1s
  job:
    image: fake/job:1
    depends_on: {db: {condition: service_healthy}}
  api:
    image: fake/server:1
    environment:
      GREETING: ${GREETING:-hello}
    depends_on: {job: {condition: service_completed_successfully}}
    stop_grace_period: 1s
networks:
  back: {}
volumes:
  data:
configs:
  motd: {content: welcome}
";

const MANIFEST: &str = "
name = 'troubled'

[database]
service = 'db'
port = 5432
user = 'postgres'
name = 'postgres'
password = 'password'

[[secrets]]
name = 'password'
variable = 'PASSWORD'
generate = { kind = 'token', length = 32 }
";

pub(crate) struct Stage {
    pub(crate) engine: FakeEngine,
    pub(crate) backend: Arc<DockerBackend>,
    pub(crate) runtime: Runtime,
    _stack: TempDir,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        let engine = FakeEngine::start();
        let folder = stack(COMPOSE, MANIFEST);
        let backend = engine.backend(Some(&folder)).await.unwrap();
        let spec = backend.describe(&Context::new(PATIENCE)).await.unwrap().stacks.remove(0);
        Self { engine, backend: Arc::new(backend), runtime: runtime(&spec), _stack: folder }
    }

    /// A call by hand, which waits for the engine no longer than a test should.
    pub(crate) fn ctx(&self) -> Context {
        self.ctx_of(PATIENCE)
    }

    pub(super) fn ctx_of(&self, timeout: Duration) -> Context {
        ContextBuilder::new(tokio::time::Instant::now() + timeout).margin(MARGIN).build()
    }

    pub(crate) async fn provision(&self) -> Result<Outcome> {
        self.backend.provision(&self.ctx(), &self.runtime).await
    }

    /// Calls the backend for a step.
    pub(super) async fn call(&self, ctx: &Context, step: Step) -> Result<Outcome> {
        let Self { backend, runtime, .. } = self;
        match step {
            Step::Provision => backend.provision(ctx, runtime).await,
            Step::Pause => backend.pause(ctx, runtime).await,
            Step::Resume => backend.resume(ctx, runtime).await,
            Step::Restart => backend.restart(ctx, runtime, &Scope::All).await,
            Step::Reconfigure => backend.reconfigure(ctx, runtime).await,
            Step::Destroy => backend.destroy(ctx, &runtime.project).await,
        }
    }

    /// What is not as it should be behind a step, by the backend's own look.
    pub(super) async fn differences(&self, step: Step) -> Result<Vec<String>> {
        let Self { backend, runtime, .. } = self;
        let wish = match step {
            Step::Provision | Step::Resume | Step::Restart | Step::Reconfigure => Wish::Active,
            Step::Pause => Wish::Paused,
            Step::Destroy => {
                let holdings = backend.inventory(&self.ctx()).await?;
                return Ok(holdings.into_iter().map(|holding| format!("{:?}", holding.resources)).collect());
            }
        };
        let plan = backend.plan(&self.ctx(), runtime, wish).await?;
        Ok(plan.changes.into_iter().map(|change| format!("{:?} {}", change.action, change.name)).collect())
    }
}

/// Whether what is on the engine is what a step leaves: each thing once, and data that was there before.
pub(super) fn look(
    engine: &FakeEngine,
    step: Step,
    data: &mut BTreeMap<String, u64>,
) -> std::result::Result<(), String> {
    let (census, running, volumes) = (engine.census(), engine.running(), engine.volumes());
    if running != step.running() {
        return Err(format!("{running:?} run behind {step:?}"));
    }
    let count = |kind: &str| census.iter().filter(|name| name.starts_with(kind)).count();
    let found = (count("container"), count("network"), count("volume"));
    let wanted = match step {
        Step::Provision | Step::Resume | Step::Restart | Step::Reconfigure => (3, 2, 4),
        Step::Pause => (0, 0, 4),
        Step::Destroy => (0, 0, 0),
    };
    if found != wanted {
        return Err(format!("behind {step:?} there are {census:?}"));
    }
    if step == Step::Provision {
        *data = volumes;
    } else if step != Step::Destroy && volumes != *data {
        return Err(format!("{step:?} made data anew: {data:?}, then {volumes:?}"));
    }
    Ok(())
}
