//! Health, plan, inventory and logs: they look, and change nothing.

use freehold_core::{
    Action, Destroyer as _, Kind, LogRequest, Provisioner as _, Runtime, ServiceState, Wish,
};

use super::{ctx, new_backend, runtime, service};

#[tokio::test(start_paused = true)]
async fn health_has_an_entry_for_every_service_that_is_not_excluded() {
    let (backend, runtime) = (new_backend(), runtime('a', 20_000));
    assert!(!backend.health(&ctx(), &runtime).await.unwrap().is_healthy());
    backend.provision(&ctx(), &runtime).await.unwrap();
    let health = backend.health(&ctx(), &runtime).await.unwrap();
    let states: Vec<_> = health.services.iter().map(|entry| (entry.service.as_str(), entry.state)).collect();
    assert_eq!(
        states,
        [("db", ServiceState::Healthy), ("api", ServiceState::Healthy), ("worker", ServiceState::Done)]
    );
}

#[tokio::test(start_paused = true)]
async fn the_plan_of_a_project_as_it_is_wished_is_empty() {
    let (backend, runtime) = (new_backend(), runtime('a', 20_000));
    let actions = async |wish| {
        let plan = backend.plan(&ctx(), &runtime, wish).await.unwrap();
        plan.changes.into_iter().map(|change| change.action).collect::<Vec<_>>()
    };
    assert_eq!(actions(Wish::Active).await, [Action::Create; 4]);
    backend.provision(&ctx(), &runtime).await.unwrap();
    assert_eq!(actions(Wish::Active).await, []);
    assert_eq!(actions(Wish::Paused).await, [Action::Remove; 3]);
    backend.pause(&ctx(), &runtime).await.unwrap();
    assert_eq!(actions(Wish::Paused).await, []);
    assert_eq!(actions(Wish::Active).await, [Action::Create; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_plan_shows_no_secret() {
    let (backend, runtime) = (new_backend(), runtime('a', 20_000));
    backend.provision(&ctx(), &runtime).await.unwrap();
    let mut rotated = runtime.clone();
    rotated.secrets.insert("db_password".parse().unwrap(), "canary-canary".to_owned().into());
    let plan = backend.plan(&ctx(), &rotated, Wish::Active).await.unwrap();
    assert!(!plan.is_empty() && !format!("{plan:?}{backend:?}").contains("canary"));
}

#[tokio::test(start_paused = true)]
async fn the_inventory_lists_what_each_project_has() {
    let backend = new_backend();
    let (one, two) = (runtime('a', 20_000), runtime('b', 20_002));
    backend.provision(&ctx(), &one).await.unwrap();
    backend.provision(&ctx(), &two).await.unwrap();
    backend.pause(&ctx(), &two).await.unwrap();
    let inventory = backend.inventory(&ctx()).await.unwrap();
    let resources = |index: usize| inventory[index].resources.iter().collect::<Vec<_>>();
    assert_eq!(inventory.iter().map(|held| held.project).collect::<Vec<_>>(), [one.project, two.project]);
    assert_eq!(resources(0), [(&"data".to_owned(), &1), (&"service".to_owned(), &3)]);
    assert_eq!(resources(1), [(&"data".to_owned(), &1)]);
}

#[tokio::test(start_paused = true)]
async fn the_newest_lines_of_each_service_are_read_and_the_next_ones_followed() {
    let (backend, runtime) = (new_backend(), runtime('a', 20_000));
    backend.provision(&ctx(), &runtime).await.unwrap();
    let (db, api) = (service("db"), service("api"));
    for n in 0..3 {
        backend.print(&runtime.project, &db, &format!("db {n}")).unwrap();
    }
    let request = LogRequest { services: vec![db.clone()], tail: Some(2), follow: true };
    let mut lines = backend.logs(&ctx(), &runtime, &request).await.unwrap();
    backend.print(&runtime.project, &api, "not asked for").unwrap();
    backend.print(&runtime.project, &db, "password: the db_password of a").unwrap();
    for expected in ["db 1", "db 2", "password: ***"] {
        assert_eq!(lines.recv().await.unwrap().unwrap().line, expected);
    }
    backend.destroy(&ctx(), &runtime.project).await.unwrap();
    assert!(lines.recv().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn without_following_the_lines_end() {
    let (backend, runtime) = (new_backend(), runtime('a', 20_000));
    backend.provision(&ctx(), &runtime).await.unwrap();
    let mut lines = backend.logs(&ctx(), &runtime, &LogRequest::default()).await.unwrap();
    let mut count = 0;
    while let Some(line) = lines.recv().await {
        line.unwrap();
        count += 1;
    }
    assert_eq!(count, 4);
    let unknown = LogRequest { services: vec![service("vector")], ..LogRequest::default() };
    assert_eq!(backend.logs(&ctx(), &runtime, &unknown).await.unwrap_err().kind(), Kind::InvalidInput);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_off_runs_when_it_is_asked_for() {
    let backend = new_backend();
    let all = Runtime { excluded: vec![], ..runtime('a', 20_000) };
    backend.provision(&ctx(), &all).await.unwrap();
    assert_eq!(backend.health(&ctx(), &all).await.unwrap().services.len(), 4);
}
