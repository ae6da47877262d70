//! Paused is a wish as well: what is found of a paused project, the container of a late request for instance, is taken away
//! by another pause, which shows as one.
//!
//! Looks at paused projects seldom find anything. So each target has one at a time, never closer than a fifth of a second,
//! and a round takes as long as that takes.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use rand::Rng as _;
use tokio::time::Instant;

use super::{
    Inner, Target,
    prepare::command,
    revive::STAGGER,
    watcher::{LOOK, PAGE, within},
};
use crate::{
    context::Context,
    error::{Detail, Result},
    lifecycle::{self, Status, Trigger},
    operation::{OperationId, OperationKind},
    page::PageRequest,
    plan::{Action, Wish},
    project::{Project, ProjectFilter},
    store::{Guard, ProjectUpdate, StatusChange},
};

/// A paused project is looked at so many times less often than an active one.
const SELDOM: u32 = 6;
/// The shortest time between two looks on one target.
const GAP: Duration = Duration::from_millis(200);

impl Inner {
    /// Looks at the paused projects of one target, round by round.
    pub(super) async fn watch_paused(self: &Arc<Self>, target: &Target) {
        let interval = self.settings.watch * SELDOM;
        let mut projects = 1;
        loop {
            let begun = Instant::now();
            match self.paused_round(target, (interval / projects).max(GAP)).await {
                Ok(seen) => projects = seen.max(1),
                Err(error) => {
                    tracing::warn!(target = %target.name, error = %error.chain(), "cannot watch what is paused");
                }
            }
            tokio::time::sleep_until(begun + interval).await;
        }
    }

    /// Looks at each once, with a gap between two. Gives how many there were.
    async fn paused_round(self: &Arc<Self>, target: &Target, gap: Duration) -> Result<u32> {
        let filter = ProjectFilter {
            targets: vec![target.name.clone()],
            statuses: vec![Status::Inactive, Status::Pausing],
            ..ProjectFilter::default()
        };
        let (mut page, mut there) = (PageRequest::first(PAGE), BTreeSet::new());
        loop {
            let listed = within("list the paused projects", self.store.projects(&filter, &page)).await?;
            for project in listed.items {
                there.insert(project.reference);
                if project.status == Status::Inactive {
                    tokio::time::sleep(gap).await;
                    self.watch_paused_one(project, target).await;
                }
            }
            match listed.next {
                Some(next) => page.after = Some(next),
                None => break,
            }
        }
        target.watched.pauses.forget_all_but(&there);
        Ok(u32::try_from(there.len()).unwrap_or(u32::MAX))
    }

    async fn watch_paused_one(self: &Arc<Self>, project: Project, target: &Target) {
        let reference = project.reference;
        match within("look at a paused project", self.what_is_up(&project, target)).await {
            Ok(None) => target.watched.pauses.well(reference),
            Ok(Some(_)) => {
                let inner = Arc::clone(self);
                self.tasks.spawn(async move {
                    tokio::select! {
                        biased;
                        () = inner.stopping.cancelled() => {}
                        paused = inner.pause_again(&project) => if let Err(error) = paused {
                            tracing::warn!(project = %reference, error = %error.chain(), "cannot pause it again");
                        }
                    }
                });
            }
            Err(error) => {
                tracing::debug!(project = %reference, error = %error.chain(), "cannot see a paused project");
            }
        }
    }

    /// Pauses a project again if there is still anything of it, when its turn comes. However often: a pause takes nothing
    /// from anybody, and each rests longer. Returns once that has ended.
    async fn pause_again(&self, project: &Project) -> Result<()> {
        let target = self.target_of(project)?;
        let pauses = &target.watched.pauses;
        let Some(turn) = pauses.turn(project.reference, u32::MAX) else { return Ok(()) };
        let Some(_place) = pauses.place().await else { return Ok(()) };
        let stagger = self.rng().random_range(0.0..1.0);
        tokio::time::sleep(STAGGER.mul_f64(stagger)).await;
        // Much may have happened while it waited, and one look may have seen the last moment of a pause.
        let project = within("read the project again", self.existing_project(&project.reference)).await?;
        if project.status != Status::Inactive {
            return Ok(());
        }
        let up = within("look at a paused project again", self.what_is_up(&project, target)).await?;
        let Some(up) = up else { return Ok(()) };
        let begun = within("record its pause", self.begin_pause(&project, up)).await?;
        let Some(operation) = begun else { return Ok(()) };
        turn.count();
        if let Some(ended) = self.ended(operation).await {
            turn.rest(&ended, u32::MAX);
        }
        Ok(())
    }

    /// Records the pause; `None` if somebody else's operation came first.
    async fn begin_pause(&self, project: &Project, up: String) -> Result<Option<OperationId>> {
        let to = lifecycle::next(project.status, Trigger::NotPaused)?;
        let status = Some(StatusChange { to, reason: Some(format!("found though it is paused: {up}")) });
        let update = ProjectUpdate { guard: Guard::Idle, status, ..ProjectUpdate::of(project) };
        let operation = self.new_operation(OperationKind::Pause, vec![], project.generation);
        let id = operation.id;
        match self.store.commit(command(update, operation)).await {
            Ok(_) => {
                tracing::warn!(project = %project.reference, up, "found though it is paused; pausing it again");
                Ok(Some(id))
            }
            Err(error) if matches!(error.detail(), Some(Detail::LostRace | Detail::Busy { .. })) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What a pause would take away. Data that is gone is not among it: that is for a resume to tell.
    async fn what_is_up(&self, project: &Project, target: &Target) -> Result<Option<String>> {
        let runtime = self.runtime_of(project).await?;
        let plan = target.backend.plan(&Context::new(LOOK), &runtime, Wish::Paused).await?;
        let up = plan.changes.iter().filter(|change| matches!(change.action, Action::Stop | Action::Remove));
        let up: Vec<_> = up.map(|change| format!("{} {}", change.resource, change.name)).collect();
        Ok((!up.is_empty()).then(|| up.join(", ")))
    }
}
