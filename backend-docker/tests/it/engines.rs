//! What differs from engine to engine, and from user to user: `scripts/other-engines` runs these tests as an ordinary user on
//! the machine's engine, and on a rootless one, too.

use std::{
    collections::HashMap,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use bollard::{
    models::ContainerInspectResponse,
    query_parameters::{InspectContainerOptions, ListNetworksOptions, ListVolumesOptions},
};
use freehold_core::{Capability, Destroyer, Kind, Provisioner, Wish};
use freehold_docker::{Config, DockerBackend};
use tokio::net::UnixListener;
use warp::Filter as _;

use crate::fixture::{Fixture, ctx, shell, stack, state, webapp};

async fn inspect(fixture: &Fixture, id: &str) -> ContainerInspectResponse {
    fixture.docker.inspect_container(id, None::<InspectContainerOptions>).await.unwrap()
}

const IDLE: &str =
    "services: {a: {image: freehold-test/sql-job:1, entrypoint: [sleep, infinity], init: true}}";

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_a_project_are_enforced_by_the_engine_or_refused_where_it_cannot() {
    let folder = stack(IDLE, "name = \"bounded\"");
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let mut runtime = fixture.runtime();
    runtime.limits.memory_bytes = Some(64 << 20);
    runtime.limits.cpus = Some(0.25);
    let (backend, ctx, project) = (&fixture.backend, ctx(), runtime.project);
    let able = backend.describe(&ctx).await.unwrap().capabilities.contains(&Capability::Limits);
    let provisioned = backend.provision(&ctx, &runtime).await;
    if !able {
        let error = provisioned.unwrap_err();
        assert_eq!(error.kind(), Kind::Unsupported);
        assert!(error.to_string().starts_with("limits: this engine cannot bound memory"), "{error}");
        assert_eq!(fixture.census(&project).await, [""; 0]);
        return;
    }
    provisioned.unwrap();
    let id = fixture.container(&project, "a").await;
    let host = inspect(&fixture, &id).await.host_config.unwrap();
    assert_eq!((host.memory, host.nano_cpus), (Some(64 << 20), Some(250_000_000)));
    // tail keeps what it reads until a line ends: the kernel ends it at the bound.
    let hog = "bash -c 'head -c 300m /dev/zero | tail >/dev/null; echo ${PIPESTATUS[1]}' 2>/dev/null";
    assert_eq!(shell(&fixture, &project, "a", hog).await, "137");
    let busy = "timeout 1 sh -c 'while :; do :; done'; cat /sys/fs/cgroup/cpu.stat /sys/fs/cgroup/cpu/cpu.stat 2>/dev/null";
    let told = shell(&fixture, &project, "a", busy).await;
    let throttled = told.lines().find_map(|line| line.strip_prefix("nr_throttled ")).unwrap();
    assert_ne!(throttled, "0", "{told}");
    backend.destroy(&ctx, &project).await.unwrap();
    assert_eq!(fixture.census(&project).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn folders_that_containers_own_and_close_are_removed_with_the_project_by_whoever_runs_this() {
    let compose = "
services:
  writer:
    image: freehold-test/sql-job:1
    user: '0'
    entrypoint: [sleep, infinity]
    init: true
    volumes: ['./shared:/shared', './once:/once']
";
    let folder = stack(compose, "name = \"owners\"");
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let runtime = fixture.runtime();
    let (backend, ctx, project) = (&fixture.backend, ctx(), runtime.project);
    backend.provision(&ctx, &runtime).await.unwrap();
    let write = "mkdir -p /shared/cluster/base/1 && touch /shared/cluster/base/1/2600 && ln -s / /shared/cluster/link \
                 && chown -R 101:102 /shared/cluster && chmod -R go= /shared/cluster && chmod 500 /shared/cluster/base \
                 && mkdir /once/upon && touch /once/upon/a-time && chmod 555 /once/upon && echo written";
    assert_eq!(shell(&fixture, &project, "writer", write).await, "written");
    // What is to be removed holds nobody up from a pause and its end.
    backend.pause(&ctx, &runtime).await.unwrap();
    backend.resume(&ctx, &runtime).await.unwrap();
    assert!(backend.plan(&ctx, &runtime, Wish::Active).await.unwrap().is_empty());
    backend.destroy(&ctx, &project).await.unwrap();
    assert_eq!(fixture.census(&project).await, [""; 0]);
    let images = bollard::query_parameters::ListImagesOptionsBuilder::default()
        .filters(&HashMap::from([("label", vec![format!("freehold.ref={project}")])]))
        .build();
    assert!(fixture.docker.list_images(Some(images)).await.unwrap().is_empty(), "an image was left");
}

#[tokio::test(flavor = "multi_thread")]
async fn containers_networks_and_volumes_all_say_whose_they_are() {
    let Some(fixture) = Fixture::new(&webapp()).await else { return };
    let runtime = fixture.runtime();
    let (backend, ctx, project) = (&fixture.backend, ctx(), runtime.project);
    backend.provision(&ctx, &runtime).await.unwrap();

    let mut found: Vec<(String, HashMap<String, String>, &[&str])> = Vec::new();
    for id in fixture.containers(&project).await {
        let container = inspect(&fixture, &id).await;
        let compose: &[&str] =
            &["service", "container-number", "oneoff", "config-hash", "project.working_dir"];
        found.push((container.name.unwrap(), container.config.unwrap().labels.unwrap(), compose));
    }
    for network in fixture.docker.list_networks(None::<ListNetworksOptions>).await.unwrap() {
        found.push((network.name.unwrap(), network.labels.unwrap_or_default(), &["network"]));
    }
    for volume in fixture.docker.list_volumes(None::<ListVolumesOptions>).await.unwrap().volumes.unwrap() {
        found.push((volume.name, volume.labels, &["volume"]));
    }
    found.retain(|(name, ..)| name.contains(project.as_str()));
    assert!(found.len() >= 8, "four containers, a network, and volumes: {found:?}");
    let expected = [
        ("freehold.ref", project.to_string()),
        ("freehold.installation", runtime.installation.to_string()),
        ("freehold.stack", runtime.stack.to_string()),
        ("freehold.generation", "1".to_owned()),
        ("com.docker.compose.project", format!("fh-{project}")),
    ];
    for (name, labels, compose) in &found {
        for (label, value) in &expected {
            assert_eq!(labels.get(*label), Some(value), "{label} of {name}");
        }
        for label in ["freehold.epoch", "freehold.config-hash"] {
            assert!(labels.contains_key(label), "{label} of {name}");
        }
        for label in *compose {
            assert!(labels.contains_key(&format!("com.docker.compose.{label}")), "{label} of {name}");
        }
    }
    backend.destroy(&ctx, &project).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_ends_whenever_it_is_started_is_told_of_and_its_neighbour_stays_as_it_was() {
    let compose = "
services:
  a:
    image: freehold-test/sql-job:1
    user: '0'
    entrypoint: [sh, -c, 'test ! -e /kept/fall || exit 3; exec sleep infinity']
    restart: always
    stop_signal: SIGKILL
    volumes: ['kept:/kept']
volumes: {kept: }
";
    let folder = stack(compose, "name = \"looping\"");
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let (one, two) = (fixture.runtime(), fixture.runtime());
    let (backend, ctx) = (&fixture.backend, ctx());
    tokio::try_join!(backend.provision(&ctx, &one), backend.provision(&ctx, &two)).unwrap();
    let neighbour = fixture.container(&two.project, "a").await;
    let since = async || inspect(&fixture, &neighbour).await.state.unwrap().started_at;
    let before = since().await;

    let id = fixture.container(&one.project, "a").await;
    let told = shell(&fixture, &one.project, "a", "touch /kept/fall && echo so").await;
    assert_eq!(told, "so");
    let restarted = bollard::query_parameters::RestartContainerOptionsBuilder::default().t(0).build();
    fixture.docker.restart_container(&id, Some(restarted)).await.unwrap();
    let until = tokio::time::Instant::now() + Duration::from_secs(60);
    while inspect(&fixture, &id).await.restart_count.unwrap() < 4 {
        assert!(tokio::time::Instant::now() < until, "the engine starts it again and again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }

    let health = backend.health(&ctx, &one).await.unwrap();
    assert_eq!(state(&health, "a"), "unhealthy", "{}", health.complaints());
    let health = backend.health(&ctx, &two).await.unwrap();
    assert_eq!(state(&health, "a"), "healthy", "{}", health.complaints());
    assert_eq!(since().await, before);
    assert!(backend.plan(&ctx, &two, Wish::Active).await.unwrap().is_empty());
    for runtime in [&one, &two] {
        backend.destroy(&ctx, &runtime.project).await.unwrap();
    }
}

const PODMAN: &str = "as a Docker Engine: it is Podman, which has another ID whenever it is asked";

async fn refused(socket: &Path) -> freehold_core::Error {
    let data = tempfile::tempdir().unwrap();
    let mut config = Config::new(data.path(), []);
    config.host = Some(format!("unix://{}", socket.display()));
    DockerBackend::connect(config).await.unwrap_err()
}

#[tokio::test]
async fn what_says_that_it_is_podman_is_refused_with_the_reason_and_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("podman.sock");
    // As Podman 4.3.1 of Debian 12 answers.
    let answer = serde_json::json!({
        "Platform": {"Name": "linux/amd64/debian-12"},
        "Components": [{"Name": "Podman Engine", "Version": "4.3.1", "Details": {"APIVersion": "4.3.1"}}],
        "Version": "4.3.1", "ApiVersion": "1.41", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64",
    });
    let version = warp::path("version").map(move || warp::reply::json(&answer));
    let listener = UnixListener::bind(&socket).unwrap();
    tokio::spawn(warp::serve(version).incoming(listener).run());
    let error = refused(&socket).await;
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(
        error.to_string().contains(PODMAN) && error.to_string().contains("run Docker Engine 20.10"),
        "{error}"
    );
}

struct Service(Child);

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// CI has no Podman: it would bring a second engine with all its tools to learn one sentence.
#[tokio::test]
async fn a_real_podman_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("podman.sock");
    let service = Command::new("podman")
        .arg("--root")
        .arg(folder.path().join("root"))
        .arg("--runroot")
        .arg(folder.path().join("run"))
        .args(["system", "service", "--time", "0"])
        .arg(format!("unix://{}", socket.display()))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let Ok(service) = service else {
        eprintln!("note: there is no podman here; its recorded answer is refused");
        return;
    };
    let mut service = Service(service);
    while tokio::net::UnixStream::connect(&socket).await.is_err() {
        assert!(service.0.try_wait().unwrap().is_none(), "podman ended");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let error = refused(&socket).await;
    assert!(error.to_string().contains(PODMAN), "{error}");
}
