//! Watching active projects, and moving them between healthy and unhealthy.
//!
//! Each target is watched by itself, so that one whose engine hangs delays no other. A round looks at each project once, one
//! after another over the interval, never all at once, and at most so many at a time. A project whose look took long goes
//! to the *slow lane*, where those like it wait for each other and for nobody else. So what a round costs is bounded by
//! the settings, and what suffers when there is more to look at than they allow is its length: that is the lag in the
//! metrics.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::{
    StreamExt as _,
    future::join_all,
    stream::{self, FuturesUnordered},
};
use tokio::time::Instant;

use super::{Inner, Target, prepare::amend, revive::Revivals, verdict::Memory};
use crate::{
    context::Context,
    error::{Detail, Error, Kind, Result},
    health::Health,
    lifecycle::{self, Status, Trigger},
    names::TargetName,
    page::PageRequest,
    plan::Wish,
    project::{Project, ProjectFilter},
    project_ref::ProjectRef,
    store::{Guard, ProjectUpdate, StatusChange},
};

/// How long one look may take, with all that follows from it.
pub(super) const LOOK: Duration = Duration::from_secs(10);
/// A look that takes so long is slow.
const SLOW: Duration = Duration::from_secs(5);
/// How many projects are listed at once.
pub(super) const PAGE: u32 = 200;
/// How many sightings are noted in one write, and how long they may wait for others.
const SIGHTINGS: usize = 100;
const TOLD: Duration = Duration::from_secs(1);

/// What a control plane knows of the projects that it watches on one target. Lost with the process: a new one looks again.
#[derive(Debug)]
pub(super) struct Watched {
    memories: Mutex<BTreeMap<ProjectRef, Memory>>,
    pub(super) revivals: Revivals,
    /// Of those that are paused again.
    pub(super) pauses: Revivals,
    pace: Mutex<Pace>,
}

/// How the rounds of a target go.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    /// How many projects the last round had.
    projects: u32,
    /// How much longer than the interval the last round took, and the last one of the slow lane.
    lag: Duration,
    slow_lag: Duration,
    /// When the round that is under way began.
    begun: Option<Instant>,
}

impl Watched {
    /// Nothing yet, of a target that has so many operations at once.
    pub(super) fn new(max_operations: u32) -> Self {
        Self {
            memories: Mutex::default(),
            revivals: Revivals::of(max_operations),
            pauses: Revivals::of(max_operations),
            pace: Mutex::default(),
        }
    }

    pub(super) fn memories(&self) -> MutexGuard<'_, BTreeMap<ProjectRef, Memory>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end_of_round(&self, lag: Duration) {
        let mut pace = self.pace();
        (pace.lag, pace.begun) = (lag, None);
    }

    /// How late the last round was, or the present one already is.
    pub(super) fn lag(&self, interval: Duration) -> Duration {
        let pace = *self.pace();
        let present = pace.begun.map_or(Duration::ZERO, |begun| begun.elapsed().saturating_sub(interval));
        pace.lag.max(pace.slow_lag).max(present)
    }

    /// Adds what was seen of a project before.
    pub(super) fn annotate(&self, project: &ProjectRef, health: &mut Health) {
        if let Some(memory) = self.memories().get(project) {
            memory.annotate(health);
        }
    }

    fn is_slow(&self, project: ProjectRef) -> bool {
        self.memories().get(&project).is_some_and(|memory| memory.slow)
    }
}

impl Inner {
    /// Looks at every active project, and now and then at every paused one, of the targets that this host serves, round by round, until the control plane stops.
    pub(super) async fn watch(self: Arc<Self>) {
        let targets = self.targets.values().map(|target| self.watch_target(target));
        tokio::select! {
            biased;
            () = self.stopping.cancelled() => {}
            _ = join_all(targets) => {}
        }
    }

