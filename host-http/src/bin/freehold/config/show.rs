//! `freehold config`: the configuration in force, as a file that could be read again, secrets masked.

use std::{collections::BTreeMap, env, net::SocketAddr, path::Path};

use serde::Serialize;

use super::{Config, ControlConfig, StoreConfig, TargetConfig};
use crate::{
    accounts,
    cli::HostArguments,
    exit::{Failure, Result},
};

/// What is printed in place of a secret.
pub(crate) const MASK: &str = "***";

/// Carries out `freehold config`.
///
/// # Errors
/// As [`Config::load`].
pub(crate) fn show(arguments: &HostArguments) -> Result<()> {
    let config = Config::load(arguments)?;
    print!("{}", config.shown()?);
    Ok(())
}

impl Config {
    fn shown(&self) -> Result<String> {
        #[derive(Serialize)]
        struct Shown<'a> {
            listen: SocketAddr,
            state: &'a Path,
            log: &'a str,
            store: BTreeMap<&'a str, &'a str>,
            accounts: accounts::Shown<'a>,
            control: &'a ControlConfig,
            targets: BTreeMap<&'a str, TargetConfig>,
        }
        let store = match &self.store {
            StoreConfig::Embedded => BTreeMap::new(),
            StoreConfig::Postgres(_) => BTreeMap::from([("url", MASK)]),
        };
        let shown = Shown {
            listen: self.listen,
            state: &self.state,
            log: &self.log,
            store,
            accounts: self.accounts.shown(),
            control: &self.control,
            targets: self.targets.iter().map(|(name, target)| (name.as_str(), masked(target))).collect(),
        };
        let text = toml::to_string(&shown)
            .map_err(|error| Failure::internal(format!("print the configuration: {error}")))?;
        let file = self.file.as_ref().map_or("no file".to_owned(), |path| path.display().to_string());
        let mut set: Vec<_> = env::vars_os()
            .filter_map(|(name, _)| name.into_string().ok())
            .filter(|name| name.starts_with("FREEHOLD_"))
            .collect();
        set.sort();
        let set = if set.is_empty() { "no FREEHOLD_* variable".to_owned() } else { set.join(", ") };
        let note =
            if self.discover_docker { "\n# A target `docker` too, if an engine answers.\n" } else { "" };
        Ok(format!("# From {file}, then {set}, then the command line.\n{text}{note}"))
    }
}

/// A target as it may be shown: what its backend passes on under names of the operator's choosing, an environment for
/// instance, may hold secrets.
fn masked(target: &TargetConfig) -> TargetConfig {
    let mut target = target.clone();
    for table in target.config.iter_mut().filter_map(|(_, value)| value.as_table_mut()) {
        for (_, value) in table.iter_mut() {
            *value = toml::Value::String(MASK.to_owned());
        }
    }
    target
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::load;

    #[test]
    fn what_is_printed_masks_the_password() {
        let file = "[store]\nurl = \"postgres://u:hunter2@h/db\"\n";
        let config = load(file, HostArguments::default()).unwrap();
        let shown = config.shown().unwrap();
        assert!(shown.contains("url = \"***\"") && !shown.contains("hunter2"), "{shown}");
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn what_is_printed_masks_what_a_backend_passes_on() {
        let file = "[targets.local]\nkind = \"shell\"\n[targets.local.config]\nhooks = \"/srv/hooks\"\n\
                    environment = { API_TOKEN = \"hunter2\" }\n";
        let shown = load(file, HostArguments::default()).unwrap().shown().unwrap();
        assert!(shown.contains("API_TOKEN = \"***\"") && shown.contains("/srv/hooks"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn what_is_printed_is_a_configuration_file_and_its_mask_is_not_taken_for_a_url() {
        let shown = load("log = \"warn\"\n", HostArguments::default()).unwrap().shown().unwrap();
        assert_eq!(load(&shown, HostArguments::default()).unwrap().log, "warn");
        let shown = load("[store]\nurl = \"postgres://h/db\"\n", HostArguments::default()).unwrap().shown();
        let failure = load(&shown.unwrap(), HostArguments::default()).unwrap_err();
        assert!(failure.message().contains("mask"), "{failure:?}");
    }
}
