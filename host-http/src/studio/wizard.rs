//! What a wizard's choices come to here.

use freehold_core::{StackName, StackSpec, TargetName, control_plane::TargetInfo};

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

/// What a wizard that knows of neither target nor stack gets: an unforked Studio's does not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// The target.
    pub target: Option<TargetName>,
    /// The stack.
    pub stack: Option<StackName>,
}

/// What it comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// The target, where one was named or is the default: otherwise the control plane's choice, which refuses to guess.
    pub(crate) target: Option<TargetName>,
    /// The stack, likewise. A target that was named and lacks the default stack has its own.
    pub(crate) stack: Option<StackName>,
    /// Services that do not run, by the stack's names; `None` is the stack's defaults.
    pub(crate) excluded: Option<Vec<String>>,
}

/// Maps what was sent. Of exclusions, what is unknown is dropped, the rest is trimmed, in lower case, and named once.
pub(crate) fn choose(sent: &Sent, targets: &[TargetInfo], defaults: &Defaults) -> Chosen {
    let named = targets.iter().find(|target| sent.region.as_deref() == Some(target.name.as_str()));
    let target = named.map(|target| target.name.clone()).or_else(|| defaults.target.clone());
    let offers = |target: &TargetInfo, stack: &StackName| {
        target.description.stacks.iter().any(|one| one.name == *stack)
    };
    let stack = defaults.stack.clone().filter(|stack| named.is_none_or(|target| offers(target, stack)));
    let chosen = Chosen { target, stack, excluded: None };
    let spec = chosen.spec(targets);
    let excluded = sent.excluded.as_ref().map(|words| {
        let mut names: Vec<String> = Vec::new();
        for word in words {
            if let Some(name) = spec.and_then(|spec| service(spec, word))
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        names
    });
    Chosen { excluded, ..chosen }
}

impl Chosen {
    /// The stack as it is declared, where the choice leaves exactly one: where it does not, the control plane refuses it.
    pub(crate) fn spec<'a>(&self, targets: &'a [TargetInfo]) -> Option<&'a StackSpec> {
        let offered = |target: &&TargetInfo| self.target.as_ref().is_none_or(|name| *name == target.name);
        let wanted = |stack: &&StackSpec| self.stack.as_ref().is_none_or(|name| *name == stack.name);
        let mut stacks =
            targets.iter().filter(offered).flat_map(|target| &target.description.stacks).filter(wanted);
        stacks.next().filter(|_| stacks.next().is_none())
    }
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
    fn a_target_is_chosen_by_its_name_else_by_default_and_never_by_a_region_of_somebody_elses_cloud() {
        let targets = [target("attic"), target("cellar")];
        let attic = Defaults { target: Some("attic".parse().unwrap()), stack: Some("mock".parse().unwrap()) };
        for (region, defaults, expected) in [
            (Some("cellar"), &Defaults::default(), Some("cellar")),
            (Some("East US (Ohio)"), &Defaults::default(), None),
            (None, &Defaults::default(), None),
            (Some("cellar"), &attic, Some("cellar")),
            (Some("us-east-1"), &attic, Some("attic")),
            (None, &attic, Some("attic")),
        ] {
            let sent = Sent { region: region.map(str::to_owned), excluded: None };
            let chosen = choose(&sent, &targets, defaults);
            assert_eq!(chosen.target.as_ref().map(TargetName::as_str), expected, "{region:?}");
            assert_eq!(chosen.spec(&targets).is_some(), expected.is_some(), "{region:?}");
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
            assert_eq!(
                choose(&sent, &targets, &Defaults::default()).excluded,
                expected.map(owned),
                "{sent:?}"
            );
        }
    }
}
