//! Changes as the control plane would prepare them, and short ways through a project's life.

use std::time::Duration;

use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    Event, Result,
    connection::Connection,
    contract::failure::{Failure, Verified, there},
    lifecycle::Status,
    operation::{Lease, Operation, OperationId, OperationKind, OperationState},
    project::{Annotations, Project},
    project_ref::ProjectRef,
    runtime::Limits,
    seal::{KeyId, Place, Sealed},
    store::{
        Bounds, Change, Claim, Claimed, Committed, End, IdempotencyKey, NewOperation, NewProject, PortPool,
        Preemption, ProjectChange, ProjectUpdate, SealedItem, Settlement, StatusChange, Store, SubnetPool,
        TargetClaim, Transition,
    },
};

pub(super) const LEASE: Duration = Duration::from_secs(30);
pub(super) const MARGIN: Duration = Duration::from_secs(10);
pub(super) const HOUR: Duration = Duration::from_secs(3600);

pub(super) fn operation(kind: OperationKind) -> NewOperation {
    NewOperation {
        id: OperationId::from_uuid(Uuid::now_v7()),
        kind,
        scope: Vec::new(),
        accept_data_loss: Vec::new(),
        generation: 1,
        timeout: Duration::from_secs(600),
        delay: Duration::ZERO,
        planned_by: "0.1.0".to_owned(),
    }
}

/// A project of that name: three ports and a network.
pub(super) fn new_project(name: &str) -> Result<NewProject> {
    Ok(NewProject {
        reference: ProjectRef::random(&mut rand::rng()),
        name: name.parse()?,
        organization: "acme".parse()?,
        target: "local".parse()?,
        stack: "webapp".parse()?,
        digest: "sha256:0".to_owned(),
        status: Status::ComingUp,
        annotations: Annotations::default(),
        excluded: Vec::new(),
        limits: Limits::default(),
        machine: "machine-1".to_owned(),
        ports: 3,
        port_pool: PortPool::default(),
        subnet_pool: Some(SubnetPool::default()),
        bounds: Bounds::default(),
    })
}

pub(super) fn sealed(
    project: Option<ProjectRef>,
    name: &str,
    version: u64,
    key: &str,
    data: u8,
) -> SealedItem {
    SealedItem {
        place: Place { project, name: name.to_owned(), version },
        sealed: Sealed { key: KeyId::new(key), data: vec![data] },
    }
}

pub(super) fn creation(project: NewProject) -> Change {
    let secret = sealed(Some(project.reference), "secret/db_password", 1, "k1", 1);
    Change {
        project: ProjectChange::Create(Box::new(project)),
        operation: Some(operation(OperationKind::Create)),
        preemption: Preemption::Refuse,
        cancel: None,
        sealed: vec![secret],
        idempotency: None,
        facts: Vec::new(),
    }
}

pub(super) fn amendment(update: ProjectUpdate) -> Change {
    Change {
        project: ProjectChange::Update(Box::new(update)),
        operation: None,
        preemption: Preemption::Refuse,
        cancel: None,
        sealed: Vec::new(),
        idempotency: None,
        facts: Vec::new(),
    }
}

/// A command that moves the project and records an operation.
pub(super) fn command(project: &Project, kind: OperationKind, to: Status) -> Change {
    let status = Some(StatusChange { to, reason: None });
    let preemption = if kind == OperationKind::Destroy { Preemption::Cancel } else { Preemption::Refuse };
    Change {
        operation: Some(operation(kind)),
        preemption,
        ..amendment(ProjectUpdate { status, ..ProjectUpdate::of(project) })
    }
}

pub(super) fn pause(project: &Project) -> Change {
    command(project, OperationKind::Pause, Status::Pausing)
}

pub(super) fn destruction(project: &Project) -> Change {
    command(project, OperationKind::Destroy, Status::GoingDown)
}

/// A change that asks for an operation's end.
pub(super) fn cancellation(project: &Project, operation: OperationId) -> Change {
    Change { cancel: Some(operation), ..amendment(ProjectUpdate::of(project)) }
}

pub(super) fn key(key: &str, body: &str) -> Result<IdempotencyKey> {
    Ok(IdempotencyKey { organization: "acme".parse()?, key: key.to_owned(), body: body.to_owned() })
}

