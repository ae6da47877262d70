//! What projects have on the engine and in the data folder: every one that has anything left, or one alone.

use std::collections::{BTreeMap, HashMap};

use freehold_core::{Context, Holding, InstallationId, ProjectRef, Result};
use time::OffsetDateTime;

use crate::{engine::Engine, files::Files, labels, observed::Observed};

/// What each project has. What carries our label with something that is no ref is not ours.
///
/// # Errors
/// Any call that fails: an inventory is whole or it is none.
pub(crate) async fn inventory(engine: &Engine, files: &Files, ctx: &Context) -> Result<Vec<Holding>> {
    let mut census = Census::of(&Observed::of(engine, ctx, None).await?);
    for (project, folder) in files.projects().await? {
        census.add(project, folder.installation, "folder", Some(folder.since));
    }
    Ok(census.0.into_values().collect())
}

/// What one project has, if anything.
///
/// # Errors
/// Any call that fails.
pub(crate) async fn holding(
    engine: &Engine,
    files: &Files,
    ctx: &Context,
    project: &ProjectRef,
) -> Result<Option<Holding>> {
    let mut census = Census::of(&Observed::of(engine, ctx, Some(project)).await?);
    if let Some(folder) = files.remains(project).await? {
        census.add(*project, folder.installation, "folder", Some(folder.since));
    }
    Ok(census.0.remove(project))
}

#[derive(Debug, Default)]
struct Census(BTreeMap<ProjectRef, Holding>);

impl Census {
    fn of(observed: &Observed) -> Self {
        let mut census = Self::default();
        for container in &observed.containers {
            census.count(&container.labels, "container", container.created);
        }
        for network in &observed.networks {
            census.count(&network.labels, "network", network.created);
        }
        for volume in &observed.volumes {
            census.count(&volume.labels, "volume", volume.created);
        }
        census
    }

    fn count(&mut self, labels: &HashMap<String, String>, kind: &str, created: Option<OffsetDateTime>) {
        if let Some(project) = labels.get(labels::REF).and_then(|label| label.parse().ok()) {
            let installation = labels.get(labels::INSTALLATION).and_then(|label| label.parse().ok());
            self.add(project, installation, kind, created);
        }
    }

    fn add(
        &mut self,
        project: ProjectRef,
        installation: Option<InstallationId>,
        kind: &str,
        created: Option<OffsetDateTime>,
    ) {
        // What does not tell its age was not there a moment ago, as far as anybody knows.
        let created = created.unwrap_or_else(OffsetDateTime::now_utc);
        let holding = self.0.entry(project).or_insert_with(|| Holding {
            project,
            installation: installation.clone(),
            resources: BTreeMap::new(),
            oldest: created,
        });
        *holding.resources.entry(kind.to_owned()).or_default() += 1;
        holding.oldest = holding.oldest.min(created);
        if holding.installation != installation {
            holding.installation = None;
        }
    }
}
