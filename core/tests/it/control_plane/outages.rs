//! A store that is away for a while, or answers late, costs time and nothing else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use freehold_core::{
    Error, Keyring, Kind, OperationState, Status, Store as _,
    clock::TokioClock,
    control_plane::{Command, ControlPlane, TargetSettings},
    memory::{MemoryBackend, MemoryStore},
    mock::MockStore,
};
use futures_util::FutureExt as _;
use time::macros::datetime;

use super::{PATIENCE, calm, demo, key, new_store};

/// What goes wrong with the store.
#[derive(Debug, Default)]
struct Trouble {
    /// It cannot be reached.
    away: AtomicBool,
    /// The next look for an idempotency key comes too early to find it.
    blind: AtomicBool,
}

/// Lets a mock answer as the store in memory does, unless that is away.
macro_rules! pass {
    ($mock:ident, $store:ident, $trouble:ident: $($expect:ident $method:ident($($arg:ident),*);)+) => {$(
        let (store, trouble) = (Arc::clone(&$store), Arc::clone(&$trouble));
        $mock.$expect().returning(move |$($arg),*| {
            if trouble.away.load(Ordering::SeqCst) {
                return Err(Error::new(Kind::Unavailable, "reach the store"));
            }
            store.$method($($arg),*).now_or_never().unwrap()
        });
    )+};
}

/// A control plane over a store that can be in trouble.
async fn troubled(backend: MemoryBackend) -> (ControlPlane, Arc<Trouble>) {
    let (store, trouble, mut mock) = (new_store(), Arc::new(Trouble::default()), MockStore::new());
    pass! { mock, store, trouble:
        expect_now now();
        expect_commit commit(change);
        expect_project project(project);
        expect_operation operation(operation);
        expect_operations operations(filter, page);
        expect_claim claim(claim);
        expect_renew renew(lease, extend, progress);
        expect_settle settle(settlement);
        expect_sequence sequence();
        expect_sealed sealed(project);
        expect_keys_in_use keys_in_use();
        expect_reseal reseal(items);
        expect_register register(target);
        expect_setting setting(name);
        expect_put_setting put_setting(name, value, put);
    }
    let hints = Arc::clone(&store);
    mock.expect_subscribe().returning(move || hints.subscribe());
    let (keys, blind): (Arc<MemoryStore>, _) = (Arc::clone(&store), Arc::clone(&trouble));
    mock.expect_replay().returning(move |organization, key| {
        if blind.blind.swap(false, Ordering::SeqCst) {
            return Ok(None);
        }
        keys.replay(organization, key).now_or_never().unwrap()
    });
    let control = ControlPlane::builder()
        .store(Arc::new(mock))
        .sealer(Arc::new(Keyring::new(key())))
        .target("local".parse().unwrap(), Arc::new(backend), TargetSettings::default())
        .clock(Arc::new(TokioClock::starting_at(datetime!(2026-11-23 00:00 UTC))))
        .seed(42)
        .settings(calm())
        .build()
        .await
        .unwrap();
    (control, trouble)
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_for_longer_than_a_lease_does_not_fail_what_is_under_way() {
    let backend = MemoryBackend::new().unwrap().with_step_delay(Duration::from_secs(6));
    let (control, trouble) = troubled(backend).await;
    let created = control.create(demo("demo"), None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    trouble.away.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(22)).await;
    trouble.away.store(false, Ordering::SeqCst);
    let operation = control.wait_operation(created.operation.unwrap().id, PATIENCE).await.unwrap();
    assert_eq!((operation.state, operation.error), (OperationState::Succeeded, None));
    let project = control.project(&created.project.reference).await.unwrap();
    assert_eq!(project.status, Status::ActiveHealthy);
}

#[tokio::test(start_paused = true)]
async fn an_error_that_may_pass_is_tried_again_though_the_store_is_away_just_then() {
    let backend = MemoryBackend::new().unwrap();
    backend.fail_next("wait until healthy", Kind::Unavailable);
    let backend = backend.with_step_delay(Duration::from_secs(1));
    let (control, trouble) = troubled(backend).await;
    let created = control.create(demo("demo"), None).await.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    trouble.away.store(true, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(9)).await;
    trouble.away.store(false, Ordering::SeqCst);
    let operation = control.wait_operation(created.operation.unwrap().id, PATIENCE).await.unwrap();
    assert_eq!((operation.state, operation.attempt), (OperationState::Succeeded, 2));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_loses_to_its_own_twin_is_answered_like_it() {
    let (control, trouble) = troubled(MemoryBackend::new().unwrap()).await;
    let demo = control.create(demo("demo"), None).await.unwrap().project.reference;
    control.wait(&demo, &[Status::ActiveHealthy], PATIENCE).await.unwrap();
    let first = control.execute(Command::Pause(demo), Some("once")).await.unwrap();
    trouble.blind.store(true, Ordering::SeqCst);
    let second = control.execute(Command::Pause(demo), Some("once")).await.unwrap();
    assert!(second.replayed);
    assert_eq!(second.operation.unwrap().id, first.operation.unwrap().id);
}
