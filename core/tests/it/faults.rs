//! Fault plans act where they say, as often as they say, on any backend and any store.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use freehold_core::{
    Backend, Context, ContextBuilder, Destroyer as _, Error, Kind, Provisioner as _, Scope, Store as _, Wish,
    faults::{Fault, Faults, FaultyBackend, FaultyStore, Injector, Then},
    memory::{MemoryBackend, MemoryStore},
    operation::Lease,
    seal::KeyId,
    store::{Claim, End, PortPool, Put, Retention, Settlement, TargetRecord},
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::{
    memory_backend::{ctx, runtime},
    memory_store::{creation, new_project},
};

fn plan(faults: impl IntoIterator<Item = Fault>) -> Arc<Injector> {
    let faults = Faults { seed: 7, faults: faults.into_iter().collect() };
    Arc::new(Injector::crashing_by(faults, || {}).unwrap().recording())
}

fn memory() -> Arc<MemoryBackend> {
    Arc::new(MemoryBackend::new().unwrap())
}

fn faulty(faults: impl IntoIterator<Item = Fault>) -> (FaultyBackend, Arc<MemoryBackend>, Arc<Injector>) {
    let (backend, injector) = (memory(), plan(faults));
    (FaultyBackend::new(Arc::clone(&backend) as Arc<dyn Backend>, Arc::clone(&injector)), backend, injector)
}

fn names(error: &Error) -> (Kind, Option<&str>, Option<&str>) {
    (error.kind(), error.context("step"), error.context("service"))
}

