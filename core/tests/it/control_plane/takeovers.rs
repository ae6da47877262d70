//! Hosts that die or hang while they work on an operation: by whom and how often it is taken up, and when it is given up.

use std::{sync::Arc, time::Duration};

use freehold_core::{
    Fact, Kind, Operation, OperationState, ProjectRef, Status, Store as _,
    control_plane::{Command, ControlPlane, Settings, TargetSettings, Timeouts},
    memory::{MemoryBackend, MemoryStore},
    store::{Change, Claim, Claimed, ProjectChange, RecordedProgress, TargetClaim},
};

use super::{PATIENCE, calm, demo, new_backend, new_store, started};

/// A store with an operation that a host was working on when it died, over and over.
struct Deathbed {
    store: Arc<MemoryStore>,
    backend: Arc<MemoryBackend>,
    project: ProjectRef,
}

impl Deathbed {
    async fn new() -> Self {
        let (store, backend) = (new_store(), new_backend());
        let first = started(&store, &backend, calm(), TargetSettings::default()).await.unwrap();
        let change = first.prepare(&Command::Create(Box::new(demo("demo")))).await.unwrap();
        // Nobody claims any more what is recorded now.
        first.shutdown(Duration::ZERO).await;
        let Change { project: ProjectChange::Create(new), .. } = &change else { panic!("{change:?}") };
        let project = new.reference;
        store.commit(change).await.unwrap();
        Self { store, backend, project }
    }

    /// A host claims the operation, gets somewhere with it, and is heard of no more.
    async fn death(&self) -> Claimed {
        let claim = Claim {
            owner: "doomed".into(),
            targets: vec![TargetClaim {
                name: "local".parse().unwrap(),
                max_operations: 8,
                max_operations_per_organization: None,
            }],
            lease: Duration::from_secs(1),
            margin: Duration::ZERO,
            limit: 1,
        };
        let claimed = self.store.claim(&claim).await.unwrap().remove(0);
        let progress = freehold_core::Progress::Step { name: "start service".into(), service: "db".into() };
        let at = self.store.now().await.unwrap();
        let step = RecordedProgress { at, progress };
        self.store.renew(&claimed.lease, Duration::from_secs(1), &[step]).await.unwrap();
        tokio::time::sleep(Duration::from_secs(2)).await;
        claimed
    }

    async fn deaths(&self, count: u32) {
        for _ in 0..count {
            self.death().await;
        }
    }

    /// What a host that lives makes of it.
    async fn end(&self, settings: Settings) -> (ControlPlane, Operation) {
        let control = started(&self.store, &self.backend, settings, TargetSettings::default()).await.unwrap();
        let status = [Status::ActiveHealthy, Status::InitFailed];
        let project = control.wait(&self.project, &status, PATIENCE).await.unwrap();
        let operation = control.operation(project.status_operation.unwrap()).await.unwrap();
        (control, operation)
    }
}

