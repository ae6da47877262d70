//! Stopping containers: those that others wait for last, and each by its own signal. A stop is a signal, an awaited
//! exit, then a kill, so that no single request outlasts the lease margin.

use std::time::Duration;

use freehold_core::{Context, Result};
use futures_util::future::{try_join, try_join_all};

use crate::{
    engine::{Container, at},
    graph::Graph,
    watch::Watch,
};

/// How long a container may take to stop unless its stack says.
const GRACE: Duration = Duration::from_secs(10);

/// What becomes of a container that stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// It stays, to be started again.
    Keep,
    /// It goes.
    Remove,
}

/// Stops containers in reverse order of their start, those on one level at once.
pub(crate) async fn stop(
    watch: &Watch,
    ctx: &Context,
    graph: &Graph,
    containers: &[(&Container, Then)],
) -> Result<()> {
    let depths = depths(graph);
    let depth = |container: &Container| {
        // What the graph does not know waits for nothing, and may need anything: it goes first.
        depths
            .iter()
            .find(|(service, _)| *service == container.service())
            .map_or(usize::MAX, |(_, depth)| *depth)
    };
    let mut levels: Vec<usize> = containers.iter().map(|(container, _)| depth(container)).collect();
    levels.sort_unstable();
    levels.dedup();
    // Nobody waits for what stopped to be taken away: the next level stops meanwhile.
    let mut stopped: Vec<&Container> = Vec::new();
    for level in levels.into_iter().rev() {
        let on_level = || containers.iter().filter(|(container, _)| depth(container) == level);
        let stops = try_join_all(on_level().map(|(container, _)| stop_one(watch, ctx, container)));
        let removals = try_join_all(stopped.iter().map(|container| remove(watch, ctx, container)));
        try_join(stops, removals).await?;
        let goes = on_level().filter(|(_, then)| *then == Then::Remove);
        stopped = goes.map(|(container, _)| *container).collect();
    }
    try_join_all(stopped.iter().map(|container| remove(watch, ctx, container))).await?;
    Ok(())
}

async fn stop_one(watch: &Watch, ctx: &Context, container: &Container) -> Result<()> {
    let (id, service) = (container.id.as_str(), container.service());
    let engine = &watch.engine;
    let named = |error| at("stop container", service, error);
    let state = engine.state(ctx, id).await.map_err(|error| named(error.into()))?;
    if let Some(state) = state.filter(|state| state.running) {
        ctx.step("stop container", service).await?;
        engine.signal_container(ctx, id, &state.stop_signal).await.map_err(|error| named(error.into()))?;
        let grace = state
            .stop_timeout
            .and_then(|seconds| u64::try_from(seconds).ok())
            .map_or(GRACE, Duration::from_secs);
        if !watch.stopped(ctx, id, grace).await.map_err(named)? {
            ctx.step("kill container", service).await?;
            engine.signal_container(ctx, id, "SIGKILL").await.map_err(|error| named(error.into()))?;
            watch.stopped(ctx, id, GRACE).await.map_err(named)?;
        }
    }
    Ok(())
}

async fn remove(watch: &Watch, ctx: &Context, container: &Container) -> Result<()> {
    let service = container.service();
    ctx.step("remove container", service).await?;
    let removed = watch.engine.remove_container(ctx, &container.id).await;
    removed.map_err(|error| at("remove container", service, error))
}

/// How many others each service waits for, one behind another. Nodes stand after all that they wait for.
fn depths(graph: &Graph) -> Vec<(&str, usize)> {
    let mut depths: Vec<(&str, usize)> = Vec::with_capacity(graph.containers.len());
    for node in &graph.containers {
        let below = node.gates.iter().filter_map(|gate| {
            depths.iter().find(|(service, _)| *service == gate.service.as_str()).map(|(_, depth)| *depth)
        });
        let depth = below.max().map_or(0, |deepest| deepest + 1);
        depths.push((node.service.as_str(), depth));
    }
    depths
}
