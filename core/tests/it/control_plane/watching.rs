//! Active is a wish.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use freehold_core::{
    Fact, Keyring, Kind, PageRequest, ServiceName, Status, Store as _,
    clock::TokioClock,
    control_plane::{ControlPlane, Settings, TargetSettings},
    faults::{Fault, Faults, FaultyStore, Injector, Then},
    memory::MemoryBackend,
};
use time::{OffsetDateTime, macros::datetime};

use super::{Fixture, key, new_store, started};

pub(super) async fn watched() -> Fixture {
    let settings =
        Settings { watch: Duration::from_secs(5), backoff: Duration::from_secs(20), ..Settings::default() };
    Fixture::with(settings, TargetSettings::default()).await
}

#[tokio::test(start_paused = true)]
async fn a_service_found_down_makes_the_project_unhealthy_and_is_started_again_with_the_reason_in_the_events()
{
    let host = watched().await;
    let demo = host.active("demo").await;
    let seen = host.control.events(0, 1000).await.unwrap().next;
    host.backend.kill(&demo, &"db".parse().unwrap());
    let mut events = host.control.follow_events(seen);
    let (mut path, mut reason) = (vec![], None);
    while path.last() != Some(&Status::ActiveHealthy) {
        match events.recv().await.unwrap().unwrap().fact {
            Fact::StatusChanged { to, .. } => path.push(to),
            Fact::Revived { reason: why } => reason = Some(why),
            _ => {}
        }
    }
    assert_eq!(path, [Status::ActiveUnhealthy, Status::Restarting, Status::ActiveHealthy]);
    assert!(reason.unwrap().contains("db"));
}

#[tokio::test(start_paused = true)]
async fn while_the_observer_is_blind_the_status_stands() {
    let host = watched().await;
    let demo = host.active("demo").await;
    host.backend.disconnect();
    tokio::time::sleep(Duration::from_secs(120)).await;
    let blind = host.control.project(&demo).await.unwrap();
    assert_eq!(blind.status, Status::ActiveHealthy);
    host.backend.reconnect();
    tokio::time::sleep(Duration::from_secs(30)).await;
    let seen = host.control.project(&demo).await.unwrap();
    assert!(seen.observed_at > blind.observed_at);
}

#[tokio::test(start_paused = true)]
async fn a_paused_project_stays_paused() {
    let host = watched().await;
    let demo = host.active("demo").await;
    host.control.pause(&demo).await.unwrap();
    host.wait(&demo, Status::Inactive).await;
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(host.control.project(&demo).await.unwrap().status, Status::Inactive);
}

#[tokio::test(start_paused = true)]
async fn revivals_are_bounded_however_long_each_takes() {
    let host = watched().await;
    let demo = host.active("demo").await;
    let most = Settings::default().revivals;
    for _ in 0..100 {
        // Slower than the rest between two revivals, and in vain.
        host.backend.fail_next("start service", Kind::Timeout);
    }
    host.backend.kill(&demo, &"db".parse().unwrap());
    tokio::time::sleep(Duration::from_secs(1800)).await;
    let events = host.control.events(0, 1000).await.unwrap().events;
    let revived = events.iter().filter(|event| matches!(event.fact, Fact::Revived { .. })).count();
    assert_eq!(revived, usize::try_from(most).unwrap());
}

