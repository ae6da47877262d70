//! Data that is gone is never made anew unasked, and what cannot be compared is told as that.

use std::sync::Arc;

use freehold_core::{
    Detail, Kind, OperationState, Status,
    control_plane::{Command, ControlPlane, Restart, Resume, TargetSettings},
    faults::{Fault, Faults, FaultyBackend, Injector, Then},
    seal::Keyring,
};

use super::{Fixture, PATIENCE, calm, demo, key, new_backend, new_store};

#[tokio::test(start_paused = true)]
async fn a_restart_without_the_data_fails_and_names_it_and_goes_on_once_its_loss_is_accepted_by_that_name() {
    let host = Fixture::new().await;
    let demo = host.active("demo").await;
    host.backend.write(&demo, "row", "1").unwrap();
    host.backend.lose(&demo);

    let refused = host.control.restart(&demo, &[]).await.unwrap();
    let operation = host.control.wait_operation(refused.operation.unwrap().id, PATIENCE).await.unwrap();
    assert_eq!((operation.state, operation.attempt), (OperationState::Failed, 1), "no other try would help");
    let Some(Detail::DataGone { names }) = operation.error.unwrap().detail else { panic!("no name") };
    host.wait(&demo, Status::ActiveUnhealthy).await;

    let other = Restart { accept_data_loss: vec!["other".to_owned()], ..Restart::default() };
    let refused = host.control.execute(Command::Restart(demo, other), None).await.unwrap();
    assert_eq!(host.end(&refused).await, OperationState::Failed);

    let accepted = Restart { accept_data_loss: names.clone(), ..Restart::default() };
    let accepted = host.control.execute(Command::Restart(demo, accepted), None).await.unwrap();
    assert_eq!(accepted.operation.as_ref().unwrap().accept_data_loss, names);
    assert_eq!(host.end(&accepted).await, OperationState::Succeeded);
    assert_eq!(host.backend.read(&demo, "row"), None);
    // It was said of that loss alone: the next one is told of again.
    host.backend.lose(&demo);
    let refused = host.control.restart(&demo, &[]).await.unwrap();
    assert_eq!(host.end(&refused).await, OperationState::Failed);
}

#[tokio::test(start_paused = true)]
async fn a_paused_project_without_its_data_is_resumed_only_by_who_accepts_the_loss() {
    let host = Fixture::new().await;
    let demo = host.active("demo").await;
    host.control.pause(&demo).await.unwrap();
    host.wait(&demo, Status::Inactive).await;
    host.backend.lose(&demo);
    assert_eq!(host.end(&host.control.resume(&demo).await.unwrap()).await, OperationState::Failed);
    host.wait(&demo, Status::RestoreFailed).await;
    let resume = Resume { accept_data_loss: vec![demo.to_string()] };
    let resumed = host.control.execute(Command::Resume(demo, resume), None).await.unwrap();
    assert_eq!(host.end(&resumed).await, OperationState::Succeeded);
    host.wait(&demo, Status::ActiveHealthy).await;
}

#[tokio::test(start_paused = true)]
async fn a_loss_that_has_no_name_cannot_be_accepted() {
    let host = Fixture::new().await;
    let demo = host.active("demo").await;
    for names in [vec![String::new()], vec!["a\nb".to_owned()], vec!["x".to_owned(); 65]] {
        let restart = Restart { accept_data_loss: names, ..Restart::default() };
        let error = host.control.execute(Command::Restart(demo, restart), None).await.unwrap_err();
        assert!(error.to_string().starts_with("accept_data_loss"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn health_tells_why_a_project_cannot_be_compared_with_its_stack_unless_the_next_look_may() {
    let injector = Arc::new(Injector::new(Faults::default()).unwrap());
    let control = ControlPlane::builder()
        .store(new_store())
        .sealer(Arc::new(Keyring::new(key())))
        .target(
            "local".parse().unwrap(),
            Arc::new(FaultyBackend::new(new_backend(), Arc::clone(&injector))),
            TargetSettings::default(),
        )
        .settings(calm())
        .build()
        .await
        .unwrap();
    let created = control.create(demo("demo"), None).await.unwrap();
    let operation = created.operation.unwrap();
    assert_eq!(
        control.wait_operation(operation.id, PATIENCE).await.unwrap().state,
        OperationState::Succeeded
    );
    let told = async |kind| {
        injector.plan(Fault::new("call plan before", Then::Fail(kind))).unwrap();
        control.health(&created.project.reference).await.unwrap().services.remove(0).drift
    };
    let conflict = told(Kind::Conflict).await;
    assert!(
        conflict.len() == 1 && conflict[0].starts_with("cannot be compared with its stack: "),
        "{conflict:?}"
    );
    assert_eq!(told(Kind::Unavailable).await, [""; 0]);
}
