//! Active is a wish.

use std::time::Duration;

use freehold_core::{
    Fact, Kind, Status,
    control_plane::{Settings, TargetSettings},
};

use super::Fixture;

async fn watched() -> Fixture {
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
