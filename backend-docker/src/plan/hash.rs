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

/// A short keyed hash of each setting, by the name that Compose has for it, so that a plan can tell which ones differ and
/// no value. The name is part of what is hashed: two settings of one value cannot be seen to be the same.
pub(super) fn keys(
    node: &ContainerNode,
    own_labels: &BTreeMap<String, String>,
    key: &HashKey,
) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    let mut add = |name: String, value: &Value| {
        let mut hash = key.hash(format!("{name}\0{value}").as_bytes());
        hash.truncate(KEY_HASH_LENGTH);
        keys.insert(name, hash);
    };
    let Value::Object(told) = told(node, own_labels) else { return keys };
    for (field, value) in &told {
        let part = |name: &Value| format!("{}.{}", known_as(field), name.as_str().unwrap_or_default());
        match (field.as_str(), value) {
            ("environment" | "files", Value::Array(items)) => {
                items.iter().for_each(|item| add(part(&item[0]), item));
            }
            ("mounts", Value::Array(items)) => items.iter().for_each(|item| add(part(&item["target"]), item)),
            ("networks", Value::Array(items)) => {
                items.iter().for_each(|item| add(part(&item["network"]), item));
            }
            ("labels", Value::Object(labels)) => {
                labels.iter().for_each(|(name, value)| add(format!("labels.{name}"), value));
            }
            ("extras", Value::Object(extras)) => {
                let set = extras.iter().filter(|(_, value)| !is_unset(value));
                set.for_each(|(name, value)| add(known_as(name).to_owned(), value));
            }
            _ if is_unset(value) => {}
            _ => add(known_as(field).to_owned(), value),
        }
    }
    keys
}

/// Enough to tell one value from another under one name; the whole configuration has a hash of full length.
const KEY_HASH_LENGTH: usize = 12;

/// What Compose calls a setting.
fn known_as(field: &str) -> &str {
    match field {
        "name" => "container_name",
        "mounts" => "volumes",
        "memory_bytes" => "mem_limit",
        "memory_reservation" => "mem_reservation",
        "memory_swap" => "memswap_limit",
        "memory_swappiness" => "mem_swappiness",
        "stop_grace" => "stop_grace_period",
        "dns_options" => "dns_opt",
        same => same,
    }
}

fn is_unset(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Bool(set) => !set,
        Value::Null => true,
        Value::Number(_) | Value::String(_) | Value::Object(_) => false,
    }
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
