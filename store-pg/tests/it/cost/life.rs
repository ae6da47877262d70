//! One project's life, call by call.

use std::time::Duration;

use freehold_core::{
    Connection, OperationKind, OperationState, OrganizationId, PageRequest, Progress, Project, ProjectFilter,
    ProjectName, Status, Store, TargetName,
    seal::{KeyId, Place, Sealed},
    store::{
        Change, Claim, End, IdempotencyKey, NewOperation, OperationFilter, ProjectChange, ProjectUpdate,
        RecordedProgress, Retention, SealedItem, Settlement, StatusChange, TargetClaim, Transition,
    },
};
use time::OffsetDateTime;

use crate::fixture::{counter::Counter, *};

/// One project from its creation to its end, and everything that is looked at on the way, each with its round trips.
pub(super) async fn life(store: &dyn Store, counter: &Counter, round: usize) -> Vec<(&'static str, u64)> {
    let mut trips = Vec::new();
    let mut change = create_change(&format!("life {round}"));
    if let ProjectChange::Create(project) = &change.project {
        change.sealed = (0..5).map(|n| sealed(project.reference, &format!("secret/{n}"))).collect();
    }
    let key = IdempotencyKey { organization: acme(), key: format!("life {round}"), body: "body".into() };
    let (created, n) = counter.count(store.commit(Change { idempotency: Some(key), ..change })).await;
    trips.push(("create", n));
    let created = created.unwrap();
    let (replay, n) = counter.count(store.replay(&acme(), &format!("life {round}"))).await;
    trips.push(("replay", n));
    assert!(replay.unwrap().is_some());
    let (reference, operation) = (created.project.reference, created.operation.unwrap().id);

    let (claimed, n) = counter.count(store.claim(&claim())).await;
    trips.push(("claim", n));
    let lease = claimed.unwrap().pop().expect("the operation waits").lease;
    let progress = ["pull", "create", "start"].map(|name| RecordedProgress {
        at: OffsetDateTime::now_utc(),
        progress: Progress::Step { name: name.into(), service: "db".into() },
    });
    let (renewed, n) = counter.count(store.renew(&lease, LEASE, &progress)).await;
    trips.push(("renew", n));
    renewed.unwrap();
    let (active, n) = counter.count(store.settle(ended(lease, Status::ActiveHealthy))).await;
    trips.push(("settle", n));

    let (pausing, n) =
        counter.count(store.commit(command(&active.unwrap(), OperationKind::Pause, Status::Pausing))).await;
    trips.push(("command", n));
    pausing.unwrap();
    let lease = store.claim(&claim()).await.unwrap().remove(0).lease;
    let paused = store.settle(ended(lease, Status::Inactive)).await.unwrap();
    store.commit(command(&paused, OperationKind::Destroy, Status::GoingDown)).await.unwrap();
    let lease = store.claim(&claim()).await.unwrap().remove(0).lease;
    let (removed, n) = counter.count(store.settle(ended(lease, Status::Removed))).await;
    trips.push(("settle as removed", n));
    removed.unwrap();

    let (newest, n) = counter.count(store.sequence()).await;
    trips.push(("sequence", n));
    let newest = newest.unwrap();
    let (page, n) = counter.count(store.events(newest - 5, 100)).await;
    trips.push(("read events", n));
    assert_eq!(page.unwrap().events.len(), 5);
    trips.push(("read a project", counter.count(store.project(&reference)).await.1));
    trips.push(("read an operation", counter.count(store.operation(operation)).await.1));
    let name = Some(ProjectName::new("nobody").unwrap());
    let every = ProjectFilter::default();
    let watched = vec![Status::ActiveHealthy, Status::ActiveUnhealthy, Status::Restarting];
    let targets = vec![TargetName::new("local").unwrap()];
    for (call, filter) in [
        ("list projects", every.clone()),
        ("list an organization's", ProjectFilter { organization: Some(acme()), ..every.clone() }),
        ("list what is watched", ProjectFilter { targets, statuses: watched, ..every.clone() }),
        ("find by name", ProjectFilter { name, organization: Some(acme()), ..every }),
    ] {
        let page = PageRequest::first(20);
        let (found, n) = counter.count(store.projects(&filter, &page)).await;
        trips.push((call, n));
        found.unwrap();
    }
    let in_flight = OperationFilter {
        project: Some(reference),
        states: vec![OperationState::Running, OperationState::Waiting],
    };
    let page = PageRequest::first(1);
    let (found, n) = counter.count(store.operations(&in_flight, &page)).await;
    trips.push(("operation in flight", n));
    assert!(found.unwrap().items.is_empty());
    let of_project = OperationFilter { project: Some(reference), states: vec![] };
    let (found, n) = counter.count(store.operations(&of_project, &page)).await;
    trips.push(("list operations", n));
    assert_eq!(found.unwrap().items.len(), 1);
    let (noted, n) = counter.count(store.observed(&[reference])).await;
    trips.push(("note what was seen", n));
    noted.unwrap();
    let month = Duration::from_secs(30 * 24 * 3600);
    let retention = Retention { events: month, idempotency_keys: month, operations: month };
    let (forgotten, n) = counter.count(store.expire(&retention)).await;
    trips.push(("expire", n));
    forgotten.unwrap();
    trips
}

fn acme() -> OrganizationId {
    OrganizationId::new("acme").unwrap()
}

fn claim() -> Claim {
    let full = TargetClaim {
        name: TargetName::new("full").unwrap(),
        max_operations: 1,
        max_operations_per_organization: None,
    };
    let mut claim = claim_by("worker");
    claim.targets.push(full);
    claim
}

/// A command that moves the project and records an operation.
fn command(project: &Project, kind: OperationKind, to: Status) -> Change {
    let status = Some(StatusChange { to, reason: None });
    let update = ProjectUpdate { status, ..ProjectUpdate::of(project) };
    let made = create_change("unused");
    let operation = made.operation.clone().map(|operation| NewOperation { kind, ..operation });
    Change { project: ProjectChange::Update(Box::new(update)), operation, ..made }
}

/// The end that its operation hoped for.
fn ended(lease: freehold_core::operation::Lease, to: Status) -> Settlement {
    let connection = (to == Status::ActiveHealthy).then(|| Connection {
        database: None,
        pooler: None,
        api: None,
        secrets: Vec::new(),
    });
    let transition = Some(Box::new(Transition { to, reason: None, connection }));
    let end = End::Ended { state: OperationState::Succeeded, transition };
    Settlement { lease, end, error: None, report: None, progress: Vec::new(), facts: Vec::new() }
}

fn sealed(project: freehold_core::ProjectRef, name: &str) -> SealedItem {
    SealedItem {
        place: Place { project: Some(project), name: name.into(), version: 1 },
        sealed: Sealed { key: KeyId::new("k1"), data: vec![1, 2, 3] },
    }
}