#[tokio::test(start_paused = true)]
async fn a_step_fails_at_its_nth_passing_before_its_effect_and_names_itself() {
    let fault = Fault::new("step create service *", Then::Fail(Kind::Unavailable)).nth(2);
    let (backend, _, injector) = faulty([fault]);
    let runtime = runtime('a', 20_000);
    let error = backend.provision(&ctx(), &runtime).await.unwrap_err();
    assert_eq!(names(&error), (Kind::Unavailable, Some("create service"), Some("api")));
    let services = backend.inventory(&ctx()).await.unwrap()[0].resources["service"];
    assert_eq!((services, injector.acted()), (1, 1));
    backend.provision(&ctx(), &runtime).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_fault_during_one_call_spares_the_same_step_of_another() {
    let fault = Fault::new("step start service db", Then::Fail(Kind::Internal)).during("resume");
    let (backend, ..) = faulty([fault]);
    let runtime = runtime('a', 20_000);
    backend.provision(&ctx(), &runtime).await.unwrap();
    backend.pause(&ctx(), &runtime).await.unwrap();
    assert_eq!(backend.resume(&ctx(), &runtime).await.unwrap_err().kind(), Kind::Internal);
    backend.resume(&ctx(), &runtime).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_lost_after_the_work_was_done() {
    let (backend, ..) = faulty([Fault::new("call provision after", Then::Fail(Kind::Unavailable))]);
    let runtime = runtime('a', 20_000);
    assert_eq!(backend.provision(&ctx(), &runtime).await.unwrap_err().kind(), Kind::Unavailable);
    assert!(backend.plan(&ctx(), &runtime, Wish::Active).await.unwrap().changes.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_comes_twice_is_answered_once() {
    let (backend, _, injector) = faulty([Fault::new("call provision *", Then::Twice)]);
    let runtime = runtime('a', 20_000);
    let outcome = backend.provision(&ctx(), &runtime).await.unwrap();
    assert!(outcome.report.stdout.contains("create service db"), "the first answer is given");
    let waits = |passed: &&freehold_core::faults::Passing| passed.point == "step wait until healthy db";
    assert_eq!(injector.passings().iter().filter(waits).count(), 2);
}

#[tokio::test(start_paused = true)]
async fn faults_at_one_point_act_in_order_and_one_that_ends_the_passing_hides_the_next() {
    let at = "call health before";
    let (backend, ..) = faulty([
        Fault::new(at, Then::Delay(Duration::from_secs(3))),
        Fault::new(at, Then::Fail(Kind::Unavailable)),
        Fault::new(at, Then::Fail(Kind::Timeout)),
    ]);
    let (begun, runtime) = (Instant::now(), runtime('a', 20_000));
    assert_eq!(backend.health(&ctx(), &runtime).await.unwrap_err().kind(), Kind::Unavailable);
    assert_eq!(begun.elapsed(), Duration::from_secs(3));
    assert_eq!(backend.health(&ctx(), &runtime).await.unwrap_err().kind(), Kind::Timeout);
    backend.health(&ctx(), &runtime).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_step_that_hangs_ends_with_its_call() {
    let hang = || Fault::new("step create data", Then::Hang);
    let (backend, ..) = faulty([hang(), hang()]);
    let (begun, runtime) = (Instant::now(), runtime('a', 20_000));
    let error = backend.provision(&Context::new(Duration::from_secs(5)), &runtime).await.unwrap_err();
    assert_eq!((names(&error).0, names(&error).1), (Kind::Timeout, Some("create data")));
    assert_eq!(begun.elapsed(), Duration::from_secs(5));

    let token = CancellationToken::new();
    let cancelled = ContextBuilder::new(Instant::now() + Duration::from_secs(60)).cancellation(token.clone());
    let cancelled = cancelled.build();
    let (call, ()) = tokio::join!(backend.provision(&cancelled, &runtime), async { token.cancel() });
    assert_eq!(call.unwrap_err().kind(), Kind::Cancelled);
}

#[tokio::test(start_paused = true)]
#[should_panic(expected = "at \"store now before\", as the fault plan says")]
async fn a_store_panics() {
    let store =
        FaultyStore::new(Arc::new(MemoryStore::new()), plan([Fault::new("store now *", Then::Panic)]));
    let _ = store.now().await;
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_nothing_of_the_host_happens_any_more() {
    let crashes = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&crashes);
    let faults = Faults::from(Fault::new("step start service db", Then::Crash));
    let injector = Injector::crashing_by(faults, move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let injector = Arc::new(injector.unwrap());
    let (memory, store) = (memory(), Arc::new(MemoryStore::new()));
    let backend = Arc::new(FaultyBackend::new(Arc::clone(&memory) as _, Arc::clone(&injector)));
    let call = tokio::spawn({
        let (backend, runtime) = (Arc::clone(&backend), runtime('a', 20_000));
        async move { backend.provision(&ctx(), &runtime).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_secs(1)).await;
    let store = FaultyStore::new(Arc::clone(&store) as _, injector);
    let written = tokio::time::timeout(Duration::from_secs(3600), store.put_setting("a", "b", Put::Replace));
    assert!(written.await.is_err() && crashes.load(Ordering::SeqCst) == 1);
    assert!(!call.is_finished(), "an hour after its deadline nobody hears of the call");
    assert_eq!(memory.inventory(&ctx()).await.unwrap()[0].resources["service"], 1);
}

#[tokio::test]
async fn a_plan_with_a_crash_is_refused_where_nobody_said_how_to_die() {
    let error = Injector::new(Fault::new("*", Then::Crash).into()).unwrap_err();
    assert!(error.to_string().starts_with("fault[0].then: crash"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_strikes_the_same_passings_and_another_seed_others() {
    let struck = async |seed| {
        let fault = Fault::new("store now before", Then::Fail(Kind::Unavailable)).chance(0.25).times(200);
        let injector = Arc::new(Injector::new(Faults { seed, faults: vec![fault] }).unwrap());
        let store = FaultyStore::new(Arc::new(MemoryStore::new()), injector);
        let mut struck = Vec::new();
        for _ in 0..1000 {
            struck.push(store.now().await.is_err());
        }
        struck
    };
    let first = struck(1).await;
    assert_eq!(first, struck(1).await);
    assert_ne!(first, struck(2).await);
    // 250 are expected, but 200 are the most.
    assert_eq!(first.iter().filter(|struck| **struck).count(), 200);
}

#[tokio::test(start_paused = true)]
async fn a_passing_of_one_run_can_be_hit_in_the_next() {
    let life = async |backend: &FaultyBackend| {
        backend.provision(&ctx(), &runtime('a', 20_000)).await?;
        backend.destroy(&ctx(), &runtime('a', 20_000).project).await.map(drop)
    };
    let (backend, _, injector) = faulty([]);
    life(&backend).await.unwrap();
    let passings = injector.passings();
    assert!(passings.len() > 10);
    for passing in passings {
        let (backend, _, injector) = faulty([passing.fault(Then::Fail(Kind::Internal))]);
        assert!(life(&backend).await.is_err(), "{passing:?}");
        assert!(injector.acted() == 1 && injector.passings().contains(&passing), "{passing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_call_and_each_method_has_its_two_points_and_a_plan_may_name_them() {
    let (backend, _, injector) = faulty([]);
    let (ctx, runtime) = (&ctx(), &runtime('a', 20_000));
    backend.describe(ctx).await.unwrap();
    backend.provision(ctx, runtime).await.unwrap();
    backend.pause(ctx, runtime).await.unwrap();
    backend.resume(ctx, runtime).await.unwrap();
    backend.restart(ctx, runtime, &Scope::All).await.unwrap();
    backend.reconfigure(ctx, runtime).await.unwrap();
    backend.plan(ctx, runtime, Wish::Active).await.unwrap();
    backend.health(ctx, runtime).await.unwrap();
    backend.logs(ctx, runtime, &Default::default()).await.unwrap();
    backend.destroy(ctx, &runtime.project).await.unwrap();
    backend.inventory(ctx).await.unwrap();

    let store = FaultyStore::new(Arc::new(MemoryStore::new()), Arc::clone(&injector));
    ask_everything(&store, runtime.project).await;
    let _ = store.subscribe();

    let points: BTreeSet<_> = injector.passings().into_iter().map(|passing| passing.point).collect();
    let of = |seam: &str| points.iter().filter(|point| point.starts_with(seam)).count();
    assert_eq!((of("call "), of("store ")), (2 * 11, 2 * 24), "{points:#?}");
    for point in &points {
        Faults::from(Fault::new(point, Then::Hang)).validate().unwrap();
    }
}

/// Calls every method of a store that has none of what it is asked for.
async fn ask_everything(store: &FaultyStore, project: freehold_core::ProjectRef) {
    let second = Duration::from_secs(1);
    let now = store.now().await.unwrap();
    let operation = freehold_core::OperationId::from_uuid(uuid::Uuid::nil());
    let lease = Lease { operation, owner: "nobody".into(), epoch: 1, expires_at: now };
    let page = freehold_core::PageRequest::default();
    let claim = Claim { owner: "nobody".into(), targets: vec![], lease: second, margin: second, limit: 1 };
    let end = End::Released { not_before: now };
    let settlement =
        Settlement { lease: lease.clone(), end, error: None, report: None, progress: vec![], facts: vec![] };
    let _ = store.commit(creation(new_project("demo"))).await;
    let _ = store.replay(&"acme".parse().unwrap(), "key").await;
    let _ = store.project(&project).await;
    let _ = store.projects(&Default::default(), &page).await;
    let _ = store.operation(operation).await;
    let _ = store.operations(&Default::default(), &page).await;
    let _ = store.claim(&claim).await;
    let _ = store.renew(&lease, second, &[]).await;
    let _ = store.settle(settlement).await;
    let _ = store.reallocate(&lease, 1, &PortPool::default(), second).await;
    let _ = store.observed(&[project]).await;
    let _ = store.events(0, 1).await;
    let _ = store.sequence().await;
    let _ = store.sealed(None).await;
    let _ = store.keys_in_use().await;
    let _ = store.sealed_under_other_keys(&KeyId::new("key"), 1).await;
    let _ = store.reseal(&[]).await;
    let _ = store.close_organization(&"acme".parse().unwrap()).await;
    let target =
        TargetRecord { name: "local".parse().unwrap(), engine: "engine".into(), machine: "machine".into() };
    let _ = store.register(&target).await;
    let _ = store.setting("a").await;
    let _ = store.put_setting("a", "b", Put::IfAbsent).await;
    let _ = store.expire(&Retention { events: second, idempotency_keys: second, operations: second }).await;
    let _ = store.census().await;
}
