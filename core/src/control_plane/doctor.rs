//! Comparing what is on the engines with what the store knows: what is missing, what has no owner, and removing that.
//!
//! # Guarantees
//! Only what carries [this installation's id](crate::Runtime::installation), is older than a grace period and has no
//! owner is ever removed. What says nothing of its installation is told and left alone.
//!
//! # Caveats
//! A store that was set back to an older backup does not know the projects that were made since: they have no owner
//! then. A copy of a store has its installation's id: never let two of them serve one engine.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use time::OffsetDateTime;

use super::{ControlPlane, Inner, Target, prepare::amend};
use crate::{
    context::Context,
    error::{Detail, Error, Kind, Result},
    event::Fact,
    inventory::Holding,
    lifecycle::Status,
    names::{InstallationId, ProjectName, TargetName},
    page::PageRequest,
    project::{Project, ProjectFilter},
    project_ref::ProjectRef,
    store::{Change, ProjectUpdate},
};

/// How long a look at one engine may take.
const LOOK: Duration = Duration::from_secs(10);
/// How long all removals of one examination may take. What is not gone then is left for the next.
const REMOVE: Duration = Duration::from_secs(15);
/// How many projects' remains are removed at once on one target.
const AT_ONCE: usize = 4;
/// The statuses in which a project has something on its engine, whatever happens.
const KEPT: [Status; 8] = [
    Status::ActiveHealthy,
    Status::ActiveUnhealthy,
    Status::Pausing,
    Status::PauseFailed,
    Status::Inactive,
    Status::Restoring,
    Status::RestoreFailed,
    Status::Restarting,
];

/// What the doctor found on every target that its host serves.
#[derive(Debug)]
pub struct Diagnosis {
    /// Whose doctor it was.
    pub installation: InstallationId,
    /// What was found on each target, by ref; an error where its engine could not be looked at.
    pub targets: BTreeMap<TargetName, Result<Vec<Finding>>>,
}

/// One project of which engine and store do not say the same.
#[derive(Debug)]
pub struct Finding {
    /// The project.
    pub project: ProjectRef,
    /// What is wrong with it.
    pub trouble: Trouble,
    /// What people call it, if the store knows it.
    pub name: Option<ProjectName>,
    /// Where it stands, if the store knows it.
    pub status: Option<Status>,
    /// The installation that its resources were made for, if all of them say the same.
    pub installation: Option<InstallationId>,
    /// What there is of it, by kind.
    pub resources: BTreeMap<String, u32>,
    /// When the oldest of that was made.
    pub since: Option<OffsetDateTime>,
    /// What came of removing it; `None` where that was not tried.
    pub removed: Option<Result<()>>,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Trouble {
    /// A live project of which the engine has nothing at all.
    Missing,
    /// The engine has what this installation made for a project that its store does not know.
    Unknown,
    /// The engine has what this installation made for a project that was removed.
    Removed,
    /// Something is left of a project that could not be made or could not be destroyed: retry or destroy it.
    Failed,
    /// The store does not know the project, and its resources do not say which installation made them.
    Unlabelled,
    /// Another installation's project. Nothing is wrong with it.
    Foreign,
}

/// What the doctor does about what has no owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is told.
    Never,
    /// It is removed if this installation made it, longer ago than [`Settings::grace`](super::Settings::grace).
    AfterGrace,
    /// It is removed if this installation made it, longer ago than that. A late request of a worker that lost its lease
    /// may land within the lease margin, so less than that is no time to wait.
    OlderThan(Duration),
}

impl Trouble {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Missing, Self::Unknown, Self::Removed, Self::Failed, Self::Unlabelled, Self::Foreign];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Unknown => "unknown",
            Self::Removed => "removed",
            Self::Failed => "failed",
            Self::Unlabelled => "unlabelled",
            Self::Foreign => "foreign",
        }
    }

    /// Whether somebody has to do something.
    #[must_use]
    pub const fn needs_attention(self) -> bool {
        !matches!(self, Self::Foreign)
    }

    /// Whether it is this installation's and has no owner, so that it may be removed.
    #[must_use]
    pub const fn is_ownerless(self) -> bool {
        matches!(self, Self::Unknown | Self::Removed)
    }

    /// What a holding comes to, with what the store knows of its project; `None` where both agree.
    fn of(holding: &Holding, project: Option<&Project>, ours: &InstallationId) -> Option<Self> {
        let by_label = |if_ours| match &holding.installation {
            Some(installation) if installation == ours => if_ours,
            Some(_) => Self::Foreign,
            None => Self::Unlabelled,
        };
        match project.map(|project| project.status) {
            None => Some(by_label(Self::Unknown)),
            Some(Status::Removed) => Some(by_label(Self::Removed)),
            Some(Status::InitFailed | Status::DestroyFailed) => Some(Self::Failed),
            Some(
                Status::ComingUp
                | Status::ActiveHealthy
                | Status::ActiveUnhealthy
                | Status::Pausing
                | Status::PauseFailed
                | Status::Inactive
                | Status::Restoring
                | Status::RestoreFailed
                | Status::Restarting
                | Status::GoingDown,
            ) => None,
        }
    }
}

