//! What somebody changed behind a project's back: the plan tells exactly that, health tells what it comes to, and a restart
//! mends it; but data that is gone is never made anew unasked.

use std::{collections::BTreeSet, fs, path::PathBuf};

use bollard::{
    models::{ContainerUpdateBody, NetworkConnectRequest, NetworkDisconnectRequest},
    query_parameters::{RemoveContainerOptionsBuilder, RemoveVolumeOptions},
};
use freehold_core::{Action, Destroyer, Detail, Kind, Plan, Provisioner, Runtime, Scope, SecretString, Wish};
use tempfile::TempDir;

use crate::fixture::{Fixture, ctx, stack, state};

const COMPOSE: &str = "
services:
  app:
    image: freehold-test/sql-job:1
    entrypoint: [sleep, infinity]
    init: true
    env_file: app.env
    environment:
      MODE: ${MODE}
      TOKEN: ${TOKEN}
    volumes: ['./conf:/etc/app:ro', './state:/state', 'data:/data']
  other:
    image: freehold-test/sql-job:1
    entrypoint: [sleep, infinity]
    init: true
    command: [\"${MODE}\"]
    volumes: ['./conf/shared.conf:/etc/shared.conf:ro']
volumes:
  data:
";

const MANIFEST: &str = r#"
name = "drift"
[[secrets]]
name = "token"
variable = "TOKEN"
generate = { kind = "token", length = 32 }
"#;

/// What no plan may tell.
const VALUE: &str = "a-value-that-nobody-reads";

fn folder() -> TempDir {
    let folder = stack(COMPOSE, MANIFEST);
    fs::create_dir(folder.path().join("conf")).unwrap();
    for (file, text) in [
        (".env", "MODE=1\nUNUSED=2\n"),
        ("app.env", "LEVEL=info\nCOLOUR=red\n"),
        ("conf/app.conf", "workers = 2\n"),
        ("conf/shared.conf", "shared = true\n"),
    ] {
        fs::write(folder.path().join(file), text).unwrap();
    }
    folder
}

/// A project that is up, and its own copy of the stack.
async fn project(fixture: &Fixture) -> (Runtime, PathBuf) {
    let runtime = fixture.runtime();
    fixture.backend.provision(&ctx(), &runtime).await.unwrap();
    let copy = fixture.root.path().join("projects").join(runtime.project.as_str());
    (runtime, copy)
}

/// Each change as one line, without the parts of names that differ from project to project.
fn lines(plan: &Plan, runtime: &Runtime) -> BTreeSet<String> {
    let printed = serde_json::to_string(plan).unwrap();
    assert!(!printed.contains(VALUE), "{printed}");
    let changes = plan.changes.iter().map(|change| {
        let line = format!(
            "{} {} {} {}: {}",
            serde_json::to_value(change.action).unwrap().as_str().unwrap(),
            change.resource,
            change.name,
            change.service,
            change.reason
        );
        line.replace(&format!("fh-{}", runtime.project), "PROJECT")
    });
    changes.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_behind_its_back_is_all_that_the_plan_tells_and_a_restart_mends_it() {
    let folder = folder();
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let (runtime, copy) = project(&fixture).await;
    let (backend, ctx, docker) = (&fixture.backend, ctx(), &fixture.docker);
    let network = format!("fh-{}_default", runtime.project);
    let changes: [(&str, &[&str]); 12] = [
        ("remove the container", &["create container PROJECT-app app: it is not there"]),
        ("pause the container", &["start container PROJECT-app app: it is paused"]),
        (
            "update the container",
            &["replace container PROJECT-app app: changed on the engine: mem_limit, restart"],
        ),
        (
            "disconnect the network",
            &["replace container PROJECT-app app: it is not in the network PROJECT_default"],
        ),
        (
            "remove the network",
            &[
                "create network PROJECT_default : it is not there",
                "replace container PROJECT-app app: it is not in the network PROJECT_default",
                "replace container PROJECT-other other: it is not in the network PROJECT_default",
            ],
        ),
        (
            "connect a network",
            &["replace container PROJECT-app app: it is in the network bridge, which is none of its own"],
        ),
        ("remove conf/app.conf", &["create file conf/app.conf app: it is not there"]),
        ("change conf/app.conf", &["replace file conf/app.conf app: it differs from the stack's"]),
        (
            "change conf/shared.conf",
            &[
                "replace file conf/shared.conf app: it differs from the stack's",
                "replace file conf/shared.conf other: it differs from the stack's",
            ],
        ),
        ("change .env", &["replace file .env : it differs from the stack's: MODE, NEW"]),
        ("change app.env", &["replace file app.env app: it differs from the stack's: COLOUR, LEVEL"]),
        ("change docker-compose.yml", &["replace file docker-compose.yml : it differs from the stack's"]),
    ];
    for (change, expected) in changes {
        let id = fixture.container(&runtime.project, "app").await;
        match change {
            "remove the container" => {
                let options = RemoveContainerOptionsBuilder::default().force(true).build();
                docker.remove_container(&id, Some(options)).await.unwrap();
            }
            "pause the container" => docker.pause_container(&id).await.unwrap(),
            "update the container" => {
                let restart_policy = Some(bollard::models::RestartPolicy {
                    name: Some(bollard::models::RestartPolicyNameEnum::ALWAYS),
                    maximum_retry_count: None,
                });
                let body = ContainerUpdateBody {
                    memory: Some(64 << 20),
                    memory_swap: Some(128 << 20),
                    restart_policy,
                    ..ContainerUpdateBody::default()
                };
                docker.update_container(&id, body).await.unwrap();
            }
            "disconnect the network" => {
                let request = NetworkDisconnectRequest { container: id.clone(), force: None };
                docker.disconnect_network(&network, request).await.unwrap();
            }
            "remove the network" => {
                for container in fixture.containers(&runtime.project).await {
                    let request = NetworkDisconnectRequest { container, force: None };
                    docker.disconnect_network(&network, request).await.unwrap();
                }
                docker.remove_network(&network).await.unwrap();
            }
            "connect a network" => {
                let request = NetworkConnectRequest { container: id.clone(), endpoint_config: None };
                docker.connect_network("bridge", request).await.unwrap();
            }
            "remove conf/app.conf" => fs::remove_file(copy.join("conf/app.conf")).unwrap(),
            "change .env" => {
                fs::write(copy.join(".env"), format!("MODE={VALUE}\nUNUSED=2\nNEW=1\n")).unwrap()
            }
            "change app.env" => fs::write(copy.join("app.env"), format!("LEVEL={VALUE}\n")).unwrap(),
            file => fs::write(copy.join(&file["change ".len()..]), VALUE).unwrap(),
        }
        let plan = backend.plan(&ctx, &runtime, Wish::Active).await.unwrap();
        let expected: BTreeSet<String> = expected.iter().map(|&line| line.to_owned()).collect();
        assert_eq!(lines(&plan, &runtime), expected, "{change}");
        if change.ends_with("the container") && change != "update the container" {
            let health = backend.health(&ctx, &runtime).await.unwrap();
            assert_eq!(
                (state(&health, "app"), state(&health, "other")),
                ("unhealthy", "healthy"),
                "{change}"
            );
        }

        backend.restart(&ctx, &runtime, &Scope::All).await.unwrap();
        let plan = backend.plan(&ctx, &runtime, Wish::Active).await.unwrap();
        assert!(plan.is_empty(), "after {change}: {plan:?}");
        let health = backend.health(&ctx, &runtime).await.unwrap();
        assert!(health.is_healthy(), "after {change}: {}", health.complaints());
    }
    for file in [".env", "app.env", "conf/app.conf", "conf/shared.conf", "docker-compose.yml"] {
        assert_eq!(fs::read(copy.join(file)).unwrap(), fs::read(folder.path().join(file)).unwrap(), "{file}");
    }
    backend.destroy(&ctx, &runtime.project).await.unwrap();
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mended_file_restarts_who_reads_it_also_where_a_restart_names_another() {
    let folder = folder();
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let (runtime, copy) = project(&fixture).await;
    fs::remove_file(copy.join("conf/shared.conf")).unwrap();
    fs::write(copy.join("conf/shared.conf"), VALUE).unwrap();
    let app = Scope::Services(vec!["app".parse().unwrap()]);
    fixture.backend.restart(&ctx(), &runtime, &app).await.unwrap();
    // A mount of one file holds the file that was there when the container was started.
    let read = crate::fixture::shell(&fixture, &runtime.project, "other", "cat /etc/shared.conf").await;
    assert_eq!(read, "shared = true");
    fixture.backend.destroy(&ctx(), &runtime.project).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_of_another_configuration_is_told_of_by_the_keys_that_differ() {
    let folder = folder();
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let (mut runtime, _) = project(&fixture).await;
    let value = SecretString::from(VALUE);
    runtime.variables.insert("MODE".to_owned(), value.clone());
    runtime.secrets.values_mut().for_each(|secret| *secret = value.clone());
    runtime.limits.cpus = Some(0.5);
    let plan = fixture.backend.plan(&ctx(), &runtime, Wish::Active).await.unwrap();
    let expected = [
        "replace container PROJECT-app app: its configuration differs: cpus, environment.MODE, environment.TOKEN",
        "replace container PROJECT-other other: its configuration differs: command, cpus",
    ];
    assert_eq!(lines(&plan, &runtime), BTreeSet::from(expected.map(str::to_owned)));
    fixture.backend.destroy(&ctx(), &runtime.project).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn data_that_is_gone_is_named_all_of_it_and_is_made_anew_only_by_that_name() {
    let folder = folder();
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let (runtime, copy) = project(&fixture).await;
    let (backend, ctx) = (&fixture.backend, ctx());
    let volume = format!("fh-{}_data", runtime.project);
    fs::write(copy.join("state/row"), "kept").unwrap();
    backend.pause(&ctx, &runtime).await.unwrap();
    fixture.docker.remove_volume(&volume, None::<RemoveVolumeOptions>).await.unwrap();
    fs::remove_dir_all(copy.join("state")).unwrap();

    for wish in [Wish::Paused, Wish::Active] {
        let plan = backend.plan(&ctx, &runtime, wish).await.unwrap();
        let gone: Vec<_> = plan.changes.iter().filter(|change| change.reason == "its data is gone").collect();
        let gone: Vec<_> = gone
            .iter()
            .map(|change| (change.action, change.name.as_str(), change.service.as_str()))
            .collect();
        assert_eq!(
            gone,
            [(Action::Create, volume.as_str(), "app"), (Action::Create, "state", "app")],
            "{wish:?}"
        );
    }
    let names = vec!["state".to_owned(), volume.clone()];
    for accepted in [vec![], vec!["other".to_owned()], vec![volume.clone()]] {
        let wanting: Vec<_> = names.iter().filter(|name| !accepted.contains(name)).cloned().collect();
        let asked = Runtime { accept_data_loss: accepted, ..runtime.clone() };
        let resumed = backend.resume(&ctx, &asked).await.unwrap_err();
        let restarted = backend.restart(&ctx, &asked, &Scope::All).await.unwrap_err();
        for error in [resumed, restarted] {
            assert_eq!(error.detail(), Some(&Detail::DataGone { names: wanting.clone() }), "{error}");
        }
        assert!(!copy.join("state").exists());
        assert!(!fixture.census(&runtime.project).await.contains(&volume));
    }
    let accepted = Runtime { accept_data_loss: names, ..runtime.clone() };
    backend.resume(&ctx, &accepted).await.unwrap();
    assert!(copy.join("state").is_dir());
    let plan = backend.plan(&ctx, &runtime, Wish::Active).await.unwrap();
    assert!(plan.is_empty(), "{plan:?}");
    backend.destroy(&ctx, &runtime.project).await.unwrap();
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kept_stack_that_somebody_changed_is_used_for_nothing_and_named_with_the_way_out() {
    let folder = folder();
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let (runtime, copy) = project(&fixture).await;
    let (backend, ctx) = (&fixture.backend, ctx());
    let kept = fixture.root.path().join("stacks").join(runtime.digest.replace(':', "-"));
    fs::write(kept.join("conf/app.conf"), "workers = 1000\n").unwrap();

    let plan = backend.plan(&ctx, &runtime, Wish::Active).await.unwrap_err();
    let restart = backend.restart(&ctx, &runtime, &Scope::All).await.unwrap_err();
    for error in [plan, restart] {
        assert_eq!(error.kind(), Kind::Conflict);
        assert!(error.to_string().contains(&kept.display().to_string()), "{error}");
    }
    assert_eq!(fs::read_to_string(copy.join("conf/app.conf")).unwrap(), "workers = 2\n");
    let health = backend.health(&ctx, &runtime).await.unwrap();
    assert!(health.is_healthy(), "what runs goes on: {}", health.complaints());
    backend.pause(&ctx, &runtime).await.unwrap();
    assert!(backend.plan(&ctx, &runtime, Wish::Paused).await.unwrap().is_empty());

    // One of the two ways out that the error names: the stack on offer is still the same.
    fs::remove_dir_all(&kept).unwrap();
    backend.resume(&ctx, &runtime).await.unwrap();
    assert_eq!(fs::read_to_string(kept.join("conf/app.conf")).unwrap(), "workers = 2\n");
    backend.destroy(&ctx, &runtime.project).await.unwrap();
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
}
