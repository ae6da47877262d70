//! The stack by Freehold: a control plane on a PostgreSQL of its own, as `freehold serve` has it, and the Docker backend.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use freehold_core::{
    ControlPlane, CreateProject, Keyring, OperationState, ProjectRef,
    control_plane::{Accepted, TargetSettings},
    seal::SealKey,
};
use freehold_docker::{Config, DockerBackend, StackSource};
use freehold_pg::{EmbeddedConfig, EmbeddedServer, PgStore};
use freehold_tests::{docker_host, passable_folder};
use tempfile::TempDir;
use tokio::sync::Mutex;

use crate::{Action, Runner, stack::Stack};

/// Far more than anything here takes.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) struct Freehold {
    control: ControlPlane,
    projects: Mutex<BTreeMap<usize, ProjectRef>>,
    server: Mutex<Option<EmbeddedServer>>,
    _folder: TempDir,
    _stack: TempDir,
}

impl Freehold {
    pub(crate) async fn start(stack: &Stack, starts: Option<usize>) -> Self {
        let (folder, offered) = (passable_folder(), stack.copy());
        let server = EmbeddedServer::start(&EmbeddedConfig::new(folder.path().join("store"))).await.unwrap();
        let store = PgStore::connect(&freehold_pg::Config::new(server.url())).await.unwrap();
        let mut config = Config::new(folder.path().join("docker"), [StackSource::new(offered.path())]);
        config.host = docker_host();
        config.starts_in_flight = starts;
        let backend = DockerBackend::connect(config).await.unwrap();
        let control = ControlPlane::builder()
            .store(Arc::new(store))
            .sealer(Arc::new(Keyring::new(SealKey::random().unwrap())))
            .target("docker".parse().unwrap(), Arc::new(backend), TargetSettings::default())
            .build()
            .await
            .unwrap();
        Self {
            control,
            projects: Mutex::default(),
            server: Mutex::new(Some(server)),
            _folder: folder,
            _stack: offered,
        }
    }

    async fn ended(&self, accepted: Accepted) {
        let operation = accepted.operation.unwrap().id;
        let operation = self.control.wait_operation(operation, PATIENCE).await.unwrap();
        assert_eq!(
            operation.state,
            OperationState::Succeeded,
            "{:#?}\n{:#?}",
            operation.error,
            operation.log
        );
        assert_eq!(operation.attempt, 1, "it was tried again: {:#?}", operation.log);
    }
}

#[async_trait]
impl Runner for Freehold {
    async fn act(&self, action: Action, number: usize) {
        let known = self.projects.lock().await.get(&number).copied();
        let accepted = match (action, known) {
            (Action::Create, _) => {
                let name = format!("copy {number}").parse().unwrap();
                let create = CreateProject::new("acme".parse().unwrap(), name);
                self.control.create(create, None).await
            }
            (Action::Restart, Some(project)) => self.control.restart(&project, &[]).await,
            (Action::Pause, Some(project)) => self.control.pause(&project).await,
            (Action::Resume, Some(project)) => self.control.resume(&project).await,
            (Action::Destroy, Some(project)) => self.control.destroy(&project).await,
            (_, None) => panic!("copy {number} was not created"),
        };
        let accepted = accepted.unwrap();
        self.projects.lock().await.insert(number, accepted.project.reference);
        self.ended(accepted).await;
    }

    async fn close(&self) {
        self.control.shutdown(Duration::from_secs(10)).await;
        if let Some(server) = self.server.lock().await.take() {
            server.stop().await.unwrap();
        }
    }
}
