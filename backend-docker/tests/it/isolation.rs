//! Projects side by side, and secrets that stay where they belong.

use std::collections::HashMap;

use bollard::models::VolumeCreateRequest;
use freehold_core::{Destroyer, InstallationId, Provisioner, Scope};

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

#[tokio::test(flavor = "multi_thread")]
async fn inventory_tells_whose_each_project_is_and_of_what_nobody_can_tell_says_so() {
    let compose = "
services:
  steady:
    image: freehold-test/sql-job:1
    entrypoint: [sleep, infinity]
    init: true
    volumes: [kept:/kept]
volumes:
  kept:
";
    let folder = stack(compose, "name = \"whose\"\n");
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let (backend, ctx) = (&fixture.backend, ctx());
    let (ours, mixed) = (fixture.runtime(), fixture.runtime());
    let (foreign, silent) = (fixture.runtime().project, fixture.runtime().project);
    tokio::try_join!(backend.provision(&ctx, &ours), backend.provision(&ctx, &mixed)).unwrap();
    for (project, installation) in [(foreign, Some("there")), (silent, None), (mixed.project, Some("there"))]
    {
        let mut labels = HashMap::from([("freehold.ref".to_owned(), project.to_string())]);
        labels.extend(installation.map(|id| ("freehold.installation".to_owned(), id.to_owned())));
        let volume = VolumeCreateRequest {
            name: Some(format!("fh-{project}_stray")),
            labels: Some(labels),
            ..VolumeCreateRequest::default()
        };
        fixture.docker.create_volume(volume).await.unwrap();
    }
    let holdings = backend.inventory(&ctx).await.unwrap();
    let whose = |project| {
        let holding = holdings.iter().find(|holding| holding.project == project).unwrap();
        holding.installation.as_ref().map(InstallationId::as_str)
    };
    assert_eq!(whose(ours.project), Some("here"));
    assert_eq!(whose(foreign), Some("there"));
    assert_eq!(whose(silent), None);
    assert_eq!(whose(mixed.project), None, "one stray of another installation and nobody can tell");

    // A folder that was put there by hand, or by an older version.
    let label = fixture.root.path().join("projects").join(format!("{}.installation", ours.project));
    std::fs::remove_file(label).unwrap();
    let holdings = backend.inventory(&ctx).await.unwrap();
    let holding = holdings.iter().find(|holding| holding.project == ours.project).unwrap();
    assert_eq!(holding.installation, None);
    for project in [ours.project, mixed.project, foreign, silent] {
        backend.destroy(&ctx, &project).await.unwrap();
        assert_eq!(fixture.census(&project).await, [""; 0]);
    }
}
