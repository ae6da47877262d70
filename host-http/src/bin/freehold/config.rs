//! The host's configuration: one file, overridden by `FREEHOLD_*`, overridden by flags.

mod control;
#[cfg(feature = "docker")]
mod short_names;
mod show;
mod store;
mod target;

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
};

use freehold_core::TargetName;
use serde::{Deserialize, de::DeserializeOwned};

use self::{control::ControlConfig, store::StoreSection};
pub(crate) use self::{
    show::{MASK, show},
    store::StoreConfig,
    target::TargetConfig,
};
use crate::{
    accounts::AccountsConfig,
    cli::HostArguments,
    exit::{Failure, Result},
    state,
};

/// The address to listen on unless another is named.
const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 4000);

/// The configuration in force.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// The file that was read, if any was.
    file: Option<PathBuf>,
    /// The address to listen on.
    pub(crate) listen: SocketAddr,
    /// The folder for everything that is kept.
    pub(crate) state: PathBuf,
    /// What to log.
    pub(crate) log: String,
    /// Where projects, operations and events are kept.
    pub(crate) store: StoreConfig,
    /// How people are known.
    pub(crate) accounts: AccountsConfig,
    /// How the control plane works.
    pub(crate) control: ControlConfig,
    /// The targets.
    pub(crate) targets: BTreeMap<TargetName, TargetConfig>,
    /// Whether a Docker target is served too if an engine answers: so it is unless targets are configured.
    pub(crate) discover_docker: bool,
}

/// What stands in the file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ConfigFile {
    listen: Option<SocketAddr>,
    state: Option<PathBuf>,
    log: Option<String>,
    store: StoreSection,
    accounts: AccountsConfig,
    control: ControlConfig,
    targets: BTreeMap<TargetName, TargetConfig>,
}

impl Config {
    /// The configuration that flags, environment and file come to.
    ///
    /// # Errors
    /// Naming the file and the key, or the flag, that is wrong.
    pub(crate) fn load(arguments: &HostArguments) -> Result<Self> {
        let path = arguments.config.clone().or_else(state::default_config);
        let file = path.as_deref().map(parse::<ConfigFile>).transpose()?.unwrap_or_default();
        let state = match arguments.state.clone().or(file.state) {
            Some(folder) => std::path::absolute(&folder)
                .map_err(|error| Failure::usage(format!("state: {}: {error}", folder.display())))?,
            None => state::default_folder()?,
        };
        let (targets, discover_docker) = target::targets(arguments, file.targets)?;
        file.control.validate()?;
        let store = store::store(arguments, file.store, path.as_deref())?;
        Ok(Self {
            file: path,
            listen: arguments.listen.or(file.listen).unwrap_or(LISTEN),
            state,
            log: arguments.log.clone().or(file.log).unwrap_or_else(|| "info".to_owned()),
            store,
            accounts: file.accounts.with_environment(),
            control: file.control,
            targets,
            discover_docker,
        })
    }
}

/// Reads a file of TOML.
///
/// # Errors
/// Naming file, line and field.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("read {}: {error}", path.display())))?;
    // The parser's own display shows the whole line, which may hold a password.
    let wrong = |field: &str, error: &toml::de::Error| {
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        let field = if field == "." { String::new() } else { format!("{field}: ") };
        Failure::usage(format!("{}, line {line}: {field}{}", path.display(), error.message()))
    };
    let document = toml::Deserializer::parse(&text).map_err(|error| wrong(".", &error))?;
    serde_path_to_error::deserialize(document)
        .map_err(|error| wrong(&error.path().to_string(), error.inner()))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, time::Duration};

    use super::*;

    /// What a file with that text and these arguments come to.
    pub(super) fn load(file: &str, arguments: HostArguments) -> Result<Config> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("freehold.toml");
        fs::write(&path, file).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        Config::load(&HostArguments { config: Some(path), ..arguments })
    }

    #[test]
    fn a_flag_goes_before_the_file_and_the_file_before_the_default() {
        let file = "listen = \"127.0.0.1:1\"\nlog = \"warn\"\n";
        let config = load(file, HostArguments { log: Some("debug".into()), ..Default::default() }).unwrap();
        assert_eq!((config.listen.port(), config.log.as_str()), (1, "debug"));
        assert_eq!(load("", HostArguments::default()).unwrap().listen, LISTEN);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_file_and_line() {
        let failure =
            load("log = \"info\"\n\n[control]\nwach_seconds = 1\n", HostArguments::default()).unwrap_err();
        for part in ["freehold.toml", "line 4", "wach_seconds", "watch_seconds"] {
            assert!(failure.message().contains(part), "{part} is not in {failure:?}");
        }
        assert_eq!(failure.code(), 2);
    }

    #[test]
    fn a_value_of_another_kind_is_named_by_its_field_and_what_cannot_work_is_told_at_once() {
        for (file, part) in [
            ("listen = \"localhost\"\n", "line 1: listen: "),
            ("[control]\nattempts = \"many\"\n", "line 2: control.attempts: "),
            ("[control]\nattempts = 0\n", "[control] attempts: "),
            (
                "[targets.a]\nkind = \"mock\"\nsettings = { max_operations = 0 }\n",
                "target a: settings: max_op",
            ),
        ] {
            let failure = load(file, HostArguments::default()).unwrap_err();
            assert!(failure.message().contains(part) && failure.code() == 2, "{part} is not in {failure:?}");
        }
    }

    #[test]
    fn how_engines_are_searched_for_leftovers_is_the_operators() {
        let file = "[control]\nsweep_seconds = 0\ngrace_seconds = 60\n";
        let settings = load(file, HostArguments::default()).unwrap().control.settings();
        assert_eq!((settings.sweep, settings.grace), (Duration::ZERO, Duration::from_secs(60)));
    }
}
