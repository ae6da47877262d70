//! The host's configuration: one file, overridden by `FREEHOLD_*`, overridden by flags.

use std::{
    collections::BTreeMap,
    env, fs,
    net::SocketAddr,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

use freehold_core::{
    SecretString, StackName, TargetName,
    control_plane::{Settings, TargetSettings},
};
use freehold_host::wire::Secret;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    accounts::{self, AccountsConfig},
    cli::{HostArguments, TargetKind},
    exit::{Failure, Result},
    state,
};

/// The address to listen on unless another is named.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 4000);

/// What is printed in place of a secret.
const MASK: &str = "***";

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

/// Where projects, operations and events are kept.
#[derive(Clone, Debug)]
pub(crate) enum StoreConfig {
    /// In a PostgreSQL of our own.
    Embedded,
    /// In somebody's PostgreSQL, by its connection string.
    Postgres(SecretString),
}

/// How the control plane works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct ControlConfig {
    /// How often each active project's health is looked at, in seconds; 0 never does.
    watch_seconds: u64,
    /// After how many attempts that failed an operation is given up.
    attempts: u32,
    /// How often an operation is taken over at most from a host that died while it worked on it.
    takeovers: u32,
    /// How long a host that is heard of no more keeps what it works on, in seconds.
    lease_seconds: u64,
    /// How long after that another host waits, in seconds: longer than one request to an engine may take.
    lease_margin_seconds: u64,
    /// How often a project that is found down is started again before that is left to people.
    revivals: u32,
    /// How often each engine is searched for what landed after its project was removed, in seconds; 0 never is.
    sweep_seconds: u64,
    /// How old what has no owner must be before it is removed, by that search and by `freehold doctor --fix`, in seconds:
    /// longer than any late request to an engine takes.
    grace_seconds: u64,
    /// How long events are kept, in days.
    keep_events_days: u64,
    /// How long operations that have ended are kept, in days.
    keep_operations_days: u64,
    /// How long running operations may go on when the host is told to end, in seconds; then they are handed back.
    pub(crate) shutdown_grace_seconds: u64,
}

impl Default for ControlConfig {
    fn default() -> Self {
        let settings = Settings::default();
        Self {
            watch_seconds: settings.watch.as_secs(),
            attempts: settings.attempts,
            takeovers: settings.takeovers,
            lease_seconds: settings.lease.as_secs(),
            lease_margin_seconds: settings.lease_margin.as_secs(),
            revivals: settings.revivals,
            sweep_seconds: settings.sweep.as_secs(),
            grace_seconds: settings.grace.as_secs(),
            keep_events_days: settings.retention.events.as_secs() / DAY,
            keep_operations_days: settings.retention.operations.as_secs() / DAY,
            shutdown_grace_seconds: 20,
        }
    }
}

const DAY: u64 = 24 * 3600;

impl ControlConfig {
    /// What it comes to for the control plane.
    pub(crate) fn settings(&self) -> Settings {
        let mut settings = Settings {
            watch: Duration::from_secs(self.watch_seconds),
            attempts: self.attempts,
            takeovers: self.takeovers,
            lease: Duration::from_secs(self.lease_seconds),
            lease_margin: Duration::from_secs(self.lease_margin_seconds),
            revivals: self.revivals,
            sweep: Duration::from_secs(self.sweep_seconds),
            grace: Duration::from_secs(self.grace_seconds),
            ..Settings::default()
        };
        settings.retention.events = Duration::from_secs(self.keep_events_days.saturating_mul(DAY));
        settings.retention.operations = Duration::from_secs(self.keep_operations_days.saturating_mul(DAY));
        settings
    }
}

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

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct StoreSection {
    url: Option<Secret>,
    url_file: Option<PathBuf>,
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
        let configured = !arguments.targets.is_empty() || !file.targets.is_empty();
        let mut targets =
            if arguments.targets.is_empty() { file.targets } else { named(&arguments.targets)? };
        if !configured {
            targets = named(&[TargetKind::Shell])?;
        }
        if !arguments.stacks.is_empty() {
            add_stacks(&mut targets, &arguments.stacks)?;
        }
        let store = store(arguments, file.store, path.as_deref())?;
        Ok(Self {
            file: path,
            listen: arguments.listen.or(file.listen).unwrap_or(LISTEN),
            state,
            log: arguments.log.clone().or(file.log).unwrap_or_else(|| "info".to_owned()),
            store,
            accounts: file.accounts.with_environment(),
            control: file.control,
            discover_docker: !configured && cfg!(feature = "docker") && arguments.stacks.is_empty(),
            targets,
        })
    }
}

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

/// Reads a file of TOML.
///
/// # Errors
/// Naming file, line and field.
pub(crate) fn parse<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("read {}: {error}", path.display())))?;
    toml::from_str(&text).map_err(|error| {
        // The parser's own display shows the whole line, which may hold a password.
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        Failure::usage(format!("{}, line {line}: {}", path.display(), error.message()))
    })
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

