//! What the tests share: the engine if there is one, a backend on it, runtimes, and a census of what is there.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use bollard::{
    Docker,
    exec::{CreateExecOptions, StartExecResults},
    query_parameters::{ListContainersOptionsBuilder, ListNetworksOptions, ListVolumesOptions},
};
use freehold_core::{
    Context, ExposeSecret, HashKey, Health, PortBlock, ProjectRef, Provisioner, Runtime, SecretString,
    ServiceName, StackSpec, runtime::Limits,
};
use freehold_docker::{Config, DockerBackend, StackSource};
use futures_util::StreamExt;
use ipnet::Ipv4Net;
use rand::Rng;
use tempfile::TempDir;

/// Long enough for a slow machine, short enough to notice.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// A backend on the real engine, offering one stack.
pub(crate) struct Fixture {
    pub(crate) backend: Arc<DockerBackend>,
    pub(crate) docker: Docker,
    pub(crate) spec: StackSpec,
    pub(crate) root: TempDir,
}

impl Fixture {
    /// A backend that offers the stack in `folder`; `None` without an engine.
    pub(crate) async fn new(folder: &Path) -> Option<Self> {
        let host = host();
        Self::at(folder, host.as_deref()).await
    }

    /// The same, reaching the engine by another address.
    pub(crate) async fn at(folder: &Path, address: Option<&str>) -> Option<Self> {
        let docker = engine().await?;
        let root = tempfile::tempdir().unwrap();
        let mut config = Config::new(root.path(), [StackSource::new(folder)]);
        config.host = address.map(str::to_owned);
        Some(Self::of(docker, root, config).await)
    }

    /// A backend of that configuration, on a folder that goes with it.
    pub(crate) async fn of(docker: Docker, root: TempDir, config: Config) -> Self {
        let backend = Arc::new(DockerBackend::connect(config).await.unwrap());
        let spec = backend.describe(&ctx()).await.unwrap().stacks.remove(0);
        Self { backend, docker, spec, root }
    }

    /// A runtime of a new project, with ports and a subnet that nobody uses.
    pub(crate) fn runtime(&self) -> Runtime {
        runtime(&self.spec)
    }

    /// Everything of a project on the engine and on disk, by name.
    pub(crate) async fn census(&self, project: &ProjectRef) -> Vec<String> {
        let mut found = Vec::new();
        let containers = ListContainersOptionsBuilder::default().all(true).build();
        for container in self.docker.list_containers(Some(containers)).await.unwrap() {
            found.extend(container.names.unwrap_or_default());
        }
        for network in self.docker.list_networks(None::<ListNetworksOptions>).await.unwrap() {
            found.extend(network.name);
        }
        for volume in
            self.docker.list_volumes(None::<ListVolumesOptions>).await.unwrap().volumes.unwrap_or_default()
        {
            found.push(volume.name);
        }
        for entry in std::fs::read_dir(self.root.path().join("projects")).unwrap() {
            found.push(entry.unwrap().path().display().to_string());
        }
        found.retain(|name| name.contains(project.as_str()));
        found.sort();
        found
    }

