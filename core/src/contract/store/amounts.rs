//! How much there may be of everything, and how much there is.

use super::{
    Stage,
    changes::{active, at_once, create, creation, destroy, finish, new_project, try_claim},
};
use crate::{
    contract::failure::{Verified, refused},
    error::{Detail, Result},
    lifecycle::Status,
    operation::{OperationKind, OperationState},
    runtime::Limits,
    store::{Bounds, Change, NewProject},
};

const BOUNDS: [(&str, Bounds); 3] = {
    let none = Bounds { max_projects: None, max_memory_bytes: None, max_projects_per_organization: None };
    [
        ("max_projects", Bounds { max_projects: Some(3), ..none }),
        ("max_memory_bytes", Bounds { max_memory_bytes: Some(350), ..none }),
        ("max_projects_per_organization", Bounds { max_projects_per_organization: Some(3), ..none }),
    ]
};

/// A project of 100 bytes, of an organization named for the setting that bounds it.
fn bounded(setting: &str, bounds: Bounds, n: usize) -> Result<Change> {
    Ok(creation(NewProject {
        organization: setting.parse()?,
        target: if n == 0 { "local".parse()? } else { setting.parse()? },
        limits: Limits { memory_bytes: Some(100), cpus: None },
        bounds,
        ..new_project(&format!("{setting} {n}"))?
    }))
}

pub(super) async fn bounds_hold_for_creates_that_come_at_once_and_name_their_setting(
    Stage { store, .. }: Stage,
) -> Verified {
    for (setting, bounds) in BOUNDS {
        let creates = (1..=10).map(|n| {
            let store = store.clone();
            async move { store.commit(bounded(setting, bounds, n)?).await }
        });
        let answers = at_once(creates).await?;
        ensure_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 3, "projects under {setting}");
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            let names_it =
                matches!(error.detail(), Some(Detail::Bound { setting: named, .. }) if named == setting);
            ensure!(names_it, "a create over {setting} was refused with {error:?}");
        }
    }
    Ok(())
}

pub(super) async fn a_bound_does_not_count_what_was_removed(Stage { store, .. }: Stage) -> Verified {
    for (setting, bounds) in BOUNDS {
        let limits = Limits { memory_bytes: Some(150), cpus: None };
        let change = |n: usize| -> Result<Change> {
            let name = format!("{setting} {n}");
            let organization = setting.parse()?;
            let project = NewProject { organization, limits, bounds, ..new_project(&name)? };
            Ok(creation(project))
        };
        let most = if setting == "max_memory_bytes" { 2 } else { 3 };
        let mut projects = Vec::new();
        for n in 0..most {
            store.commit(change(n)?).await?;
            projects.push(finish(&*store, Status::ActiveHealthy).await?);
        }
        refused(store.commit(change(most)?).await, format_args!("a project over {setting}"))?;
        destroy(&*store, &projects[0]).await?;
        store.commit(change(most)?).await?;
        projects.push(finish(&*store, Status::ActiveHealthy).await?);
        for project in &projects[1..] {
            destroy(&*store, project).await?;
        }
    }
    Ok(())
}

pub(super) async fn the_census_counts_projects_and_operations_and_how_long_the_oldest_waits(
    Stage { store, .. }: Stage,
) -> Verified {
    active(&*store, "one").await?;
    ensure_eq!(store.census().await?.oldest_waiting, None, "how long the oldest of none waits");
    create(&*store, "two").await?;
    create(&*store, "three").await?;
    let census = store.census().await?;
    ensure_eq!(census.projects.get(&Status::ActiveHealthy), Some(&1), "active projects");
    ensure_eq!(census.projects.get(&Status::ComingUp), Some(&2), "projects that come up");
    let waiting = (OperationKind::Create, OperationState::Waiting);
    ensure_eq!(census.operations.get(&waiting), Some(&2), "creates that wait");
    ensure_eq!(census.operations.len(), 1, "what is in flight, without the create that has ended");
    ensure!(census.oldest_waiting.is_some(), "nobody knows how long the oldest waits");
    while try_claim(&*store).await?.is_some() {}
    ensure_eq!(store.census().await?.oldest_waiting, None, "how long the oldest waits when none does");
    Ok(())
}
