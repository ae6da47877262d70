//! Projects side by side, and secrets that stay where they belong.

use freehold_core::{Destroyer, Provisioner, Scope};

use crate::fixture::{Fixture, ctx, password, stack, webapp};

#[tokio::test(flavor = "multi_thread")]
async fn two_projects_share_nothing_and_secrets_are_in_no_label_name_or_command() {
    let Some(fixture) = Fixture::new(&webapp()).await else { return };
    let (one, two) = (fixture.runtime(), fixture.runtime());
    let (backend, ctx) = (&fixture.backend, ctx());
    tokio::try_join!(backend.provision(&ctx, &one), backend.provision(&ctx, &two)).unwrap();

    let mut seen = Vec::new();
    for runtime in [&one, &two] {
        for id in fixture.containers(&runtime.project).await {
            let options = None::<bollard::query_parameters::InspectContainerOptions>;
            let mut found = fixture.docker.inspect_container(&id, options).await.unwrap();
            for endpoint in found.network_settings.clone().unwrap().networks.unwrap().into_keys() {
                seen.push((runtime.project, endpoint));
            }
            for mount in found.mounts.clone().unwrap() {
                seen.push((runtime.project, mount.source.unwrap()));
            }
            // The environment is where a container gets its secrets from; nothing else may hold them.
            found.config.as_mut().unwrap().env = None;
            let shown = serde_json::to_string(&found).unwrap();
            assert!(!shown.contains(password(runtime)), "{shown}");
        }
    }
    for (project, name) in &seen {
        assert!(seen.iter().all(|(other, same)| other == project || same != name), "{name} is shared");
    }

    backend.destroy(&ctx, &one.project).await.unwrap();
    let health = backend.health(&ctx, &two).await.unwrap();
    assert!(health.is_healthy(), "{}", health.complaints());
    backend.destroy(&ctx, &two.project).await.unwrap();
    assert_eq!(fixture.census(&two.project).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn new_settings_make_anew_only_what_they_change() {
    let compose = "
services:
  steady:
    image: freehold-test/sql-job:1
    entrypoint: [sleep, infinity]
    init: true
  changing:
    image: freehold-test/sql-job:1
    entrypoint: [sleep, infinity]
    init: true
    environment:
      GREETING: ${GREETING:-hello}
";
    let folder = stack(compose, "name = \"settings\"\n");
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let mut runtime = fixture.runtime();
    let (backend, ctx) = (&fixture.backend, ctx());
    backend.provision(&ctx, &runtime).await.unwrap();
    let steady = fixture.container(&runtime.project, "steady").await;
    let changing = fixture.container(&runtime.project, "changing").await;

    runtime.generation = 2;
    runtime.variables.insert("GREETING".into(), "good day".into());
    backend.reconfigure(&ctx, &runtime).await.unwrap();
    assert_eq!(fixture.container(&runtime.project, "steady").await, steady);
    assert_ne!(fixture.container(&runtime.project, "changing").await, changing);

    runtime.generation = 3;
    runtime.excluded = vec!["steady".parse().unwrap()];
    backend.reconfigure(&ctx, &runtime).await.unwrap();
    assert_eq!(fixture.containers(&runtime.project).await.len(), 1);
    let error =
        backend.restart(&ctx, &runtime, &Scope::Services(runtime.excluded.clone())).await.unwrap_err();
    assert!(error.to_string().contains("steady is excluded"), "{error}");
    backend.destroy(&ctx, &runtime.project).await.unwrap();
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
}
