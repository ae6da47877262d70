//! Hooks that misbehave, and what is told to those that do not.

use std::{
    fs,
    time::{Duration, Instant},
};

use freehold_core::{
    Context, ContextBuilder, Destroyer as _, Kind, LogRequest, Provisioner as _, Scope, ServiceName,
};

use crate::world::{World, minute, runs, until, written_pid};

const HANG: &str = include_str!("../hooks/hang");

#[tokio::test]
async fn a_hook_that_hangs_is_killed_with_all_its_group_before_the_deadline() {
    let world = World::pretending(&[("provision", HANG)]).await;
    let project = world.project();
    let began = Instant::now();
    let error = world.backend.provision(&Context::new(Duration::from_secs(3)), &project).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Timeout);
    assert_eq!(error.context("step"), Some("provision"));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert!(!runs(written_pid(&world.root(&project).join("grandchild")).unwrap()));
    world.backend.destroy(&minute(), &project.project).await.unwrap();
    assert_eq!(world.census(), [""; 0]);
}

#[tokio::test]
async fn a_cancelled_call_ends_its_hook_at_once() {
    let world = World::pretending(&[("provision", HANG)]).await;
    let project = world.project();
    let token = tokio_util::sync::CancellationToken::new();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(60);
    let ctx = ContextBuilder::new(deadline).cancellation(token.clone()).build();
    let call = world.backend.provision(&ctx, &project);
    let pid = world.root(&project).join("grandchild");
    let cancel = async {
        let pid = until("the hook's grandchild", || written_pid(&pid)).await;
        token.cancel();
        pid
    };
    let (result, grandchild) = tokio::join!(call, cancel);
    assert_eq!(result.unwrap_err().kind(), Kind::Cancelled);
    assert!(!runs(grandchild));
}

#[tokio::test]
async fn a_call_that_is_dropped_takes_its_hook_with_it() {
    let world = World::pretending(&[("provision", HANG)]).await;
    let project = world.project();
    let pid = world.root(&project).join("grandchild");
    let (ctx, found) = (minute(), async { until("the hook's grandchild", || written_pid(&pid)).await });
    let grandchild = tokio::select! {
        result = world.backend.provision(&ctx, &project) => panic!("{result:?}"),
        pid = found => pid,
    };
    until("the grandchild's end", || (!runs(grandchild)).then_some(())).await;
}

#[tokio::test]
async fn a_daemon_outlives_its_hook_and_what_was_forgotten_does_not() {
    let world = World::pretending(&[("provision", include_str!("../hooks/daemonize"))]).await;
    let project = world.project();
    world.backend.provision(&minute(), &project).await.unwrap();
    let daemon = written_pid(&world.root(&project).join("daemon")).unwrap();
    let forgotten = written_pid(&world.root(&project).join("forgotten")).unwrap();
    until("the forgotten child's end", || (!runs(forgotten)).then_some(())).await;
    assert!(runs(daemon));
    world.backend.pause(&minute(), &project).await.unwrap();
    assert!(runs(daemon), "the lock was free, so nobody was ended for it");
    crate::world::kill("KILL", daemon);
}

#[tokio::test]
async fn of_much_output_the_newest_is_kept() {
    let world = World::pretending(&[("provision", include_str!("../hooks/flood"))]).await;
    let report = world.backend.provision(&minute(), &world.project()).await.unwrap().report;
    assert!(report.stdout.len() <= 64 * 1024 && report.stdout.len() > 60 * 1024);
    assert!(report.stdout.ends_with("last\n") && !report.stdout.contains("first"));
}

#[tokio::test]
async fn a_service_that_a_hook_says_nothing_of_is_unknown() {
    let health = "#!/bin/sh\necho 'HEALTH=app healthy looked at it' >$FREEHOLD_OUTPUT\n";
    let world = World::pretending(&[("health", health)]).await;
    let mut project = world.project();
    world.backend.provision(&minute(), &project).await.unwrap();
    let health = world.backend.health(&minute(), &project).await.unwrap();
    let states: Vec<_> = health.services.iter().map(|s| (s.service.as_str(), s.state.as_str())).collect();
    assert_eq!(states, [("app", "healthy"), ("worker", "unknown")]);
    project.excluded = vec![ServiceName::new("worker").unwrap()];
    assert_eq!(world.backend.health(&minute(), &project).await.unwrap().services.len(), 1);
}

#[tokio::test]
async fn a_restart_of_some_services_names_them_to_the_hook() {
    let restart = "#!/bin/sh\necho \"restarting $FREEHOLD_SERVICES\"\n";
    let world = World::pretending(&[("restart", restart)]).await;
    let project = world.project();
    world.backend.provision(&minute(), &project).await.unwrap();
    let scope = Scope::Services(vec![ServiceName::new("worker").unwrap()]);
    let outcome = world.backend.restart(&minute(), &project, &scope).await.unwrap();
    assert_eq!(outcome.report.stdout, "restarting worker\n");
    let scope = Scope::Services(vec![ServiceName::new("nobody").unwrap()]);
    let error = world.backend.restart(&minute(), &project, &scope).await.unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidInput);
}

#[tokio::test]
async fn log_lines_go_to_the_services_that_they_name() {
    let world = World::pretending(&[("logs", include_str!("../hooks/lines"))]).await;
    let mut project = world.project();
    project.secrets.values_mut().for_each(|value| *value = "canary-in-the-coal-mine".into());
    world.backend.provision(&minute(), &project).await.unwrap();
    let lines = async |services: &[&str]| {
        let services = services.iter().map(|name| ServiceName::new(*name).unwrap()).collect();
        let request = LogRequest { services, ..LogRequest::default() };
        let mut receiver = world.backend.logs(&minute(), &project, &request).await.unwrap();
        let mut lines = Vec::new();
        while let Some(line) = receiver.recv().await {
            let line = line.unwrap();
            lines.push(format!("{}: {}", line.service, line.line));
        }
        lines
    };
    let all = ["app: listening", "worker: idle", "app: no-service\tof ours", "worker: token ***"];
    assert_eq!(lines(&[]).await, all);
    assert_eq!(lines(&["worker"]).await, [all[1], all[3]]);
}

#[tokio::test]
async fn a_project_goes_on_with_the_hooks_that_it_was_made_with() {
    let world = World::pretending(&[]).await;
    let project = world.project();
    world.backend.provision(&minute(), &project).await.unwrap();
    let folder = world.data.parent().unwrap().join("hooks");
    fs::write(folder.join("pause"), "#!/bin/sh\nexit 1\n").unwrap();
    let config = freehold_shell::Config { hooks: Some(folder), ..freehold_shell::Config::new(&world.data) };
    let newer = freehold_shell::ShellBackend::open(config).unwrap();
    assert_ne!(newer.describe(&minute()).await.unwrap().stacks[0].digest, project.digest);
    newer.pause(&minute(), &project).await.unwrap();
}

#[tokio::test]
async fn a_project_whose_folder_is_gone_is_not_found_and_destroying_it_succeeds() {
    let world = World::pretending(&[]).await;
    let project = world.project();
    assert_eq!(world.backend.resume(&minute(), &project).await.unwrap_err().kind(), Kind::NotFound);
    world.backend.destroy(&minute(), &project.project).await.unwrap();
    assert_eq!(world.census(), [""; 0]);
}
