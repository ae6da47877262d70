//! Commands that a running host carries out.

mod amend;
mod create;
mod defaults;
mod doctor;
mod read;

use std::io::{self, IsTerminal, Write};

use freehold_core::{OperationId, OperationState};
use freehold_host::wire::{Accepted, Operation, OperationPage, Project, RestartProject, ResumeProject};
use serde::Serialize;
use serde_json::json;

use crate::{
    cli::{Connection, Remote, StudioCommand, Target},
    client::Client,
    exit::{Failure, Result},
    print, watch,
};

/// Where the lines of a command go, and whether as JSON.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    pub(crate) client: Client,
    pub(crate) json: bool,
}

/// Carries out a command.
///
/// # Errors
/// What the host answers; what the operation came to.
pub(crate) async fn run(connection: Connection, command: Remote) -> Result<()> {
    let session = Session { client: Client::connect(&connection)?, json: connection.json };
    match command {
        Remote::Create(arguments) => create::run(&session, &arguments).await,
        Remote::List(arguments) => read::list(&session, &arguments).await,
        Remote::Show { project, secrets } => read::show(&session, &project, secrets).await,
        Remote::Pause(target) => session.command(&target, "pause", &json!({})).await,
        Remote::Resume { target, loss } => {
            session.command(&target, "resume", &ResumeProject { accept_data_loss: loss.accepted }).await
        }
        Remote::Retry(target) => session.command(&target, "retry", &json!({})).await,
        Remote::Restart { target, loss, services } => {
            let request = RestartProject { services, accept_data_loss: loss.accepted };
            session.command(&target, "restart", &request).await
        }
        Remote::Destroy { target, yes } => destroy(&session, &target, yes).await,
        Remote::Rename { project, name } => amend::rename(&session, &project, &name).await,
        Remote::Protect { project } => amend::protect(&session, &project, true).await,
        Remote::Unprotect { project } => amend::protect(&session, &project, false).await,
        Remote::Annotate { project, annotations } => amend::annotate(&session, &project, annotations).await,
        Remote::Reconfigure(arguments) => amend::reconfigure(&session, &arguments).await,
        Remote::Rotate { target, secrets } => amend::rotate(&session, &target, secrets).await,
        Remote::Repair(target) => session.command(&target, "repair", &json!({})).await,
        Remote::Operations { project, limit } => read::operations(&session, project.as_deref(), limit).await,
        Remote::Cancel { operation } => cancel(&session, &operation).await,
        Remote::Logs { project, services, follow, tail } => {
            read::logs(&session, &project, &services, follow, tail).await
        }
        Remote::Events { after, follow } => read::events(&session, after, follow).await,
        Remote::Plan { project } => read::plan(&session, &project).await,
        Remote::Health { project } => read::health(&session, &project).await,
        Remote::Defaults(arguments) => defaults::run(&session, &arguments).await,
        Remote::Studio(StudioCommand::CustomContent { patched }) => {
            let query = [("patched", if patched { "true" } else { "false" })];
            print::json(&session.client.get::<serde_json::Value>("studio/custom-content", &query).await?)
        }
        Remote::Doctor { fix, older_than } => doctor::run(&session, fix, older_than).await,
    }
}

impl Session {
    async fn command(&self, target: &Target, verb: &str, request: &impl Serialize) -> Result<()> {
        let project = self.client.find(&target.project).await?;
        let path = format!("projects/{}/{verb}", project.reference);
        let accepted = self.client.post(&path, request).await?;
        self.follow(accepted, target.no_wait).await
    }

    /// Shows what a command comes to: at once, or when its operation has ended, with a line a step until then.
    pub(crate) async fn follow(&self, accepted: Accepted, no_wait: bool) -> Result<()> {
        let project = match &accepted.operation {
            Some(operation) if !no_wait => {
                watch::operation(&self.client, operation, &mut self.progress()).await?;
                self.client.get(&format!("projects/{}", accepted.project.reference), &[]).await?
            }
            _ => accepted.project.clone(),
        };
        if self.json {
            return print::json(&Accepted {
                project,
                operation: self.refreshed(accepted.operation, no_wait).await?,
            });
        }
        self.say(&project);
        if let (Some(operation), true) = (&accepted.operation, no_wait) {
            println!("operation {} is {}", operation.id, operation.state);
        }
        Ok(())
    }

    async fn refreshed(&self, operation: Option<Operation>, as_it_was: bool) -> Result<Option<Operation>> {
        match operation {
            Some(operation) if !as_it_was => {
                self.client.get(&format!("operations/{}", operation.id), &[]).await.map(Some)
            }
            operation => Ok(operation),
        }
    }

    fn say(&self, project: &Project) {
        println!("{} ({}) is {}", project.name, project.reference, project.status);
    }

    /// Where steps are shown: nowhere if the output is for programs.
    fn progress(&self) -> Box<dyn Write + Send> {
        if self.json { Box::new(io::sink()) } else { Box::new(io::stdout()) }
    }
}

async fn destroy(session: &Session, target: &Target, yes: bool) -> Result<()> {
    let project = session.client.find(&target.project).await?;
    if !yes {
        if !io::stdin().is_terminal() {
            return Err(Failure::usage("this destroys the project and its data: say --yes"));
        }
        print!("Destroy {} ({}) and all its data? Type its name: ", project.name, project.reference);
        let mut answer = String::new();
        io::stdout()
            .flush()
            .and_then(|()| io::stdin().read_line(&mut answer))
            .map_err(|error| Failure::usage(format!("ask: {error}: say --yes")))?;
        if answer.trim() != project.name.as_str() {
            return Err(Failure::usage("nothing was destroyed"));
        }
    }
    let accepted = session.client.delete(&format!("projects/{}", project.reference)).await?;
    session.follow(accepted, target.no_wait).await
}

async fn cancel(session: &Session, text: &str) -> Result<()> {
    let client = &session.client;
    let id = match text.parse::<OperationId>() {
        Ok(id) => id,
        Err(_) => {
            let project = client.find(text).await?;
            let states =
                [OperationState::Running, OperationState::Waiting].map(OperationState::as_str).join(",");
            let query = [("ref", project.reference.as_str()), ("states", states.as_str())];
            let page: OperationPage = client.get("operations", &query).await?;
            let in_flight = page.items.first().ok_or_else(|| {
                Failure::conflict(format!(
                    "{} has no operation in flight: it is {}",
                    project.name, project.status
                ))
            })?;
            in_flight.id
        }
    };
    let accepted: Accepted = client.post(&format!("operations/{id}/cancel"), &json!({})).await?;
    if session.json {
        return print::json(&accepted);
    }
    if let Some(operation) = &accepted.operation {
        println!(
            "operation {} ({}) was asked to end; it is {}",
            operation.id, operation.kind, operation.state
        );
    }
    Ok(())
}
