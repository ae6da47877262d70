//! A project's row changes only from the version that is expected.

use super::{
    Stage,
    changes::{active, amendment, at_once, pause, reread},
};
use crate::{
    contract::failure::{Verified, refused, there},
    error::Detail,
    lifecycle::Status,
    project::Project,
    store::{Change, Guard, ProjectUpdate, StatusChange},
};

pub(super) async fn of_two_changes_prepared_from_one_version_the_second_loses_the_race(
    Stage { store, .. }: Stage,
) -> Verified {
    let project = active(&*store, "demo").await?;
    let rename = |name: &str| {
        Ok::<_, crate::Error>(amendment(ProjectUpdate {
            name: Some(name.parse()?),
            ..ProjectUpdate::of(&project)
        }))
    };
    let renamed = store.commit(rename("one")?).await?.project;
    ensure_eq!(renamed.version, project.version + 1, "the version after one change");
    let error = refused(store.commit(rename("two")?).await, "a change from a version that is gone")?;
    ensure!(error.is_lost_race(), "the second change was refused with {error:?}");
    ensure_eq!(reread(&*store, &project.reference).await?, renamed, "the project after the race");
    Ok(())
}

pub(super) async fn of_many_changes_at_once_exactly_one_wins(Stage { store, .. }: Stage) -> Verified {
    let project = active(&*store, "demo").await?;
    let pauses = (0..20).map(|_| {
        let (store, change) = (store.clone(), pause(&project));
        async move { store.commit(change).await }
    });
    let answers = at_once(pauses).await?;
    ensure_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "how many of 20 changes won");
    for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
        ensure!(error.is_lost_race(), "one that lost was refused with {error:?}");
    }
    let after = reread(&*store, &project.reference).await?;
    ensure_eq!((after.status, after.version), (Status::Pausing, project.version + 1), "the project");
    Ok(())
}

pub(super) async fn the_watcher_moves_only_a_project_that_is_idle(Stage { store, .. }: Stage) -> Verified {
    let sees = |project: &Project| -> Change {
        let status =
            Some(StatusChange { to: Status::ActiveUnhealthy, reason: Some("db is down".to_owned()) });
        amendment(ProjectUpdate { status, guard: Guard::Idle, ..ProjectUpdate::of(project) })
    };
    let project = active(&*store, "demo").await?;
    let seen = store.commit(sees(&project)).await?.project;
    ensure_eq!((seen.status, seen.status_operation), (Status::ActiveUnhealthy, None), "what the watcher saw");
    let paused = store.commit(pause(&seen)).await?.project;
    let error = refused(store.commit(sees(&paused)).await, "the watcher's change beside an operation")?;
    ensure!(matches!(error.detail(), Some(Detail::Busy { .. })), "it was refused with {error:?}");
    Ok(())
}

pub(super) async fn what_was_observed_is_noted_and_changes_no_version(
    Stage { store, .. }: Stage,
) -> Verified {
    let project = active(&*store, "demo").await?;
    let before = store.now().await?;
    store.observed(&[project.reference]).await?;
    let seen = reread(&*store, &project.reference).await?;
    let observed_at = there(seen.observed_at, "when it was observed")?;
    ensure!(before <= observed_at && observed_at <= store.now().await?, "observed at {observed_at}");
    ensure_eq!((seen.version, seen.updated_at), (project.version, project.updated_at), "version and change");
    Ok(())
}
