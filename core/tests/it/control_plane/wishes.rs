//! What is wished is kept, whatever lands on the engine and whatever runs on.

use std::time::Duration;

use freehold_core::{Kind, OperationState, Status, Store as _, control_plane::Reconfigure, runtime::Limits};

use super::{
    Fixture,
    watching::{path_to, watched},
};

async fn paused(host: &Fixture, name: &str) -> freehold_core::ProjectRef {
    let demo = host.active(name).await;
    host.end(&host.control.pause(&demo).await.unwrap()).await;
    demo
}

#[tokio::test(start_paused = true)]
async fn what_lands_under_a_paused_project_is_paused_again_and_the_events_say_what_it_was() {
    let host = watched().await;
    let demo = paused(&host, "demo").await;
    let seen = host.control.events(0, 1000).await.unwrap().next;
    host.backend.land(&demo, &"db".parse().unwrap());
    let path = path_to(&host, seen, Status::Inactive).await;
    let statuses: Vec<_> = path.iter().map(|(status, ..)| *status).collect();
    assert_eq!(statuses, [Status::Pausing, Status::Inactive]);
    let reason = path[0].2.as_deref().unwrap();
    assert!(reason.starts_with("found though it is paused") && reason.contains("-db"), "{reason}");
    assert!(host.control.plan(&demo).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_lands_again_and_again_is_paused_as_often_and_ever_more_seldom() {
    let host = watched().await;
    let demo = paused(&host, "demo").await;
    let mut moments = vec![];
    for _ in 0..6 {
        let seen = host.control.events(0, 1000).await.unwrap().next;
        host.backend.land(&demo, &"db".parse().unwrap());
        moments.push(path_to(&host, seen, Status::Inactive).await[0].1);
    }
    assert!(moments[5] - moments[4] > 2 * (moments[1] - moments[0]), "{moments:?}");
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_paused_again_is_pause_failed_and_says_why() {
    let host = watched().await;
    let demo = paused(&host, "demo").await;
    let seen = host.control.events(0, 1000).await.unwrap().next;
    host.backend.fail_next("stop service", Kind::Internal);
    host.backend.land(&demo, &"db".parse().unwrap());
    let path = path_to(&host, seen, Status::PauseFailed).await;
    assert!(path.last().unwrap().2.as_ref().unwrap().contains("as a test told it to"), "{path:?}");
}

#[tokio::test(start_paused = true)]
async fn a_resume_that_comes_first_is_not_undone() {
    let host = watched().await;
    let demo = paused(&host, "demo").await;
    let seen = host.control.events(0, 1000).await.unwrap().next;
    host.backend.land(&demo, &"db".parse().unwrap());
    host.end(&host.control.resume(&demo).await.unwrap()).await;
    tokio::time::sleep(Duration::from_secs(300)).await;
    let path = path_to(&host, seen, Status::ActiveHealthy).await;
    assert_eq!(path.len(), 2, "{path:?}");
    assert_eq!(host.control.project(&demo).await.unwrap().status, Status::ActiveHealthy);
}

#[tokio::test(start_paused = true)]
async fn paused_projects_that_hang_delay_no_active_one_and_not_each_other_for_ever() {
    let host = watched().await;
    let active = host.active("active").await;
    let mut hanging = vec![];
    for number in 0..10 {
        hanging.push(paused(&host, &format!("demo {number}")).await);
    }
    let landed = paused(&host, "landed").await;
    hanging.iter().for_each(|project| host.backend.stall(project));
    let seen = host.control.events(0, 1000).await.unwrap().next;
    host.backend.land(&landed, &"db".parse().unwrap());
    path_to(&host, seen, Status::Inactive).await;
    let now = host.store.now().await.unwrap();
    let looked = host.control.project(&active).await.unwrap().observed_at.unwrap();
    assert!(now - looked < Duration::from_secs(8), "it was not looked at for {}", now - looked);
}

#[tokio::test(start_paused = true)]
async fn a_project_whose_settings_gave_up_is_not_healthy_while_the_old_ones_run_and_a_restart_mends_it() {
    let host = watched().await;
    let demo = host.active("demo").await;
    host.backend.fail_next("remove service", Kind::Internal);
    let limits = Limits { memory_bytes: Some(1 << 28), cpus: None };
    let settings = Reconfigure { limits: Some(limits), ..Reconfigure::default() };
    let accepted = host.control.reconfigure(&demo, settings).await.unwrap();
    assert_eq!(host.end(&accepted).await, OperationState::Failed);
    tokio::time::sleep(Duration::from_secs(300)).await;
    let project = host.control.project(&demo).await.unwrap();
    assert_eq!(project.status, Status::ActiveUnhealthy, "what runs is not what was wished");
    let health = host.control.health(&demo).await.unwrap();
    assert!(health.is_healthy(), "the old ones run, and well: {health:?}");
    assert!(health.services.iter().any(|s| s.drift.iter().any(|d| d.ends_with("its settings differ"))));

    host.end(&host.control.restart(&demo, &[]).await.unwrap()).await;
    assert_eq!(host.control.project(&demo).await.unwrap().status, Status::ActiveHealthy);
    assert!(host.control.plan(&demo).await.unwrap().is_empty());
}
