//! The floor: what the engine allows to a program that was written for the stack by hand. It makes everything at once,
//! starts each container when what it waits for is there, and asks as fast as it can. It survives nothing, cleans up
//! nothing, and tells nobody.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bollard::{
    Docker,
    exec::{StartExecOptions, StartExecResults},
    models::{ExecConfig, NetworkCreateRequest},
    query_parameters::{
        CreateContainerOptionsBuilder, InspectContainerOptions, RemoveContainerOptionsBuilder,
        RemoveVolumeOptions, StartContainerOptions, StopContainerOptions, WaitContainerOptions,
    },
};
use futures_util::{StreamExt as _, future::join_all};
use tempfile::TempDir;
use tokio::sync::{Semaphore, watch};

use crate::{
    Action, Runner,
    blueprint::Blueprint,
    stack::{Service, Stack, copied},
};

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(5);

/// How many containers start at once: more brought nothing on two processors.
const STARTS: usize = 3;

pub(crate) struct Floor {
    docker: Docker,
    blueprint: Blueprint,
    source: TempDir,
    services: BTreeMap<String, (usize, Service)>,
    depth: usize,
    starts: Semaphore,
    folders: Mutex<BTreeMap<usize, Arc<TempDir>>>,
}

/// How far a service is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Waiting,
    Started,
    Ready,
}

impl Floor {
    pub(crate) async fn new(stack: &Stack) -> Self {
        let docker = Docker::connect_with_defaults().unwrap();
        let services = stack
            .services
            .iter()
            .map(|(name, service)| (name.clone(), (stack.level(name), service.clone())))
            .collect();
        Self {
            blueprint: Blueprint::of(stack, &docker).await,
            docker,
            source: copied(stack.folder()),
            services,
            depth: stack.depth(),
            starts: Semaphore::new(STARTS),
            folders: Mutex::default(),
        }
    }

    fn project(&self, number: usize) -> String {
        format!("{}-{number}", self.blueprint.project.replace("blueprint", "floor"))
    }

    fn container(&self, number: usize, service: &str) -> String {
        format!("{}-{service}", self.project(number))
    }

    /// Makes what is missing, and starts everything in its order.
    async fn up(&self, number: usize, make: bool) {
        let project = self.project(number);
        if make {
            let network =
                NetworkCreateRequest { name: self.blueprint.network(&project), ..Default::default() };
            self.docker.create_network(network).await.unwrap();
        }
        let stages: BTreeMap<_, _> =
            self.services.keys().map(|name| (name.as_str(), watch::Sender::new(Stage::Waiting))).collect();
        let services = self.services.iter().map(|(name, (_, service))| async {
            if make {
                self.create(number, name).await;
            }
            for (other, condition) in &service.waits_for {
                let needed = if condition == "service_started" { Stage::Started } else { Stage::Ready };
                stages[other.as_str()].subscribe().wait_for(|stage| *stage >= needed).await.unwrap();
            }
            self.start(number, name).await;
            stages[name.as_str()].send_replace(Stage::Started);
            self.ready(number, name, service).await;
            stages[name.as_str()].send_replace(Stage::Ready);
        });
        join_all(services).await;
    }

    async fn create(&self, number: usize, service: &str) {
        let (project, name) = (self.project(number), self.container(number, service));
        let folder = Arc::clone(&self.folders.lock().unwrap()[&number]);
        let folder = folder.path().display().to_string();
        let body = self.blueprint.body(service, &project, &folder, u16::try_from(number).unwrap());
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        self.docker.create_container(Some(options), body).await.unwrap();
    }

    async fn start(&self, number: usize, service: &str) {
        let _permit = self.starts.acquire().await.unwrap();
        let name = self.container(number, service);
        self.docker.start_container(&name, None::<StartContainerOptions>).await.unwrap();
    }

    async fn ready(&self, number: usize, name: &str, service: &Service) {
        let container = self.container(number, name);
        if service.is_job {
            let ended = self.docker.wait_container(&container, None::<WaitContainerOptions>).next().await;
            assert_eq!(ended.unwrap().unwrap().status_code, 0);
            return;
        }
        let found = self.docker.inspect_container(&container, None::<InspectContainerOptions>).await.unwrap();
        if let Some(probe) = &service.probe {
            let networks = found.network_settings.unwrap().networks.unwrap();
            let address = networks.into_values().next().unwrap().ip_address.unwrap();
            return probe.answered(&address, PAUSE).await;
        }
        let test = found.config.unwrap().healthcheck.and_then(|check| check.test).unwrap_or_default();
        let command = match test.split_first() {
            Some((kind, command)) if kind == "CMD" => command.to_vec(),
            Some((kind, line)) if kind == "CMD-SHELL" => [&["/bin/sh".into(), "-c".into()], line].concat(),
            _ => return,
        };
        while !self.succeeds(&container, &command).await {
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn succeeds(&self, container: &str, command: &[String]) -> bool {
        let exec = ExecConfig {
            cmd: Some(command.to_vec()),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        };
        let exec = self.docker.create_exec(container, exec).await.unwrap().id;
        if let StartExecResults::Attached { mut output, .. } =
            self.docker.start_exec(&exec, None::<StartExecOptions>).await.unwrap()
        {
            while output.next().await.is_some() {}
        }
        self.docker.inspect_exec(&exec).await.unwrap().exit_code == Some(0)
    }

    /// Stops everything, those that others wait for last.
    async fn stop(&self, number: usize) {
        for level in (0..self.depth).rev() {
            let on_level = self.services.iter().filter(|(_, (at, _))| *at == level);
            join_all(on_level.map(|(name, _)| async move {
                let container = self.container(number, name);
                // One that does not run is stopped.
                let _ = self.docker.stop_container(&container, None::<StopContainerOptions>).await;
            }))
            .await;
        }
    }

    /// Takes containers and network away.
    async fn remove(&self, number: usize) {
        let options = RemoveContainerOptionsBuilder::default().force(true).v(true).build();
        join_all(self.services.keys().map(|name| {
            let (container, options) = (self.container(number, name), options.clone());
            async move { self.docker.remove_container(&container, Some(options)).await.unwrap() }
        }))
        .await;
        let network = self.blueprint.network(&self.project(number));
        self.docker.remove_network(&network).await.unwrap();
    }
}

#[async_trait]
impl Runner for Floor {
    async fn act(&self, action: Action, number: usize) {
        match action {
            Action::Create => {
                let folder = Arc::new(copied(self.source.path()));
                self.folders.lock().unwrap().insert(number, folder);
                self.up(number, true).await;
            }
            Action::Restart => {
                self.stop(number).await;
                self.up(number, false).await;
            }
            Action::Pause => {
                self.stop(number).await;
                self.remove(number).await;
            }
            Action::Resume => self.up(number, true).await,
            Action::Destroy => {
                self.remove(number).await;
                join_all(self.blueprint.volumes(&self.project(number)).iter().map(|volume| async move {
                    self.docker.remove_volume(volume, None::<RemoveVolumeOptions>).await.unwrap();
                }))
                .await;
                self.folders.lock().unwrap().remove(&number);
            }
        }
    }

    async fn close(&self) {}
}
