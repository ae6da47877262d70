//! What of a container is not as its node in the graph has it: by what it was made from, and by what somebody did to it
//! since. Apply makes such a container anew, and drift tells why; both ask here.

use std::collections::BTreeMap;

use freehold_core::{Context, Result};
use futures_util::future::try_join_all;

use crate::{
    engine::{Container, Engine, State},
    graph::{ContainerNode, Graph},
    labels,
    observed::Observed,
};

/// The containers that have to be made anew, each with the reason.
pub(crate) async fn stale<'a>(
    engine: &Engine,
    ctx: &Context,
    graph: &Graph,
    observed: &'a Observed,
) -> Result<Vec<(&'a Container, String)>> {
    let looks = observed.containers.iter().map(|container| async move {
        let Some(node) = graph.container(container.service()) else {
            return Ok(Some("the service does not run in this project".to_owned()));
        };
        let state = engine.state(ctx, &container.id).await?;
        Ok::<_, freehold_core::Error>(state.and_then(|state| difference(node, container, &state, observed)))
    });
    let found = try_join_all(looks).await?;
    Ok(observed.containers.iter().zip(found).filter_map(|(seen, why)| Some((seen, why?))).collect())
}

/// What differs, by the names of settings and never their values; `None` if nothing does.
pub(crate) fn difference(
    node: &ContainerNode,
    container: &Container,
    state: &State,
    observed: &Observed,
) -> Option<String> {
    let mut found = Vec::new();
    if container.config_hash() != Some(&node.config_hash) {
        let keys = differing_keys(node, container);
        found.push(if keys.is_empty() {
            "its configuration differs".to_owned()
        } else {
            format!("its configuration differs: {}", keys.join(", "))
        });
    } else {
        // What it was made from is what it should be made from, so these are somebody else's doing.
        if container.name != node.name {
            found.push(format!("it is called {}", container.name));
        }
        let changed = state.changed_by_hand(node);
        if !changed.is_empty() {
            found.push(format!("changed on the engine: {}", changed.join(", ")));
        }
        found.extend(networks(node, state, observed));
    }
    (!found.is_empty()).then(|| found.join("; "))
}

fn differing_keys(node: &ContainerNode, container: &Container) -> Vec<String> {
    let keys =
        |text: Option<&String>| -> Option<BTreeMap<String, String>> { serde_json::from_str(text?).ok() };
    let (Some(asked), Some(is)) =
        (keys(node.labels.get(labels::CONFIG_KEYS)), keys(container.labels.get(labels::CONFIG_KEYS)))
    else {
        return Vec::new();
    };
    let mut differing: Vec<_> = asked.keys().filter(|key| asked.get(*key) != is.get(*key)).cloned().collect();
    differing.extend(is.keys().filter(|key| !asked.contains_key(*key)).cloned());
    differing.sort();
    differing
}

/// Where it is and should not be, and the other way round. A network that was made anew is another one.
fn networks<'a>(
    node: &'a ContainerNode,
    state: &'a State,
    observed: &'a Observed,
) -> impl Iterator<Item = String> + 'a {
    let lacking = node.networks.iter().map(|place| &place.network).filter(|name| {
        let Some(there) = observed.networks.iter().find(|network| network.name == **name) else {
            return true;
        };
        // A container that does not run may know its networks by name alone.
        state.networks.get(*name).is_none_or(|id| !id.is_empty() && *id != there.id)
    });
    let foreign = state.networks.keys().filter(|name| {
        // What has no network of the project's is in the engine's `none`.
        !node.networks.is_empty() && node.networks.iter().all(|place| place.network != **name)
    });
    lacking
        .map(|name| format!("it is not in the network {name}"))
        .chain(foreign.map(|name| format!("it is in the network {name}, which is none of its own")))
}
