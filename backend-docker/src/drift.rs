//! Comparing what is on the engine with what the graph says, without touching either.

use std::path::Path;

use freehold_core::{Action, Context, Plan, PlannedChange, Result, Wish};

use crate::{
    engine::Engine,
    files::Files,
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
            changes.extend(files_to_mend(files, graph, kept).await?);
            changes.extend(networks(graph, &observed));
            changes.extend(containers(engine, ctx, graph, &observed).await?);
        }
    }
    Ok(Plan { changes })
}

async fn files_to_mend(files: &Files, graph: &Graph, kept: &Path) -> Result<Vec<PlannedChange>> {
    if !files.has_project(&graph.project).await? {
        let folder = files.project(&graph.project).display().to_string();
        return Ok(vec![change(Action::Create, "folder", &folder, "", "it is not there")]);
    }
    let drifts = files.drift(&graph.project, kept, graph).await?;
    Ok(drifts
        .into_iter()
        .map(|drift| {
            let path = drift.path.display().to_string();
            if drift.missing {
                change(Action::Create, "file", &path, "", "it is not there")
            } else {
                change(Action::Replace, "file", &path, "", "it differs from the stack's")
            }
        })
        .collect())
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
    let mut changes = Vec::new();
    for node in &graph.containers {
        if let Some((action, reason)) = container(engine, ctx, node, observed).await? {
            changes.push(change(action, "container", &node.name, node.service.as_str(), reason));
        }
    }
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
) -> Result<Option<(Action, &'static str)>> {
    let Some(container) = observed.container(node.service.as_str()) else {
        return Ok(Some((Action::Create, "it is not there")));
    };
    if container.config_hash() != Some(&node.config_hash) {
        return Ok(Some((Action::Replace, "its configuration differs")));
    }
    let Some(state) = engine.state(ctx, &container.id).await? else {
        return Ok(Some((Action::Create, "it is not there")));
    };
    let at_rest = node.may_end() && state.is_done();
    Ok((!state.running && !state.restarting && !at_rest).then_some((Action::Start, "it does not run")))
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
