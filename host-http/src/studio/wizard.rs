//! What a wizard's choices come to here.

use freehold_core::{StackSpec, TargetName, control_plane::TargetInfo};

/// What projects of a local target say they run on: that is so whatever was chosen.
pub(crate) const PROVIDER: &str = "LOCAL";
/// Their region.
pub(crate) const REGION: &str = "local-dev";
/// Their size.
pub(crate) const SIZE: &str = "micro";

/// What was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    /// A region's code or display name. An unforked Studio sends AWS's; one that knows better sends a target's name.
    pub(crate) region: Option<String>,
    /// Services that are not to run, by the names that the wizard has for them.
    pub(crate) excluded: Option<Vec<String>>,
}

/// What it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// The target, where one was named: otherwise the control plane's choice, which refuses to guess.
    pub(crate) target: Option<TargetName>,
    /// Services that do not run, by the stack's names; `None` is the stack's defaults.
    pub(crate) excluded: Option<Vec<String>>,
}

/// Maps what was sent. Of exclusions, what is unknown is dropped, the rest is trimmed, in lower case, and named once.
pub(crate) fn choose(sent: &Sent, targets: &[TargetInfo]) -> Chosen {
    let named = |target: &&TargetInfo| sent.region.as_deref() == Some(target.name.as_str());
    let target = targets.iter().find(named);
    let stack = match target {
        Some(target) => target.description.stacks.first(),
        None => targets.iter().find_map(|target| target.description.stacks.first()),
    };
    let excluded = sent.excluded.as_ref().map(|words| {
        let mut names: Vec<String> = Vec::new();
        for word in words {
            if let Some(name) = stack.and_then(|stack| service(stack, word))
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        names
    });
    Chosen { target: target.map(|target| target.name.clone()), excluded }
}

/// A service by its own name or its name on other systems' wires.
fn service(stack: &StackSpec, word: &str) -> Option<String> {
    let word = word.trim().to_lowercase();
    let found = stack.services.iter().find(|service| service.wire == word || service.name.as_str() == word);
    found.map(|service| service.name.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use freehold_core::{Description, control_plane::TargetSettings, memory::MemoryStack};

    use super::*;

    fn target(name: &str) -> TargetInfo {
        let mut stack = MemoryStack::mock().unwrap().spec;
        stack.services[0].wire = "postgres".into();
        TargetInfo {
            name: name.parse().unwrap(),
            description: Description {
                engine: name.into(),
                machine: "m".into(),
                capabilities: BTreeSet::new(),
                stacks: vec![stack],
            },
            settings: TargetSettings::default(),
        }
    }

    #[test]
    fn a_target_is_chosen_by_its_name_and_never_by_a_region_of_somebody_elses_cloud() {
        let targets = [target("attic"), target("cellar")];
        for (region, expected) in [
            (Some("cellar"), Some("cellar")),
            (Some("East US (Ohio)"), None),
            (Some("us-east-1"), None),
            (None, None),
        ] {
            let sent = Sent { region: region.map(str::to_owned), excluded: None };
            let chosen = choose(&sent, &targets).target;
            assert_eq!(chosen.as_ref().map(TargetName::as_str), expected, "{region:?}");
        }
    }

    #[test]
    fn exclusions_are_cleaned_mapped_and_freed_of_what_is_unknown() {
        let targets = [target("attic")];
        for (words, expected) in [
            (None, None),
            (Some(vec![]), Some(vec![])),
            (Some(vec!["  Metrics", "metrics", "unknown", "POSTGRES"]), Some(vec!["metrics", "db"])),
            (Some(vec!["unknown"]), Some(vec![])),
        ] {
            let owned = |words: Vec<&str>| words.into_iter().map(str::to_owned).collect::<Vec<_>>();
            let sent = Sent { region: None, excluded: words.map(owned) };
            assert_eq!(choose(&sent, &targets).excluded, expected.map(owned), "{sent:?}");
        }
    }
}
