//! Making backends from their configuration: the one place that knows their kinds.

use std::{path::PathBuf, sync::Arc, time::Duration};

use freehold_core::{
    Backend, Context, TargetName,
    control_plane::{ControlPlaneBuilder, TargetSettings},
    memory::MemoryBackend,
};

use crate::{
    cli::TargetKind,
    config::{Config, TargetConfig},
    exit::{Failure, Result},
};

/// How long an engine that nobody configured may take to answer.
const DISCOVERY: Duration = Duration::from_secs(5);

/// Gives every configured target to the control plane, and a Docker target where an engine is found.
///
/// # Errors
/// Naming the target whose configuration is wrong.
pub(crate) async fn add(mut builder: ControlPlaneBuilder, config: &Config) -> Result<ControlPlaneBuilder> {
    for (name, target) in &config.targets {
        let backend = backend(target, config, config.state.join(name.as_str())).await;
        let backend = backend.map_err(|failure| failure.during(&format!("target {name}")))?;
        builder = builder.target(name.clone(), backend, target.settings);
    }
    if config.discover_docker {
        match discover_docker(config).await {
            Ok(backend) => {
                builder = builder.target(TargetName::new("docker")?, backend, TargetSettings::default());
            }
            Err(failure) => tracing::info!(reason = failure.message(), "no Docker target"),
        }
    }
    Ok(builder)
}

async fn backend(target: &TargetConfig, config: &Config, folder: PathBuf) -> Result<Arc<dyn Backend>> {
    let table = target.config.clone();
    match target.kind {
        TargetKind::Mock if table.is_empty() => Ok(Arc::new(MemoryBackend::new()?)),
        TargetKind::Mock => Err(Failure::usage("config: a mock target takes none")),
        TargetKind::Shell => shell(table, folder),
        TargetKind::Docker => docker(table, config, folder).await,
    }
}

/// The machine's own engine, if that answers.
async fn discover_docker(config: &Config) -> Result<Arc<dyn Backend>> {
    let backend = docker(toml::Table::new(), config, config.state.join("docker")).await?;
    backend.describe(&Context::new(DISCOVERY)).await?;
    Ok(backend)
}

#[cfg(feature = "shell")]
fn shell(mut table: toml::Table, folder: PathBuf) -> Result<Arc<dyn Backend>> {
    table.entry("data").or_insert_with(|| text(folder));
    Ok(Arc::new(freehold_shell::ShellBackend::open(parse(table)?)?))
}

#[cfg(not(feature = "shell"))]
fn shell(_: toml::Table, _: PathBuf) -> Result<Arc<dyn Backend>> {
    Err(Failure::usage("this program was built without shell targets"))
}

#[cfg(feature = "docker")]
async fn docker(mut table: toml::Table, config: &Config, folder: PathBuf) -> Result<Arc<dyn Backend>> {
    table.entry("data_root").or_insert_with(|| text(folder));
    table.entry("stacks").or_insert_with(|| toml::Value::Array(Vec::new()));
    if let Some(host) = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty()) {
        table.entry("host").or_insert(host.into());
    }
    if let Some(file) = docker_config() {
        table.entry("docker_config").or_insert_with(|| text(file));
    }
    let backend = freehold_docker::DockerBackend::connect(parse(table)?).await?;
    if backend.joins_networks() {
        config.refuse_short_names()?;
    }
    Ok(Arc::new(backend))
}

/// The configuration of the Docker client of whoever runs this program, where the client itself looks for it.
#[cfg(feature = "docker")]
fn docker_config() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("DOCKER_CONFIG").or_else(|| Some(set("HOME")?.join(".docker")))?;
    Some(folder.join("config.json"))
}

#[cfg(not(feature = "docker"))]
async fn docker(_: toml::Table, _: &Config, _: PathBuf) -> Result<Arc<dyn Backend>> {
    Err(Failure::usage("this program was built without Docker targets"))
}

#[cfg(any(feature = "shell", feature = "docker"))]
fn text(folder: PathBuf) -> toml::Value {
    toml::Value::String(folder.to_string_lossy().into_owned())
}

/// A backend's configuration, in that backend's own words.
#[cfg(any(feature = "shell", feature = "docker"))]
fn parse<T: serde::de::DeserializeOwned>(table: toml::Table) -> Result<T> {
    let wrong = |error: toml::de::Error| Failure::usage(format!("config: {}", error.message()));
    toml::Value::Table(table).try_into().map_err(wrong)
}
