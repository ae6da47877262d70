//! `freehold demo`: a host and one project, from nothing to a connection string. `make run` runs it.

use std::{io, path::Path};

use freehold_core::Status;
use freehold_host::wire::{Accepted, Operation, OperationPage, Project, ProjectPage, SecretValues};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::{
    cli::{HostArguments, TargetKind},
    client::Client,
    client_file::ClientFile,
    config::Config,
    exit::{Failure, Result},
    host::Host,
    keys, logging, print, signals, watch,
};

const NAME: &str = "demo";
const ORGANIZATION: &str = "default";

/// Runs a host with the project demo until a signal ends it; then the project is paused.
///
/// # Errors
/// Whatever does not start; what the project's operation came to.
pub(crate) async fn run(arguments: HostArguments) -> Result<()> {
    let config = Config::load(&arguments)?;
    // The lines of the demo are what is to be read here; the log is for what goes wrong.
    logging::start(arguments.log.as_deref().unwrap_or("warn"))?;
    let shutdown = signals::shutdown()?;
    println!("Starting the host; everything is kept in {}.", config.state.display());
    let host = tokio::select! {
        host = Host::start(&config, false, None) => host?,
        () = shutdown.cancelled() => return Ok(()),
    };
    let outcome = with_host(&host, &config, &shutdown).await;
    let stopped = host.stop().await;
    outcome.and(stopped)
}

async fn with_host(host: &Host, config: &Config, shutdown: &CancellationToken) -> Result<()> {
    let file = ClientFile::read(&ClientFile::path(host.state()))?.ok_or_else(|| {
        Failure::usage("there is no client file: remove --state's folder, or start with --new-token")
    })?;
    let client = Client::new(host.url().to_owned(), file.token())?;
    println!("The host listens on {}.", host.url());
    let project = tokio::select! {
        project = bring_up(&client, config) => project?,
        () = shutdown.cancelled() => return pause(&client).await,
    };
    introduce(&client, host, &project).await?;
    shutdown.cancelled().await;
    pause(&client).await
}

/// The project demo, running: made, resumed or tried again, whatever it needs.
async fn bring_up(client: &Client, config: &Config) -> Result<Project> {
    let Some(project) = find(client).await? else {
        println!("Creating the project {NAME}.");
        let target = config.targets.iter().find(|(_, target)| target.kind != TargetKind::Docker);
        let target = target.map(|(name, _)| name.as_str());
        let create = json!({ "organization": ORGANIZATION, "name": NAME, "target": target });
        let accepted: Accepted = client.post("projects", &create).await?;
        return follow(client, accepted).await;
    };
    let verb = match project.status {
        Status::ActiveHealthy | Status::ActiveUnhealthy => None,
        Status::InitFailed => Some("retry"),
        Status::Inactive | Status::PauseFailed | Status::RestoreFailed => Some("resume"),
        Status::ComingUp | Status::Restoring | Status::Restarting | Status::Pausing | Status::GoingDown => {
            let Some(operation) = in_flight(client, &project).await? else { return Ok(project) };
            println!("{NAME} is {}: going on where the last run ended.", project.status);
            watch::operation(client, &operation, &mut io::stdout()).await?;
            return Box::pin(bring_up(client, config)).await;
        }
        Status::DestroyFailed | Status::Removed => {
            return Err(Failure::conflict(format!(
                "{NAME} is {}: `freehold destroy {NAME}`",
                project.status
            )));
        }
    };
    let Some(verb) = verb else {
        println!("{NAME} is there and runs.");
        return Ok(project);
    };
    println!("{NAME} is there and {}: {verb}.", project.status);
    let accepted = client.post(&format!("projects/{}/{verb}", project.reference), &json!({})).await?;
    follow(client, accepted).await
}

async fn find(client: &Client) -> Result<Option<Project>> {
    let page: ProjectPage = client.get("projects", &[("name", NAME), ("organization", ORGANIZATION)]).await?;
    // A name is free again once its project goes down: the newest one is meant.
    Ok(page.items.into_iter().next_back().filter(|project| project.status != Status::DestroyFailed))
}

async fn in_flight(client: &Client, project: &Project) -> Result<Option<Operation>> {
    let query = [("ref", project.reference.as_str()), ("states", "running,waiting")];
    let page: OperationPage = client.get("operations", &query).await?;
    Ok(page.items.into_iter().next())
}

async fn follow(client: &Client, accepted: Accepted) -> Result<Project> {
    if let Some(operation) = &accepted.operation {
        watch::operation(client, operation, &mut io::stdout()).await?;
    }
    client.get(&format!("projects/{}", accepted.project.reference), &[]).await
}

async fn introduce(client: &Client, host: &Host, project: &Project) -> Result<()> {
    let secrets: SecretValues = client.get(&format!("projects/{}/secrets", project.reference), &[]).await?;
    let state = host.state();
    println!("\n{NAME} is {}.\n", project.status);
    let program = program(state);
    if let Some(connection) = print::connection_string(project, &secrets) {
        println!("  connect   psql '{connection}'");
    }
    println!("  secrets   {program} show {NAME} --secrets");
    println!("  keys      {} (back this file up)", keys::path(state).display());
    println!("  token     {} (what commands find the host by)", ClientFile::path(state).display());
    println!("\nThree things to try in another terminal:\n");
    println!("  {program} create second --target {}", project.target);
    println!("  {program} pause {NAME}; {program} resume {NAME}");
    println!("  {program} events --follow");
    println!("\nCtrl-C pauses {NAME} and ends the host.");
    Ok(())
}

/// How this program was called, so that what is printed can be typed.
fn program(state: &Path) -> String {
    let program = std::env::args().next().unwrap_or_else(|| "freehold".to_owned());
    match crate::state::default_folder() {
        Ok(folder) if folder == state => program,
        _ => format!("{program} --client-file {}", ClientFile::path(state).display()),
    }
}

/// Pauses the project if it runs, and waits for that.
async fn pause(client: &Client) -> Result<()> {
    let Some(project) = find(client).await? else { return Ok(()) };
    if let Some(operation) = in_flight(client, &project).await? {
        println!("\n{} of {NAME} goes on at the next start.", operation.kind);
        return Ok(());
    }
    if !matches!(project.status, Status::ActiveHealthy | Status::ActiveUnhealthy) {
        return Ok(());
    }
    println!("\nPausing {NAME}.");
    let accepted = client.post(&format!("projects/{}/pause", project.reference), &json!({})).await?;
    let project = follow(client, accepted).await?;
    println!("{NAME} is {}; its data is kept. The next run resumes it.", project.status);
    Ok(())
}