impl Diagnosis {
    /// Whether nothing is left for anybody to do: each engine was seen, and what was wrong there is removed.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.targets.values().all(|target| {
            target.as_ref().is_ok_and(|findings| findings.iter().all(|finding| !finding.needs_attention()))
        })
    }
}

impl Finding {
    /// Whether somebody has to do something about it still.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        self.trouble.needs_attention() && !matches!(self.removed, Some(Ok(())))
    }

    fn new(project: ProjectRef, trouble: Trouble, known: Option<&Project>) -> Self {
        Self {
            project,
            trouble,
            name: known.map(|project| project.name.clone()),
            status: known.map(|project| project.status),
            installation: None,
            resources: BTreeMap::new(),
            since: None,
            removed: None,
        }
    }
}

impl ControlPlane {
    /// Compares every engine that this host serves with the store, and removes what has no owner if it is told to.
    /// An engine that does not answer keeps the others from nothing. Removals together take at most 15 seconds; what is
    /// not gone then says so, and the next call goes on.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use freehold_core::{Keyring, control_plane::*, memory::*, seal::SealKey};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> freehold_core::Result<()> {
    /// # let control = ControlPlane::builder()
    /// #     .store(Arc::new(MemoryStore::default()))
    /// #     .sealer(Arc::new(Keyring::new(SealKey::random()?)))
    /// #     .target("local".parse()?, Arc::new(MemoryBackend::new()?), TargetSettings::default())
    /// #     .build()
    /// #     .await?;
    /// let diagnosis = control.doctor(Removal::Never).await;
    /// assert!(diagnosis.is_well(), "{diagnosis:?}");
    /// # Ok(())
    /// # }
    /// ```
    pub async fn doctor(&self, removal: Removal) -> Diagnosis {
        let grace = match removal {
            Removal::Never => None,
            Removal::AfterGrace => Some(self.0.settings.grace),
            Removal::OlderThan(grace) => Some(grace),
        };
        let looks = self.0.targets.values().map(|target| async {
            let mut findings = self.0.examine(target).await;
            if let (Ok(findings), Some(grace)) = (&mut findings, grace) {
                let ownerless = findings.iter_mut().filter(|finding| finding.trouble.is_ownerless());
                self.0.remove_all(target, ownerless, grace, &mut BTreeSet::new()).await;
            }
            (target.name.clone(), findings)
        });
        let targets = futures_util::future::join_all(looks).await.into_iter().collect();
        Diagnosis { installation: self.0.installation.clone(), targets }
    }
}

impl Inner {
    /// What is wrong on a target. A project may be on its way while engine and store are asked one after the other, so
    /// what needs somebody's attention is what two looks agree on.
    pub(super) async fn examine(&self, target: &Target) -> Result<Vec<Finding>> {
        let first = self.look_around(target).await?;
        if !first.iter().any(Finding::needs_attention) {
            return Ok(first);
        }
        let mut second = self.look_around(target).await?;
        second.retain(|finding| {
            let seen_before =
                |one: &Finding| (one.project, one.trouble) == (finding.project, finding.trouble);
            first.iter().any(seen_before)
        });
        Ok(second)
    }

