//! Changes are carried out whole or not at all.

use freehold_core::{
    Connection, Detail, Fact, Kind, OperationKind, OperationState, Status, Store,
    runtime::Limits,
    store::{Bounds, Guard, IdempotencyKey, NewProject, ProjectUpdate, StatusChange},
};

use super::{
    active, amendment, claim, command, create, creation, destroy, destruction, detail, finish, new_project,
    new_store,
};

#[tokio::test(start_paused = true)]
async fn a_created_project_has_a_number_ports_a_network_and_an_operation_that_waits() {
    let store = new_store();
    let committed = create(&store, "demo").await;
    let project = committed.project;
    assert_eq!((project.id, project.status, project.version), (1, Status::ComingUp, 1));
    assert_eq!(project.ports.unwrap().count, 3);
    assert_eq!(project.subnet.unwrap().to_string(), "10.213.0.0/27");
    let operation = committed.operation.unwrap();
    assert_eq!((operation.state, operation.attempt), (OperationState::Waiting, 0));
    assert_eq!(operation.position, Some(0));
    assert_eq!(project.status_operation, Some(operation.id));
}

#[tokio::test(start_paused = true)]
async fn of_two_changes_prepared_from_one_version_the_second_loses_the_race() {
    let store = new_store();
    let project = active(&store, "demo").await;
    let rename = |name: &str| {
        amendment(ProjectUpdate { name: Some(name.parse().unwrap()), ..ProjectUpdate::of(&project) })
    };
    assert_eq!(store.commit(rename("one")).await.unwrap().project.version, project.version + 1);
    assert!(store.commit(rename("two")).await.unwrap_err().is_lost_race());
    assert_eq!(store.project(&project.reference).await.unwrap().unwrap().name.as_str(), "one");
}

