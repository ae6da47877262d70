//! Failing, hanging, panicking and being gone, on purpose.

use std::{sync::Arc, time::Duration};

use freehold_core::{
    Context, ContextBuilder, Destroyer as _, Kind, Provisioner as _, Scope, ServiceState, Wish,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{MINUTE, ctx, new_backend, runtime, service};

#[tokio::test(start_paused = true)]
async fn a_failure_names_its_step_and_service_and_carries_what_was_printed() {
    let (backend, runtime) = (new_backend(), runtime('a', 20_000));
    backend.fail_next("start service", Kind::Unavailable);
    let error = backend.provision(&ctx(), &runtime).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.context("step"), error.context("service")),
        (Kind::Unavailable, Some("start service"), Some("db"))
    );
    let report = error.report().unwrap();
    assert!(report.stdout.contains("create service db") && report.stderr.contains("start service"));
    backend.provision(&ctx(), &runtime).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_ends_when_it_is_cancelled() {
    let (backend, runtime) = (Arc::new(new_backend()), runtime('a', 20_000));
    let reached = backend.hang_at("start service");
    let token = CancellationToken::new();
    let ctx = ContextBuilder::new(Instant::now() + MINUTE).cancellation(token.clone()).build();
    let call = tokio::spawn({
        let (backend, runtime) = (Arc::clone(&backend), runtime.clone());
        async move { backend.provision(&ctx, &runtime).await }
    });
    reached.await.unwrap();
    token.cancel();
    assert_eq!(call.await.unwrap().unwrap_err().kind(), Kind::Cancelled);
    backend.destroy(&super::ctx(), &runtime.project).await.unwrap();
    assert!(backend.inventory(&super::ctx()).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_call_outlives_its_deadline() {
    let backend = new_backend().with_step_delay(Duration::from_secs(7));
    let begun = Instant::now();
    let ctx = Context::new(Duration::from_secs(10));
    let error = backend.provision(&ctx, &runtime('a', 20_000)).await.unwrap_err();
    assert_eq!((error.kind(), begun.elapsed()), (Kind::Timeout, Duration::from_secs(10)));
    assert_eq!(error.context("step"), Some("create service"));
}

#[tokio::test(start_paused = true)]
async fn a_service_that_was_killed_is_seen_and_mended() {
    let (backend, runtime) = (new_backend(), runtime('a', 20_000));
    backend.provision(&ctx(), &runtime).await.unwrap();
    backend.kill(&runtime.project, &service("db"));
    let health = backend.health(&ctx(), &runtime).await.unwrap();
    assert_eq!(health.services[0].state, ServiceState::Unhealthy);
    assert_eq!(health.complaints(), "db is unhealthy (it was killed)");
    assert_eq!(backend.plan(&ctx(), &runtime, Wish::Active).await.unwrap().changes.len(), 1);
    backend.restart(&ctx(), &runtime, &Scope::Services(vec![service("api")])).await.unwrap();
    assert!(backend.health(&ctx(), &runtime).await.unwrap().is_healthy());
}

#[tokio::test(start_paused = true)]
async fn an_engine_that_is_gone_is_unavailable_and_comes_back_as_it_was() {
    let (backend, runtime) = (new_backend(), runtime('a', 20_000));
    backend.provision(&ctx(), &runtime).await.unwrap();
    backend.disconnect();
    assert_eq!(backend.health(&ctx(), &runtime).await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(backend.inventory(&ctx()).await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(backend.destroy(&ctx(), &runtime.project).await.unwrap_err().kind(), Kind::Unavailable);
    backend.reconnect();
    assert!(backend.health(&ctx(), &runtime).await.unwrap().is_healthy());
}

#[tokio::test(start_paused = true)]
async fn one_thing_that_resists_does_not_keep_the_others_from_going() {
    let (backend, runtime) = (new_backend(), runtime('a', 20_000));
    backend.provision(&ctx(), &runtime).await.unwrap();
    backend.write(&runtime.project, "row", "1").unwrap();
    backend.fail_next("remove service", Kind::Internal);
    let error = backend.destroy(&ctx(), &runtime.project).await.unwrap_err();
    assert_eq!(error.context("left"), Some("service worker"));
    let left = &backend.inventory(&ctx()).await.unwrap()[0].resources;
    assert_eq!(left.get("service"), Some(&1));
    assert_eq!(backend.read(&runtime.project, "row"), None);
    backend.destroy(&ctx(), &runtime.project).await.unwrap();
    assert!(backend.inventory(&ctx()).await.unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "start service")]
async fn a_panic_is_a_panic() {
    let backend = new_backend();
    backend.panic_at("start service");
    let _ = backend.provision(&ctx(), &runtime('a', 20_000)).await;
}
