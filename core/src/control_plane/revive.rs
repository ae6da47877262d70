//! Active is a wish: a project that is found down is started again.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use rand::Rng as _;
use tokio::time::Instant;

use super::{Inner, prepare::command};
use crate::{
    context::Context,
    error::{Detail, Result},
    event::Fact,
    health::Health,
    operation::OperationKind,
    plan::{Action, Plan, Wish},
    project::Project,
    project_ref::ProjectRef,
    store::Change,
};

const LOOK: Duration = Duration::from_secs(10);
/// Many projects that are found down at once are started over this long.
const STAGGER: Duration = Duration::from_secs(2);
/// The pause after the first revival; it doubles with each further one.
const REST: Duration = Duration::from_secs(20);

/// How often each project was started again since it was last well.
#[derive(Debug, Default)]
pub(super) struct Revivals(BTreeMap<ProjectRef, Revival>);

#[derive(Clone, Copy, Debug)]
struct Revival {
    count: u32,
    not_before: Instant,
}

impl Revivals {
    /// The project is well: it starts afresh.
    pub(super) fn well(&mut self, project: ProjectRef) {
        self.0.remove(&project);
    }

    pub(super) fn forget_all_but(&mut self, alive: &BTreeSet<ProjectRef>) {
        self.0.retain(|project, revival| alive.contains(project) || Instant::now() < revival.not_before);
    }

    fn allowed(&self, project: ProjectRef, most: u32) -> bool {
        self.0
            .get(&project)
            .is_none_or(|revival| revival.count < most && Instant::now() >= revival.not_before)
    }

    fn count(&mut self, project: ProjectRef) {
        let now = Instant::now();
        let revival = self.0.entry(project).or_insert(Revival { count: 0, not_before: now });
        revival.not_before = now + REST * 2_u32.saturating_pow(revival.count.min(8));
        revival.count += 1;
    }
}

impl Inner {
    /// Starts a project again if something of it is down, bounded in number, with the reason in the events.
    pub(super) async fn revive(
        &self,
        project: &Project,
        health: &Health,
        revivals: &mut Revivals,
    ) -> Result<()> {
        if !revivals.allowed(project.reference, self.settings.revivals) {
            return Ok(());
        }
        let Some(down) = self.what_is_down(project).await else { return Ok(()) };
        let reason = format!("found down: {down}; {}", health.complaints());
        let update = match self.begin(project, OperationKind::Restart).await {
            Ok(update) => update,
            Err(error) if error.kind() == crate::error::Kind::Conflict => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut operation = self.new_operation(OperationKind::Restart, vec![], project.generation);
        operation.delay = STAGGER.mul_f64(self.rng().random_range(0.0..1.0));
        let change = Change { facts: vec![Fact::Revived { reason }], ..command(update, operation) };
        match self.store.commit(change).await {
            Ok(_) => {
                revivals.count(project.reference);
                tracing::warn!(project = %project.reference, down, "found down; starting it again");
                Ok(())
            }
            Err(error) if matches!(error.detail(), Some(Detail::LostRace | Detail::Busy { .. })) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// What would have to be made or started; `None` if all of it runs, however badly.
    async fn what_is_down(&self, project: &Project) -> Option<String> {
        let backend = &self.target_of(project).ok()?.backend;
        let runtime = self.runtime_of(project).await.ok()?;
        let ctx = Context::new(LOOK);
        let Plan { changes } = ctx
            .bounded("compare the project with its plan", backend.plan(&ctx, &runtime, Wish::Active))
            .await
            .ok()?;
        let down: Vec<_> = changes
            .iter()
            .filter(|change| matches!(change.action, Action::Create | Action::Start))
            .map(|change| format!("{} {}", change.resource, change.name))
            .collect();
        if down.is_empty() { None } else { Some(down.join(", ")) }
    }
}
