//! What is the memory store's own: the caller's clock, to the second, and how it chooses. What any store promises it proves
//! in `contract::memory_store`.

use std::{sync::Arc, time::Duration};

use freehold_core::{
    Annotations, Connection, Detail, OperationId, OperationKind, OperationState, Project, ProjectRef, Status,
    Store,
    clock::TokioClock,
    memory::MemoryStore,
    operation::Lease,
    runtime::Limits,
    store::{
        Bounds, Change, Claim, Claimed, Committed, End, NewOperation, NewProject, PortPool, Preemption,
        ProjectChange, ProjectUpdate, Retention, Settlement, StatusChange, SubnetPool, TargetClaim,
        Transition, Wake,
    },
};
use time::macros::datetime;
use tokio::{sync::broadcast::error::TryRecvError, time::advance};
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(15);
const MARGIN: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

fn new_store() -> MemoryStore {
    MemoryStore::on_clock(Arc::new(TokioClock::starting_at(datetime!(2026-11-23 00:00 UTC))))
}

fn change(project: ProjectChange, kind: OperationKind) -> Change {
    let operation = NewOperation {
        id: OperationId::from_uuid(Uuid::from_u128(rand::random())),
        kind,
        scope: vec![],
        accept_data_loss: vec![],
        generation: 1,
        timeout: Duration::from_secs(600),
        delay: Duration::ZERO,
        planned_by: "0.1.0".into(),
    };
    Change {
        project,
        operation: Some(operation),
        preemption: Preemption::Refuse,
        cancel: None,
        sealed: vec![],
        idempotency: None,
        facts: vec![],
    }
}

/// A project of that name with three ports and a network.
pub(crate) fn new_project(name: &str) -> NewProject {
    NewProject {
        reference: ProjectRef::random(&mut rand::rng()),
        name: name.parse().unwrap(),
        organization: "acme".parse().unwrap(),
        target: "local".parse().unwrap(),
        stack: "webapp".parse().unwrap(),
        digest: "sha256:0".into(),
        status: Status::ComingUp,
        annotations: Annotations::default(),
        excluded: vec![],
        limits: Limits::default(),
        machine: "machine-1".into(),
        ports: 3,
        port_pool: PortPool::default(),
        subnet_pool: Some(SubnetPool::default()),
        bounds: Bounds::default(),
    }
}

pub(crate) fn creation(project: NewProject) -> Change {
    change(ProjectChange::Create(Box::new(project)), OperationKind::Create)
}

async fn create(store: &MemoryStore, name: &str) -> Committed {
    store.commit(creation(new_project(name))).await.unwrap()
}

async fn claim(store: &MemoryStore) -> Option<Claimed> {
    let targets = vec![TargetClaim {
        name: "local".parse().unwrap(),
        max_operations: 100,
        max_operations_per_organization: None,
    }];
    store
        .claim(&Claim { owner: "worker".into(), targets, lease: LEASE, margin: MARGIN, limit: 1 })
        .await
        .unwrap()
        .pop()
}

async fn succeed(store: &MemoryStore, lease: Lease, to: Status) -> Project {
    let connection = Connection { database: None, pooler: None, api: None, secrets: vec![] };
    let connection = (to == Status::ActiveHealthy).then_some(connection);
    let transition = Some(Box::new(Transition { to, reason: None, connection }));
    let end = End::Ended { state: OperationState::Succeeded, transition };
    store
        .settle(Settlement { lease, end, error: None, report: None, progress: vec![], facts: vec![] })
        .await
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_operation_is_begun_in_the_second_in_which_it_is_due() {
    let store = new_store();
    let mut change = creation(new_project("demo"));
    change.operation.as_mut().unwrap().delay = 5 * SECOND;
    store.commit(change).await.unwrap();
    advance(4 * SECOND).await;
    assert!(claim(&store).await.is_none());
    advance(SECOND).await;
    assert!(claim(&store).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_taken_over_a_second_after_its_margin_and_not_before() {
    let store = new_store();
    create(&store, "demo").await;
    let first = claim(&store).await.unwrap();
    assert_eq!(first.lease.expires_at, store.now().await.unwrap() + LEASE);
    advance(LEASE).await;
    store.renew(&first.lease, LEASE, &[]).await.unwrap();
    advance(LEASE + MARGIN).await;
    assert!(claim(&store).await.is_none());
    advance(SECOND).await;
    assert!(claim(&store).await.unwrap().takeover);
}

#[tokio::test(start_paused = true)]
async fn events_are_forgotten_by_their_age() {
    let store = new_store();
    let retention =
        Retention { events: 60 * SECOND, idempotency_keys: Duration::MAX, operations: Duration::MAX };
    create(&store, "one").await;
    advance(61 * SECOND).await;
    create(&store, "two").await;
    store.sequence().await.unwrap();
    store.expire(&retention).await.unwrap();
    let gone = store.events(1, 100).await.unwrap_err();
    assert_eq!(gone.detail(), Some(&Detail::Gone { oldest: 3 }));
    assert_eq!(store.events(2, 100).await.unwrap().next, 4);
}

#[tokio::test(start_paused = true)]
async fn a_block_that_was_set_aside_comes_back_when_its_time_is_over() {
    let (store, pool, aside) = (new_store(), PortPool { first: 20_000, last: 20_005 }, 60 * SECOND);
    store.commit(creation(NewProject { port_pool: pool, ..new_project("demo") })).await.unwrap();
    let claimed = claim(&store).await.unwrap();
    store.reallocate(&claimed.lease, 20_001, &pool, aside).await.unwrap();
    advance(aside - SECOND).await;
    store.reallocate(&claimed.lease, 20_003, &pool, aside).await.unwrap_err();
    advance(SECOND).await;
    let back = store.reallocate(&claimed.lease, 20_003, &pool, aside).await.unwrap();
    assert_eq!(back.ports.unwrap().first, 20_000);
}

#[tokio::test(start_paused = true)]
async fn the_census_tells_how_long_the_oldest_waits() {
    let store = new_store();
    create(&store, "one").await;
    advance(3 * SECOND).await;
    create(&store, "two").await;
    assert_eq!(store.census().await.unwrap().oldest_waiting, Some(3 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn what_was_freed_is_used_again_last() {
    let store = new_store();
    let one = create(&store, "one").await.project;
    let one_is_up = succeed(&store, claim(&store).await.unwrap().lease, Status::ActiveHealthy).await;
    let status = Some(StatusChange { to: Status::GoingDown, reason: None });
    let update = ProjectUpdate { status, ..ProjectUpdate::of(&one_is_up) };
    let destroy = change(ProjectChange::Update(Box::new(update)), OperationKind::Destroy);
    store.commit(destroy).await.unwrap();
    succeed(&store, claim(&store).await.unwrap().lease, Status::Removed).await;
    let two = create(&store, "two").await.project;
    assert_ne!((two.ports, two.subnet), (one.ports, one.subnet));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_woken_where_nothing_has_changed() {
    let store = new_store();
    let mut wakes = store.subscribe();
    create(&store, "demo").await;
    assert_eq!((wakes.try_recv(), wakes.try_recv()), (Ok(Wake::Written), Ok(Wake::Operations)));
    store.sequence().await.unwrap();
    assert_eq!(wakes.try_recv(), Ok(Wake::Events));
    store.sequence().await.unwrap();
    assert_eq!(wakes.try_recv(), Err(TryRecvError::Empty));
}