#[tokio::test(start_paused = true)]
async fn an_operation_whose_hosts_die_more_often_than_it_may_fail_is_finished_all_the_same() {
    let bed = Deathbed::new().await;
    let settings = Settings { attempts: 5, ..calm() };
    bed.deaths(settings.attempts + 1).await;
    bed.backend.fail_next("start service", Kind::Unavailable);
    let (_, operation) = bed.end(settings).await;
    assert_eq!((operation.state, operation.failures), (OperationState::Succeeded, 1));
    assert_eq!((operation.attempt, operation.takeovers), (8, 6));
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_its_hosts_die_of_is_given_up_with_the_reason_and_cleaned_up() {
    let bed = Deathbed::new().await;
    bed.deaths(calm().takeovers + 1).await;
    let (control, operation) = bed.end(calm()).await;
    let error = operation.error.unwrap();
    assert_eq!((operation.state, error.kind), (OperationState::Failed, Kind::Internal));
    assert!(error.message.contains("its host died or hung"), "{}", error.message);
    assert!(error.leftovers.is_empty(), "{error:?}");
    control.retry(&bed.project).await.unwrap();
    control.wait(&bed.project, &[Status::ActiveHealthy], PATIENCE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn where_cleaning_up_ends_the_host_as_well_nothing_more_is_tried() {
    let bed = Deathbed::new().await;
    bed.deaths(calm().takeovers + 2).await;
    // It would hang if it were called.
    let mut touched = bed.backend.hang_at("remove data");
    let (_, operation) = bed.end(calm()).await;
    assert!(operation.error.unwrap().leftovers[0].starts_with("unknown: "));
    assert!(touched.try_recv().is_err(), "the backend was called");
}

#[tokio::test(start_paused = true)]
async fn what_a_hung_host_did_not_finish_in_time_ends_with_the_step_that_it_was_at() {
    let bed = Deathbed::new().await;
    let claimed = bed.death().await;
    let left = claimed.operation.deadline - bed.store.now().await.unwrap();
    tokio::time::sleep(left.try_into().unwrap()).await;
    let (control, operation) = bed.end(calm()).await;
    let error = operation.error.unwrap();
    assert_eq!((operation.state, error.kind), (OperationState::Failed, Kind::Timeout));
    assert_eq!((error.step.as_deref(), error.service.as_deref()), (Some("start service"), Some("db")));
    control.destroy(&bed.project).await.unwrap();
    control.wait(&bed.project, &[Status::Removed], PATIENCE).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_another_version_planned_is_planned_anew_and_finished() {
    let (store, backend) = (new_store(), new_backend());
    let first = started(&store, &backend, calm(), TargetSettings::default()).await.unwrap();
    let mut change = first.prepare(&Command::Create(Box::new(demo("demo")))).await.unwrap();
    first.shutdown(Duration::ZERO).await;
    let operation = change.operation.as_mut().unwrap();
    operation.planned_by = "0.0.1".into();
    let id = operation.id;
    store.commit(change).await.unwrap();
    let control = started(&store, &backend, calm(), TargetSettings::default()).await.unwrap();
    let operation = control.wait_operation(id, PATIENCE).await.unwrap();
    assert_eq!((operation.state, &*operation.planned_by), (OperationState::Succeeded, "0.0.1"));
}

#[tokio::test(start_paused = true)]
async fn waiting_in_the_queue_costs_no_time_and_the_position_is_shown() {
    let (store, backend) = (new_store(), Arc::new(MemoryBackend::new().unwrap().with_step_delay(SECOND)));
    let timeouts = Timeouts { provision: 30 * SECOND, ..Timeouts::default() };
    let target = TargetSettings { max_operations: 1, ..TargetSettings::default() };
    let control = started(&store, &backend, Settings { timeouts, ..calm() }, target).await.unwrap();
    let mut operations = vec![];
    for name in ["one", "two", "three", "four", "five", "six"] {
        operations.push(control.create(demo(name), None).await.unwrap().operation.unwrap());
    }
    let last = operations.last().unwrap();
    tokio::time::sleep(SECOND / 2).await;
    assert_eq!(control.operation(last.id).await.unwrap().position, Some(4));
    for operation in &operations {
        let ended = control.wait_operation(operation.id, PATIENCE).await.unwrap();
        assert_eq!(ended.state, OperationState::Succeeded, "{:?}", ended.error);
    }
    assert!(store.now().await.unwrap() > last.deadline, "the queue was too short to tell");
}

const SECOND: Duration = Duration::from_secs(1);

/// A host that ended in the middle of a creation, and the operation as it left it.
async fn handed_back(store: &Arc<MemoryStore>, backend: &Arc<MemoryBackend>) -> (ControlPlane, Operation) {
    let host = started(store, backend, calm(), TargetSettings::default()).await.unwrap();
    let reached = backend.hang_at("start service");
    let created = host.create(demo("demo"), None).await.unwrap();
    reached.await.unwrap();
    host.shutdown(SECOND).await;
    let operation = host.operation(created.operation.unwrap().id).await.unwrap();
    (host, operation)
}

#[tokio::test(start_paused = true)]
async fn what_is_handed_back_is_no_failure_and_says_so_in_its_log() {
    let (store, backend) = (new_store(), new_backend());
    let (first, operation) = handed_back(&store, &backend).await;
    assert_eq!((operation.failures, operation.takeovers, operation.error), (0, 0, None));
    assert!(operation.log.iter().any(|line| line.message.starts_with("handed back")), "{:?}", operation.log);
    let events = first.events(0, 100).await.unwrap().events;
    assert!(events.iter().all(|event| !matches!(event.fact, Fact::OperationChanged { reason: Some(_), .. })));
}

#[tokio::test(start_paused = true)]
async fn what_is_handed_back_keeps_its_time_however_long_nobody_takes_it() {
    let (store, backend) = (new_store(), new_backend());
    let (_, operation) = handed_back(&store, &backend).await;
    tokio::time::sleep(24 * 3600 * SECOND).await;
    assert!(store.now().await.unwrap() > operation.deadline, "the wait was too short to tell");
    let second = started(&store, &backend, calm(), TargetSettings::default()).await.unwrap();
    let ended = second.wait_operation(operation.id, PATIENCE).await.unwrap();
    assert_eq!(ended.state, OperationState::Succeeded, "{:?}", ended.error);
}
