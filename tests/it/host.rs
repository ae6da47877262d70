//! A control plane over a real store, with the targets that a test names.

use std::{net::IpAddr, sync::Arc, time::Duration};

use freehold_core::{
    ControlPlane, CreateProject, Keyring, OperationState, Project, ProjectRef, Status,
    control_plane::{Accepted, ControlPlaneBuilder, TargetSettings},
    seal::SealKey,
    store::PortPool,
};
use freehold_docker::{DockerBackend, StackSource};
use freehold_pg::{EmbeddedConfig, EmbeddedServer, PgStore};
use freehold_shell::ShellBackend;
use freehold_tests::{docker_host, passable_folder, workspace};
use ipnet::Ipv4Net;
use tempfile::TempDir;

/// Far more than anything here takes, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(300);

/// A control plane with everything that it needs, in a folder of its own.
pub(crate) struct Host {
    pub(crate) control: ControlPlane,
    pub(crate) folder: TempDir,
    server: EmbeddedServer,
}

/// Which targets a test needs, and where their ports begin: tests run side by side.
pub(crate) struct Targets {
    pub(crate) shell: bool,
    pub(crate) docker: bool,
    pub(crate) first_port: u16,
}

impl Host {
    pub(crate) async fn start(targets: Targets) -> Self {
        let folder = passable_folder();
        let server = EmbeddedServer::start(&EmbeddedConfig::new(folder.path().join("store"))).await.unwrap();
        let store = PgStore::connect(&freehold_pg::Config::new(server.url())).await.unwrap();
        let first = targets.first_port;
        let settings =
            TargetSettings { port_pool: PortPool { first, last: first + 199 }, ..TargetSettings::default() };
        let mut builder = ControlPlane::builder()
            .store(Arc::new(store))
            .sealer(Arc::new(Keyring::new(SealKey::random().unwrap())));
        if targets.shell {
            builder = with_shell(builder, &folder, settings);
        }
        if targets.docker {
            builder = with_docker(builder, &folder, settings).await;
        }
        Self { control: builder.build().await.unwrap(), folder, server }
    }

    pub(crate) async fn create(&self, target: &str, name: &str) -> Accepted {
        let create = CreateProject::new("acme".parse().unwrap(), name.parse().unwrap());
        self.control.create(create.on(target.parse().unwrap()), None).await.unwrap()
    }

    /// A project that is up.
    pub(crate) async fn active(&self, target: &str, name: &str) -> ProjectRef {
        let project = self.create(target, name).await.project.reference;
        self.wait(&project, Status::ActiveHealthy).await;
        project
    }

    /// Waits for the end of the operation, and that it brought the project there.
    pub(crate) async fn ended(&self, accepted: Accepted, status: Status) -> Project {
        let id = accepted.operation.unwrap().id;
        let operation = self.control.wait_operation(id, PATIENCE).await.unwrap();
        assert_eq!(operation.state, OperationState::Succeeded, "{:#?}", operation.error);
        let project = self.control.project(&accepted.project.reference).await.unwrap();
        assert_eq!(project.status, status);
        project
    }

    /// Waits for a status; an operation that failed instead is shown with all that it has to say.
    pub(crate) async fn wait(&self, project: &ProjectRef, status: Status) -> Project {
        let failed = [Status::InitFailed, Status::RestoreFailed, Status::PauseFailed, Status::DestroyFailed];
        let row = self.control.wait(project, &[&failed[..], &[status]].concat(), PATIENCE).await.unwrap();
        if row.status != status {
            let operation = self.control.operation(row.status_operation.unwrap()).await.unwrap();
            panic!("{project} is {}: {:#?}\n{:#?}", row.status, operation.error, operation.log);
        }
        row
    }

    pub(crate) async fn stop(self) {
        self.control.shutdown(Duration::from_secs(10)).await;
        self.server.stop().await.unwrap();
    }
}

fn with_shell(
    builder: ControlPlaneBuilder,
    folder: &TempDir,
    settings: TargetSettings,
) -> ControlPlaneBuilder {
    let backend = ShellBackend::open(freehold_shell::Config::new(folder.path().join("shell"))).unwrap();
    builder.target("shell".parse().unwrap(), Arc::new(backend), settings)
}

async fn with_docker(
    builder: ControlPlaneBuilder,
    folder: &TempDir,
    settings: TargetSettings,
) -> ControlPlaneBuilder {
    let stack = StackSource::new(workspace().join("tests/stacks/webapp"));
    let mut config = freehold_docker::Config::new(folder.path().join("docker"), [stack]);
    config.host = docker_host();
    let backend = DockerBackend::connect(config).await.unwrap();
    // A pool of subnets beside those of other tests on the same engine, and of engines that were killed.
    let third = u8::try_from((settings.port_pool.first - 20_000) / 200).unwrap();
    let interfaces = if_addrs::get_if_addrs().unwrap();
    let held = |pool: &Ipv4Net| {
        interfaces.iter().any(|interface| matches!(interface.ip(), IpAddr::V4(ip) if pool.contains(&ip)))
    };
    let mut pools = (214..=220).map(|second| Ipv4Net::new_assert([10, second, third, 0].into(), 24));
    let network = pools.find(|pool| !held(pool)).unwrap();
    let subnet_pool = freehold_core::store::SubnetPool { network, prefix: 28 };
    builder.target("docker".parse().unwrap(), Arc::new(backend), TargetSettings { subnet_pool, ..settings })
}
