//! What somebody changed behind a project's back: plan and health tell it, a restart mends it; but data that is gone is
//! made anew only by whoever accepts its loss by that name.

use std::fs;

use freehold_core::{
    Action, Destroyer as _, Detail, Error, Kind, Plan, Provisioner as _, Runtime, Scope, Wish,
};

use crate::world::{World, kill, minute, sql};

fn told(plan: &Plan) -> Vec<(Action, &str, &str)> {
    plan.changes
        .iter()
        .map(|change| (change.action, change.resource.as_str(), change.reason.as_str()))
        .collect()
}

fn gone(error: &Error) -> &[String] {
    match error.detail() {
        Some(Detail::DataGone { names }) => names,
        other => panic!("{other:?}: {error}"),
    }
}

#[tokio::test]
async fn each_change_behind_its_back_is_all_that_plan_and_health_tell_and_a_restart_mends_it() {
    let world = World::postgres().await;
    let (backend, ctx, project) = (&world.backend, minute(), world.project());
    backend.provision(&ctx, &project).await.unwrap();
    for (change, expected) in [
        ("kill the server", (Action::Start, "process", "it does not run")),
        (
            "change the password",
            (Action::Replace, "role", "it does not take the password of the store (28P01)"),
        ),
    ] {
        match change {
            "kill the server" => kill("KILL", world.server(&project).unwrap()),
            _ => drop(sql(&project, "alter role postgres password 'other'").unwrap()),
        }
        let plan = backend.plan(&ctx, &project, Wish::Active).await.unwrap();
        assert_eq!(told(&plan), [expected], "{change}");
        let health = backend.health(&ctx, &project).await.unwrap();
        assert!(!health.is_healthy(), "{change}");
        backend.restart(&ctx, &project, &Scope::All).await.unwrap();
        assert!(backend.plan(&ctx, &project, Wish::Active).await.unwrap().is_empty(), "{change}");
        assert!(backend.health(&ctx, &project).await.unwrap().is_healthy(), "{change}");
    }
}

#[tokio::test]
async fn data_that_is_gone_is_told_and_made_anew_only_by_whoever_accepts_its_loss_by_that_name() {
    let world = World::postgres().await;
    let (backend, ctx, project) = (&world.backend, minute(), world.project());
    backend.provision(&ctx, &project).await.unwrap();
    sql(&project, "create table kept ()").unwrap();
    backend.pause(&ctx, &project).await.unwrap();
    let data = world.root(&project).join("data");
    fs::remove_dir_all(&data).unwrap();

    for wish in [Wish::Active, Wish::Paused] {
        let plan = backend.plan(&ctx, &project, wish).await.unwrap();
        assert_eq!(told(&plan), [(Action::Create, "data", "its data is gone")], "{wish:?}");
    }
    let health = backend.health(&ctx, &project).await.unwrap();
    assert!(health.complaints().contains("its data is gone"), "{}", health.complaints());
    let other = Runtime { accept_data_loss: vec!["other".into()], ..project.clone() };
    for asked in [&project, &other] {
        let resumed = backend.resume(&ctx, asked).await.unwrap_err();
        let restarted = backend.restart(&ctx, asked, &Scope::All).await.unwrap_err();
        let reconfigured = backend.reconfigure(&ctx, asked).await.unwrap_err();
        for error in [resumed, restarted, reconfigured] {
            assert_eq!(gone(&error), ["data"]);
        }
        assert!(!data.exists());
    }
    // Whoever accepts it and is cut off in its middle goes on the next time.
    fs::write(world.root(&project).join("remaking"), "").unwrap();
    let accepted = Runtime { accept_data_loss: vec!["data".into()], ..project.clone() };
    backend.restart(&ctx, &accepted, &Scope::All).await.unwrap();
    assert!(sql(&project, "table kept").unwrap_err().contains("does not exist"));
    assert!(backend.plan(&ctx, &project, Wish::Active).await.unwrap().is_empty());
    assert!(backend.health(&ctx, &project).await.unwrap().is_healthy());
    // It was made anew once: what is there now is data like any other.
    sql(&project, "create table kept ()").unwrap();
    backend.restart(&ctx, &accepted, &Scope::All).await.unwrap();
    assert_eq!(sql(&project, "select count(*) from kept").unwrap(), "0");
    backend.destroy(&ctx, &project.project).await.unwrap();
    assert_eq!(world.census(), [""; 0]);
}

#[tokio::test]
async fn a_folder_that_is_gone_is_named_as_what_it_is_whole_or_the_hooks_part() {
    let world = World::postgres().await;
    let (backend, ctx, project) = (&world.backend, minute(), world.project());
    backend.provision(&ctx, &project).await.unwrap();
    for whole in [false, true] {
        backend.pause(&ctx, &project).await.unwrap();
        let root = world.root(&project);
        let folder = if whole { root.parent().unwrap() } else { root.as_path() };
        let name = folder.canonicalize().unwrap().display().to_string();
        fs::remove_dir_all(folder).unwrap();
        let error = backend.resume(&ctx, &project).await.unwrap_err();
        assert_eq!(gone(&error), [name.as_str()]);
        assert!(!folder.exists());
        let accepted = Runtime { accept_data_loss: vec![name], ..project.clone() };
        backend.resume(&ctx, &accepted).await.unwrap();
        assert_eq!(sql(&project, "select 1").unwrap(), "1");
    }
}

#[tokio::test]
async fn hooks_that_know_nothing_of_lost_data_are_told_nothing_of_it() {
    let witness = include_str!("../hooks/witness");
    let world = World::pretending(&[("resume", witness), ("restart", witness)]).await;
    let (backend, ctx, project) = (&world.backend, minute(), world.project());
    backend.provision(&ctx, &project).await.unwrap();
    backend.resume(&ctx, &project).await.unwrap();
    let accepted = Runtime { accept_data_loss: vec!["the data".into()], ..project.clone() };
    backend.restart(&ctx, &accepted, &Scope::All).await.unwrap();
    let given = |call: &str| fs::read_to_string(world.root(&project).join(format!("{call}.stdin"))).unwrap();
    assert!(!given("resume").contains("accept_data_loss"));
    assert!(given("restart").contains(r#""accept_data_loss":["the data"]"#));
}

#[tokio::test]
async fn hooks_that_somebody_changed_are_not_run() {
    let world = World::postgres().await;
    let (backend, ctx, project) = (&world.backend, minute(), world.project());
    backend.provision(&ctx, &project).await.unwrap();
    let kept = world.data.join("stacks").join(project.digest.replace(':', "-"));
    let hook = fs::read(kept.join("restart")).unwrap();
    fs::write(kept.join("restart"), "#!/bin/sh\nexit 0\n").unwrap();
    let error = backend.restart(&ctx, &project, &Scope::All).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
    assert!(error.to_string().contains("put that folder back as it was"), "{error}");
    fs::write(kept.join("restart"), hook).unwrap();
    backend.restart(&ctx, &project, &Scope::All).await.unwrap();
}
