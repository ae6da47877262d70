//! In which order containers stop and go.

use std::time::Duration;

use freehold_core::{ContextBuilder, Destroyer as _, Progress, Provisioner as _};
use tokio::{sync::mpsc, time::Instant};

use crate::fixture::{Fixture, PATIENCE, ctx, stack};

const COMPOSE: &str = "
x-sleeper: &sleeper
  image: freehold-test/sql-job:1
  entrypoint: [sleep, infinity]
  init: true
services:
  db: *sleeper
  cache: *sleeper
  deaf:
    image: freehold-test/sql-job:1
    entrypoint: [sh, -c, 'trap \"\" TERM; while :; do sleep 1; done']
    stop_grace_period: 3s
    depends_on: [db]
  quick:
    <<: *sleeper
    depends_on: [cache]
";

#[tokio::test(flavor = "multi_thread")]
async fn a_service_stops_once_nobody_waits_for_it_any_more_whatever_others_do() {
    let folder = stack(COMPOSE, "name = \"stopping\"\n");
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let runtime = fixture.runtime();
    fixture.backend.provision(&ctx(), &runtime).await.unwrap();

    let (sender, mut receiver) = mpsc::channel(256);
    let watched = ContextBuilder::new(Instant::now() + PATIENCE).margin(Duration::from_secs(10));
    fixture.backend.pause(&watched.progress(sender).build(), &runtime).await.unwrap();
    let mut steps = Vec::new();
    while let Ok(progress) = receiver.try_recv() {
        if let Progress::Step { name, service } = progress {
            steps.push(format!("{name} {service}").trim_end().to_owned());
        }
    }
    let at = |step: &str| {
        steps.iter().position(|made| made == step).unwrap_or_else(|| panic!("{step}: {steps:?}"))
    };
    let before =
        |earlier: &str, later: &str| assert!(at(earlier) < at(later), "{earlier}, {later}: {steps:?}");
    before("stop container quick", "stop container cache");
    before("stop container cache", "kill container deaf");
    before("kill container deaf", "stop container db");
    before("stop container db", "remove network");
    assert_eq!(steps.iter().filter(|step| step.starts_with("kill")).count(), 1, "{steps:?}");

    fixture.backend.destroy(&ctx(), &runtime.project).await.unwrap();
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
}
