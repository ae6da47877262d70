//! Comparing what is on the engine with what the graph says, without touching either.

use std::path::Path;

use freehold_core::{Action, Context, Error, Plan, PlannedChange, Result, Wish};
use futures_util::future::try_join_all;

use crate::{
    difference::difference,
    ending,
    engine::Engine,
    files::{Difference, Drift, Files},
    graph::{ContainerNode, Graph},
    observed::Observed,
};

/// What would have to be done.
pub(crate) async fn plan(
    engine: &Engine,
    files: &Files,
    ctx: &Context,
    graph: &Graph,
    kept: &Path,
    wish: Wish,
) -> Result<Plan> {
    let observed = Observed::of(engine, ctx, Some(&graph.project)).await?;
    let mut changes = Vec::new();
    for volume in &graph.volumes {
        if !observed.has_volume(&volume.name) && (volume.data || wish == Wish::Active) {
            let user = graph.users_of(&volume.name).next().map_or("", |node| node.service.as_str());
            let reason = if volume.data { "its data is gone" } else { "it is not there" };
            changes.push(change(Action::Create, "volume", &volume.name, user, reason));
        }
    }
    changes.extend(files_to_mend(files, graph, kept, wish).await?);
    match wish {
        Wish::Paused => {
            for container in &observed.containers {
                changes.push(change(
                    Action::Remove,
                    "container",
                    &container.name,
                    container.service(),
                    "a paused project has none",
                ));
            }
            for network in &observed.networks {
                changes.push(change(
                    Action::Remove,
                    "network",
                    &network.name,
                    "",
                    "a paused project has none",
                ));
            }
        }
        Wish::Active => {
            changes.extend(networks(graph, &observed));
            changes.extend(containers(engine, ctx, graph, &observed).await?);
        }
    }
    Ok(Plan { changes })
}

async fn files_to_mend(files: &Files, graph: &Graph, kept: &Path, wish: Wish) -> Result<Vec<PlannedChange>> {
    if !files.has_project(&graph.project).await? {
        let folder = files.project(&graph.project).display().to_string();
        return Ok(vec![change(Action::Create, "folder", &folder, "", "it is not there")]);
    }
    let drifts = files.drift(&graph.project, kept, graph).await?;
    let told = drifts.iter().filter(|drift| wish == Wish::Active || drift.what == Difference::DataGone);
    Ok(told.map(file).collect())
}

fn file(drift: &Drift) -> PlannedChange {
    let (action, resource, reason) = match &drift.what {
        Difference::Missing => (Action::Create, "file", "it is not there".to_owned()),
        Difference::DataGone => (Action::Create, "folder", "its data is gone".to_owned()),
        Difference::Other => (Action::Replace, "file", "it differs from the stack's".to_owned()),
        Difference::Variables(names) => {
            (Action::Replace, "file", format!("it differs from the stack's: {}", names.join(", ")))
        }
    };
    change(action, resource, &drift.path.display().to_string(), &drift.service, &reason)
}

fn networks(graph: &Graph, observed: &Observed) -> Vec<PlannedChange> {
    let mut changes = Vec::new();
    for node in &graph.networks {
        match observed.networks.iter().find(|network| network.name == node.name) {
            None => changes.push(change(Action::Create, "network", &node.name, "", "it is not there")),
            Some(network) if network.config_hash() != Some(&node.config_hash) => {
                changes.push(change(Action::Replace, "network", &node.name, "", "its configuration differs"));
            }
            Some(_) => {}
        }
    }
    for network in &observed.networks {
        if !graph.networks.iter().any(|node| node.name == network.name) {
            changes.push(change(
                Action::Remove,
                "network",
                &network.name,
                "",
                "the stack has no such network",
            ));
        }
    }
    changes
}

async fn containers(
    engine: &Engine,
    ctx: &Context,
    graph: &Graph,
    observed: &Observed,
) -> Result<Vec<PlannedChange>> {
    let looks =
        graph.containers.iter().map(|node| async {
            let difference = container(engine, ctx, node, observed).await?;
            Ok::<_, Error>(difference.map(|(action, reason)| {
                change(action, "container", &node.name, node.service.as_str(), &reason)
            }))
        });
    let mut changes: Vec<_> = try_join_all(looks).await?.into_iter().flatten().collect();
    for container in &observed.containers {
        if graph.container(container.service()).is_none() {
            let reason = "the service does not run in this project";
            changes.push(change(Action::Remove, "container", &container.name, container.service(), reason));
        }
    }
    Ok(changes)
}

async fn container(
    engine: &Engine,
    ctx: &Context,
    node: &ContainerNode,
    observed: &Observed,
) -> Result<Option<(Action, String)>> {
    let absent = || Ok(Some((Action::Create, "it is not there".to_owned())));
    let Some(container) = observed.container(node.service.as_str()) else { return absent() };
    let Some(state) = engine.state(ctx, &container.id).await? else { return absent() };
    if let Some(difference) = difference(node, container, &state, observed) {
        return Ok(Some((Action::Replace, difference)));
    }
    if state.paused {
        return Ok(Some((Action::Start, "it is paused".to_owned())));
    }
    let down = !state.running && !state.restarting && !ending::is_done(node, &state);
    Ok(down.then(|| (Action::Start, "it does not run".to_owned())))
}

fn change(action: Action, resource: &str, name: &str, service: &str, reason: &str) -> PlannedChange {
    PlannedChange {
        action,
        resource: resource.to_owned(),
        name: name.to_owned(),
        service: service.to_owned(),
        reason: reason.to_owned(),
    }
}
