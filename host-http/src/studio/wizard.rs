//! What a wizard's choices come to here.

use freehold_core::{
    Error, Result, StackName, StackSpec, TargetName, accounts::ProjectDefaults, control_plane::TargetInfo,
};

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

/// Checks defaults against what there is, so that a mistake in them is told when they are set and not to whoever makes a
/// project.
///
/// # Errors
/// `InvalidInput` naming the field and what there is.
pub fn check_defaults(defaults: &ProjectDefaults, targets: &[TargetInfo]) -> Result<()> {
    let list = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    if let Some(name) = &defaults.target
        && !targets.iter().any(|target| target.name == *name)
    {
        let known = list(targets.iter().map(|target| target.name.as_str()).collect());
        return Err(Error::invalid(
            "default_target",
            format_args!("there is no target {name}: there are {known}"),
        ));
    }
    let wanted = |target: &&TargetInfo| defaults.target.as_ref().is_none_or(|name| *name == target.name);
    let stacks = || targets.iter().filter(wanted).flat_map(|target| &target.description.stacks);
    if let Some(name) = &defaults.stack
        && !stacks().any(|stack| stack.name == *name)
    {
        let known = list(stacks().map(|stack| stack.name.as_str()).collect());
        return Err(Error::invalid(
            "default_stack",
            format_args!("there is no stack {name}: there are {known}"),
        ));
    }
    let offered = |stack: &&StackSpec| defaults.stack.as_ref().is_none_or(|name| *name == stack.name);
    for name in defaults.excluded.iter().flatten() {
        let mut services = stacks().filter(offered).flat_map(|stack| &stack.services);
        if !services.any(|service| service.name == *name) {
            return Err(Error::invalid(
                "excluded_services",
                format_args!("no such stack has a service {name}"),
            ));
        }
    }
    Ok(())
}

/// An organization's defaults, and where it has none, the host's.
pub(crate) fn over(own: &ProjectDefaults, host: &ProjectDefaults) -> ProjectDefaults {
    // The host's stack may be none of a target that the organization chose for itself: it goes with the host's target.
    let stack = if own.target.is_none() { host.stack.clone() } else { None };
    ProjectDefaults {
        target: own.target.clone().or_else(|| host.target.clone()),
        stack: own.stack.clone().or(stack),
        excluded: own.excluded.clone().or_else(|| host.excluded.clone()),
    }
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
pub(crate) fn choose(sent: &Sent, targets: &[TargetInfo], defaults: &ProjectDefaults) -> Chosen {
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
    // What was left unsaid is the organization's to say, as far as the stack has such services.
    let unsaid = || {
        let names = defaults.excluded.as_ref()?.iter().map(|name| name.as_str());
        Some(names.filter_map(|name| service(spec?, name)).collect())
    };
    Chosen { excluded: excluded.or_else(unsaid), ..chosen }
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

    use super::{super::custom_content, *};

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
        let attic = ProjectDefaults {
            target: Some("attic".parse().unwrap()),
            stack: Some("mock".parse().unwrap()),
            excluded: None,
        };
        for (region, defaults, expected) in [
            (Some("cellar"), &ProjectDefaults::default(), Some("cellar")),
            (Some("East US (Ohio)"), &ProjectDefaults::default(), None),
            (None, &ProjectDefaults::default(), None),
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
                choose(&sent, &targets, &ProjectDefaults::default()).excluded,
                expected.map(owned),
                "{sent:?}"
            );
        }
    }

    #[test]
    fn an_organizations_defaults_go_before_the_hosts_and_what_was_said_before_both() {
        let targets = [target("attic"), target("cellar")];
        let host = ProjectDefaults { target: Some("attic".parse().unwrap()), ..ProjectDefaults::default() };
        let own = ProjectDefaults {
            target: Some("cellar".parse().unwrap()),
            stack: None,
            excluded: Some(vec!["worker".parse().unwrap(), "gone".parse().unwrap()]),
        };
        let chosen = choose(&Sent::default(), &targets, &over(&own, &host));
        assert_eq!(chosen.target.unwrap().as_str(), "cellar");
        assert_eq!(chosen.excluded, Some(vec!["worker".to_owned()]));
        let sent = Sent { region: Some("attic".into()), excluded: Some(vec![]) };
        let chosen = choose(&sent, &targets, &over(&own, &host));
        assert_eq!((chosen.target.unwrap().as_str(), chosen.excluded), ("attic", Some(vec![])));
        let nothing = over(&ProjectDefaults::default(), &host);
        assert_eq!(choose(&Sent::default(), &targets, &nothing).target.unwrap().as_str(), "attic");
    }

    #[test]
    fn defaults_that_name_what_is_not_there_are_refused_with_what_is() {
        let targets = [target("attic")];
        let wrong = |defaults: ProjectDefaults| check_defaults(&defaults, &targets).unwrap_err().to_string();
        let named =
            wrong(ProjectDefaults { target: Some("moon".parse().unwrap()), ..ProjectDefaults::default() });
        assert!(named.starts_with("default_target") && named.contains("attic"), "{named}");
        let named =
            wrong(ProjectDefaults { stack: Some("moon".parse().unwrap()), ..ProjectDefaults::default() });
        assert!(named.starts_with("default_stack") && named.contains("mock"), "{named}");
        let named = wrong(ProjectDefaults {
            excluded: Some(vec!["moon".parse().unwrap()]),
            ..ProjectDefaults::default()
        });
        assert!(named.contains("moon"), "{named}");
        assert!(check_defaults(&ProjectDefaults::default(), &targets).is_ok());
    }

    #[test]
    fn content_for_a_stock_build_has_only_keys_that_its_schema_has() {
        let targets = [target("attic"), target("cellar")];
        let stock = custom_content::content(&targets, &ProjectDefaults::default(), false);
        assert_eq!(stock, serde_json::json!({ "infra:cloud_providers": ["AWS"] }));
        let patched = custom_content::content(&targets, &ProjectDefaults::default(), true);
        assert_eq!(patched["project_creation:deployment_targets"], serde_json::json!(["attic", "cellar"]));
        let option = &patched["project_creation:deployment_target_options"][1];
        assert_eq!(option["defaults"], serde_json::json!({ "cloudProvider": "LOCAL", "dbRegion": "cellar" }));
        let services = patched["project_creation:local_runtime_services"].as_array().unwrap();
        let shown: Vec<_> =
            services.iter().map(|one| (one["id"].as_str(), one["defaultEnabled"].as_bool())).collect();
        assert_eq!(shown, [(Some("worker"), Some(true)), (Some("metrics"), Some(false))]);
    }
}
