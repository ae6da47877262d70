//! `freehold create`.

use std::{collections::BTreeMap, fs, path::Path};

use freehold_core::{SecretName, SecretString};
use freehold_host::wire::{Accepted, CreateProject, FirstRunFile, Limits, Secret};

use super::Session;
use crate::{
    cli::CreateArguments,
    env_file,
    exit::{Failure, Result},
};

const MIB: u64 = 1024 * 1024;

/// Makes a project and shows its steps.
///
/// # Errors
/// What the host answers; what the operation came to.
pub(super) async fn run(session: &Session, arguments: &CreateArguments) -> Result<()> {
    let request = request(arguments)?;
    let accepted: Accepted = match &arguments.idempotency_key {
        Some(key) => session.client.post_once("projects", &request, key).await?,
        None => session.client.post("projects", &request).await?,
    };
    session.follow(accepted, arguments.no_wait).await
}

fn request(arguments: &CreateArguments) -> Result<CreateProject> {
    Ok(CreateProject {
        organization: arguments.organization.parse()?,
        name: arguments.name.parse()?,
        target: arguments.target.as_deref().map(str::parse).transpose()?,
        stack: arguments.stack.as_deref().map(str::parse).transpose()?,
        secrets: secrets(arguments.secrets.as_deref())?,
        variables: arguments.variables.as_deref().map(env_file::read).transpose()?.unwrap_or_default(),
        annotations: arguments.annotations.iter().cloned().collect(),
        excluded_services: arguments.exclusions.said().map(<[String]>::to_vec),
        limits: Limits { memory_bytes: arguments.memory.map(bytes), cpus: arguments.cpus },
        first_run: arguments.first_run.iter().map(|path| first_run(path)).collect::<Result<_>>()?,
    })
}

/// The secrets of a file, if one is named.
pub(super) fn secrets(path: Option<&Path>) -> Result<BTreeMap<SecretName, Secret>> {
    let values = path.map(env_file::read).transpose()?.unwrap_or_default();
    values.into_iter().map(|(name, secret)| Ok((SecretName::new(name)?, secret))).collect()
}

/// So many MiB in bytes.
pub(super) fn bytes(mib: u64) -> u64 {
    mib.saturating_mul(MIB)
}

fn first_run(path: &Path) -> Result<FirstRunFile> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let content = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("read {}: {error}", path.display())))?;
    Ok(FirstRunFile { name, content: Secret::from(SecretString::from(content)) })
}