/// The statuses that a project moves through from an event on, until it is in the last one.
pub(super) async fn path_to(
    host: &Fixture,
    seen: u64,
    last: Status,
) -> Vec<(Status, OffsetDateTime, Option<String>)> {
    let mut events = host.control.follow_events(seen);
    let mut path = vec![];
    loop {
        let event = events.recv().await.unwrap().unwrap();
        if let Fact::StatusChanged { to, reason, .. } = event.fact {
            path.push((to, event.at, reason));
            if to == last {
                return path;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_answers_badly_is_told_of_and_not_restarted_and_takes_longer_to_come_back_than_to_go()
{
    let host = watched().await;
    let (demo, db) = (host.active("demo").await, "db".parse().unwrap());
    tokio::time::sleep(Duration::from_secs(60)).await;
    let seen = host.control.events(0, 1000).await.unwrap().next;
    let began = host.store.now().await.unwrap();
    host.backend.ail(&demo, &db);
    let gone = path_to(&host, seen, Status::ActiveUnhealthy).await;
    assert!(gone[0].2.as_ref().unwrap().contains("db is unhealthy"), "{gone:?}");
    let healed = host.store.now().await.unwrap();
    host.backend.heal(&demo, &db);
    let seen = host.control.events(0, 1000).await.unwrap().next;
    let back = path_to(&host, seen, Status::ActiveHealthy).await;
    assert_eq!(back.len(), 1, "it was not restarted: {back:?}");
    assert!(back[0].1 - healed > gone[0].1 - began);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_flaps_moves_the_status_once_and_is_shown_as_flapping() {
    let host = watched().await;
    let (demo, db) = (host.active("demo").await, "db".parse().unwrap());
    tokio::time::sleep(Duration::from_secs(60)).await;
    let seen = host.control.events(0, 1000).await.unwrap().next;
    for _ in 0..10 {
        host.backend.ail(&demo, &db);
        tokio::time::sleep(Duration::from_secs(5)).await;
        host.backend.heal(&demo, &db);
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    let health = host.control.health(&demo).await.unwrap();
    let flapping: Vec<_> =
        health.services.iter().filter(|s| s.flapping).map(|s| s.service.as_str()).collect();
    assert_eq!(flapping, ["db"]);
    let moved = path_to(&host, seen, Status::ActiveHealthy).await;
    let path: Vec<_> = moved.iter().map(|(status, ..)| *status).collect();
    assert_eq!(path, [Status::ActiveUnhealthy, Status::ActiveHealthy]);
    assert!(moved[0].2.as_ref().unwrap().contains("flapping"), "{moved:?}");
    assert!(moved[1].1 - moved[0].1 > Duration::from_secs(100), "it was not calm before");
}

#[tokio::test(start_paused = true)]
async fn projects_that_hang_delay_nobody_but_each_other_and_are_seen_again_once_they_answer() {
    let host = watched().await;
    let mut projects = vec![];
    for number in 0..40 {
        projects.push(host.active(&format!("demo {number}")).await);
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    let (hanging, quick) = projects.split_at(20);
    hanging.iter().for_each(|project| host.backend.stall(project));
    // The first look at each may cost its ten seconds in one of four places.
    tokio::time::sleep(Duration::from_secs(120)).await;
    let now = host.store.now().await.unwrap();
    for project in quick {
        let seen = host.control.project(project).await.unwrap().observed_at.unwrap();
        assert!(now - seen < Duration::from_secs(8), "{project} was not looked at for {}", now - seen);
    }
    for project in hanging {
        let blind = host.control.project(project).await.unwrap();
        assert_eq!(blind.status, Status::ActiveHealthy, "nothing is known of it");
        assert!(now - blind.observed_at.unwrap() > Duration::from_secs(60), "and that tells");
    }
    assert!(host.control.metrics().await.unwrap().probe_lag_ms.values().any(|lag| *lag > 0));
    hanging.iter().for_each(|project| host.backend.unstall(project));
    tokio::time::sleep(Duration::from_secs(120)).await;
    let now = host.store.now().await.unwrap();
    for project in &projects {
        let seen = host.control.project(project).await.unwrap().observed_at.unwrap();
        assert!(now - seen < Duration::from_secs(8), "{project} was not looked at for {}", now - seen);
    }
    assert!(host.control.metrics().await.unwrap().probe_lag_ms.values().all(|lag| *lag == 0));
}

#[tokio::test(start_paused = true)]
async fn looks_are_spread_over_the_interval() {
    let host = watched().await;
    for number in 0..50 {
        host.active(&format!("demo {number}")).await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let page = host.control.projects(&Default::default(), &Default::default()).await.unwrap();
    let mut moments: Vec<_> = page.items.iter().map(|project| project.observed_at.unwrap()).collect();
    moments.sort_unstable();
    let most = moments.chunk_by(|one, other| one == other).map(<[_]>::len).max().unwrap();
    assert!(most <= 50 / 4, "{most} of 50 were noted at once");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_hangs_or_panics_over_one_project_ends_neither_the_round_nor_the_watcher() {
    let calm = Fixture::new().await;
    let mut projects = BTreeSet::new();
    for number in 0..10 {
        projects.insert(calm.active(&format!("demo {number}")).await);
    }
    calm.control.shutdown(Duration::ZERO).await;

    // All that the watcher asks of its store, and nothing that a worker does.
    let mut faults = vec![];
    for method in ["projects", "sealed", "observed", "commit", "project", "operations"] {
        for (then, chance) in [(Then::Fail(Kind::Unavailable), 0.2), (Then::Panic, 0.2), (Then::Hang, 0.05)] {
            faults.push(Fault::new(format!("store {method} before"), then).chance(chance));
        }
    }
    let faults = Arc::new(Injector::new(Faults { seed: 7, faults }).unwrap());
    let settings = Settings { watch: Duration::from_secs(5), ..Settings::default() };
    let control = ControlPlane::builder()
        .store(Arc::new(FaultyStore::new(Arc::clone(&calm.store) as _, Arc::clone(&faults))))
        .sealer(Arc::new(Keyring::new(key())))
        .target("local".parse().unwrap(), Arc::clone(&calm.backend) as _, TargetSettings::default())
        .clock(Arc::new(TokioClock::starting_at(datetime!(2026-11-23 00:00 UTC))))
        .seed(42)
        .settings(settings)
        .build()
        .await
        .unwrap();
    let seen = control.events(0, 1000).await.unwrap().next;
    projects.iter().for_each(|project| calm.backend.kill(project, &"db".parse().unwrap()));
    let mut events = control.follow_events(seen);
    while !projects.is_empty() {
        let event = events.recv().await.unwrap().unwrap();
        if let Fact::StatusChanged { to: Status::ActiveHealthy, .. } = event.fact {
            projects.remove(&event.project);
        }
    }
    assert!(faults.acted() > 20, "{} faults", faults.acted());
}

#[tokio::test(start_paused = true)]
async fn many_that_are_found_down_are_started_again_a_few_at_a_time_and_leave_room_for_people() {
    let settings = Settings { watch: Duration::from_secs(5), ..Settings::default() };
    let (store, backend) =
        (new_store(), MemoryBackend::new().unwrap().with_step_delay(Duration::from_secs(1)));
    let backend = Arc::new(backend);
    let target = TargetSettings { max_operations: 4, ..TargetSettings::default() };
    let control = started(&store, &backend, settings, target).await.unwrap();
    let host = Fixture { control, backend, store };
    let mut projects = BTreeSet::new();
    for number in 0..30 {
        projects.insert(host.active(&format!("demo {number}")).await);
    }
    let paused = projects.pop_first().unwrap();
    host.end(&host.control.pause(&paused).await.unwrap()).await;
    let seen = host.control.events(0, 10_000).await.unwrap().next;
    let services = ["db", "api", "worker"];
    for project in &projects {
        services.iter().for_each(|service| host.backend.kill(project, &service.parse().unwrap()));
    }
    let mut events = host.control.follow_events(seen);
    let (mut restarting, mut most, mut back) = (0, 0, BTreeSet::new());
    while back.len() < projects.len() {
        let event = events.recv().await.unwrap().unwrap();
        assert_ne!(event.project, paused, "what is paused stays paused");
        match event.fact {
            Fact::StatusChanged { to: Status::Restarting, .. } => restarting += 1,
            Fact::StatusChanged { to: Status::ActiveHealthy, from: Some(Status::Restarting), .. } => {
                restarting -= 1;
                back.insert(event.project);
            }
            _ => {}
        }
        most = most.max(restarting);
    }
    assert_eq!(most, 2, "half of the target's operations");
}

#[tokio::test(start_paused = true)]
async fn only_what_is_down_is_restarted() {
    let host = watched().await;
    let demo = host.active("demo").await;
    let seen = host.control.events(0, 1000).await.unwrap().next;
    host.backend.kill(&demo, &"worker".parse().unwrap());
    path_to(&host, seen, Status::ActiveHealthy).await;
    let restart =
        host.control.operations(&Default::default(), &PageRequest::first(1)).await.unwrap().items.remove(0);
    assert_eq!(restart.scope, ["worker".parse::<ServiceName>().unwrap()]);
}

#[tokio::test(start_paused = true)]
async fn data_that_is_gone_is_told_of_once_and_not_tried_again() {
    let host = watched().await;
    let demo = host.active("demo").await;
    let seen = host.control.events(0, 1000).await.unwrap().next;
    host.backend.lose(&demo);
    tokio::time::sleep(Duration::from_secs(600)).await;
    let events = host.control.events(seen, 1000).await.unwrap().events;
    let revived = events.iter().filter(|event| matches!(event.fact, Fact::Revived { .. })).count();
    assert_eq!(revived, 1);
    let project = host.control.project(&demo).await.unwrap();
    assert_eq!(project.status, Status::ActiveUnhealthy);
    let health = host.control.health(&demo).await.unwrap();
    assert!(
        health.services.iter().all(|s| s.drift.iter().any(|d| d.ends_with("its data is gone"))),
        "{health:?}"
    );
}
