//! What health takes for an answer: never only that a container runs, unless it says that this is all it knows.

use bollard::{models::HealthStatusEnum, query_parameters::InspectContainerOptions};
use freehold_core::{Destroyer, Health, Provisioner, ServiceHealth, Wish};

use crate::fixture::{Fixture, PATIENCE, ctx, stack, state};

const COMPOSE: &str = "
services:
  silent:
    image: freehold-test/sql-job:1
    entrypoint: [sleep, infinity]
    init: true
  loops:
    image: freehold-test/sql-job:1
    entrypoint: [sh, -c, 'sleep 0.3; echo \"no luck\" >&2; exit 1']
    restart: always
  once:
    image: freehold-test/sql-job:1
    entrypoint: ['true']
    restart: on-failure
  declared:
    image: freehold-test/sql-job:1
    entrypoint: ['true']
    healthcheck: {test: ['CMD', 'true']}
";

const MANIFEST: &str = "
name = \"evidence\"
[services.declared]
job = true
";

fn of<'a>(health: &'a Health, service: &str) -> &'a ServiceHealth {
    health.services.iter().find(|entry| entry.service.as_str() == service).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_says_what_was_asked_and_what_only_runs_is_not_well_for_long() {
    let folder = stack(COMPOSE, MANIFEST);
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let runtime = fixture.runtime();
    let (backend, ctx) = (&fixture.backend, ctx());
    // One that ends again and again may be found out before the call returns, or after it.
    if let Err(error) = backend.provision(&ctx, &runtime).await {
        assert_eq!(error.context("service"), Some("loops"), "{error}");
    }
    let failing = async {
        loop {
            let health = backend.health(&ctx, &runtime).await.unwrap();
            let loops = of(&health, "loops");
            if loops.last_error.as_ref().is_some_and(|text| text.contains("starts it again")) {
                assert!(loops.probe.contains("restart"), "{loops:?}");
                break health;
            }
            tokio::task::yield_now().await;
        }
    };
    let health = tokio::time::timeout(PATIENCE, failing).await.unwrap();
    assert_eq!(state(&health, "loops"), "unhealthy");
    backend.destroy(&ctx, &runtime.project).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_nothing_to_ask_says_so_and_what_may_end_is_done() {
    let compose = COMPOSE.replace("restart: always", "profiles: [never]");
    let folder = stack(&compose, MANIFEST);
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let mut runtime = fixture.runtime();
    runtime.excluded = vec!["loops".parse().unwrap()];
    let (backend, ctx) = (&fixture.backend, ctx());
    backend.provision(&ctx, &runtime).await.unwrap();
    let once = async {
        loop {
            let health = backend.health(&ctx, &runtime).await.unwrap();
            if state(&health, "once") == "done" {
                break health;
            }
            tokio::task::yield_now().await;
        }
    };
    let health = tokio::time::timeout(PATIENCE, once).await.unwrap();
    let silent = of(&health, "silent");
    assert!(
        silent.probe.starts_with("running for ") && silent.probe.ends_with(" s, no restarts, nothing to ask")
    );
    assert_eq!((state(&health, "silent"), state(&health, "declared")), ("healthy", "done"));
    let plan = backend.plan(&ctx, &runtime, Wish::Active).await.unwrap();
    assert!(plan.is_empty(), "{plan:?}");
    backend.destroy(&ctx, &runtime.project).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_with_code_0_is_down() {
    let compose = "
services:
  server:
    image: freehold-test/sql-job:1
    entrypoint: [sh, -c, 'echo bye']
    ports: ['8080:8080']
";
    let folder = stack(compose, "name = \"ending\"\n");
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let runtime = fixture.runtime();
    let (backend, ctx) = (&fixture.backend, ctx());
    // It may be seen to run before it ends; then the call is over by then.
    let _ = backend.provision(&ctx, &runtime).await;
    let down = async {
        loop {
            let health = backend.health(&ctx, &runtime).await.unwrap();
            if of(&health, "server").probe == "exited 0" {
                break health;
            }
            tokio::task::yield_now().await;
        }
    };
    let health = tokio::time::timeout(PATIENCE, down).await.unwrap();
    assert_eq!(state(&health, "server"), "unhealthy");
    let told = of(&health, "server").last_error.as_ref().unwrap();
    assert!(told.contains("it is no job") && told.ends_with("last line: bye"), "{told}");
    let plan = backend.plan(&ctx, &runtime, Wish::Active).await.unwrap();
    assert_eq!(plan.changes.len(), 1, "{plan:?}");
    backend.destroy(&ctx, &runtime.project).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_is_ready_when_it_answers_and_its_check_s_interval_does_not_matter() {
    let compose = "
x-service: &service
  image: freehold-test/sql-job:1
  entrypoint: [sleep, infinity]
  init: true
  healthcheck: {test: ['CMD', 'true'], interval: 1h}
services:
  first: *service
  second:
    <<: *service
    depends_on: {first: {condition: service_healthy}}
";
    let folder = stack(compose, "name = \"hourly\"\n");
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let runtime = fixture.runtime();
    fixture.backend.provision(&ctx(), &runtime).await.unwrap();
    for service in ["first", "second"] {
        let id = fixture.container(&runtime.project, service).await;
        let found = fixture.docker.inspect_container(&id, None::<InspectContainerOptions>).await.unwrap();
        let health = found.state.and_then(|state| state.health).and_then(|health| health.status);
        assert_eq!(health, Some(HealthStatusEnum::STARTING), "{service}: the engine has not asked it yet");
    }
    fixture.backend.destroy(&ctx(), &runtime.project).await.unwrap();
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
}
