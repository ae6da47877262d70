//! Active is a wish: a project that is found down is started again.
//!
//! After a restart of an engine or a machine many are found down at once. They are started a few at a time, so that people's
//! own commands find a place beside them, and each only so often until it was well for a good while.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rand::Rng as _;
use tokio::{
    sync::{Semaphore, SemaphorePermit},
    time::Instant,
};

use super::{
    Inner, Target,
    prepare::command,
    watcher::{LOOK, within},
};
use crate::{
    context::Context,
    error::{Detail, Kind, Result},
    event::Fact,
    health::Health,
    lifecycle::Status,
    names::ServiceName,
    operation::{Operation, OperationId, OperationKind},
    plan::{Action, Plan, PlannedChange, Wish},
    project::Project,
    project_ref::ProjectRef,
    provisioner::Capability,
    store::Change,
};

/// Hosts that find the same project down do not all start it in the same moment.
pub(super) const STAGGER: Duration = Duration::from_secs(2);
/// The pause after the first revival; it doubles with each further one.
const REST: Duration = Duration::from_secs(20);
/// Once it was well for so long, a project's revivals are forgotten.
const WELL: Duration = Duration::from_secs(600);

/// How often each project of a target was started again since it was last well for good.
#[derive(Debug)]
pub(super) struct Revivals {
    counts: Mutex<BTreeMap<ProjectRef, Revival>>,
    /// How many may be started again at once.
    places: Semaphore,
}

#[derive(Clone, Copy, Debug)]
struct Revival {
    count: u32,
    not_before: Instant,
    well_since: Option<Instant>,
    under_way: bool,
}

/// What of a project is down.
struct Down {
    /// In words.
    what: String,
    /// The services to restart; empty is all.
    scope: Vec<ServiceName>,
}

/// The right to start a project again, given back when it is dropped.
pub(super) struct Turn<'a> {
    revivals: &'a Revivals,
    project: ProjectRef,
}

impl Revivals {
    /// At most half of a target's operations are revivals.
    pub(super) fn of(max_operations: u32) -> Self {
        let places = usize::try_from(max_operations / 2).unwrap_or(1).max(1);
        Self { counts: Mutex::default(), places: Semaphore::new(places) }
    }

    fn counts(&self) -> MutexGuard<'_, BTreeMap<ProjectRef, Revival>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The project is well: in a while it starts afresh.
    pub(super) fn well(&self, project: ProjectRef) {
        let mut counts = self.counts();
        let Some(revival) = counts.get_mut(&project) else { return };
        let since = *revival.well_since.get_or_insert_with(Instant::now);
        if since.elapsed() >= WELL && !revival.under_way {
            counts.remove(&project);
        }
    }

    pub(super) fn forget_all_but(&self, alive: &BTreeSet<ProjectRef>) {
        self.counts().retain(|project, revival| alive.contains(project) || revival.under_way);
    }

    /// One of the places for those that are started again; `None` once that is over.
    pub(super) async fn place(&self) -> Option<SemaphorePermit<'_>> {
        self.places.acquire().await.ok()
    }

    /// A project's turn, unless it has one or was started again often or lately.
    pub(super) fn turn(&self, project: ProjectRef, most: u32) -> Option<Turn<'_>> {
        let now = Instant::now();
        let mut counts = self.counts();
        let fresh = Revival { count: 0, not_before: now, well_since: None, under_way: false };
        let revival = counts.entry(project).or_insert(fresh);
        revival.well_since = None;
        if revival.under_way || revival.count >= most || now < revival.not_before {
            return None;
        }
        revival.under_way = true;
        Some(Turn { revivals: self, project })
    }

    fn change(&self, project: ProjectRef, change: impl FnOnce(&mut Revival)) {
        if let Some(revival) = self.counts().get_mut(&project) {
            change(revival);
        }
    }
}

impl Turn<'_> {
    /// It was begun.
    pub(super) fn count(&self) {
        self.revivals.change(self.project, |revival| revival.count += 1);
    }

    /// It has ended: the next one waits a while, or for people if no other would help.
    pub(super) fn rest(&self, ended: &Operation, most: u32) {
        let hopeless = matches!(
            ended.error.as_ref().and_then(|error| error.detail.as_ref()),
            Some(Detail::DataGone { .. })
        );
        self.revivals.change(self.project, |revival| {
            let doubled = 2_u32.saturating_pow(revival.count.saturating_sub(1).min(8));
            revival.not_before = Instant::now() + REST * doubled;
            if hopeless {
                revival.count = most;
            }
        });
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.revivals.change(self.project, |revival| revival.under_way = false);
    }
}

