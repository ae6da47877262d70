//! What a build of Studio can be given about where projects can be made (its `custom-content.json`, which is read when it
//! is built): generated from the targets and stacks that there are.

use freehold_core::{StackSpec, accounts::ProjectDefaults, control_plane::TargetInfo};
use serde_json::{Map, Value, json as object};

use super::wizard::{self, Sent};

/// Where it is explained.
const DOCS: &str = "https://github.com/freehold-rs/freehold/blob/main/docs/studio.md";

/// The keys to be set. A stock build's schema refuses those that only a patched Studio reads.
pub(crate) fn content(targets: &[TargetInfo], defaults: &ProjectDefaults, patched: bool) -> Value {
    let mut keys = Map::new();
    // One provider, so that the wizard offers no choice that means nothing.
    keys.insert("infra:cloud_providers".to_owned(), object!(["AWS"]));
    if patched {
        let names: Vec<_> = targets.iter().map(|target| target.name.as_str()).collect();
        keys.insert("project_creation:deployment_targets".to_owned(), object!(names));
        let options: Vec<_> = targets.iter().map(option).collect();
        keys.insert("project_creation:deployment_target_options".to_owned(), object!(options));
        let services = services(targets, defaults);
        keys.insert("project_creation:local_runtime_services".to_owned(), object!(services));
    }
    Value::Object(keys)
}

/// A target as a choice. Its name as region is what brings a project there.
fn option(target: &TargetInfo) -> Value {
    let stacks: Vec<_> = target.description.stacks.iter().map(|stack| stack.name.as_str()).collect();
    object!({
        "id": target.name,
        "label": target.name,
        "description": format!("Runs {} on {}", stacks.join(", "), target.description.machine),
        "docsUrl": DOCS,
        "defaults": { "cloudProvider": wizard::PROVIDER, "dbRegion": target.name },
    })
}

/// The services that can be left out: those of the stack that a wizard gets, where that is one; else those of all stacks.
fn services(targets: &[TargetInfo], defaults: &ProjectDefaults) -> Vec<Value> {
    let chosen = wizard::choose(&Sent::default(), targets, defaults);
    let all = || targets.iter().flat_map(|target| &target.description.stacks);
    let stacks: Vec<&StackSpec> = chosen.spec(targets).map_or_else(|| all().collect(), |stack| vec![stack]);
    let mut found: Vec<Value> = Vec::new();
    for stack in stacks {
        let needed =
            [stack.database.as_ref().map(|one| &one.service), stack.gateway.as_ref().map(|one| &one.service)];
        for service in &stack.services {
            if needed.contains(&Some(&service.name)) || found.iter().any(|one| one["id"] == *service.wire) {
                continue;
            }
            found.push(object!({
                "id": service.wire,
                "label": service.label,
                "description": service.description,
                "defaultEnabled": service.default_on,
            }));
        }
    }
    found
}