#[tokio::test(start_paused = true)]
async fn a_command_is_refused_while_an_operation_runs_or_waits() {
    let store = new_store();
    let project = active(&store, "demo").await;
    let paused = store.commit(command(&project, OperationKind::Pause, Status::Pausing)).await.unwrap();
    let (project, operation) = (paused.project, paused.operation.unwrap().id);
    for _ in 0..2 {
        let refused = store.commit(command(&project, OperationKind::Resume, Status::Restoring)).await;
        assert_eq!(detail(refused), Some(Detail::Busy { status: Status::Pausing, operation }));
        claim(&store).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_watcher_moves_only_a_project_that_is_idle() {
    let store = new_store();
    let project = active(&store, "demo").await;
    let sees = |project| {
        let status = Some(StatusChange { to: Status::ActiveUnhealthy, reason: Some("db is down".into()) });
        amendment(ProjectUpdate { status, guard: Guard::Idle, ..ProjectUpdate::of(project) })
    };
    let seen = store.commit(sees(&project)).await.unwrap().project;
    assert_eq!((seen.status, seen.status_operation), (Status::ActiveUnhealthy, None));
    let paused = store.commit(command(&seen, OperationKind::Pause, Status::Pausing)).await.unwrap();
    assert!(matches!(detail(store.commit(sees(&paused.project)).await), Some(Detail::Busy { .. })));
}

#[tokio::test(start_paused = true)]
async fn destroy_takes_the_place_of_an_operation_that_waits() {
    let store = new_store();
    let created = create(&store, "demo").await;
    let replaced = created.operation.unwrap().id;
    let destroyed = store.commit(destruction(&created.project)).await.unwrap();
    let replaced = store.operation(replaced).await.unwrap().unwrap();
    assert_eq!(replaced.state, OperationState::Cancelled);
    assert!(replaced.ended_at.is_some());
    let claimed = claim(&store).await.unwrap();
    assert_eq!(claimed.operation.id, destroyed.operation.unwrap().id);
}

#[tokio::test(start_paused = true)]
async fn destroy_asks_an_operation_that_runs_to_end_and_waits_behind_it() {
    let store = new_store();
    let created = create(&store, "demo").await;
    let running = claim(&store).await.unwrap();
    store.commit(destruction(&created.project)).await.unwrap();
    assert!(store.operation(running.operation.id).await.unwrap().unwrap().cancel_requested);
    assert!(claim(&store).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_operation_of_another_project_cannot_be_cancelled() {
    let store = new_store();
    let (one, two) = (create(&store, "one").await, create(&store, "two").await);
    let mut change = amendment(ProjectUpdate::of(&one.project));
    change.cancel = two.operation.map(|operation| operation.id);
    assert_eq!(store.commit(change).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test(start_paused = true)]
async fn asking_an_operation_to_end_twice_is_told_once_and_changes_no_version() {
    let store = new_store();
    let created = create(&store, "demo").await;
    let operation = created.operation.unwrap().id;
    for _ in 0..2 {
        let mut change = amendment(ProjectUpdate::of(&created.project));
        change.cancel = Some(operation);
        let asked = store.commit(change).await.unwrap();
        assert_eq!(asked.project.version, created.project.version);
        assert!(asked.operation.unwrap().cancel_requested);
    }
    store.sequence().await.unwrap();
    let events = store.events(0, 100).await.unwrap().events;
    let asked = events.iter().filter(|event| event.fact == Fact::CancelRequested { operation });
    assert_eq!(asked.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_name_is_taken_whatever_the_case_until_its_project_goes_down() {
    let store = new_store();
    let project = active(&store, "Äpfel").await;
    let taken = store.commit(creation(new_project("äPFEL"))).await.unwrap_err();
    assert_eq!(taken.kind(), Kind::AlreadyExists);
    let elsewhere = NewProject { organization: "other".parse().unwrap(), ..new_project("äpfel") };
    store.commit(creation(elsewhere)).await.unwrap();
    finish(&store, Status::ActiveHealthy).await;
    let other = active(&store, "birnen").await;
    let rename = ProjectUpdate { name: Some("ÄPFEL".parse().unwrap()), ..ProjectUpdate::of(&other) };
    assert_eq!(store.commit(amendment(rename)).await.unwrap_err().kind(), Kind::AlreadyExists);
    store.commit(destruction(&project)).await.unwrap();
    create(&store, "äpfel").await;
}

#[tokio::test(start_paused = true)]
async fn a_renamed_project_gives_its_old_name_back() {
    let store = new_store();
    let project = active(&store, "old").await;
    let rename = ProjectUpdate { name: Some("new".parse().unwrap()), ..ProjectUpdate::of(&project) };
    store.commit(amendment(rename)).await.unwrap();
    create(&store, "old").await;
    assert_eq!(store.commit(creation(new_project("new"))).await.unwrap_err().kind(), Kind::AlreadyExists);
}

#[tokio::test(start_paused = true)]
async fn the_same_request_under_one_key_is_carried_out_once() {
    let store = new_store();
    let key = |body: &str| {
        Some(IdempotencyKey { organization: "acme".parse().unwrap(), key: "k".into(), body: body.into() })
    };
    let mut change = creation(new_project("demo"));
    change.idempotency = key("a");
    let first = store.commit(change).await.unwrap();

    let mut again = creation(new_project("demo"));
    again.idempotency = key("a");
    let second = store.commit(again).await.unwrap();
    assert!(second.replayed && !first.replayed);
    assert_eq!((second.project, second.operation), (first.project.clone(), first.operation));

    let mut other = creation(new_project("other"));
    other.idempotency = key("b");
    assert_eq!(detail(store.commit(other).await), Some(Detail::KeyReused));
    let replay = store.replay(&first.project.organization, "k").await.unwrap().unwrap();
    assert_eq!((replay.body.as_str(), replay.project), ("a", first.project.reference));
}

#[tokio::test(start_paused = true)]
async fn a_refused_change_leaves_nothing_behind() {
    let store = new_store();
    let first = create(&store, "demo").await.project;
    let mut change = creation(new_project("demo"));
    change.idempotency =
        Some(IdempotencyKey { organization: first.organization.clone(), key: "k".into(), body: "a".into() });
    store.commit(change).await.unwrap_err();
    assert!(store.replay(&first.organization, "k").await.unwrap().is_none());
    assert_eq!(store.sequence().await.unwrap(), 2);
    let second = create(&store, "other").await.project;
    assert_eq!((second.id, second.ports.unwrap().first), (2, first.ports.unwrap().first + 3));
}

#[tokio::test(start_paused = true)]
async fn bounds_name_their_setting_and_do_not_count_what_is_removed() {
    let cases = [
        ("max_projects", 2, Bounds { max_projects: Some(2), ..Bounds::default() }),
        ("max_memory_bytes", 250, Bounds { max_memory_bytes: Some(250), ..Bounds::default() }),
        (
            "max_projects_per_organization",
            2,
            Bounds { max_projects_per_organization: Some(2), ..Bounds::default() },
        ),
    ];
    for (setting, limit, bounds) in cases {
        let store = new_store();
        let limits = Limits { memory_bytes: Some(100), cpus: None };
        let bounded = |name: &str| creation(NewProject { bounds, limits, ..new_project(name) });
        store.commit(bounded("one")).await.unwrap();
        let one = finish(&store, Status::ActiveHealthy).await;
        store.commit(bounded("two")).await.unwrap();
        finish(&store, Status::ActiveHealthy).await;
        let refused = store.commit(bounded("three")).await;
        assert_eq!(detail(refused), Some(Detail::Bound { setting: setting.into(), limit }));
        destroy(&store, &one).await;
        store.commit(bounded("three")).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_project_is_never_active_without_a_connection() {
    let store = new_store();
    let project = create(&store, "demo").await.project;
    let status = Some(StatusChange { to: Status::ActiveHealthy, reason: None });
    let update =
        |connection| ProjectUpdate { status: status.clone(), connection, ..ProjectUpdate::of(&project) };
    assert_eq!(store.commit(amendment(update(None))).await.unwrap_err().kind(), Kind::Internal);
    let connection = Connection { database: None, pooler: None, api: None, secrets: vec![] };
    let project = store.commit(amendment(update(Some(connection)))).await.unwrap().project;
    assert!(project.was_active);
}

#[tokio::test(start_paused = true)]
async fn what_was_observed_is_noted_and_changes_no_version() {
    let store = new_store();
    let project = active(&store, "demo").await;
    store.observed(&[project.reference]).await.unwrap();
    let seen = store.project(&project.reference).await.unwrap().unwrap();
    assert_eq!(seen.observed_at, Some(store.now().await.unwrap()));
    assert_eq!(seen.version, project.version);
}