    async fn watch_target(self: &Arc<Self>, target: &Target) {
        let watched = &target.watched;
        let rounds = async {
            loop {
                let begun = Instant::now();
                watched.pace().begun = Some(begun);
                if let Err(error) = self.watch_round(&target.name, watched).await {
                    tracing::warn!(target = %target.name, error = %error.chain(), "cannot watch");
                }
                watched.end_of_round(begun.elapsed().saturating_sub(self.settings.watch));
                tokio::time::sleep_until(begun + self.settings.watch).await;
            }
        };
        tokio::join!(rounds, self.watch_slow_lane(watched), self.watch_paused(target));
    }

    /// Looks at each project once that is not in the slow lane.
    async fn watch_round(self: &Arc<Self>, target: &TargetName, watched: &Watched) -> Result<()> {
        let filter = ProjectFilter {
            targets: vec![target.clone()],
            // What is being restarted is not looked at, but what is known of it still counts.
            statuses: vec![Status::ActiveHealthy, Status::ActiveUnhealthy, Status::Restarting],
            ..ProjectFilter::default()
        };
        let gap = self.settings.watch / watched.pace().projects.max(1);
        let at_once = self.settings.watch_concurrency.max(1);
        let mut page = PageRequest::first(PAGE);
        let (mut alive, mut next_look) = (BTreeSet::new(), Instant::now());
        let end = next_look + self.settings.watch;
        let (mut looks, mut seen, mut noted) = (FuturesUnordered::new(), Vec::new(), Instant::now());
        loop {
            let listed = within("list the projects to watch", self.store.projects(&filter, &page)).await?;
            for project in listed.items {
                alive.insert(project.reference);
                if project.status == Status::Restarting || watched.is_slow(project.reference) {
                    continue;
                }
                // Those that are under way go on meanwhile.
                let turn = tokio::time::sleep_until(next_look);
                tokio::pin!(turn);
                loop {
                    tokio::select! {
                        biased;
                        Some(sighting) = looks.next() => seen.extend(sighting),
                        () = &mut turn, if looks.len() < at_once => break,
                    }
                }
                // There may be more than in the last round: then the rest is not spread, only bounded.
                next_look = (next_look + gap).min(end);
                looks.push(self.watch_one(project, watched));
                if seen.len() >= SIGHTINGS || noted.elapsed() >= TOLD {
                    self.note(&mut seen).await;
                    noted = Instant::now();
                }
            }
            match listed.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        while let Some(sighting) = looks.next().await {
            seen.extend(sighting);
        }
        self.note(&mut seen).await;
        watched.memories().retain(|project, _| alive.contains(project));
        watched.revivals.forget_all_but(&alive);
        watched.pace().projects = u32::try_from(alive.len()).unwrap_or(u32::MAX);
        Ok(())
    }

    /// Looks at the projects in the slow lane, one after another, each once an interval at most.
    async fn watch_slow_lane(self: &Arc<Self>, watched: &Watched) {
        let at_once = self.settings.watch_concurrency.div_ceil(2).max(1);
        loop {
            let begun = Instant::now();
            let slow: Vec<_> = {
                let memories = watched.memories();
                memories.iter().filter(|(_, memory)| memory.slow).map(|(project, _)| *project).collect()
            };
            let looks = slow.into_iter().map(|reference| async move {
                let found = within("read a project", self.store.project(&reference)).await;
                let Ok(Some(project)) = found else { return };
                if matches!(project.status, Status::ActiveHealthy | Status::ActiveUnhealthy) {
                    let mut seen: Vec<_> = self.watch_one(project, watched).await.into_iter().collect();
                    self.note(&mut seen).await;
                }
            });
            stream::iter(looks).buffer_unordered(at_once).collect::<()>().await;
            watched.pace().slow_lag = begun.elapsed().saturating_sub(self.settings.watch);
            tokio::time::sleep_until(begun + self.settings.watch).await;
        }
    }

    /// Notes that these were seen. That is no reason to end a round.
    async fn note(&self, seen: &mut Vec<ProjectRef>) {
        if seen.is_empty() {
            return;
        }
        if let Err(error) = within("note what was seen", self.store.observed(seen)).await {
            tracing::warn!(error = %error.chain(), "cannot note what was seen");
        }
        seen.clear();
    }

    /// One look at one project, and what follows from it. Gives the project if it was seen: not while the observer is
    /// blind, when its status stands and `observed_at` tells since when.
    async fn watch_one(self: &Arc<Self>, project: Project, watched: &Watched) -> Option<ProjectRef> {
        let reference = project.reference;
        let begun = Instant::now();
        let health = self.look(&project).await;
        let slow = begun.elapsed() >= SLOW;
        let Some(mut health) = health else {
            watched.memories().entry(reference).or_default().slow = slow;
            return None;
        };
        let verdict = {
            let mut memories = watched.memories();
            let memory = memories.entry(reference).or_default();
            memory.slow = slow;
            memory.learn(project.status_operation, &health, self.clock.now(), &self.settings);
            memory.annotate(&mut health);
            memory.verdict()
        };
        if let Some(well) = verdict {
            let judged =
                within("follow a project's health", self.judge(project, health, well, watched)).await;
            if let Err(error) = judged {
                tracing::warn!(project = %reference, error = %error.chain(), "cannot follow a project's health");
            }
        }
        Some(reference)
    }

    /// One look; `None` while the observer is blind.
    async fn look(&self, project: &Project) -> Option<Health> {
        let backend = &self.target_of(project).ok()?.backend;
        let look = async {
            let runtime = self.runtime_of(project).await?;
            backend.health(&Context::new(LOOK), &runtime).await
        };
        match within("look at the project's health", look).await {
            Ok(health) if health.is_unknown() => None,
            Ok(health) => Some(health),
            Err(error) => {
                tracing::debug!(project = %project.reference, error = %error.chain(), "cannot see a project");
                None
            }
        }
    }

    /// Lets the status follow, and starts again what is down.
    async fn judge(
        self: &Arc<Self>,
        mut project: Project,
        health: Health,
        well: bool,
        watched: &Watched,
    ) -> Result<()> {
        if well && !self.is_as_wished(&project).await? {
            return Ok(());
        }
        let trigger = if well { Trigger::Healthy } else { Trigger::Unhealthy };
        if let Ok(to) = lifecycle::next(project.status, trigger) {
            let reason = if well { None } else { Some(health.complaints()) };
            match self.move_to(&project, to, reason).await? {
                Some(moved) => project = moved,
                None => return Ok(()),
            }
        }
        if well {
            watched.revivals.well(project.reference);
            return Ok(());
        }
        let inner = Arc::clone(self);
        self.tasks.spawn(async move {
            tokio::select! {
                biased;
                () = inner.stopping.cancelled() => {}
                revived = inner.revive(&project, &health) => if let Err(error) = revived {
                    tracing::warn!(project = %project.reference, error = %error.chain(), "cannot start it again");
                }
            }
        });
        Ok(())
    }

    /// Whether what runs is what was wished. Asked only where a restart or a reconfiguration gave up: what it was to replace
    /// may run on, and well.
    async fn is_as_wished(&self, project: &Project) -> Result<bool> {
        if project.status != Status::ActiveUnhealthy || project.status_operation.is_none() {
            return Ok(true);
        }
        let backend = &self.target_of(project)?.backend;
        let runtime = self.runtime_of(project).await?;
        Ok(backend.plan(&Context::new(LOOK), &runtime, Wish::Active).await?.is_empty())
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

/// A step of the watcher's, ended if it takes longer than a look may.
pub(super) async fn within<T>(what: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
    match tokio::time::timeout(LOOK, work).await {
        Ok(done) => done,
        Err(_) => Err(Error::new(Kind::Timeout, format!("{what} within {LOOK:?}"))),
    }
}
