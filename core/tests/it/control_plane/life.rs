//! A project's life, as it should be.

use freehold_core::{
    Detail, Kind, OperationKind, OperationState, Status, Trigger, control_plane::Protection,
};

use super::{Fixture, PATIENCE};

#[tokio::test(start_paused = true)]
async fn a_created_project_comes_up_with_a_connection_and_is_then_as_planned() {
    let host = Fixture::new().await;
    let accepted = host.create("demo").await;
    assert_eq!(accepted.project.status, Status::ComingUp);
    assert_eq!(accepted.operation.as_ref().unwrap().kind, OperationKind::Create);

    let project = host.wait(&accepted.project.reference, Status::ActiveHealthy).await;
    assert_eq!(
        project.connection.unwrap().database.unwrap().endpoint.public.port,
        project.ports.unwrap().first
    );
    assert!(host.control.plan(&project.reference).await.unwrap().is_empty());
    assert!(host.control.health(&project.reference).await.unwrap().is_healthy());

    let operation = host.control.operation(accepted.operation.unwrap().id).await.unwrap();
    assert_eq!((operation.state, operation.attempt), (OperationState::Succeeded, 1));
    assert!(operation.steps.iter().any(|step| step.name == "start service" && step.service == "db"));
}

#[tokio::test(start_paused = true)]
async fn data_survives_pause_resume_and_restart_and_only_destroy_ends_it() {
    let host = Fixture::new().await;
    let demo = host.active("demo").await;
    let ports = host.control.project(&demo).await.unwrap().ports;
    host.backend.write(&demo, "row", "kept").unwrap();

    host.control.pause(&demo).await.unwrap();
    host.wait(&demo, Status::Inactive).await;
    assert!(host.control.plan(&demo).await.unwrap().is_empty(), "a paused project is as it should be");
    host.control.resume(&demo).await.unwrap();
    host.wait(&demo, Status::ActiveHealthy).await;
    assert_eq!(host.end(&host.control.restart(&demo, &[]).await.unwrap()).await, OperationState::Succeeded);
    let restarted = host.control.restart(&demo, &["api".to_owned()]).await.unwrap();
    assert_eq!(host.end(&restarted).await, OperationState::Succeeded);
    assert_eq!(host.backend.read(&demo, "row").as_deref(), Some("kept"));
    assert_eq!(host.control.project(&demo).await.unwrap().ports, ports, "ports never move");

    host.control.destroy(&demo).await.unwrap();
    let gone = host.wait(&demo, Status::Removed).await;
    assert_eq!((gone.ports, gone.subnet), (None, None));
    assert_eq!(host.backend.read(&demo, "row"), None);
    assert!(host.control.inventory(&"local".parse().unwrap()).await.unwrap().is_empty());
    assert_eq!(host.control.secrets(&demo).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn an_illegal_command_names_the_present_status_and_the_operation_in_flight() {
    let host = Fixture::new().await;
    let reached = host.backend.hang_at("start service");
    let accepted = host.create("demo").await;
    reached.await.unwrap();
    let error = host.control.pause(&accepted.project.reference).await.unwrap_err();
    let expected = Detail::IllegalTransition {
        status: Status::ComingUp,
        trigger: Trigger::Pause,
        operation: accepted.operation.map(|operation| operation.id),
    };
    assert_eq!(error.detail(), Some(&expected));
}

#[tokio::test(start_paused = true)]
async fn destroy_of_a_project_that_is_going_down_answers_with_the_operation_that_exists() {
    let host = Fixture::new().await;
    let demo = host.active("demo").await;
    let first = host.control.destroy(&demo).await.unwrap();
    let second = host.control.destroy(&demo).await.unwrap();
    assert_eq!(second.operation.unwrap().id, first.operation.as_ref().unwrap().id);
    host.wait(&demo, Status::Removed).await;
    let third = host.control.destroy(&demo).await.unwrap();
    assert_eq!(third.operation.unwrap().id, first.operation.unwrap().id);
}

#[tokio::test(start_paused = true)]
async fn destroy_in_the_middle_of_a_provision_ends_it_and_leaves_nothing() {
    let host = Fixture::new().await;
    let reached = host.backend.hang_at("wait until healthy");
    let created = host.create("demo").await;
    reached.await.unwrap();
    let destroyed = host.control.destroy(&created.project.reference).await.unwrap();
    assert_eq!(destroyed.project.status, Status::GoingDown);
    assert_eq!(host.end(&created).await, OperationState::Cancelled);
    host.wait(&created.project.reference, Status::Removed).await;
    assert!(host.control.inventory(&"local".parse().unwrap()).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_protected_project_refuses_destroy_until_that_is_lifted() {
    let host = Fixture::new().await;
    let demo = host.active("demo").await;
    host.control.protect(&demo, Protection::On).await.unwrap();
    assert_eq!(host.control.destroy(&demo).await.unwrap_err().detail(), Some(&Detail::Protected));
    host.control.protect(&demo, Protection::Off).await.unwrap();
    host.control.destroy(&demo).await.unwrap();
    host.wait(&demo, Status::Removed).await;
}

#[tokio::test(start_paused = true)]
async fn a_name_is_free_again_as_soon_as_its_project_goes_down() {
    let host = Fixture::new().await;
    let demo = host.active("Demo").await;
    let error = host.control.create(super::demo("DEMO"), None).await.unwrap_err();
    assert_eq!(error.kind(), Kind::AlreadyExists, "whatever the case");
    host.control.destroy(&demo).await.unwrap();
    host.control.create(super::demo("demo"), None).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn events_are_numbered_densely_and_can_be_followed_from_any_number_on() {
    let host = Fixture::new().await;
    let demo = host.active("demo").await;
    host.control.rename(&demo, "other".parse().unwrap()).await.unwrap();
    let mut events = host.control.follow_events(2);
    let third = events.recv().await.unwrap().unwrap();
    assert_eq!(third.sequence, 3);
    host.control.destroy(&demo).await.unwrap();
    host.wait(&demo, Status::Removed).await;
    host.control.shutdown(PATIENCE).await;
    let all = host.control.events(0, 1000).await.unwrap().events;
    let numbers: Vec<_> = all.iter().map(|event| event.sequence).collect();
    assert_eq!(numbers, (1..=all.len() as u64).collect::<Vec<_>>());
    assert_eq!(all[2], third);
}