pub(super) async fn create(store: &dyn Store, name: &str) -> Result<Committed> {
    store.commit(creation(new_project(name)?)).await
}

/// The operation that a change recorded.
pub(super) fn recorded(committed: Committed) -> Verified<(Project, Operation)> {
    Ok((committed.project, there(committed.operation, "the operation that was recorded")?))
}

pub(super) fn claim_by(owner: &str, max_operations: u32) -> Result<Claim> {
    let name = "local".parse()?;
    let targets = vec![TargetClaim { name, max_operations, max_operations_per_organization: None }];
    Ok(Claim { owner: owner.to_owned(), targets, lease: LEASE, margin: MARGIN, limit: 1 })
}

/// Takes an operation, if there is one to be worked on.
pub(super) async fn try_claim(store: &dyn Store) -> Result<Option<Claimed>> {
    Ok(store.claim(&claim_by("worker", 1000)?).await?.pop())
}

/// Takes the operation that must be there to be worked on.
pub(super) async fn claim(store: &dyn Store) -> Verified<Claimed> {
    there(try_claim(store).await?, "an operation to claim")
}

pub(super) fn ended(lease: &Lease, state: OperationState, transition: Option<Transition>) -> Settlement {
    settlement(lease, End::Ended { state, transition: transition.map(Box::new) })
}

pub(super) fn settlement(lease: &Lease, end: End) -> Settlement {
    Settlement {
        lease: lease.clone(),
        end,
        error: None,
        report: None,
        progress: Vec::new(),
        facts: Vec::new(),
    }
}

/// How a project without anything is reached.
pub(super) fn connection() -> Connection {
    Connection { database: None, pooler: None, api: None, secrets: Vec::new() }
}

/// The end that its operation hoped for.
pub(super) fn success(lease: &Lease, to: Status) -> Settlement {
    let connection = (to == Status::ActiveHealthy).then(connection);
    ended(lease, OperationState::Succeeded, Some(Transition { to, reason: None, connection }))
}

/// Carries the oldest operation that waits to its end.
pub(super) async fn finish(store: &dyn Store, to: Status) -> Verified<Project> {
    let claimed = claim(store).await?;
    Ok(store.settle(success(&claimed.lease, to)).await?)
}

/// A project that is ready. No other operation may wait.
pub(super) async fn active(store: &dyn Store, name: &str) -> Verified<Project> {
    create(store, name).await?;
    finish(store, Status::ActiveHealthy).await
}

/// Destroys a project to the end. No other operation may wait.
pub(super) async fn destroy(store: &dyn Store, project: &Project) -> Verified<Project> {
    store.commit(destruction(project)).await?;
    finish(store, Status::Removed).await
}

/// The project as it stands.
pub(super) async fn reread(store: &dyn Store, project: &ProjectRef) -> Verified<Project> {
    there(store.project(project).await?, format_args!("project {project}"))
}

/// The operation as it stands.
pub(super) async fn look_up(store: &dyn Store, operation: OperationId) -> Verified<Operation> {
    there(store.operation(operation).await?, format_args!("operation {operation}"))
}

/// Numbers what was written and gives all events.
pub(super) async fn events(store: &dyn Store) -> Verified<Vec<Event>> {
    store.sequence().await?;
    let (mut after, mut events) = (0, Vec::new());
    loop {
        let page = store.events(after, 7).await?;
        if page.events.is_empty() {
            return Ok(events);
        }
        ensure!(page.next > after, "a page of events leads nowhere: {} after {after}", page.next);
        after = page.next;
        events.extend(page.events);
    }
}

/// Waits until the store's clock is past a moment.
pub(super) async fn until_after(store: &dyn Store, moment: OffsetDateTime) -> Result<()> {
    while store.now().await? <= moment {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// Runs calls at the same moment, each in a task of its own.
pub(super) async fn at_once<F>(calls: impl IntoIterator<Item = F>) -> Verified<Vec<F::Output>>
where
    F: Future<Output: Send> + Send + 'static,
{
    let tasks: Vec<_> = calls.into_iter().map(tokio::spawn).collect();
    let mut answers = Vec::with_capacity(tasks.len());
    for task in tasks {
        answers.push(task.await.map_err(|error| Failure::new(format!("a call broke: {error}")))?);
    }
    Ok(answers)
}
