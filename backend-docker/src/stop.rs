//! Stopping containers: each as soon as nobody runs any more who waits for it, and by its own signal. A stop is a signal, an
//! awaited exit, then a kill, so that no single request outlasts the lease margin.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use freehold_core::{Context, Result};
use futures_util::future::{try_join, try_join_all};
use tokio::sync::watch;

use crate::{
    engine::{Container, Network, at},
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

/// Stops containers, and takes away what goes: nobody waits for that but a network, which goes once nothing runs.
pub(crate) async fn stop(
    watch: &Watch,
    ctx: &Context,
    graph: &Graph,
    containers: &[(&Container, Then)],
    networks: &[&Network],
) -> Result<()> {
    let needs = needs(graph);
    let stopped: Vec<_> = containers.iter().map(|_| watch::Sender::new(false)).collect();
    let each = containers.iter().zip(&stopped).map(|((container, then), told)| {
        let users = containers.iter().zip(&stopped).filter(|((user, _), _)| uses(&needs, user, container));
        let users = users.map(|(_, user)| user).collect();
        async move {
            if stop_one(watch, ctx, container, all(users)).await? {
                told.send_replace(true);
            }
            if *then == Then::Remove {
                remove(watch, ctx, container).await?;
            }
            told.send_replace(true);
            Ok(())
        }
    });
    let networks = async {
        all(stopped.iter().collect()).await;
        try_join_all(networks.iter().map(|network| remove_network(watch, ctx, network))).await
    };
    try_join(try_join_all(each), networks).await?;
    Ok(())
}

/// Ends when all of them have stopped.
async fn all(stopped: Vec<&watch::Sender<bool>>) {
    for one in stopped {
        // The sender outlives this, so the only end is that it has.
        let _ = one.subscribe().wait_for(|stopped| *stopped).await;
    }
}

/// Whether one has to stop before the other does. What the graph does not know waits for nothing, and may need anything: it
/// goes first.
fn uses(needs: &BTreeMap<&str, BTreeSet<&str>>, user: &Container, used: &Container) -> bool {
    match (needs.get(user.service()), needs.get(used.service())) {
        (Some(needed), Some(_)) => needed.contains(used.service()),
        (None, Some(_)) => true,
        (_, None) => false,
    }
}

/// The services that each one waits for, also by way of others. Nodes stand after all that they wait for.
fn needs(graph: &Graph) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut needs: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for node in &graph.containers {
        let direct = node.gates.iter().map(|gate| gate.service.as_str());
        let further = direct.clone().filter_map(|service| needs.get(service)).flatten().copied();
        let all = direct.clone().chain(further).collect();
        needs.insert(node.service.as_str(), all);
    }
    needs
}

/// Stops one that is looked at already while others stop before it. Answers whether it has stopped.
async fn stop_one(
    watch: &Watch,
    ctx: &Context,
    container: &Container,
    before: impl Future<Output = ()>,
) -> Result<bool> {
    let (id, service) = (container.id.as_str(), container.service());
    let engine = &watch.engine;
    let named = |error| at("stop container", service, error);
    let state = engine.state(ctx, id).await.map_err(|error| named(error.into()))?;
    before.await;
    let Some(state) = state.filter(|state| state.running) else { return Ok(true) };
    ctx.step("stop container", service).await?;
    engine.signal_container(ctx, id, &state.stop_signal).await.map_err(|error| named(error.into()))?;
    let grace =
        state.stop_timeout.and_then(|seconds| u64::try_from(seconds).ok()).map_or(GRACE, Duration::from_secs);
    if watch.stopped(ctx, id, grace).await.map_err(named)? {
        return Ok(true);
    }
    ctx.step("kill container", service).await?;
    engine.signal_container(ctx, id, "SIGKILL").await.map_err(|error| named(error.into()))?;
    watch.stopped(ctx, id, GRACE).await.map_err(named)
}

async fn remove(watch: &Watch, ctx: &Context, container: &Container) -> Result<()> {
    let service = container.service();
    ctx.step("remove container", service).await?;
    let removed = watch.engine.remove_container(ctx, &container.id).await;
    removed.map_err(|error| at("remove container", service, error))
}

async fn remove_network(watch: &Watch, ctx: &Context, network: &Network) -> Result<()> {
    ctx.step("remove network", "").await?;
    let removed = watch.engine.remove_network(ctx, network).await;
    removed.map_err(|error| at("remove network", "", error))
}
