//! What callers want to know: projects, operations, events, health, plans, logs, and how the control plane itself is.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use secrecy::SecretString;
use tokio::{sync::mpsc, time::Instant};

use super::{ControlPlane, Inner, TargetSettings, vault::Opened};
use crate::{
    context::{Context, ContextBuilder},
    error::{Error, Kind, Result},
    event::{Event, EventPage},
    health::Health,
    inventory::Holding,
    lifecycle::Status,
    names::{SecretName, TargetName},
    operation::{Operation, OperationId, OperationKind, OperationState},
    page::{Page, PageRequest},
    plan::{Plan, Wish},
    project::{Project, ProjectFilter},
    project_ref::ProjectRef,
    provisioner::{Description, LogLine, LogRequest},
    runtime::Runtime,
    store::{Census, OperationFilter},
};

/// How long a look at a project may take.
const LOOK: Duration = Duration::from_secs(30);
/// How long a log may be followed.
const FOLLOW: Duration = Duration::from_secs(24 * 3600);

/// A target as callers see it.
#[derive(Clone, Debug, PartialEq)]
pub struct TargetInfo {
    /// Its name.
    pub name: TargetName,
    /// What its backend says of itself.
    pub description: Description,
    /// What the operator set.
    pub settings: TargetSettings,
}

/// Whether the control plane can do its work.
#[derive(Debug)]
pub struct Readiness {
    /// The store answers.
    pub store: Result<()>,
    /// The active key is there.
    pub key: Result<()>,
    /// Each target's engine answers.
    pub targets: BTreeMap<TargetName, Result<()>>,
}

impl Readiness {
    /// Whether everything is well.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.store.is_ok() && self.key.is_ok() && self.targets.values().all(Result::is_ok)
    }
}

/// Figures of this control plane since its start, and of its store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// What the store holds.
    pub census: Census,
    /// Operations that ended here, by kind and outcome.
    pub ended: BTreeMap<(OperationKind, OperationState), u64>,
    /// Leases that were lost.
    pub leases_lost: u64,
    /// How much longer than its interval the watcher's last round took on each target, or the present one already does,
    /// in milliseconds.
    pub probe_lag_ms: BTreeMap<TargetName, u64>,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) leases_lost: AtomicU64,
    ended: Mutex<BTreeMap<(OperationKind, OperationState), u64>>,
}

impl Counters {
    pub(super) fn count_end(&self, kind: OperationKind, state: OperationState) {
        *self.ended.lock().unwrap_or_else(PoisonError::into_inner).entry((kind, state)).or_default() += 1;
    }
}

impl ControlPlane {
    /// A project, tombstones included.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`.
    pub async fn project(&self, project: &ProjectRef) -> Result<Project> {
        self.0.existing_project(project).await
    }

    /// Projects, oldest first, page by page.
    ///
    /// # Errors
    /// `InvalidInput` for a cursor that no page gave, `Unavailable`.
    pub async fn projects(&self, filter: &ProjectFilter, page: &PageRequest) -> Result<Page<Project>> {
        self.0.store.projects(filter, page).await
    }

    /// An operation with its steps and log.
    ///
    /// # Errors
    /// `NotFound`, `Unavailable`.
    pub async fn operation(&self, operation: OperationId) -> Result<Operation> {
        let found = self.0.store.operation(operation).await?;
        found.ok_or_else(|| Error::not_found("operation", operation))
    }

    /// Operations, newest first, page by page.
    ///
    /// # Errors
    /// `InvalidInput` for a cursor that no page gave, `Unavailable`.
    pub async fn operations(&self, filter: &OperationFilter, page: &PageRequest) -> Result<Page<Operation>> {
        self.0.store.operations(filter, page).await
    }

    /// Waits until a project has one of these statuses.
    ///
    /// # Errors
    /// `NotFound`; `Timeout` naming the status that it has instead.
    pub async fn wait(
        &self,
        project: &ProjectRef,
        statuses: &[Status],
        timeout: Duration,
    ) -> Result<Project> {
        let until = Instant::now() + timeout;
        let mut news = self.0.tail.subscribe();
        loop {
            let now = self.project(project).await?;
            if statuses.contains(&now.status) {
                return Ok(now);
            }
            if !self.0.news_of(*project, &mut news, until).await {
                let wanted = statuses.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(" or ");
                let message = format!("see project {project} become {wanted}: it is {}", now.status);
                return Err(Error::new(Kind::Timeout, message));
            }
        }
    }

