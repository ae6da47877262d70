//! Removing all that a project has, found by its labels and its folder. What resists is named and keeps nothing else
//! from going.

use std::io::ErrorKind;

use freehold_core::{Context, Error, Kind, ProjectRef, Result};
use futures_util::future::join_all;

use crate::{
    engine::{Engine, Patience, at},
    files::Files,
    observed::Observed,
};

/// Removes a project: containers, then networks and volumes, then the folder. What lands while it works, a late request
/// of a call that was cancelled for instance, goes in another pass.
///
/// # Errors
/// The first thing that resisted, with all that is left in the context pair `left`.
pub(crate) async fn destroy(
    engine: &Engine,
    files: &Files,
    ctx: &Context,
    project: &ProjectRef,
) -> Result<()> {
    let patience = Patience::new(ctx);
    let mut observed = Observed::of(engine, ctx, Some(project)).await?;
    loop {
        let failures = remove(engine, files, ctx, project, &observed).await?;
        let rest = Observed::of(engine, ctx, Some(project)).await?;
        if !rest.has_more_than(&observed) {
            // What is in use may be in use by what the engine does not list yet, and what went may be made anew by that.
            let resists = failures.iter().any(|failure| failure.kind() != Kind::Conflict);
            let look_again = !resists && !rest.is_empty();
            if !look_again || !patience.lasts(ctx, "see what the engine still does").await? {
                return verdict(files, project, &rest, failures).await;
            }
        }
        observed = rest;
    }
}

/// One pass over what was found. Answers what resisted.
async fn remove(
    engine: &Engine,
    files: &Files,
    ctx: &Context,
    project: &ProjectRef,
    observed: &Observed,
) -> Result<Vec<Error>> {
    let mut failures = Vec::new();
    // Nobody needs what is in them any more, so nothing is stopped with care.
    let containers = observed.containers.iter().map(|container| async {
        let service = container.service();
        ctx.step("remove container", service).await?;
        let removed = engine.remove_container(ctx, &container.id).await;
        removed.map_err(|error| at("remove container", service, error))
    });
    collect(&mut failures, join_all(containers).await)?;
    let networks = observed.networks.iter().map(|network| async {
        ctx.step("remove network", "").await?;
        engine.remove_network(ctx, network).await.map_err(|error| at("remove network", "", error))
    });
    let volumes = observed.volumes.iter().map(|volume| async {
        ctx.step("remove volume", "").await?;
        engine.remove_volume(ctx, volume).await.map_err(|error| at("remove volume", "", error))
    });
    let (networks, volumes) = tokio::join!(join_all(networks), join_all(volumes));
    collect(&mut failures, networks)?;
    collect(&mut failures, volumes)?;
    if files.remains(project).await?.is_some() {
        ctx.step("remove folder", "").await?;
        let removed = remove_folder(engine, files, ctx, project).await;
        collect(&mut failures, vec![removed.map_err(|error| at("remove folder", "", error))])?;
    }
    Ok(failures)
}

/// Removes the project's folder. What containers of other users left in it is opened by the engine first, level by level,
/// if this process may not remove it.
async fn remove_folder(engine: &Engine, files: &Files, ctx: &Context, project: &ProjectRef) -> Result<()> {
    let folder = files.project(project);
    let failed = |error| Error::internal(format!("remove folder {}", folder.display())).because(error);
    let mut opened = Vec::new();
    loop {
        let denied = match files.remove_project(project).await {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => error,
            other => return other.map_err(failed),
        };
        let closed = files.closed_folders(project).await.map_err(failed)?;
        if closed.is_empty() || closed == opened {
            return Err(failed(denied));
        }
        ctx.step("open folders", "").await?;
        engine.open_folders(ctx, project, &folder, &closed).await?;
        opened = closed;
    }
}

/// Whether all is gone: the engine removes some things only behind its answer.
async fn verdict(files: &Files, project: &ProjectRef, rest: &Observed, failures: Vec<Error>) -> Result<()> {
    let mut left: Vec<String> = Vec::new();
    left.extend(rest.containers.iter().map(|container| format!("container {}", container.name)));
    left.extend(rest.networks.iter().map(|network| format!("network {}", network.name)));
    left.extend(rest.volumes.iter().map(|volume| format!("volume {}", volume.name)));
    if files.remains(project).await?.is_some() {
        left.push(format!("folder {}", files.project(project).display()));
    }
    if left.is_empty() {
        return Ok(());
    }
    let first = failures.into_iter().next().unwrap_or_else(|| {
        Error::new(Kind::Unavailable, "remove all of the project: the engine is still busy with it")
    });
    Err(first.with("left", left.join(", ")))
}

/// Keeps what resisted, and passes on what ends the call.
fn collect(failures: &mut Vec<Error>, results: Vec<Result<()>>) -> Result<()> {
    for error in results.into_iter().filter_map(Result::err) {
        if error.kind() == Kind::Cancelled || error.kind() == Kind::Timeout || error.is_lease_lost() {
            return Err(error);
        }
        failures.push(error);
    }
    Ok(())
}
