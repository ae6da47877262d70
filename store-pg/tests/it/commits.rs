//! Changes are carried out whole or not at all, and in their turn.

use freehold_core::{
    Detail, Kind, OperationKind, OperationState, Project, ProjectName, Status, Store,
    store::{Bounds, Guard, ProjectUpdate, StatusChange},
};
use futures_util::future::join_all;

use crate::fixture::*;

#[tokio::test]
async fn a_created_project_has_a_number_ports_a_network_and_an_operation_that_waits() {
    let Some(store) = any_store().await else { return };
    let first = create(&*store, "one").await;
    let second = create(&*store, "two").await;
    assert!(second.project.id > first.project.id);
    assert_eq!(first.project.version, 1);
    assert_eq!(first.project.ports.unwrap().count, 3);
    assert!(first.project.subnet.is_some());
    let operation = second.operation.unwrap();
    assert_eq!(
        (operation.state, operation.attempt, operation.position),
        (OperationState::Waiting, 0, Some(1))
    );
    assert_eq!(first.project.status_operation, first.operation.map(|operation| operation.id));
    let reread = store.project(&first.project.reference).await.unwrap();
    assert_eq!(reread, Some(first.project));
}

#[tokio::test]
async fn of_two_changes_prepared_from_one_version_the_second_loses_the_race() {
    let Some(store) = any_store().await else { return };
    let project = active(&*store, "demo").await;
    let protect = |project: &Project| {
        update_change(ProjectUpdate { protected: Some(true), ..ProjectUpdate::of(project) })
    };
    let committed = store.commit(protect(&project)).await.unwrap();
    assert_eq!(committed.project.version, project.version + 1);
    let error = store.commit(protect(&project)).await.unwrap_err();
    assert!(error.is_lost_race(), "{error:?}");
}

#[tokio::test]
async fn of_many_changes_at_once_exactly_one_wins() {
    let Some(store) = any_store().await else { return };
    let project = active(&*store, "demo").await;
    let commands = (0..20).map(|_| store.commit(command(&project, OperationKind::Pause, Status::Pausing)));
    let outcomes = join_all(commands).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(outcomes.iter().flat_map(|outcome| outcome.as_ref().err()).all(|error| error.is_lost_race()));
}

#[tokio::test]
async fn a_command_is_refused_while_an_operation_runs_or_waits() {
    let Some(store) = any_store().await else { return };
    let created = create(&*store, "demo").await;
    let restart = |project: &Project| command(project, OperationKind::Restart, Status::Restarting);
    let busy = Detail::Busy { status: Status::ComingUp, operation: created.operation.unwrap().id };
    let error = store.commit(restart(&created.project)).await.unwrap_err();
    assert_eq!(error.detail(), Some(&busy), "while it waits");
    let claimed = claim(&*store).await.unwrap();
    let error = store.commit(restart(&claimed.project)).await.unwrap_err();
    assert_eq!(error.detail(), Some(&busy), "while it runs");
}

#[tokio::test]
async fn the_watcher_moves_only_a_project_that_is_idle() {
    let Some(store) = any_store().await else { return };
    let unhealthy = |project: &Project| {
        let status = Some(StatusChange { to: Status::ActiveUnhealthy, reason: Some("db is down".into()) });
        update_change(ProjectUpdate { status, guard: Guard::Idle, ..ProjectUpdate::of(project) })
    };
    let project = active(&*store, "demo").await;
    let moved = store.commit(unhealthy(&project)).await.unwrap().project;
    assert_eq!((moved.status, moved.status_operation), (Status::ActiveUnhealthy, None));
    let busy = store.commit(command(&moved, OperationKind::Restart, Status::Restarting)).await.unwrap();
    let error = store.commit(unhealthy(&busy.project)).await.unwrap_err();
    assert!(matches!(error.detail(), Some(Detail::Busy { .. })), "{error:?}");
}

