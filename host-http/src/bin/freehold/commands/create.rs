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
    let excluded_services = match (arguments.exclude_nothing, arguments.excluded.is_empty()) {
        (true, _) => Some(Vec::new()),
        (false, true) => None,
        (false, false) => Some(arguments.excluded.clone()),
    };
    let values =
        |path: &Option<_>| path.as_deref().map(env_file::read).transpose().map(Option::unwrap_or_default);
    let secrets = values(&arguments.secrets)?
        .into_iter()
        .map(|(name, secret)| Ok((SecretName::new(name)?, secret)))
        .collect::<Result<BTreeMap<_, _>>>()?;
    Ok(CreateProject {
        organization: arguments.organization.parse()?,
        name: arguments.name.parse()?,
        target: arguments.target.as_deref().map(str::parse).transpose()?,
        stack: arguments.stack.as_deref().map(str::parse).transpose()?,
        secrets,
        variables: values(&arguments.variables)?,
        annotations: arguments.annotations.iter().cloned().collect(),
        excluded_services,
        limits: Limits {
            memory_bytes: arguments.memory.map(|mib| mib.saturating_mul(MIB)),
            cpus: arguments.cpus,
        },
        first_run: arguments.first_run.iter().map(|path| first_run(path)).collect::<Result<_>>()?,
    })
}

fn first_run(path: &Path) -> Result<FirstRunFile> {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let content = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("read {}: {error}", path.display())))?;
    Ok(FirstRunFile { name, content: Secret::from(SecretString::from(content)) })
}
