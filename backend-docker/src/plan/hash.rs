//! The hash that tells whether a container is as it should be. It is keyed, since it covers secrets.

use std::collections::BTreeMap;

use freehold_core::{Error, ExposeSecret, HashKey, Result};
use serde_json::{Value, json};

use crate::graph::ContainerNode;

/// HMAC-SHA256 over what the engine is told of a container. Of its labels, the stack's own alone count: generation and epoch
/// are no configuration. Gates and probes are Freehold's and change nothing on the engine.
pub(super) fn of(
    node: &ContainerNode,
    own_labels: &BTreeMap<String, String>,
    key: &HashKey,
) -> Result<String> {
    let bytes = serde_json::to_vec(&told(node, own_labels))
        .map_err(|error| Error::internal("write what a container is made of").because(error))?;
    Ok(key.hash(&bytes))
}

/// What the engine is told, secrets and all.
pub(super) fn told(node: &ContainerNode, labels: &BTreeMap<String, String>) -> Value {
    let environment: Vec<Vec<&str>> = node
        .environment
        .iter()
        .map(|(name, value)| {
            [name.as_str()].into_iter().chain(value.as_ref().map(|v| v.expose_secret())).collect()
        })
        .collect();
    let files: Vec<_> = node
        .files
        .iter()
        .map(|file| json!([file.target, file.content.expose_secret(), file.uid, file.gid, file.mode]))
        .collect();
    without_nulls(json!({
        "name": node.name,
        "image": node.image,
        "entrypoint": node.entrypoint,
        "command": node.command,
        "environment": environment,
        "labels": labels,
        "user": node.user,
        "working_dir": node.working_dir,
        "hostname": node.hostname,
        "init": node.init,
        "restart": node.restart,
        "stop_signal": node.stop_signal,
        "stop_grace": node.stop_grace,
        "healthcheck": node.healthcheck,
        "mounts": node.mounts,
        "files": (!files.is_empty()).then_some(files),
        "ports": node.ports,
        "networks": node.networks,
        "memory_bytes": node.memory_bytes,
        "cpus": node.cpus,
        "extras": node.extras,
    }))
}

/// What is not set leaves no trace, so that a setting which a later version learns changes no container that lacks it.
fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key, without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        other => other,
    }
}