    /// Waits until an operation has ended.
    ///
    /// # Errors
    /// `NotFound`; `Timeout` naming the state that it has instead.
    pub async fn wait_operation(&self, operation: OperationId, timeout: Duration) -> Result<Operation> {
        let until = Instant::now() + timeout;
        let mut news = self.0.tail.subscribe();
        loop {
            let now = self.operation(operation).await?;
            if now.state.has_ended() {
                return Ok(now);
            }
            if !self.0.news_of(now.project, &mut news, until).await {
                let message = format!("see operation {operation} end: it is {}", now.state);
                return Err(Error::new(Kind::Timeout, message));
            }
        }
    }

    /// A project's secrets in clear, for a caller who may see them.
    ///
    /// # Errors
    /// `NotFound`; `Internal` if they cannot be opened.
    pub async fn secrets(&self, project: &ProjectRef) -> Result<BTreeMap<SecretName, SecretString>> {
        Ok(self.opened(project).await?.secrets)
    }

    /// What a project sets of its stack's variables, in clear: some may be secrets.
    ///
    /// # Errors
    /// `NotFound`; `Internal` if they cannot be opened.
    pub async fn variables(&self, project: &ProjectRef) -> Result<BTreeMap<String, SecretString>> {
        Ok(self.opened(project).await?.variables)
    }

    async fn opened(&self, project: &ProjectRef) -> Result<Opened> {
        let project = self.0.existing_project(project).await?;
        if project.status == Status::Removed {
            let gone = format!("{}: it was destroyed, its secrets with it", project.reference);
            return Err(Error::not_found("project", gone));
        }
        let items = self.0.store.sealed(Some(&project.reference)).await?;
        self.0.vault.open(project.reference, &items).await
    }

    /// How a project is, looked at now: what its backend sees of it, what of it is not as its stack has it, and whether a
    /// service flaps.
    ///
    /// # Errors
    /// `NotFound`; `Unavailable` if its engine does not answer or this host does not serve its target.
    pub async fn health(&self, project: &ProjectRef) -> Result<Health> {
        let project = self.0.existing_project(project).await?;
        let runtime = self.0.runtime_of(&project).await?;
        let ctx = Context::new(LOOK);
        let target = self.0.target_of(&project)?;
        let look = ctx.bounded("look at the project's health", target.backend.health(&ctx, &runtime));
        if !matches!(project.status, Status::ActiveHealthy | Status::ActiveUnhealthy) {
            return look.await;
        }
        let plan = target.backend.plan(&ctx, &runtime, Wish::Active);
        let plan = ctx.bounded("compare the project with its plan", plan);
        let (health, plan) = tokio::join!(look, plan);
        let mut health = health?;
        match plan {
            Ok(plan) => health.tell_drift(&plan),
            Err(error) => {
                tracing::debug!(project = %project.reference, error = %error.chain(), "cannot see its drift");
                health.tell_no_comparison(&error);
            }
        }
        target.watched.annotate(&project.reference, &mut health);
        Ok(health)
    }

    /// What would have to be done for a project to be as it is meant to be: running, or stopped if it is paused.
    ///
    /// # Errors
    /// As [`health`](Self::health).
    pub async fn plan(&self, project: &ProjectRef) -> Result<Plan> {
        let project = self.0.existing_project(project).await?;
        let wish = match project.status {
            Status::Pausing | Status::PauseFailed | Status::Inactive | Status::RestoreFailed => Wish::Paused,
            Status::GoingDown | Status::DestroyFailed | Status::Removed | Status::InitFailed => {
                return Ok(Plan::default());
            }
            Status::ComingUp
            | Status::ActiveHealthy
            | Status::ActiveUnhealthy
            | Status::Restoring
            | Status::Restarting => Wish::Active,
        };
        let runtime = self.0.runtime_of(&project).await?;
        let ctx = Context::new(LOOK);
        let backend = &self.0.target_of(&project)?.backend;
        ctx.bounded("compare the project with its plan", backend.plan(&ctx, &runtime, wish)).await
    }