impl Inner {
    /// Starts a project again if something of it is down, when its turn comes: bounded in number, with the reason in the
    /// events. Returns once that has ended.
    pub(super) async fn revive(&self, project: &Project, health: &Health) -> Result<()> {
        let most = self.settings.revivals;
        let target = self.target_of(project)?;
        let revivals = &target.watched.revivals;
        let Some(turn) = revivals.turn(project.reference, most) else { return Ok(()) };
        let Some(down) = within("see what is down", self.what_is_down(project, health, target)).await? else {
            return Ok(());
        };
        let Some(_place) = revivals.place().await else { return Ok(()) };
        let stagger = self.rng().random_range(0.0..1.0);
        tokio::time::sleep(STAGGER.mul_f64(stagger)).await;
        // Much may have happened while it waited.
        let project = within("read the project again", self.existing_project(&project.reference)).await?;
        if project.status != Status::ActiveUnhealthy {
            return Ok(());
        }
        let begun = within("record its restart", self.start_again(&project, down, health)).await?;
        let Some(operation) = begun else { return Ok(()) };
        turn.count();
        if let Some(ended) = self.ended(operation).await {
            turn.rest(&ended, most);
        }
        Ok(())
    }

    /// Records the restart; `None` if somebody else's operation came first.
    async fn start_again(
        &self,
        project: &Project,
        down: Down,
        health: &Health,
    ) -> Result<Option<OperationId>> {
        let reason = format!("found down: {}; {}", down.what, health.complaints());
        let update = match self.begin(project, OperationKind::Restart).await {
            Ok(update) => update,
            Err(error) if error.kind() == Kind::Conflict => return Ok(None),
            Err(error) => return Err(error),
        };
        let operation = self.new_operation(OperationKind::Restart, down.scope, project.generation);
        let id = operation.id;
        let change = Change { facts: vec![Fact::Revived { reason }], ..command(update, operation) };
        match self.store.commit(change).await {
            Ok(_) => {
                tracing::warn!(project = %project.reference, down = down.what, "found down; starting it again");
                Ok(Some(id))
            }
            Err(error) if matches!(error.detail(), Some(Detail::LostRace | Detail::Busy { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What would have to be made or started of what is not well; `None` if all of it runs, however badly.
    async fn what_is_down(
        &self,
        project: &Project,
        health: &Health,
        target: &Target,
    ) -> Result<Option<Down>> {
        let runtime = self.runtime_of(project).await?;
        let Plan { changes } = target.backend.plan(&Context::new(LOOK), &runtime, Wish::Active).await?;
        let unwell = |service: &str| {
            health.services.iter().any(|seen| seen.service.as_str() == service && !seen.state.is_well())
        };
        let down: Vec<&PlannedChange> = changes
            .iter()
            .filter(|change| matches!(change.action, Action::Create | Action::Start))
            .filter(|change| change.service.is_empty() || unwell(&change.service))
            .collect();
        if down.is_empty() {
            return Ok(None);
        }
        let what: Vec<_> = down.iter().map(|change| format!("{} {}", change.resource, change.name)).collect();
        Ok(Some(Down { what: what.join(", "), scope: scope(&down, target) }))
    }

    /// The operation once it has ended. `None` if it is not kept any more.
    pub(super) async fn ended(&self, operation: OperationId) -> Option<Operation> {
        loop {
            match within("read the operation", self.store.operation(operation)).await {
                Ok(Some(found)) if !found.state.has_ended() => {}
                Ok(found) => return found,
                Err(error) => tracing::debug!(%operation, error = %error.chain(), "cannot see an operation"),
            }
            tokio::time::sleep(self.settings.poll).await;
        }
    }
}

/// Only what is down is restarted, so that nobody's connection to the rest is lost; all where it is not only services.
fn scope(down: &[&PlannedChange], target: &Target) -> Vec<ServiceName> {
    if !target.description.capabilities.contains(&Capability::RestartServices) {
        return vec![];
    }
    let mut services: Vec<ServiceName> = Vec::with_capacity(down.len());
    for change in down {
        match change.service.parse() {
            Ok(service) if services.contains(&service) => {}
            Ok(service) => services.push(service),
            Err(_) => return vec![],
        }
    }
    services
}
