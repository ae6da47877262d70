//! What a backend, a store or a sealer that breaks its promises may do: cost an operation, and nothing else.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use freehold_core::{
    Annotations, Backend, Context, Destroyer, Detail, Error, ExposeSecret as _, Fact, Keyring, Kind,
    OperationState, Outcome, ProjectRef, Provisioner, Runtime, Scope, Status, Store as _, Wish,
    clock::TokioClock,
    control_plane::{ControlPlane, Settings, TargetSettings, Timeouts},
    faults::{Fault, Faults, Injector, Then},
    inventory::Holding,
    memory::{MemoryBackend, MemoryStore},
    plan::Plan,
    provisioner::{Description, LogLine, LogRequest},
    seal::{KeyId, Sealed},
    store::SealedItem,
};
use time::macros::datetime;
use tokio::sync::mpsc;

use super::{Fixture, PATIENCE, calm, demo, key, new_backend, new_store};

async fn faulty(backend: Arc<dyn Backend>, settings: Settings, faults: Vec<Fault>) -> ControlPlane {
    on(new_store(), backend, settings, faults).await
}

async fn on(
    store: Arc<MemoryStore>,
    backend: Arc<dyn Backend>,
    settings: Settings,
    faults: Vec<Fault>,
) -> ControlPlane {
    let injector = Injector::new(Faults { seed: 7, faults }).unwrap();
    ControlPlane::builder()
        .store(store)
        .sealer(Arc::new(Keyring::new(key())))
        .target("local".parse().unwrap(), backend, TargetSettings::default())
        .clock(Arc::new(TokioClock::starting_at(datetime!(2026-11-23 00:00 UTC))))
        .seed(42)
        .settings(settings)
        .faults(Arc::new(injector))
        .build()
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn no_background_task_ends_with_a_store_that_panics() {
    let each = [
        ("claim", 2),
        ("renew", 2),
        ("settle", 2),
        ("sequence", 2),
        ("projects", 2),
        ("observed", 2),
        ("sealed", 5),
    ];
    let panics = each.map(|(method, nth)| Fault::new(format!("store {method} before"), Then::Panic).nth(nth));
    let backend = Arc::new(MemoryBackend::new().unwrap().with_step_delay(Duration::from_secs(3)));
    let control = faulty(Arc::clone(&backend) as _, Settings::default(), panics.to_vec()).await;
    let demo = control.create(demo("demo"), None).await.unwrap().project.reference;
    control.wait(&demo, &[Status::ActiveHealthy], PATIENCE).await.unwrap();
    control.pause(&demo).await.unwrap();
    control.wait(&demo, &[Status::Inactive], PATIENCE).await.unwrap();
    control.resume(&demo).await.unwrap();
    control.wait(&demo, &[Status::ActiveHealthy], PATIENCE).await.unwrap();
    // Long enough for every task to have met its panic.
    tokio::time::sleep(Duration::from_secs(300)).await;
    backend.kill(&demo, &"db".parse().unwrap());
    let events = async {
        loop {
            let events = control.events(0, 1000).await.unwrap().events;
            if events.iter().any(|event| matches!(event.fact, Fact::Revived { .. })) {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, events).await.expect("watched, revived and numbered");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_a_claim_holds_the_worker_up_and_does_not_end_it() {
    let hang = Fault::new("store claim before", Then::Hang).nth(2);
    let control = faulty(new_backend(), calm(), vec![hang]).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    let demo = control.create(demo("demo"), None).await.unwrap().project.reference;
    control.wait(&demo, &[Status::ActiveHealthy], PATIENCE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_end_that_the_store_refuses_becomes_a_failure_that_says_so() {
    let refused = Fault::new("store settle before", Then::Fail(Kind::Internal)).times(2);
    let control = faulty(new_backend(), calm(), vec![refused]).await;
    let created = control.create(demo("demo"), None).await.unwrap();
    let operation = control.wait_operation(created.operation.unwrap().id, PATIENCE).await.unwrap();
    let error = operation.error.unwrap();
    assert_eq!((operation.state, operation.attempt), (OperationState::Failed, 1));
    assert!(error.message.starts_with("record how the operation ended"), "{error:?}");
    let project = control.project(&created.project.reference).await.unwrap();
    assert_eq!(project.status, Status::InitFailed);
}

#[tokio::test(start_paused = true)]
async fn looking_at_a_project_whose_backend_panics_is_an_error_without_the_secret_in_it() {
    const CANARY: &str = "canary-77-secret";
    let backend = Arc::new(Odd::new(|odd, _| panic!("cannot use {}", odd.secret)));
    let control = faulty(backend, calm(), vec![]).await;
    let create = demo("demo").secret("db_password".parse().unwrap(), CANARY);
    let demo = control.create(create, None).await.unwrap().project.reference;
    control.wait(&demo, &[Status::InitFailed, Status::ActiveHealthy], PATIENCE).await.unwrap();
    let error = control.health(&demo).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Internal);
    assert!(error.message().contains("the backend panicked: cannot use ***"), "{error}");
    assert!(!error.chain().contains(CANARY), "{error}");
    for point in ["call plan before", "call logs before", "call inventory before"] {
        let control = faulty(new_backend(), calm(), vec![Fault::new(point, Then::Panic).nth(2)]).await;
        let demo = control.create(super::demo("demo"), None).await.unwrap().project.reference;
        control.wait(&demo, &[Status::ActiveHealthy], PATIENCE).await.unwrap();
        let (local, request) = ("local".parse().unwrap(), LogRequest::default());
        let mut errors = vec![];
        for _ in 0..2 {
            errors.extend(control.plan(&demo).await.err());
            errors.extend(control.logs(&demo, &request).await.err());
            errors.extend(control.inventory(&local).await.err());
        }
        assert_eq!(errors.iter().map(Error::kind).collect::<Vec<_>>(), [Kind::Internal], "{point}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_heeds_neither_deadline_nor_cancellation_is_left_behind_with_the_reason() {
    let timeouts = Timeouts { provision: Duration::from_secs(60), ..Timeouts::default() };
    let hang = Fault::new("call provision after", Then::Hang);
    let control = faulty(new_backend(), Settings { timeouts, ..calm() }, vec![hang]).await;
    let created = control.create(demo("demo"), None).await.unwrap();
    let operation = control.wait_operation(created.operation.unwrap().id, PATIENCE).await.unwrap();
    let error = operation.error.unwrap();
    assert_eq!((operation.state, error.kind), (OperationState::Failed, Kind::Timeout));
    assert!(error.chain.contains("did not return and was left behind"), "{}", error.chain);
    assert_eq!(
        (error.step.as_deref(), error.service.as_deref()),
        (Some("wait until healthy"), Some("worker"))
    );
    let project = control.retry(&created.project.reference).await.unwrap().project.reference;
    control.wait(&project, &[Status::ActiveHealthy], PATIENCE).await.unwrap();
}

/// On real time: the call holds its thread and cannot be dropped.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_call_that_holds_its_thread_is_left_behind_as_well() {
    static LET_GO: AtomicBool = AtomicBool::new(false);
    let backend = Odd::new(|_, call| {
        if call == "provision" {
            while !LET_GO.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
    });
    let timeouts = Timeouts { provision: Duration::from_millis(200), ..Timeouts::default() };
    let settings = Settings { timeouts, lease_margin: Duration::from_millis(50), ..calm() };
    let control = faulty(Arc::new(backend), settings, vec![]).await;
    let created = control.create(demo("demo"), None).await.unwrap();
    let id = created.operation.unwrap().id;
    let operation = control.wait_operation(id, Duration::from_secs(60)).await.unwrap();
    LET_GO.store(true, Ordering::SeqCst);
    assert_eq!(operation.error.map(|error| error.kind), Some(Kind::Timeout));
    let project = control.project(&created.project.reference).await.unwrap();
    assert_eq!(project.status, Status::InitFailed);
}

#[tokio::test(start_paused = true)]
async fn who_cancels_right_after_a_renewal_is_heard_at_once() {
    let settings = Settings { lease: Duration::from_secs(900), poll: Duration::from_secs(60), ..calm() };
    let host = Fixture::with(settings, TargetSettings::default()).await;
    let reached = host.backend.hang_at("start service");
    let created = host.create("demo").await;
    reached.await.unwrap();
    let asked = tokio::time::Instant::now();
    host.control.cancel(created.operation.as_ref().unwrap().id).await.unwrap();
    assert_eq!(host.end(&created).await, OperationState::Cancelled);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
}

#[tokio::test(start_paused = true)]
async fn retries_end_with_the_deadline_however_many_there_may_be() {
    let timeouts = Timeouts { provision: Duration::from_secs(120), ..Timeouts::default() };
    let settings = Settings { attempts: 1000, timeouts, ..calm() };
    let fail = Fault::new("call provision before", Then::Fail(Kind::Unavailable)).times(1000);
    let control = faulty(new_backend(), settings, vec![fail]).await;
    let created = control.create(demo("demo"), None).await.unwrap();
    let operation = control.wait_operation(created.operation.unwrap().id, PATIENCE).await.unwrap();
    assert_eq!(operation.state, OperationState::Failed);
    assert!((7..20).contains(&operation.attempt), "{} attempts", operation.attempt);
    assert!(operation.ended_at.unwrap() <= operation.deadline);
}

#[tokio::test(start_paused = true)]
async fn a_port_that_is_taken_before_the_repair_moves_the_project_as_well() {
    // The first provision loses a service, and meanwhile a stranger takes a port.
    let backend = Arc::new(Odd::new(|_, _| {}).losing("api").then_taken(20_000));
    let control = faulty(backend, calm(), vec![]).await;
    let created = control.create(demo("demo"), None).await.unwrap();
    let operation = control.wait_operation(created.operation.unwrap().id, PATIENCE).await.unwrap();
    assert_eq!(operation.state, OperationState::Succeeded, "{:?}", operation.error);
    let ports = control.project(&created.project.reference).await.unwrap().ports.unwrap();
    assert!(!ports.contains(20_000), "{ports:?}");
}

#[tokio::test(start_paused = true)]
async fn a_project_whose_secrets_cannot_be_opened_is_in_nobodys_way_and_can_be_destroyed() {
    let host = Fixture::new().await;
    let (poisoned, other) = (host.active("poisoned").await, host.active("other").await);
    let places = host.store.sealed(Some(&poisoned)).await.unwrap();
    let garbage = |item: SealedItem| SealedItem {
        sealed: Sealed { key: KeyId::new("gone"), data: vec![0; 40] },
        ..item
    };
    host.store.reseal(&places.into_iter().map(garbage).collect::<Vec<_>>()).await.unwrap();
    host.control.restart(&poisoned, &[]).await.unwrap();
    host.wait(&poisoned, Status::ActiveUnhealthy).await;
    host.control.restart(&other, &[]).await.unwrap();
    host.wait(&other, Status::ActiveHealthy).await;
    host.control.destroy(&poisoned).await.unwrap();
    host.wait(&poisoned, Status::Removed).await;
    let left = host.control.inventory(&"local".parse().unwrap()).await.unwrap();
    assert_eq!(left.iter().map(|holding| holding.project).collect::<Vec<_>>(), [other]);
}

#[tokio::test(start_paused = true)]
async fn operations_that_ended_long_ago_are_forgotten_but_for_those_that_tell_how_a_project_stands() {
    let mut settings = Settings { poll: Duration::from_secs(600), ..calm() };
    settings.retention.operations = Duration::from_secs(48 * 3600);
    let host = Fixture::with(settings, TargetSettings::default()).await;
    let demo = host.active("demo").await;
    let created = host.control.project(&demo).await.unwrap().status_operation.unwrap();
    host.control.pause(&demo).await.unwrap();
    let paused = host.wait(&demo, Status::Inactive).await.status_operation.unwrap();
    tokio::time::sleep(Duration::from_secs(49 * 3600)).await;
    assert_eq!(host.control.operation(created).await.unwrap_err().kind(), Kind::NotFound);
    assert_eq!(host.control.operation(paused).await.unwrap().state, OperationState::Succeeded);
    host.control.resume(&demo).await.unwrap();
    host.wait(&demo, Status::ActiveHealthy).await;
}

#[tokio::test(start_paused = true)]
async fn the_same_key_is_answered_alike_for_a_day_and_then_means_a_new_request() {
    let settings = Settings { poll: Duration::from_secs(600), ..calm() };
    let host = Fixture::with(settings, TargetSettings::default()).await;
    let first = host.control.create(demo("demo"), Some("key")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(23 * 3600)).await;
    let again = host.control.create(demo("demo"), Some("key")).await.unwrap();
    assert_eq!((again.project.reference, again.replayed), (first.project.reference, true));
    let mut other = demo("demo");
    other.annotations = Annotations::new([("region".to_owned(), "local".to_owned())].into()).unwrap();
    let error = host.control.create(other, Some("key")).await.unwrap_err();
    assert_eq!(error.detail(), Some(&Detail::KeyReused));
    tokio::time::sleep(Duration::from_secs(2 * 3600)).await;
    let later = host.control.create(demo("another"), Some("key")).await.unwrap();
    assert!(!later.replayed);
}

/// The backend in memory, with something odd about it.
#[derive(Debug)]
struct Odd {
    inner: MemoryBackend,
    oddity: fn(&Look, &str),
    lost: AtomicBool,
    loses: Option<&'static str>,
    taken: Option<u16>,
}

/// What an oddity sees.
struct Look {
    secret: String,
}

impl Odd {
    fn new(oddity: fn(&Look, &str)) -> Self {
        let inner = MemoryBackend::new().unwrap();
        Self { inner, oddity, lost: AtomicBool::new(false), loses: None, taken: None }
    }

    fn losing(self, service: &'static str) -> Self {
        Self { loses: Some(service), ..self }
    }

    fn then_taken(self, port: u16) -> Self {
        Self { taken: Some(port), ..self }
    }

    fn look(&self, runtime: &Runtime, call: &str) {
        let secret = runtime.secrets.values().next().unwrap().expose_secret().to_owned();
        (self.oddity)(&Look { secret }, call);
    }
}

#[async_trait]
impl Provisioner for Odd {
    async fn describe(&self, ctx: &Context) -> freehold_core::Result<Description> {
        self.inner.describe(ctx).await
    }

    async fn provision(&self, ctx: &Context, runtime: &Runtime) -> freehold_core::Result<Outcome> {
        self.look(runtime, "provision");
        let outcome = self.inner.provision(ctx, runtime).await?;
        if let Some(service) = self.loses
            && !self.lost.swap(true, Ordering::SeqCst)
        {
            self.inner.kill(&runtime.project, &service.parse().unwrap());
            self.inner.occupy_port(self.taken.unwrap());
        }
        Ok(outcome)
    }

    async fn pause(&self, ctx: &Context, runtime: &Runtime) -> freehold_core::Result<Outcome> {
        self.inner.pause(ctx, runtime).await
    }

    async fn resume(&self, ctx: &Context, runtime: &Runtime) -> freehold_core::Result<Outcome> {
        self.inner.resume(ctx, runtime).await
    }

    async fn restart(
        &self,
        ctx: &Context,
        runtime: &Runtime,
        scope: &Scope,
    ) -> freehold_core::Result<Outcome> {
        self.inner.restart(ctx, runtime, scope).await
    }

    async fn reconfigure(&self, ctx: &Context, runtime: &Runtime) -> freehold_core::Result<Outcome> {
        self.inner.reconfigure(ctx, runtime).await
    }

    async fn plan(&self, ctx: &Context, runtime: &Runtime, wish: Wish) -> freehold_core::Result<Plan> {
        self.inner.plan(ctx, runtime, wish).await
    }

    async fn health(&self, ctx: &Context, runtime: &Runtime) -> freehold_core::Result<freehold_core::Health> {
        self.look(runtime, "health");
        self.inner.health(ctx, runtime).await
    }

    async fn logs(
        &self,
        ctx: &Context,
        runtime: &Runtime,
        request: &LogRequest,
    ) -> freehold_core::Result<mpsc::Receiver<freehold_core::Result<LogLine>>> {
        self.inner.logs(ctx, runtime, request).await
    }
}

#[async_trait]
impl Destroyer for Odd {
    async fn destroy(&self, ctx: &Context, project: &ProjectRef) -> freehold_core::Result<Outcome> {
        self.inner.destroy(ctx, project).await
    }

    async fn inventory(&self, ctx: &Context) -> freehold_core::Result<Vec<Holding>> {
        self.inner.inventory(ctx).await
    }

    async fn holding(&self, ctx: &Context, project: &ProjectRef) -> freehold_core::Result<Option<Holding>> {
        self.inner.holding(ctx, project).await
    }
}