    async fn look_around(&self, target: &Target) -> Result<Vec<Finding>> {
        // Before the engine is asked: what is made meanwhile is not missing.
        let expected = self.kept_on(target).await?;
        let ctx = Context::new(LOOK);
        let inventory = target.backend.inventory(&ctx);
        let holdings = ctx.bounded("list what is on the engine", inventory).await?;
        let held: BTreeSet<_> = holdings.iter().map(|holding| holding.project).collect();
        let missing = expected.values().filter(|project| !held.contains(&project.reference));
        let mut findings: Vec<_> =
            missing.map(|project| Finding::new(project.reference, Trouble::Missing, Some(project))).collect();
        for holding in holdings.into_iter().filter(|holding| !expected.contains_key(&holding.project)) {
            // After it: what is made meanwhile has its owner.
            let project = match self.store.project(&holding.project).await {
                Ok(project) => project,
                // Its row cannot be read: it has an owner, whatever that says, and the others are looked at.
                Err(error) if error.kind() == Kind::Internal => {
                    tracing::error!(project = %holding.project, error = %error.chain(), "cannot tell a project's owner");
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some(trouble) = Trouble::of(&holding, project.as_ref(), &self.installation) else { continue };
            findings.push(Finding {
                installation: holding.installation,
                resources: holding.resources,
                since: Some(holding.oldest),
                ..Finding::new(holding.project, trouble, project.as_ref())
            });
        }
        findings.sort_by_key(|finding| finding.project);
        Ok(findings)
    }

    /// The projects that must have something on a target's engine.
    async fn kept_on(&self, target: &Target) -> Result<BTreeMap<ProjectRef, Project>> {
        let filter = ProjectFilter {
            targets: vec![target.name.clone()],
            statuses: KEPT.to_vec(),
            ..ProjectFilter::default()
        };
        let mut page = PageRequest::first(PageRequest::MAX);
        let mut projects = BTreeMap::new();
        loop {
            let found = self.store.projects(&filter, &page).await?;
            projects.extend(found.items.into_iter().map(|project| (project.reference, project)));
            match found.next {
                Some(next) => page.after = Some(next),
                None => return Ok(projects),
            }
        }
    }

    /// Removes what is old enough, and notes in each finding what came of it. `told` are projects whose events say so
    /// already.
    pub(super) async fn remove_all(
        &self,
        target: &Target,
        findings: impl Iterator<Item = &mut Finding>,
        grace: Duration,
        told: &mut BTreeSet<ProjectRef>,
    ) {
        let now = self.clock.now();
        let old = findings.filter(|finding| finding.since.is_some_and(|since| now - since >= grace));
        let old: Vec<_> = old.map(|finding| (told.insert(finding.project), finding)).collect();
        let ctx = &Context::new(REMOVE);
        let mut removals = Vec::with_capacity(old.len());
        for (tell, finding) in old {
            removals.push(async move {
                let removed = self.remove(target, finding, tell, ctx).await;
                if let Err(error) = &removed {
                    tracing::warn!(
                        project = %finding.project, target = %target.name, error = %error.chain(),
                        "cannot remove what has no owner"
                    );
                }
                finding.removed.insert(removed).is_ok().then_some(finding.project)
            });
        }
        let gone: Vec<_> = stream::iter(removals).buffer_unordered(AT_ONCE).collect().await;
        // What lands there once more is told once more.
        told.retain(|project| !gone.contains(&Some(*project)));
    }

    async fn remove(&self, target: &Target, finding: &Finding, tell: bool, ctx: &Context) -> Result<()> {
        let reference = &finding.project;
        let project = self.store.project(reference).await?;
        if let Some(project) = &project {
            if project.status != Status::Removed {
                let message = format!("remove what is left of project {reference}: it is {}", project.status);
                return Err(Error::new(Kind::Conflict, message));
            }
            if tell {
                self.tell_swept(project, target, finding).await?;
            }
        }
        tracing::warn!(
            project = %reference, target = %target.name, resources = ?finding.resources,
            since = finding.since.map(tracing::field::display),
            "removing what has no owner"
        );
        let destroyed = target.backend.destroy(ctx, reference);
        ctx.bounded("remove what has no owner", destroyed).await.map(drop)
    }

    /// Puts it into the events, before anything is done.
    async fn tell_swept(&self, project: &Project, target: &Target, finding: &Finding) -> Result<()> {
        let fact = Fact::Swept { target: target.name.clone(), resources: finding.resources.clone() };
        let change = Change { facts: vec![fact], ..amend(ProjectUpdate::of(project)) };
        match self.store.commit(change).await {
            // Another host tells it at this moment.
            Err(error) if matches!(error.detail(), Some(Detail::LostRace)) => Ok(()),
            committed => committed.map(drop),
        }
    }
}
