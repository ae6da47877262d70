//! Provision, pause, resume, restart, reconfigure and destroy.

use freehold_core::{
    Destroyer as _, Detail, Kind, Limits, PortBlock, Provisioner as _, Runtime, Scope, SecretString, Wish,
};

use super::{ctx, new_backend, recorded, runtime, service, steps};

#[tokio::test(start_paused = true)]
async fn a_project_comes_up_step_by_step_and_says_how_it_is_reached() {
    let (backend, runtime) = (new_backend(), runtime('a', 20_000));
    let (ctx, progress) = recorded();
    let outcome = backend.provision(&ctx, &runtime).await.unwrap();
    assert_eq!(
        steps(progress),
        [
            "create data",
            "create service db",
            "start service db",
            "create service api",
            "start service api",
            "create service worker",
            "start service worker",
            "apply first-run file db",
            "wait until healthy db",
            "wait until healthy api",
            "wait until healthy worker",
        ]
    );
    let connection = outcome.connection.unwrap();
    let database = connection.database.unwrap();
    assert_eq!(database.endpoint.public.to_string(), "127.0.0.1:20000");
    assert_eq!((database.user.as_str(), database.version.as_str()), ("postgres", "memory"));
    assert_eq!(connection.api.unwrap().internal.port, 20_001);
    assert_eq!(connection.secrets.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_comes_again_gives_the_same_answer_and_makes_nothing_anew() {
    let (backend, runtime) = (new_backend(), runtime('a', 20_000));
    let first = backend.provision(&ctx(), &runtime).await.unwrap();
    let (again, progress) = recorded();
    let second = backend.provision(&again, &runtime).await.unwrap();
    assert_eq!(first.connection, second.connection);
    assert!(steps(progress).iter().all(|step| step.starts_with("wait until healthy")));
}

#[tokio::test(start_paused = true)]
async fn pause_keeps_data_and_ports_and_destroy_removes_all() {
    let (backend, runtime) = (new_backend(), runtime('a', 20_000));
    let up = backend.provision(&ctx(), &runtime).await.unwrap();
    backend.write(&runtime.project, "row", "1").unwrap();
    for _ in 0..2 {
        backend.pause(&ctx(), &runtime).await.unwrap();
    }
    let resumed = backend.resume(&ctx(), &runtime).await.unwrap();
    assert_eq!(resumed.connection, up.connection);
    assert_eq!(backend.read(&runtime.project, "row").as_deref(), Some("1"));
    for _ in 0..2 {
        backend.destroy(&ctx(), &runtime.project).await.unwrap();
    }
    assert_eq!(backend.read(&runtime.project, "row"), None);
    assert!(backend.inventory(&ctx()).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn data_that_is_gone_is_an_error_and_never_made_anew() {
    let (backend, runtime) = (new_backend(), runtime('a', 20_000));
    let error = backend.resume(&ctx(), &runtime).await.unwrap_err();
    let names = vec![runtime.project.to_string()];
    assert_eq!(error.detail(), Some(&Detail::DataGone { names: names.clone() }));
    assert_eq!((error.kind(), error.operation()), (Kind::NotFound, Some("resume")));
    assert!(backend.inventory(&ctx()).await.unwrap().is_empty());

    let other = Runtime { accept_data_loss: vec!["other".into()], ..runtime.clone() };
    assert!(backend.restart(&ctx(), &other, &Scope::All).await.is_err());
    let accepted = Runtime { accept_data_loss: names, ..runtime };
    backend.restart(&ctx(), &accepted, &Scope::All).await.unwrap();
    assert!(backend.health(&ctx(), &accepted).await.unwrap().is_healthy());
}

#[tokio::test(start_paused = true)]
async fn a_restart_touches_only_the_services_that_it_names() {
    let (backend, runtime) = (new_backend(), runtime('a', 20_000));
    backend.provision(&ctx(), &runtime).await.unwrap();
    let (ctx, progress) = recorded();
    backend.restart(&ctx, &runtime, &Scope::Services(vec![service("api")])).await.unwrap();
    let touched: Vec<_> =
        steps(progress).into_iter().filter(|step| !step.starts_with("wait until")).collect();
    assert_eq!(touched, ["remove service api", "create service api", "start service api"]);
}

#[tokio::test(start_paused = true)]
async fn reconfigure_touches_only_what_its_settings_change() {
    let (backend, before) = (new_backend(), runtime('a', 20_000));
    backend.provision(&ctx(), &before).await.unwrap();

    let same = Runtime { generation: 2, ..before.clone() };
    assert!(backend.plan(&ctx(), &same, Wish::Active).await.unwrap().is_empty());

    let without_worker = Runtime { excluded: vec![service("worker"), service("metrics")], ..same.clone() };
    let (recording, progress) = recorded();
    backend.reconfigure(&recording, &without_worker).await.unwrap();
    assert_eq!(steps(progress)[0], "remove service worker");

    let mut rotated = without_worker.clone();
    rotated.secrets.insert("db_password".parse().unwrap(), SecretString::from("another one"));
    assert_eq!(backend.plan(&ctx(), &rotated, Wish::Active).await.unwrap().changes.len(), 2);
    backend.reconfigure(&ctx(), &rotated).await.unwrap();
    assert!(backend.plan(&ctx(), &rotated, Wish::Active).await.unwrap().is_empty());

    let limited = Runtime { limits: Limits { memory_bytes: Some(1 << 30), cpus: None }, ..rotated };
    assert!(!backend.plan(&ctx(), &limited, Wish::Active).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_two_projects_get_the_same_port() {
    let backend = new_backend();
    backend.provision(&ctx(), &runtime('a', 20_000)).await.unwrap();
    let refused = backend.provision(&ctx(), &runtime('b', 20_001)).await.unwrap_err();
    assert_eq!(refused.detail(), Some(&Detail::PortTaken { port: 20_001 }));
    assert_eq!(backend.inventory(&ctx()).await.unwrap().len(), 1);
    backend.provision(&ctx(), &runtime('b', 20_002)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_port_that_a_stranger_holds_is_told_before_any_effect() {
    let backend = new_backend();
    backend.occupy_port(20_001);
    let (ctx, progress) = recorded();
    let refused = backend.provision(&ctx, &runtime('a', 20_000)).await.unwrap_err();
    assert_eq!(refused.detail(), Some(&Detail::PortTaken { port: 20_001 }));
    assert!(steps(progress).is_empty());
    backend.free_port(20_001);
    backend.provision(&ctx, &runtime('a', 20_000)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_this_backend_cannot_run_is_refused_and_named() {
    let backend = new_backend();
    let good = runtime('a', 20_000);
    let wrong = [
        ("stack", Runtime { stack: "other".parse().unwrap(), ..good.clone() }),
        ("digest", Runtime { digest: "memory:mock-0".into(), ..good.clone() }),
        ("services", Runtime { excluded: vec![service("vector")], ..good.clone() }),
        ("ports", Runtime { ports: PortBlock { first: 20_000, count: 1 }, ..good.clone() }),
    ];
    for (field, runtime) in wrong {
        let error = backend.provision(&ctx(), &runtime).await.unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidInput);
        assert!(error.message().starts_with(field), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn first_run_files_are_applied_once() {
    let (backend, runtime) = (new_backend(), runtime('a', 20_000));
    backend.fail_next("wait until healthy", Kind::Timeout);
    backend.provision(&ctx(), &runtime).await.unwrap_err();
    let (ctx, progress) = recorded();
    backend.provision(&ctx, &runtime).await.unwrap();
    assert!(!steps(progress).contains(&"apply first-run file db".to_owned()));
}
