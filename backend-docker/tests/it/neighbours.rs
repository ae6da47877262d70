//! Many projects on one engine, and what each must not notice of the others.

use std::{collections::BTreeSet, path::Path, process::Command};

use bollard::query_parameters::{InspectNetworkOptions, KillContainerOptions};
use freehold_core::{Destroyer, Provisioner};
use futures_util::future::try_join_all;

use crate::fixture::{Fixture, ctx, host, shell, stack, state};

/// One service that does nothing, in 64 MB, of an image that declares a volume.
const SMALL: &str = "services:
  a:
    image: freehold-test/postgres:1
    entrypoint: [sleep, infinity]
    restart: always
    stop_signal: SIGKILL
    mem_limit: 64m
    memswap_limit: 64m
    pids_limit: 100
";

async fn small() -> Option<Fixture> {
    let folder = stack(SMALL, "name = \"small\"");
    let fixture = Fixture::new(folder.path()).await?;
    // The stack is kept from the first call on.
    let runtime = fixture.runtime();
    fixture.backend.provision(&ctx(), &runtime).await.unwrap();
    fixture.backend.destroy(&ctx(), &runtime.project).await.unwrap();
    Some(fixture)
}

/// More than the engine's own pools hold, which end at about thirty-one.
#[tokio::test(flavor = "multi_thread")]
async fn forty_projects_have_forty_networks_at_once_each_with_a_subnet_of_its_own() {
    let Some(fixture) = small().await else { return };
    let (backend, ctx) = (&fixture.backend, ctx());
    let runtimes: Vec<_> = (0..40).map(|_| fixture.runtime()).collect();
    try_join_all(runtimes.iter().map(|runtime| backend.provision(&ctx, runtime))).await.unwrap();

    let mut subnets = BTreeSet::new();
    for runtime in &runtimes {
        let name = format!("fh-{}_default", runtime.project);
        let network = fixture.docker.inspect_network(&name, None::<InspectNetworkOptions>).await.unwrap();
        let configured = network.ipam.unwrap().config.unwrap();
        subnets.extend(configured.into_iter().filter_map(|config| config.subnet));
        assert_eq!(network.containers.unwrap().len(), 1, "nobody else's container is in {name}");
    }
    assert_eq!(subnets.len(), 40, "{subnets:?}");

    try_join_all(runtimes.iter().map(|runtime| backend.destroy(&ctx, &runtime.project))).await.unwrap();
    for runtime in &runtimes {
        assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_project_that_takes_all_it_can_or_falls_over_and_over_changes_nothing_for_another() {
    let Some(fixture) = small().await else { return };
    let (one, two) = (fixture.runtime(), fixture.runtime());
    let (backend, ctx) = (&fixture.backend, ctx());
    tokio::try_join!(backend.provision(&ctx, &one), backend.provision(&ctx, &two)).unwrap();
    let neighbour = fixture.container(&two.project, "a").await;
    let since = async || backend.health(&ctx, &two).await.unwrap().services[0].since;
    let before = since().await;

    // tail keeps what it reads until a line ends: the kernel ends it at the project's own bound.
    let hog = "head -c 300m /dev/zero | tail >/dev/null; echo ${PIPESTATUS[1]}";
    let hog = format!("bash -c '{hog}' 2>/dev/null");
    assert_eq!(shell(&fixture, &one.project, "a", &hog).await, "137");
    // And as many processes as the bound leaves room for, no more.
    let forks =
        "bash -c 'for i in $(seq 200); do sleep 30 & done' 2>&1 | grep -c 'Resource temporarily unavailable'";
    assert_ne!(shell(&fixture, &one.project, "a", forks).await, "0");
    for _ in 0..3 {
        let id = fixture.container(&one.project, "a").await;
        // It may be down just now: that is the point.
        let _ = fixture.docker.kill_container(&id, None::<KillContainerOptions>).await;
    }

    let health = backend.health(&ctx, &two).await.unwrap();
    assert_eq!(state(&health, "a"), "healthy", "{}", health.complaints());
    assert_eq!((fixture.container(&two.project, "a").await, since().await), (neighbour, before));
    for runtime in [&one, &two] {
        backend.destroy(&ctx, &runtime.project).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_the_image_declares_outlives_a_pause_and_compose_lists_the_project_as_what_it_is() {
    let Some(fixture) = small().await else { return };
    let runtime = fixture.runtime();
    let (backend, ctx) = (&fixture.backend, ctx());
    backend.provision(&ctx, &runtime).await.unwrap();
    shell(&fixture, &runtime.project, "a", "echo kept > /var/lib/postgresql/data/note").await;
    backend.pause(&ctx, &runtime).await.unwrap();
    backend.resume(&ctx, &runtime).await.unwrap();
    assert_eq!(shell(&fixture, &runtime.project, "a", "cat /var/lib/postgresql/data/note").await, "kept");

    let id = fixture.container(&runtime.project, "a").await;
    let found =
        fixture.docker.inspect_container(&id, None::<bollard::query_parameters::InspectContainerOptions>);
    let labels = found.await.unwrap().config.unwrap().labels.unwrap();
    for label in ["ref", "stack", "service", "generation", "epoch", "config-hash", "installation"] {
        assert!(labels.contains_key(&format!("freehold.{label}")), "{label} of {labels:?}");
    }

    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let cache = std::env::var_os("FREEHOLD_CACHE").map_or_else(|| root.join(".cache"), Into::into);
    let program = cache.join("docker-compose/docker-compose");
    if program.is_file() {
        let mut command = Command::new(&program);
        command.args(["ls", "--format", "json"]).env_clear();
        command.envs(host().map(|host| ("DOCKER_HOST", host)));
        let output = command.output().unwrap();
        let listed: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let name = format!("fh-{}", runtime.project);
        let project = listed.as_array().unwrap().iter().find(|project| project["Name"] == name.as_str());
        assert_eq!(project.map(|project| &project["Status"]), Some(&"running(1)".into()), "{listed}");
    } else {
        assert_ne!(std::env::var("CI").as_deref(), Ok("true"), "no {}", program.display());
        eprintln!("skipped: what docker compose lists, for there is no {}", program.display());
    }
    backend.destroy(&ctx, &runtime.project).await.unwrap();
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
}
