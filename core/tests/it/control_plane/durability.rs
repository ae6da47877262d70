//! What a crash, a restart or a second host may do.

use std::{sync::Arc, time::Duration};

use freehold_core::{
    Keyring, Kind, OperationState, Status,
    control_plane::{ControlPlane, Settings, TargetSettings},
    memory::{MemoryBackend, MemoryStore},
    seal::{SealKey, Sealer as _},
    store::Store as _,
};

use super::{Fixture, PATIENCE, calm, demo, key, new_backend, started};

#[tokio::test(start_paused = true)]
async fn shutdown_hands_back_what_is_under_way_and_the_next_start_takes_it_up() {
    let host = Fixture::new().await;
    let reached = host.backend.hang_at("start service");
    let created = host.create("demo").await;
    reached.await.unwrap();
    host.control.shutdown(Duration::from_secs(1)).await;
    let operation = host.control.operation(created.operation.unwrap().id).await.unwrap();
    assert_eq!(operation.state, OperationState::Waiting);

    let next = started(&host.store, &host.backend, calm(), TargetSettings::default()).await.unwrap();
    next.wait(&created.project.reference, &[Status::ActiveHealthy], PATIENCE).await.unwrap();
    let operation = next.operation(operation.id).await.unwrap();
    assert_eq!((operation.state, operation.attempt), (OperationState::Succeeded, 2));
}

/// A runtime that is dropped takes its tasks with it: as close to `kill -9` as one process gets.
#[test]
fn a_worker_that_vanishes_is_replaced_after_lease_and_margin_and_the_project_comes_up_once() {
    let (store, backend) = (Arc::new(MemoryStore::new()), new_backend());
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let quick = Settings {
        lease: Duration::from_millis(200),
        lease_margin: Duration::from_millis(100),
        poll: Duration::from_millis(20),
        ..calm()
    };
    let doomed = runtime();
    let created = doomed.block_on(async {
        let reached = backend.hang_at("start service");
        let control = started(&store, &backend, quick, TargetSettings::default()).await.unwrap();
        let created = control.create(demo("demo"), None).await.unwrap();
        reached.await.unwrap();
        std::mem::forget(control);
        created
    });
    doomed.shutdown_background();
    runtime().block_on(async {
        let control = started(&store, &backend, quick, TargetSettings::default()).await.unwrap();
        let reference = created.project.reference;
        control.wait(&reference, &[Status::ActiveHealthy], Duration::from_secs(60)).await.unwrap();
        let operation = control.operation(created.operation.unwrap().id).await.unwrap();
        assert_eq!((operation.state, operation.attempt), (OperationState::Succeeded, 2));
        assert_eq!(control.inventory(&"local".parse().unwrap()).await.unwrap().len(), 1);
    });
}

#[tokio::test(start_paused = true)]
async fn a_store_whose_key_is_missing_is_refused_and_no_new_key_is_made() {
    let host = Fixture::new().await;
    host.active("demo").await;
    let error = ControlPlane::builder()
        .store(Arc::clone(&host.store) as _)
        .sealer(Arc::new(Keyring::new(SealKey::new([8; 32]))))
        .target("local".parse().unwrap(), Arc::clone(&host.backend) as _, TargetSettings::default())
        .build()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidInput);
    assert!(error.to_string().contains(key().id().as_str()), "{error}");
}

#[tokio::test(start_paused = true)]
async fn resealing_leaves_nothing_under_the_old_key_and_secrets_as_they_were() {
    let host = Fixture::new().await;
    let demo = host.active("demo").await;
    let before = host.control.secrets(&demo).await.unwrap();
    host.control.shutdown(PATIENCE).await;
    let ring = Keyring::new(SealKey::new([8; 32])).with_old(key());
    let active = ring.active_key();
    let rotated = ControlPlane::builder()
        .store(Arc::clone(&host.store) as _)
        .sealer(Arc::new(ring))
        .target("local".parse().unwrap(), Arc::clone(&host.backend) as _, TargetSettings::default())
        .settings(calm())
        .build()
        .await
        .unwrap();
    assert!(rotated.reseal().await.unwrap() > 0);
    assert_eq!(host.store.keys_in_use().await.unwrap().into_keys().collect::<Vec<_>>(), [active]);
    let after = rotated.secrets(&demo).await.unwrap();
    use freehold_core::ExposeSecret as _;
    assert!(before.iter().all(|(name, value)| after[name].expose_secret() == value.expose_secret()));
}

#[tokio::test(start_paused = true)]
async fn a_targets_name_cannot_come_to_mean_another_engine() {
    let host = Fixture::new().await;
    let moon = Arc::new(MemoryBackend::new().unwrap().with_engine("the moon"));
    let error = started(&host.store, &moon, calm(), TargetSettings::default()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict);
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_that_is_dropped_without_shutdown_lets_go_of_its_store() {
    let Fixture { control, backend, store } = Fixture::new().await;
    drop((control, backend));
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(Arc::strong_count(&store), 1);
}
