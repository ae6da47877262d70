//! The targets: those of the file, of the flags, and the stacks that flags give them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use freehold_core::{StackName, TargetName, control_plane::TargetSettings};
use serde::{Deserialize, Serialize};

use crate::{
    cli::{HostArguments, TargetKind},
    exit::{Failure, Result},
};

/// One target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetConfig {
    /// What runs its projects.
    pub(crate) kind: TargetKind,
    /// What the control plane is told about it.
    #[serde(default)]
    pub(crate) settings: TargetSettings,
    /// What its backend is told, in the backend's own words.
    #[serde(default)]
    pub(crate) config: toml::Table,
}

impl TargetConfig {
    fn new(kind: TargetKind) -> Self {
        Self { kind, settings: TargetSettings::default(), config: toml::Table::new() }
    }
}

/// The targets to serve, and whether a Docker target is looked for too, as it is where nobody says anything of targets:
/// flags go before `file`, and where neither names any there is one of hook programs.
///
/// # Errors
/// If a target's settings cannot work, or the flags' stacks have no one target to go to.
pub(super) fn targets(
    arguments: &HostArguments,
    file: BTreeMap<TargetName, TargetConfig>,
) -> Result<(BTreeMap<TargetName, TargetConfig>, bool)> {
    for (name, target) in &file {
        let wrong = |error| Failure::usage(format!("target {name}: settings: {error}"));
        target.settings.validate().map_err(wrong)?;
    }
    let configured = !arguments.targets.is_empty() || !file.is_empty();
    let mut targets = match (arguments.targets.as_slice(), configured) {
        ([], true) => file,
        ([], false) => named(&[TargetKind::Shell])?,
        (kinds, _) => named(kinds)?,
    };
    if arguments.stacks.is_empty() {
        return Ok((targets, !configured && cfg!(feature = "docker")));
    }
    add_stacks(&mut targets, &arguments.stacks)?;
    Ok((targets, false))
}

/// Targets named after their kinds.
fn named(kinds: &[TargetKind]) -> Result<BTreeMap<TargetName, TargetConfig>> {
    let name = |kind| match kind {
        TargetKind::Shell => "shell",
        TargetKind::Docker => "docker",
        TargetKind::Mock => "mock",
    };
    kinds.iter().map(|kind| Ok((TargetName::new(name(*kind))?, TargetConfig::new(*kind)))).collect()
}

/// Gives stacks from the command line to the one Docker target, which is made if there is none.
fn add_stacks(targets: &mut BTreeMap<TargetName, TargetConfig>, stacks: &[PathBuf]) -> Result<()> {
    if !targets.values().any(|target| target.kind == TargetKind::Docker) {
        targets.extend(named(&[TargetKind::Docker])?);
    }
    let mut docker = targets.values_mut().filter(|target| target.kind == TargetKind::Docker);
    let (Some(target), None) = (docker.next(), docker.next()) else {
        return Err(Failure::usage("--stack: there are several Docker targets: give it to one in the file"));
    };
    let kept = target.config.entry("stacks").or_insert_with(|| toml::Value::Array(Vec::new()));
    let Some(kept) = kept.as_array_mut() else {
        return Err(Failure::usage("the Docker target's `stacks` is no array"));
    };
    for stack in stacks {
        let (name, folder) = named_folder(stack);
        let folder = std::path::absolute(folder)
            .map_err(|error| Failure::usage(format!("--stack: {}: {error}", stack.display())))?;
        let folder = toml::Value::String(folder.to_string_lossy().into_owned());
        let name = name.map(|name| ("name".to_owned(), toml::Value::String(name.to_string())));
        kept.push(toml::Value::Table([("folder".to_owned(), folder)].into_iter().chain(name).collect()));
    }
    Ok(())
}

/// The two sides of `NAME=FOLDER`; a folder alone has none before it.
fn named_folder(stack: &Path) -> (Option<StackName>, &Path) {
    let parts = stack.to_str().and_then(|text| text.split_once('='));
    match parts.and_then(|(name, folder)| Some((StackName::new(name).ok()?, folder))) {
        Some((name, folder)) => (Some(name), Path::new(folder)),
        None => (None, stack),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::load;

    #[test]
    fn docker_is_looked_for_only_where_no_target_is_configured() {
        let none = load("", HostArguments::default()).unwrap();
        assert_eq!(none.discover_docker, cfg!(feature = "docker"));
        assert!(none.targets.contains_key(&TargetName::new("shell").unwrap()));
        let file = "[targets.local]\nkind = \"shell\"\n";
        let one = load(file, HostArguments::default()).unwrap();
        assert!(!one.discover_docker && one.targets.len() == 1);
    }

    #[test]
    fn a_stack_of_the_command_line_goes_to_the_docker_target() {
        let arguments = HostArguments { stacks: vec!["/srv/web".into()], ..Default::default() };
        let config = load("", arguments).unwrap();
        let docker = &config.targets[&TargetName::new("docker").unwrap()];
        assert!(docker.config["stacks"].to_string().contains("/srv/web"), "{:?}", docker.config);

        let arguments = HostArguments { stacks: vec!["supabase=/srv/sb".into()], ..Default::default() };
        let config = load("", arguments).unwrap();
        let stack = &config.targets[&TargetName::new("docker").unwrap()].config["stacks"][0];
        assert_eq!((stack["name"].as_str(), stack["folder"].as_str()), (Some("supabase"), Some("/srv/sb")));
    }
}
