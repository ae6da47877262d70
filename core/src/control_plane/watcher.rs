//! Watching active projects, and moving them between healthy and unhealthy.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;

use super::{Inner, prepare::amend, revive::Revivals};
use crate::{
    context::Context,
    error::{Detail, Result},
    health::Health,
    lifecycle::{self, Status, Trigger},
    page::PageRequest,
    project::{Project, ProjectFilter},
    project_ref::ProjectRef,
    store::{Guard, ProjectUpdate, StatusChange},
};

/// How long one look may take.
const LOOK: Duration = Duration::from_secs(10);

/// What the watcher remembers of a project between two looks.
#[derive(Clone, Copy, Debug)]
struct Memory {
    /// What the last looks agreed on.
    healthy: bool,
    /// How many they were.
    looks: u32,
}

impl Inner {
    /// Looks at every active project of the targets that this host serves, round by round, until the control plane stops.
    pub(super) async fn watch(self: Arc<Self>) {
        let mut memories = BTreeMap::new();
        let mut revivals = Revivals::default();
        loop {
            let begun = Instant::now();
            let round = tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                round = self.watch_round(&mut memories, &mut revivals) => round,
            };
            if let Err(error) = round {
                tracing::warn!(error = %error.chain(), "cannot watch");
            }
            let lag = begun.elapsed().saturating_sub(self.settings.watch);
            let lag = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
            self.counters.probe_lag_ms.store(lag, Ordering::Relaxed);
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                () = tokio::time::sleep_until(begun + self.settings.watch) => {}
            }
        }
    }

    async fn watch_round(
        &self,
        memories: &mut BTreeMap<ProjectRef, Memory>,
        revivals: &mut Revivals,
    ) -> Result<()> {
        let filter = ProjectFilter {
            targets: self.targets.keys().cloned().collect(),
            // What is being restarted is not looked at, but its revivals still count.
            statuses: vec![Status::ActiveHealthy, Status::ActiveUnhealthy, Status::Restarting],
            ..ProjectFilter::default()
        };
        let mut page = PageRequest::first(PageRequest::MAX);
        let mut alive = BTreeSet::new();
        loop {
            let found = self.store.projects(&filter, &page).await?;
            alive.extend(found.items.iter().map(|project| project.reference));
            let active = found.items.into_iter().filter(|project| project.status != Status::Restarting);
            let looks = active.map(|project| async {
                let health = self.look(&project).await;
                (project, health)
            });
            let mut looks = stream::iter(looks).buffer_unordered(self.settings.watch_concurrency.max(1));
            let mut seen = Vec::new();
            while let Some((project, health)) = looks.next().await {
                let Some(health) = health else { continue };
                seen.push(project.reference);
                self.judge(&project, &health, memories, revivals).await?;
            }
            drop(looks);
            if !seen.is_empty() {
                self.store.observed(&seen).await?;
            }
            match found.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        memories.retain(|project, _| alive.contains(project));
        revivals.forget_all_but(&alive);
        Ok(())
    }

    /// One look. `None` while the observer is blind: the status stands, and `observed_at` tells since when.
    async fn look(&self, project: &Project) -> Option<Health> {
        let backend = &self.target_of(project).ok()?.backend;
        let look = async {
            let runtime = self.runtime_of(project).await?;
            let ctx = Context::new(LOOK);
            ctx.bounded("look at the project's health", backend.health(&ctx, &runtime)).await
        };
        match look.await {
            Ok(health) if health.is_unknown() => None,
            Ok(health) => Some(health),
            Err(error) => {
                tracing::debug!(project = %project.reference, error = %error.chain(), "cannot see a project");
                None
            }
        }
    }

    /// Lets the status follow once enough looks in a row agree.
    async fn judge(
        &self,
        project: &Project,
        health: &Health,
        memories: &mut BTreeMap<ProjectRef, Memory>,
        revivals: &mut Revivals,
    ) -> Result<()> {
        let healthy = health.is_healthy();
        let memory = memories.entry(project.reference).or_insert(Memory { healthy, looks: 0 });
        if memory.healthy != healthy {
            *memory = Memory { healthy, looks: 0 };
        }
        memory.looks = memory.looks.saturating_add(1);
        if memory.looks < self.settings.watch_agreement {
            return Ok(());
        }
        let mut project = project.clone();
        let trigger = if healthy { Trigger::Healthy } else { Trigger::Unhealthy };
        if let Ok(to) = lifecycle::next(project.status, trigger) {
            let reason = if healthy { None } else { Some(health.complaints()) };
            match self.move_to(&project, to, reason).await? {
                Some(moved) => project = moved,
                None => return Ok(()),
            }
        }
        if healthy {
            revivals.well(project.reference);
            return Ok(());
        }
        self.revive(&project, health, revivals).await
    }

    /// Moves a project that no operation is about; `None` if one came first.
    async fn move_to(
        &self,
        project: &Project,
        to: Status,
        reason: Option<String>,
    ) -> Result<Option<Project>> {
        let status = Some(StatusChange { to, reason });
        let update = ProjectUpdate { guard: Guard::Idle, status, ..ProjectUpdate::of(project) };
        match self.store.commit(amend(update)).await {
            Ok(committed) => Ok(Some(committed.project)),
            Err(error) if matches!(error.detail(), Some(Detail::LostRace | Detail::Busy { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }
}
