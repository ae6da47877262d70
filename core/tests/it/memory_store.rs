//! The store in memory keeps the promises of the trait, on paused time.

mod claims;
mod commits;
mod events;
mod leases;
mod lists;
mod pools;
mod sealing;

use std::{sync::Arc, time::Duration};

use freehold_core::{
    Annotations, Connection, Detail, OperationId, OperationKind, OperationState, Project, ProjectRef, Result,
    Status, Store,
    clock::TokioClock,
    memory::MemoryStore,
    operation::Lease,
    runtime::Limits,
    store::{
        Bounds, Change, Claim, Claimed, Committed, End, NewOperation, NewProject, PortPool, Preemption,
        ProjectChange, ProjectUpdate, Settlement, StatusChange, SubnetPool, TargetClaim, Transition,
    },
};
use time::macros::datetime;
use uuid::Uuid;

const LEASE: Duration = Duration::from_secs(15);
const MARGIN: Duration = Duration::from_secs(10);
const SECOND: Duration = Duration::from_secs(1);

fn new_store() -> MemoryStore {
    MemoryStore::on_clock(Arc::new(TokioClock::starting_at(datetime!(2026-11-23 00:00 UTC))))
}

fn operation(kind: OperationKind) -> NewOperation {
    NewOperation {
        id: OperationId::from_uuid(Uuid::from_u128(rand::random())),
        kind,
        scope: vec![],
        generation: 1,
        timeout: Duration::from_secs(600),
        delay: Duration::ZERO,
        planned_by: "0.1.0".into(),
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
    Change {
        project: ProjectChange::Create(Box::new(project)),
        operation: Some(operation(OperationKind::Create)),
        preemption: Preemption::Refuse,
        cancel: None,
        sealed: vec![],
        idempotency: None,
        facts: vec![],
    }
}

fn amendment(update: ProjectUpdate) -> Change {
    Change {
        project: ProjectChange::Update(Box::new(update)),
        operation: None,
        preemption: Preemption::Refuse,
        cancel: None,
        sealed: vec![],
        idempotency: None,
        facts: vec![],
    }
}

/// A command that moves the project and records an operation.
fn command(project: &Project, kind: OperationKind, to: Status) -> Change {
    let status = Some(StatusChange { to, reason: None });
    let preemption = if kind == OperationKind::Destroy { Preemption::Cancel } else { Preemption::Refuse };
    Change {
        operation: Some(operation(kind)),
        preemption,
        ..amendment(ProjectUpdate { status, ..ProjectUpdate::of(project) })
    }
}

fn destruction(project: &Project) -> Change {
    command(project, OperationKind::Destroy, Status::GoingDown)
}

async fn create(store: &MemoryStore, name: &str) -> Committed {
    store.commit(creation(new_project(name))).await.unwrap()
}

fn claim_of(max_operations: u32) -> Claim {
    Claim {
        owner: "worker".into(),
        targets: vec![TargetClaim { name: "local".parse().unwrap(), max_operations }],
        lease: LEASE,
        margin: MARGIN,
    }
}

async fn claim(store: &MemoryStore) -> Option<Claimed> {
    store.claim(&claim_of(100)).await.unwrap()
}

fn end(lease: &Lease, end: End) -> Settlement {
    Settlement { lease: lease.clone(), end, error: None, report: None, facts: vec![] }
}

fn success(lease: &Lease, to: Status) -> Settlement {
    let connection = Connection { database: None, pooler: None, api: None, secrets: vec![] };
    let connection = (to == Status::ActiveHealthy).then_some(connection);
    let transition = Some(Box::new(Transition { to, reason: None, connection }));
    end(lease, End::Ended { state: OperationState::Succeeded, transition })
}

/// Carries the oldest operation that waits to its end.
async fn finish(store: &MemoryStore, to: Status) -> Project {
    let claimed = claim(store).await.unwrap();
    store.settle(success(&claimed.lease, to)).await.unwrap()
}

async fn active(store: &MemoryStore, name: &str) -> Project {
    create(store, name).await;
    finish(store, Status::ActiveHealthy).await
}

async fn destroy(store: &MemoryStore, project: &Project) -> Project {
    store.commit(destruction(project)).await.unwrap();
    finish(store, Status::Removed).await
}

fn detail<T>(result: Result<T>) -> Option<Detail> {
    result.err().and_then(|error| error.detail().cloned())
}
