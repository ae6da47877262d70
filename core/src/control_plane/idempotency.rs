//! The same request twice: how it is recognized, and what it is answered.

use std::fmt;

use secrecy::ExposeSecret as _;

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
        let body = self.request_key.hash(format!("{}", Exposed(command)).as_bytes());
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

/// A command with its secrets in clear, only ever fed into an HMAC.
struct Exposed<'a>(&'a Command);

impl fmt::Display for Exposed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `Debug` of a command masks its secrets, so they are added behind it, each with its name.
        write!(f, "{:?}", self.0)?;
        match self.0 {
            Command::Create(create) => {
                for (name, value) in &create.secrets {
                    write!(f, "\0{name}\0{}", value.expose_secret())?;
                }
                for (name, value) in &create.variables {
                    write!(f, "\0{name}\0{}", value.expose_secret())?;
                }
                for file in &create.first_run {
                    write!(f, "\0{}\0{}", file.name, file.content.expose_secret())?;
                }
                Ok(())
            }
            Command::Reconfigure(_, settings) => {
                for (name, value) in &settings.secrets {
                    write!(f, "\0{name}\0{}", value.expose_secret())?;
                }
                for (name, value) in settings.variables.iter().flatten() {
                    write!(f, "\0{name}\0{}", value.expose_secret())?;
                }
                for (name, value) in &settings.amended {
                    let value = value.as_ref().map_or("", |value| value.expose_secret());
                    write!(f, "\0{name}\0{value}")?;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