/// Refuses a file that everybody on the machine can read and that holds a password.
fn refuse_shared(path: &Path, url: &str) -> Result<()> {
    let cannot = |error| Failure::usage(format!("read {}: {error}", path.display()));
    let mode = fs::metadata(path).map_err(cannot)?.mode() & 0o777;
    if mode & 0o007 == 0 || !has_password(url) {
        return Ok(());
    }
    let path = path.display();
    Err(Failure::usage(format!(
        "{path} holds a password and has mode {mode:04o}, so everybody can read it: `chmod o= {path}`, and consider the \
         password known"
    )))
}

/// Whether a connection string has a password in it.
fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest).split(['/', '?']).next().unwrap_or("");
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':')) || url.contains("password=")
}

fn store(arguments: &HostArguments, section: StoreSection, file: Option<&Path>) -> Result<StoreConfig> {
    let from_file = |path: &Path| -> Result<SecretString> {
        let text = fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("read {}: {error}", path.display())))?;
        refuse_shared(path, text.trim())?;
        Ok(text.trim().into())
    };
    if let Some(url) = &arguments.database_url {
        if has_password(url) {
            return Err(Failure::usage(
                "--database-url has a password, which all users of the machine can see: put the URL into \
                 FREEHOLD_DATABASE_URL, or into a file and name that with --database-url-file",
            ));
        }
        return Ok(StoreConfig::Postgres(url.as_str().into()));
    }
    if let Some(path) = &arguments.database_url_file {
        return Ok(StoreConfig::Postgres(from_file(path)?));
    }
    // Read here and not by clap, so that no help text or error can show it.
    if let Some(url) = env::var("FREEHOLD_DATABASE_URL").ok().filter(|url| !url.is_empty()) {
        return Ok(StoreConfig::Postgres(url.into()));
    }
    Ok(match (section.url, section.url_file) {
        (Some(url), _) if url.expose() == MASK => {
            return Err(Failure::usage(
                "store: `url` is the mask that `freehold config` prints: put the URL itself there, or name a file \
                 that holds it as `url_file`",
            ));
        }
        (Some(url), None) => {
            if let Some(path) = file {
                refuse_shared(path, url.expose())?;
            }
            StoreConfig::Postgres(url.into_inner())
        }
        (None, Some(path)) => StoreConfig::Postgres(from_file(&path)?),
        (None, None) => StoreConfig::Embedded,
        (Some(_), Some(_)) => return Err(Failure::usage("store: `url` and `url_file` exclude each other")),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn load(file: &str, arguments: HostArguments) -> Result<Config> {
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
    fn how_engines_are_searched_for_leftovers_is_the_operators() {
        let file = "[control]\nsweep_seconds = 0\ngrace_seconds = 60\n";
        let settings = load(file, HostArguments::default()).unwrap().control.settings();
        assert_eq!((settings.sweep, settings.grace), (Duration::ZERO, Duration::from_secs(60)));
    }

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
    fn a_file_with_a_password_that_everybody_can_read_is_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("url");
        let load_url = |url: &str, mode| {
            fs::write(&path, url).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            load("", HostArguments { database_url_file: Some(path.clone()), ..Default::default() })
        };
        let failure = load_url("postgres://u:hunter2@h/db", 0o644).unwrap_err();
        assert!(
            failure.message().contains("chmod o=") && !failure.message().contains("hunter2"),
            "{failure:?}"
        );
        assert!(load_url("postgres://u:hunter2@h/db", 0o640).is_ok());
        assert!(load_url("postgres://u@h/db", 0o644).is_ok());

        fs::write(&path, "[store]\nurl = \"postgres://u:hunter2@h/db\"\n").unwrap();
        let arguments = HostArguments { config: Some(path.clone()), ..Default::default() };
        assert!(Config::load(&arguments).unwrap_err().message().contains("chmod o="));
    }

    #[test]
    fn what_is_printed_is_a_configuration_file_and_its_mask_is_not_taken_for_a_url() {
        let shown = load("log = \"warn\"\n", HostArguments::default()).unwrap().shown().unwrap();
        assert_eq!(load(&shown, HostArguments::default()).unwrap().log, "warn");
        let shown = load("[store]\nurl = \"postgres://h/db\"\n", HostArguments::default()).unwrap().shown();
        let failure = load(&shown.unwrap(), HostArguments::default()).unwrap_err();
        assert!(failure.message().contains("mask"), "{failure:?}");
    }

    #[test]
    fn a_password_on_the_command_line_is_refused() {
        for url in ["postgres://u:hunter2@h/db", "postgres://h/db?password=hunter2"] {
            let arguments = HostArguments { database_url: Some(url.into()), ..Default::default() };
            let failure = load("", arguments).unwrap_err();
            assert!(
                failure.message().contains("FREEHOLD_DATABASE_URL") && !failure.message().contains("hunter2")
            );
        }
        let arguments =
            HostArguments { database_url: Some("postgres://u@h:5432/db".into()), ..Default::default() };
        assert!(matches!(load("", arguments).unwrap().store, StoreConfig::Postgres(_)));
    }

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