    /// What the services of a project print.
    ///
    /// # Errors
    /// As [`health`](Self::health); `InvalidInput` for a service that the stack does not have.
    pub async fn logs(
        &self,
        project: &ProjectRef,
        request: &LogRequest,
    ) -> Result<mpsc::Receiver<Result<LogLine>>> {
        let project = self.0.existing_project(project).await?;
        let runtime = self.0.runtime_of(&project).await?;
        let deadline = Instant::now() + if request.follow { FOLLOW } else { LOOK };
        let ctx = ContextBuilder::new(deadline).cancellation(self.0.stopping.child_token()).build();
        self.0.target_of(&project)?.backend.logs(&ctx, &runtime, request).await
    }

    /// What is on a target's engine, whether or not the store knows of it.
    ///
    /// # Errors
    /// `NotFound` for a target that this control plane does not serve, `Unavailable` if its engine does not answer.
    pub async fn inventory(&self, target: &TargetName) -> Result<Vec<Holding>> {
        let target = self.0.targets.get(target).ok_or_else(|| Error::not_found("target", target))?;
        let ctx = Context::new(LOOK);
        ctx.bounded("list what is on the engine", target.backend.inventory(&ctx)).await
    }

    /// The targets that this control plane serves.
    #[must_use]
    pub fn targets(&self) -> Vec<TargetInfo> {
        let info = |target: &super::Target| TargetInfo {
            name: target.name.clone(),
            description: target.description.clone(),
            settings: target.settings,
        };
        self.0.targets.values().map(info).collect()
    }

    /// Events after a number; 0 is the beginning.
    ///
    /// # Errors
    /// [`Gone`](crate::Detail::Gone) if events after that number are not kept any more; `Unavailable`.
    pub async fn events(&self, after: u64, limit: u32) -> Result<EventPage> {
        self.0.store.events(after, limit.clamp(1, PageRequest::MAX)).await
    }

    /// Events after a number as they happen, until the receiver is dropped or the control plane shuts down. An error is
    /// the last thing that comes.
    #[must_use]
    pub fn follow_events(&self, after: u64) -> mpsc::Receiver<Result<Event>> {
        let (sender, receiver) = mpsc::channel(64);
        let inner = std::sync::Arc::clone(&self.0);
        self.0.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = inner.stopping.cancelled() => {}
                () = sender.closed() => {}
                () = inner.send_events(after, &sender) => {}
            }
        });
        receiver
    }

    /// Seals under the active key whatever is under another one. It can be stopped and run again.
    ///
    /// # Errors
    /// `Internal` if something cannot be opened, `Unavailable`.
    pub async fn reseal(&self) -> Result<u64> {
        self.0.vault.reseal_all(&*self.0.store).await
    }

    /// Whether store, key and targets answer.
    pub async fn readiness(&self) -> Readiness {
        const PATIENCE: Duration = Duration::from_secs(3);
        let ctx = Context::new(PATIENCE);
        let store = ctx.bounded("reach the store", self.0.store.now()).await.map(drop);
        let key = ctx.bounded("check the keys", self.0.vault.check_keys(&*self.0.store)).await;
        let looks = self.0.targets.values().map(|target| async {
            let ctx = Context::new(PATIENCE);
            let look = ctx.bounded("reach the engine", target.backend.describe(&ctx)).await;
            (target.name.clone(), look.map(drop))
        });
        let targets = futures_util::future::join_all(looks).await.into_iter().collect();
        Readiness { store, key, targets }
    }

    /// Figures for monitoring.
    ///
    /// # Errors
    /// `Unavailable` if the store does not answer.
    pub async fn metrics(&self) -> Result<Metrics> {
        let counters = &self.0.counters;
        let lag = |(name, target): (&TargetName, &super::Target)| {
            let lag = target.watched.lag(self.0.settings.watch).as_millis();
            (name.clone(), u64::try_from(lag).unwrap_or(u64::MAX))
        };
        Ok(Metrics {
            census: self.0.store.census().await?,
            ended: counters.ended.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            leases_lost: counters.leases_lost.load(Ordering::Relaxed),
            probe_lag_ms: self.0.targets.iter().map(lag).collect(),
        })
    }
}

impl Inner {
    /// What the project's backend needs, with its secrets opened.
    pub(super) async fn runtime_of(&self, project: &Project) -> Result<Runtime> {
        if project.status == Status::Removed {
            let gone = format!("{}: it was destroyed", project.reference);
            return Err(Error::not_found("project", gone));
        }
        let items = self.store.sealed(Some(&project.reference)).await?;
        self.vault.runtime(&self.installation, project, &items).await
    }
}