    /// The ids of a project's containers, running or not.
    pub(crate) async fn containers(&self, project: &ProjectRef) -> Vec<String> {
        let filters = std::collections::HashMap::from([("label", vec![format!("freehold.ref={project}")])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let found = self.docker.list_containers(Some(options)).await.unwrap();
        found.into_iter().filter_map(|container| container.id).collect()
    }

    /// The id of the container of one service.
    pub(crate) async fn container(&self, project: &ProjectRef, service: &str) -> String {
        let label = vec![format!("freehold.ref={project}"), format!("freehold.service={service}")];
        let filters = std::collections::HashMap::from([("label", label)]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filters).build();
        let mut found = self.docker.list_containers(Some(options)).await.unwrap();
        found.remove(0).id.unwrap()
    }
}

/// A runtime of a new project of a stack, with ports and a subnet that nobody uses.
pub(crate) fn runtime(spec: &StackSpec) -> Runtime {
    let mut rng = rand::rng();
    let secrets = spec.secrets.iter().map(|secret| {
        let value: String = (0..32).map(|_| char::from(rng.random_range(b'a'..=b'z'))).collect();
        (secret.name.clone(), SecretString::from(format!("canary{value}")))
    });
    let secrets: BTreeMap<_, _> = secrets.collect();
    Runtime {
        project: ProjectRef::random(&mut rng),
        name: "test".parse().unwrap(),
        organization: "test".parse().unwrap(),
        annotations: freehold_core::Annotations::default(),
        stack: spec.name.clone(),
        digest: spec.digest.clone(),
        generation: 1,
        ports: free_ports(spec.port_count()),
        subnet: Some(free_subnet()),
        secrets,
        hash_key: HashKey::new(vec![7; 32]),
        excluded: Vec::new(),
        variables: BTreeMap::new(),
        accept_data_loss: vec![],
        first_run: Vec::new(),
        installation: "here".parse().unwrap(),
        limits: Limits::default(),
    }
}

/// The engine, if there is one.
pub(crate) async fn engine() -> Option<Docker> {
    let address = host().unwrap_or_else(|| "unix:///var/run/docker.sock".into());
    if let Ok(docker) = Docker::connect_with_host(&address)
        && docker.ping().await.is_ok()
    {
        return Some(docker);
    }
    assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no Docker Engine at {address}");
    eprintln!("skipped: no Docker Engine at {address}");
    None
}

pub(crate) fn host() -> Option<String> {
    std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty())
}

/// The stack that all of Freehold's tests use.
pub(crate) fn webapp() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/stacks/webapp")
}

/// A stack of one's own: a Compose file and a manifest.
pub(crate) fn stack(compose: &str, manifest: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("docker-compose.yml"), compose).unwrap();
    std::fs::write(folder.path().join("freehold.toml"), manifest).unwrap();
    folder
}

/// What a command in a service's container prints.
pub(crate) async fn shell(fixture: &Fixture, project: &ProjectRef, service: &str, line: &str) -> String {
    let options = CreateExecOptions {
        cmd: Some(vec!["sh".to_owned(), "-c".into(), line.into()]),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        ..CreateExecOptions::default()
    };
    let id = fixture.container(project, service).await;
    let exec = fixture.docker.create_exec(&id, options).await.unwrap().id;
    let StartExecResults::Attached { mut output, .. } = fixture.docker.start_exec(&exec, None).await.unwrap()
    else {
        panic!("attached");
    };
    let mut printed = String::new();
    while let Some(chunk) = output.next().await {
        printed.push_str(&String::from_utf8_lossy(&chunk.unwrap().into_bytes()));
    }
    printed.trim().to_owned()
}

/// A call by hand.
pub(crate) fn ctx() -> Context {
    Context::new(PATIENCE)
}

/// The state of a service, as text.
pub(crate) fn state(health: &Health, service: &str) -> &'static str {
    let service: ServiceName = service.parse().unwrap();
    health
        .services
        .iter()
        .find(|entry| entry.service == service)
        .map_or("absent", |entry| entry.state.as_str())
}

/// The one password of a stack that has one.
pub(crate) fn password(runtime: &Runtime) -> &str {
    runtime.secrets.values().next().unwrap().expose_secret()
}

/// Consecutive ports that no other test of this program has, be its project paused, and that nobody listens on.
pub(crate) fn free_ports(count: u16) -> PortBlock {
    static NEXT: AtomicU16 = AtomicU16::new(20_000);
    loop {
        let block = PortBlock { first: NEXT.fetch_add(count, Ordering::Relaxed), count };
        if block.iter().all(|port| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok()) {
            return block;
        }
    }
}

/// A network that no other test of this program has, as the engine refuses one that overlaps, and no interface of this
/// machine: an engine that was killed leaves its bridges.
pub(crate) fn free_subnet() -> Ipv4Net {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    let interfaces = if_addrs::get_if_addrs().unwrap();
    loop {
        let [third, fourth] = (TAKEN.fetch_add(1, Ordering::Relaxed) << 6).to_be_bytes();
        let subnet = Ipv4Net::new_assert([10, 213, third, fourth].into(), 26);
        let held = |ip| matches!(ip, IpAddr::V4(ip) if subnet.contains(&ip));
        if !interfaces.iter().any(|interface| held(interface.ip())) {
            return subnet;
        }
    }
}