#[tokio::test]
async fn destroy_takes_the_place_of_an_operation_that_waits() {
    let Some(store) = any_store().await else { return };
    let created = create(&*store, "demo").await;
    let destroy = command(&created.project, OperationKind::Destroy, Status::GoingDown);
    let destroyed = store.commit(destroy).await.unwrap();
    let before = store.operation(created.operation.unwrap().id).await.unwrap().unwrap();
    assert_eq!(before.state, OperationState::Cancelled);
    assert_eq!(destroyed.project.status, Status::GoingDown);
    assert_eq!(claim(&*store).await.unwrap().operation.kind, OperationKind::Destroy);
}

#[tokio::test]
async fn destroy_asks_an_operation_that_runs_to_end_and_waits_behind_it() {
    let Some(store) = any_store().await else { return };
    create(&*store, "demo").await;
    let running = claim(&*store).await.unwrap();
    let destroy = command(&running.project, OperationKind::Destroy, Status::GoingDown);
    store.commit(destroy).await.unwrap();
    assert!(store.renew(&running.lease, LEASE, &[]).await.unwrap().cancel_requested);
    assert!(claim(&*store).await.is_none(), "two operations of one project ran at once");

    // The outcome of the one before is recorded and moves nothing.
    let project = store.settle(succeeded(&running.lease, Status::ActiveHealthy)).await.unwrap();
    assert_eq!(project.status, Status::GoingDown);
    let removed = finish(&*store, Status::Removed).await;
    assert_eq!((removed.status, removed.ports, removed.subnet), (Status::Removed, None, None));
    assert!(store.sealed(Some(&removed.reference)).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_operation_that_is_asked_to_end_is_due_at_once() {
    let Some(store) = any_store().await else { return };
    let mut change = create_change(new_project("demo"));
    change.operation.as_mut().unwrap().delay = std::time::Duration::from_secs(3600);
    let committed = store.commit(change).await.unwrap();
    assert!(claim(&*store).await.is_none(), "it was not due yet");
    let operation = committed.operation.unwrap().id;
    let mut cancel = update_change(ProjectUpdate::of(&committed.project));
    cancel.cancel = Some(operation);
    let asked = store.commit(cancel).await.unwrap();
    assert_eq!(asked.operation.map(|operation| operation.cancel_requested), Some(true));
    assert_eq!(asked.project.version, committed.project.version, "asking changes no row of a project");
    assert_eq!(claim(&*store).await.unwrap().operation.id, operation);
}

#[tokio::test]
async fn an_operation_of_another_project_cannot_be_cancelled() {
    let Some(store) = any_store().await else { return };
    let one = create(&*store, "one").await;
    let two = create(&*store, "two").await;
    let mut cancel = update_change(ProjectUpdate::of(&one.project));
    cancel.cancel = two.operation.map(|operation| operation.id);
    assert_eq!(store.commit(cancel).await.unwrap_err().kind(), Kind::NotFound);
}

#[tokio::test]
async fn a_name_is_taken_whatever_the_case_until_its_project_goes_down() {
    let Some(store) = any_store().await else { return };
    let first = create(&*store, "Äpfel").await.project;
    let error = store.commit(create_change(new_project("äPFEL"))).await.unwrap_err();
    assert_eq!(error.kind(), Kind::AlreadyExists, "{error:?}");
    store.commit(command(&first, OperationKind::Destroy, Status::GoingDown)).await.unwrap();
    let second = create(&*store, "äPFEL").await.project;
    let name = Some(ProjectName::new("birnen").unwrap());
    store.commit(update_change(ProjectUpdate { name, ..ProjectUpdate::of(&second) })).await.unwrap();
    create(&*store, "äpfel").await;
}

#[tokio::test]
async fn the_same_request_under_one_key_is_carried_out_once() {
    let Some(store) = any_store().await else { return };
    let request = |body: &str| {
        let mut change = create_change(new_project("demo"));
        change.idempotency = key("k", body);
        change
    };
    let outcomes = join_all((0..8).map(|_| store.commit(request("a")))).await;
    let committed: Vec<_> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!(committed.iter().filter(|committed| !committed.replayed).count(), 1);
    assert!(committed.iter().all(|c| c.project.reference == committed[0].project.reference));
    assert!(
        committed
            .iter()
            .all(|c| c.operation.as_ref().map(|o| o.id) == committed[0].operation.as_ref().map(|o| o.id))
    );
    let replay = store.replay(&organization(), "k").await.unwrap().unwrap();
    assert_eq!(replay.project, committed[0].project.reference);
    let error = store.commit(request("b")).await.unwrap_err();
    assert_eq!(error.detail(), Some(&Detail::KeyReused));
}

#[tokio::test]
async fn a_refused_change_leaves_its_key_unused() {
    let Some(store) = any_store().await else { return };
    create(&*store, "demo").await;
    let mut change = create_change(new_project("demo"));
    change.idempotency = key("k", "a");
    assert_eq!(store.commit(change.clone()).await.unwrap_err().kind(), Kind::AlreadyExists);
    assert_eq!(store.replay(&organization(), "k").await.unwrap(), None);
}

#[tokio::test]
async fn bounds_hold_for_creates_that_come_at_once_and_name_their_setting() {
    let Some(store) = any_store().await else { return };
    let bounds = [
        ("max_projects", Bounds { max_projects: Some(3), ..Bounds::default() }),
        (
            "max_projects_per_organization",
            Bounds { max_projects_per_organization: Some(3), ..Bounds::default() },
        ),
        ("max_memory_bytes", Bounds { max_memory_bytes: Some(300), ..Bounds::default() }),
    ];
    for (setting, bounds) in bounds {
        let change = |n: usize| {
            let mut project = new_project(&format!("{setting} {n}"));
            project.organization = setting.try_into().unwrap();
            project.target = setting.try_into().unwrap();
            project.limits.memory_bytes = Some(100);
            project.bounds = bounds;
            create_change(project)
        };
        let outcomes = join_all((0..10).map(|n| store.commit(change(n)))).await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 3, "{setting}");
        for error in outcomes.into_iter().filter_map(Result::err) {
            assert!(
                matches!(error.detail(), Some(Detail::Bound { setting: named, .. }) if named == setting),
                "{error:?}"
            );
        }
    }
}

#[tokio::test]
async fn a_change_inside_a_callers_transaction_is_rolled_back_with_it() {
    let Some(database) = Database::new().await else { return };
    let store = database.store().await;
    let pool = sqlx::PgPool::connect(&database.url).await.unwrap();
    let mut transaction = pool.begin().await.unwrap();
    let change = create_change(new_project("demo"));
    let reference = store.commit_in(&mut transaction, change.clone()).await.unwrap().project.reference;
    transaction.rollback().await.unwrap();
    assert_eq!(store.project(&reference).await.unwrap(), None);
    assert_eq!(store.sequence().await.unwrap(), 0, "events of what never happened");

    let mut transaction = pool.begin().await.unwrap();
    store.commit_in(&mut transaction, change.clone()).await.unwrap();
    let error = store.commit_in(&mut transaction, change).await.unwrap_err();
    assert_eq!(error.kind(), Kind::AlreadyExists);
    transaction.commit().await.unwrap();
    assert!(store.project(&reference).await.unwrap().is_some(), "a refused change took the transaction down");
}

#[tokio::test]
async fn a_project_without_a_connection_is_never_active() {
    let Some(store) = any_store().await else { return };
    create(&*store, "demo").await;
    let claimed = claim(&*store).await.unwrap();
    let mut settlement = succeeded(&claimed.lease, Status::ActiveHealthy);
    let freehold_core::store::End::Ended { transition: Some(transition), .. } = &mut settlement.end else {
        panic!("a success moves its project")
    };
    transition.connection = None;
    let error = store.settle(settlement).await.unwrap_err();
    assert!(error.to_string().contains("connection"), "{error:?}");
    let project = store.project(&claimed.project.reference).await.unwrap().unwrap();
    assert_eq!(project.status, Status::ComingUp);
}
