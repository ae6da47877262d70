//! Commands that change what is known of a project, or its settings.

use std::collections::BTreeSet;

use freehold_core::SecretName;
use freehold_host::wire::{Accepted, AmendProject, Limits, Project, ReconfigureProject};

use super::{
    Session,
    create::{bytes, secrets},
};
use crate::{
    cli::{ReconfigureArguments, Target},
    env_file,
    exit::{Failure, Result},
    print,
};

pub(super) async fn rename(session: &Session, project: &str, name: &str) -> Result<()> {
    let project = session.client.find(project).await?;
    amend(session, &project, AmendProject { name: Some(name.parse()?), ..Default::default() }).await
}

pub(super) async fn protect(session: &Session, project: &str, protected: bool) -> Result<()> {
    let project = session.client.find(project).await?;
    amend(session, &project, AmendProject { protected: Some(protected), ..Default::default() }).await
}

pub(super) async fn annotate(session: &Session, project: &str, changes: Vec<(String, String)>) -> Result<()> {
    let project = session.client.find(project).await?;
    let mut annotations = project.annotations.clone();
    for (key, value) in changes {
        if value.is_empty() {
            annotations.remove(&key);
        } else {
            annotations.insert(key, value);
        }
    }
    amend(session, &project, AmendProject { annotations: Some(annotations), ..Default::default() }).await
}

async fn amend(session: &Session, project: &Project, change: AmendProject) -> Result<()> {
    let path = format!("projects/{}", project.reference);
    let project: Project = session.client.patch(&path, &change).await?;
    if session.json {
        return print::json(&project);
    }
    print::project(&project, None);
    Ok(())
}

pub(super) async fn reconfigure(session: &Session, arguments: &ReconfigureArguments) -> Result<()> {
    let project = session.client.find(&arguments.target.project).await?;
    let (memory, cpus) = (arguments.memory.map(bytes), arguments.cpus);
    // Limits are replaced together, so what is not named is sent as it is.
    let limits = (memory.is_some() || cpus.is_some()).then(|| Limits {
        memory_bytes: memory.or(project.limits.memory_bytes),
        cpus: cpus.or(project.limits.cpus),
    });
    let request = ReconfigureProject {
        variables: arguments.variables.as_deref().map(env_file::read).transpose()?,
        secrets: secrets(arguments.secrets.as_deref())?,
        rotate: BTreeSet::new(),
        excluded_services: arguments.exclusions.said().map(<[String]>::to_vec),
        limits,
    };
    if request.variables.is_none()
        && request.secrets.is_empty()
        && request.excluded_services.is_none()
        && request.limits.is_none()
    {
        return Err(Failure::usage("nothing is to change: `freehold reconfigure --help` lists what can"));
    }
    let path = format!("projects/{}/reconfigure", project.reference);
    let accepted: Accepted = session.client.post(&path, &request).await?;
    session.follow(accepted, arguments.target.no_wait).await
}

pub(super) async fn rotate(session: &Session, target: &Target, names: Vec<String>) -> Result<()> {
    let project = session.client.find(&target.project).await?;
    let rotate = names.into_iter().map(SecretName::new).collect::<Result<BTreeSet<_>, _>>()?;
    let request = ReconfigureProject { rotate, ..ReconfigureProject::default() };
    let path = format!("projects/{}/reconfigure", project.reference);
    let accepted: Accepted = session.client.post(&path, &request).await?;
    session.follow(accepted, target.no_wait).await
}
