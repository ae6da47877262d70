//! The whole life of a project on the shipped hooks.

use std::{fs, net::TcpListener, sync::Arc};

use freehold_core::{
    Destroyer as _, Detail, FirstRunFile, Kind, LogRequest, Provisioner as _, Scope, SecretName,
    ServiceState, Wish,
};

use tokio::task::JoinSet;

use crate::world::{World, is_free, is_root, kill, minute, processes, runs, secret, sql, sql_with, until};

#[tokio::test]
async fn a_project_lives_from_provision_to_destroy_and_leaves_nothing() {
    let world = World::postgres().await;
    let (backend, ctx, project) = (&world.backend, minute(), world.project());
    assert_eq!(backend.plan(&ctx, &project, Wish::Active).await.unwrap().changes.len(), 1);
    assert_eq!(world.census(), [""; 0]);

    let outcome = backend.provision(&ctx, &project).await.unwrap();
    let connection = outcome.connection.clone().unwrap();
    let database = connection.database.unwrap();
    assert_eq!(database.endpoint.internal.to_string(), format!("127.0.0.1:{}", project.ports.first));
    assert_eq!(sql(&project, "show server_version").unwrap().split(' ').next().unwrap(), database.version);
    assert!(backend.health(&ctx, &project).await.unwrap().is_healthy());
    assert!(backend.plan(&ctx, &project, Wish::Active).await.unwrap().is_empty());
    assert!(sql_with(&project, "wrong", "select 1").unwrap_err().contains("password authentication failed"));
    assert_eq!(
        sql(&project, "create table kept (row text); insert into kept values ('kept')").unwrap(),
        "CREATE TABLE\nINSERT 0 1"
    );

    let server = world.server(&project).unwrap();
    assert_eq!(backend.provision(&ctx, &project).await.unwrap().connection, outcome.connection);
    assert_eq!(world.server(&project), Some(server), "a second provision leaves the server alone");

    backend.pause(&ctx, &project).await.unwrap();
    backend.pause(&ctx, &project).await.unwrap();
    assert!(!runs(server) && is_free(project.ports.first));
    assert!(backend.plan(&ctx, &project, Wish::Paused).await.unwrap().is_empty());
    assert_eq!(backend.health(&ctx, &project).await.unwrap().services[0].state, ServiceState::Unhealthy);

    assert_eq!(backend.resume(&ctx, &project).await.unwrap().connection, outcome.connection);
    assert_eq!(sql(&project, "table kept").unwrap(), "kept");
    let before = world.server(&project);
    assert_eq!(backend.restart(&ctx, &project, &Scope::All).await.unwrap().connection, outcome.connection);
    assert_ne!(world.server(&project), before);
    assert_eq!(sql(&project, "table kept").unwrap(), "kept");

    let holdings = backend.inventory(&ctx).await.unwrap();
    assert_eq!((holdings.len(), holdings[0].project), (1, project.project));
    assert_eq!(holdings[0].resources.contains_key("user"), is_root());
    assert!(holdings[0].resources["process"] == 1 && holdings[0].resources["folder"] == 1);

    backend.destroy(&ctx, &project.project).await.unwrap();
    backend.destroy(&ctx, &project.project).await.unwrap();
    assert_eq!(world.census(), [""; 0]);
    assert!(is_free(project.ports.first));
    assert_eq!(backend.inventory(&ctx).await.unwrap(), []);
    assert_eq!(fs::read_dir(world.data.join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn first_run_files_are_applied_once_and_in_order() {
    let world = World::postgres().await;
    let mut project = world.project();
    project.first_run = vec![
        FirstRunFile::new("20-fill.sql", "insert into seen values ('a\tb\\c');\n").unwrap(),
        FirstRunFile::new("10-make.sql", "create table seen (row text);\n-- 100%\n").unwrap(),
    ];
    world.backend.provision(&minute(), &project).await.unwrap();
    world.backend.provision(&minute(), &project).await.unwrap();
    assert_eq!(sql(&project, "table seen").unwrap(), "a\tb\\c");
}

#[tokio::test]
async fn a_provision_that_failed_in_its_middle_begins_anew() {
    let world = World::postgres().await;
    let mut project = world.project();
    project.first_run = vec![FirstRunFile::new("bad.sql", "create table half (); select nonsense;").unwrap()];
    let error = world.backend.provision(&minute(), &project).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidInput);
    assert!(error.to_string().contains("first-run file bad.sql"), "{error}");
    assert!(error.report().unwrap().stderr.contains("nonsense"));
    project.first_run = vec![FirstRunFile::new("good.sql", "create table whole ();").unwrap()];
    world.backend.provision(&minute(), &project).await.unwrap();
    assert_eq!(
        sql(&project, "select relname from pg_class where relname in ('half', 'whole')").unwrap(),
        "whole"
    );
}

#[tokio::test]
async fn a_killed_server_is_brought_back_by_resume_and_by_restart() {
    let world = World::postgres().await;
    let project = world.project();
    world.backend.provision(&minute(), &project).await.unwrap();
    sql(&project, "create table kept ()").unwrap();
    for resume in [true, false] {
        kill("KILL", world.server(&project).unwrap());
        let done = if resume {
            world.backend.resume(&minute(), &project).await
        } else {
            world.backend.restart(&minute(), &project, &Scope::All).await
        };
        done.unwrap();
        assert_eq!(sql(&project, "select count(*) from kept").unwrap(), "0");
    }
}

#[tokio::test]
async fn a_server_whose_old_process_id_is_a_strangers_is_brought_back() {
    let world = World::postgres().await;
    let project = world.project();
    world.backend.provision(&minute(), &project).await.unwrap();
    kill("KILL", world.server(&project).unwrap());
    let data = world.root(&project).join("data").canonicalize().unwrap();
    until("the server's end", || (!processes().any(|(_, cwd)| cwd == data)).then_some(())).await;
    // PostgreSQL itself would refuse: the process lives and may be a server.
    let stale = fs::read_to_string(data.join("postmaster.pid")).unwrap();
    let rest = stale.split_once('\n').unwrap().1;
    fs::write(data.join("postmaster.pid"), format!("{}\n{rest}", std::process::id())).unwrap();
    world.backend.resume(&minute(), &project).await.unwrap();
    assert!(world.backend.health(&minute(), &project).await.unwrap().is_healthy());
}

#[tokio::test]
async fn a_port_that_a_stranger_holds_is_told_before_any_effect() {
    let world = World::postgres().await;
    let project = world.project();
    let port = project.ports.first;
    let stranger = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let error = world.backend.provision(&minute(), &project).await.unwrap_err();
    assert_eq!(error.detail(), Some(&Detail::PortTaken { port }));
    assert_eq!(world.census(), [""; 0]);
    drop(stranger);
    world.backend.provision(&minute(), &project).await.unwrap();
    world.backend.pause(&minute(), &project).await.unwrap();
    let stranger = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let error = world.backend.resume(&minute(), &project).await.unwrap_err();
    assert_eq!(error.detail(), Some(&Detail::PortTaken { port }));
    drop(stranger);
    world.backend.resume(&minute(), &project).await.unwrap();
}

#[tokio::test]
async fn a_new_password_comes_into_force_and_the_old_one_goes() {
    let world = World::postgres().await;
    let mut project = world.project();
    world.backend.provision(&minute(), &project).await.unwrap();
    let old = secret(&project, "db_pass").to_owned();
    project.generation = 2;
    project.secrets.insert(SecretName::new("db_pass").unwrap(), "new'; drop role postgres; --\\".into());
    assert_eq!(world.backend.plan(&minute(), &project, Wish::Active).await.unwrap().changes.len(), 1);
    world.backend.reconfigure(&minute(), &project).await.unwrap();
    assert_eq!(sql(&project, "select 1").unwrap(), "1");
    assert!(sql_with(&project, &old, "select 1").is_err());
    assert!(world.backend.plan(&minute(), &project, Wish::Active).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_password_that_was_changed_behind_our_back_is_seen_and_mended_by_resume() {
    let world = World::postgres().await;
    let project = world.project();
    world.backend.provision(&minute(), &project).await.unwrap();
    sql(&project, "alter role postgres password 'other'").unwrap();
    let health = world.backend.health(&minute(), &project).await.unwrap();
    assert!(health.complaints().contains("password authentication failed"), "{}", health.complaints());
    world.backend.pause(&minute(), &project).await.unwrap();
    world.backend.resume(&minute(), &project).await.unwrap();
    assert_eq!(sql(&project, "select 1").unwrap(), "1");
}

#[tokio::test]
async fn the_servers_log_is_read_and_followed() {
    let world = World::postgres().await;
    let project = world.project();
    world.backend.provision(&minute(), &project).await.unwrap();
    let request = LogRequest { tail: Some(1), follow: true, ..LogRequest::default() };
    let mut lines = world.backend.logs(&minute(), &project, &request).await.unwrap();
    lines.recv().await.unwrap().unwrap();
    sql(&project, "select nonsense").unwrap_err();
    loop {
        let line = lines.recv().await.unwrap().unwrap();
        if line.line.contains("nonsense") {
            break;
        }
    }
    let all = LogRequest::default();
    let mut lines = world.backend.logs(&minute(), &project, &all).await.unwrap();
    let mut count = 0;
    while let Some(line) = lines.recv().await {
        assert_eq!(line.unwrap().service.as_str(), "postgres");
        count += 1;
    }
    assert!(count > 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn projects_made_at_once_are_reached_with_their_own_password_alone() {
    let world = Arc::new(World::postgres().await);
    let mut making = JoinSet::new();
    for _ in 0..6 {
        let (world, project) = (world.clone(), world.project());
        making.spawn(async move { world.backend.provision(&minute(), &project).await.map(|_| project) });
    }
    let made: Vec<_> = making.join_all().await.into_iter().map(Result::unwrap).collect();
    for (project, other) in made.iter().zip(made.iter().cycle().skip(1)) {
        assert_eq!(sql(project, "show port").unwrap(), project.ports.first.to_string());
        assert!(sql_with(project, secret(other, "db_pass"), "select 1").is_err());
    }
}

#[tokio::test]
async fn another_password_is_told_as_28p01_and_mended_through_the_socket_and_only_where_it_differs() {
    let world = World::postgres().await;
    let (backend, mut project) = (&world.backend, world.project());
    backend.provision(&minute(), &project).await.unwrap();
    let server = world.server(&project);
    let drift = || sql(&project, "alter role postgres password 'drifted'").unwrap();
    drift();
    let health = backend.health(&minute(), &project).await.unwrap();
    let told = health.services[0].last_error.clone().unwrap();
    assert_eq!(health.services[0].state, ServiceState::Unhealthy);
    assert!(told.contains("28P01") && told.contains("\"postgres\""), "{told}");
    let plan = backend.plan(&minute(), &project, Wish::Active).await.unwrap();
    assert_eq!((plan.changes.len(), plan.changes[0].resource.as_str()), (1, "role"));

    backend.reconfigure(&minute(), &project).await.unwrap();
    assert!(backend.health(&minute(), &project).await.unwrap().is_healthy());
    assert!(
        sql_with(&project, "drifted", "select 1").unwrap_err().contains("password authentication failed")
    );
    assert_eq!(world.server(&project), server, "the server was left alone");

    // A verifier has a random salt: the same one means that nothing was written. As root people are superusers.
    if is_root() {
        let verifier =
            || sql(&project, "select rolpassword from pg_authid where rolname = 'postgres'").unwrap();
        let before = verifier();
        backend.reconfigure(&minute(), &project).await.unwrap();
        assert_eq!(verifier(), before);
    }
    drift();
    backend.pause(&minute(), &project).await.unwrap();
    backend.resume(&minute(), &project).await.unwrap();
    assert_eq!(sql(&project, "select 1").unwrap(), "1");

    let (name, old) = (SecretName::new("db_pass").unwrap(), secret(&project, "db_pass").to_owned());
    project.secrets.insert(name, "rotated: it's\\new".into());
    project.generation += 1;
    backend.reconfigure(&minute(), &project).await.unwrap();
    backend.reconfigure(&minute(), &project).await.unwrap();
    assert_eq!(sql(&project, "select 1").unwrap(), "1");
    assert!(sql_with(&project, &old, "select 1").unwrap_err().contains("password authentication failed"));
}
