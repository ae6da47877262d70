//! The same request twice: how it is recognized, and what it is answered.

mod body;

use super::{Accepted, Command, Inner};
use crate::{
    error::{Detail, Error, Result},
    names::OrganizationId,
    store::IdempotencyKey,
};

impl Inner {
    /// The key as the store keeps it, with a hash of what it was used for.
    pub(super) async fn idempotency(&self, command: &Command, key: &str) -> Result<IdempotencyKey> {
        if !(1..=255).contains(&key.len()) || key.chars().any(char::is_control) {
            return Err(Error::invalid("idempotency key", "is not 1 to 255 bytes of text"));
        }
        let organization = self.organization_of(command).await?;
        let body = self.request_key.hash(&body::canonical(command)?);
        Ok(IdempotencyKey { organization, key: key.to_owned(), body })
    }

    async fn organization_of(&self, command: &Command) -> Result<OrganizationId> {
        let project = match command {
            Command::Create(create) => return Ok(create.organization.clone()),
            Command::Retry(project)
            | Command::Pause(project)
            | Command::Resume(project, _)
            | Command::Restart(project, _)
            | Command::Reconfigure(project, _)
            | Command::Destroy(project)
            | Command::Amend(project, _) => *project,
            Command::Cancel(operation) => {
                let found = self.store.operation(*operation).await?;
                found.ok_or_else(|| Error::not_found("operation", operation))?.project
            }
        };
        Ok(self.existing_project(&project).await?.organization)
    }

    /// What the key was answered with before, if it was used before.
    pub(super) async fn replay(&self, key: &IdempotencyKey) -> Result<Option<Accepted>> {
        let Some(replay) = self.store.replay(&key.organization, &key.key).await? else { return Ok(None) };
        if replay.body != key.body {
            return Err(Error::detailed(
                Detail::KeyReused,
                format!("use idempotency key {:?} again: it was used for another request", key.key),
            ));
        }
        let project = self.existing_project(&replay.project).await?;
        let operation = match replay.operation {
            Some(id) => self.store.operation(id).await?,
            None => None,
        };
        Ok(Some(Accepted { project, operation, replayed: true }))
    }
}
