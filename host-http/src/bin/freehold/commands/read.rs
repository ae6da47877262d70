//! Commands that change nothing.

use freehold_host::wire::{
    ErrorBody, Event, EventPage, LogLine, OperationPage, Project, ProjectHealth, ProjectPage, ProjectPlan,
    SecretValues,
};
use serde::de::DeserializeOwned;

use super::Session;
use crate::{
    cli::ListArguments,
    exit::{Failure, Result},
    print,
};

pub(super) async fn list(session: &Session, arguments: &ListArguments) -> Result<()> {
    let (targets, statuses) = (arguments.target.join(","), arguments.status.join(","));
    let mut projects: Vec<Project> = Vec::new();
    let mut after = None;
    loop {
        let mut query = vec![("targets", targets.as_str()), ("statuses", statuses.as_str())];
        query.extend(arguments.organization.as_deref().map(|organization| ("organization", organization)));
        query.extend(after.as_deref().map(|after| ("after", after)));
        let page: ProjectPage = session.client.get("projects", &query).await?;
        projects.extend(page.items);
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    if session.json {
        return print::json(&projects);
    }
    print::projects(&projects);
    Ok(())
}

pub(super) async fn show(session: &Session, project: &str, secrets: bool) -> Result<()> {
    let project = session.client.find(project).await?;
    let secrets: Option<SecretValues> = match secrets {
        true => Some(session.client.get(&format!("projects/{}/secrets", project.reference), &[]).await?),
        false => None,
    };
    if session.json {
        return match &secrets {
            Some(secrets) => {
                print::json(&serde_json::json!({ "project": project, "secrets": secrets.secrets }))
            }
            None => print::json(&project),
        };
    }
    print::project(&project, secrets.as_ref());
    let query = [("ref", project.reference.as_str()), ("limit", "1")];
    let last: OperationPage = session.client.get("operations", &query).await?;
    if let Some(error) = last.items.first().and_then(|operation| operation.error.as_ref()) {
        println!("  last error    {}", error.chain);
    }
    Ok(())
}

pub(super) async fn operations(session: &Session, project: Option<&str>, limit: u32) -> Result<()> {
    let reference = match project {
        Some(project) => Some(session.client.find(project).await?.reference),
        None => None,
    };
    let limit = limit.to_string();
    let mut query = vec![("limit", limit.as_str())];
    query.extend(reference.as_ref().map(|reference| ("ref", reference.as_str())));
    let page: OperationPage = session.client.get("operations", &query).await?;
    if session.json {
        return print::json(&page.items);
    }
    print::operations(&page.items);
    Ok(())
}

pub(super) async fn plan(session: &Session, project: &str) -> Result<()> {
    let plan: ProjectPlan = observe(session, project, "plan").await?;
    if session.json {
        return print::json(&plan);
    }
    print::plan(&plan);
    Ok(())
}

pub(super) async fn health(session: &Session, project: &str) -> Result<()> {
    let health: ProjectHealth = observe(session, project, "health").await?;
    if session.json {
        print::json(&health)?;
    } else {
        print::health(&health);
    }
    if health.healthy { Ok(()) } else { Err(Failure::failed("it is not healthy")) }
}

async fn observe<T: DeserializeOwned>(session: &Session, project: &str, what: &str) -> Result<T> {
    let project = session.client.find(project).await?;
    session.client.get(&format!("projects/{}/{what}", project.reference), &[]).await
}

pub(super) async fn logs(
    session: &Session,
    project: &str,
    services: &[String],
    follow: bool,
    tail: Option<u32>,
) -> Result<()> {
    let project = session.client.find(project).await?;
    let path = format!("projects/{}/logs", project.reference);
    let (services, tail) = (services.join(","), tail.map(|tail| tail.to_string()));
    let mut query = vec![("services", services.as_str()), ("follow", if follow { "true" } else { "false" })];
    query.extend(tail.as_deref().map(|tail| ("tail", tail)));
    let show = |data: &str| -> Result<()> {
        let line: LogLine = parse(data)?;
        if session.json {
            println!("{data}");
        } else {
            println!("{}", print::log_line(&line));
        }
        Ok(())
    };
    if follow {
        let mut events = session.client.events(&path, &query).await?;
        while let Some(event) = events.next().await? {
            if event.name == "error" {
                return Err(broken_off(&event.data));
            }
            show(&event.data)?;
        }
        return Ok(());
    }
    let mut response = session.client.lines(&path, &query).await?;
    let mut rest = Vec::new();
    loop {
        let chunk = response.chunk().await;
        let chunk = chunk.map_err(|error| Failure::unreachable(format!("read from the host: {error}")))?;
        let Some(chunk) = chunk else { return Ok(()) };
        rest.extend_from_slice(&chunk);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            if serde_json::from_str::<ErrorBody>(&line).is_ok() {
                return Err(broken_off(&line));
            }
            show(line.trim_end())?;
        }
    }
}

pub(super) async fn events(session: &Session, after: u64, follow: bool) -> Result<()> {
    let show = |event: &Event| -> Result<()> {
        if session.json {
            let text = serde_json::to_string(event);
            println!("{}", text.map_err(|error| Failure::internal(format!("write JSON: {error}")))?);
        } else {
            println!("{}", print::event(event));
        }
        Ok(())
    };
    let mut after = after;
    if follow {
        let query = after.to_string();
        let mut events = session.client.events("events/stream", &[("after", query.as_str())]).await?;
        while let Some(event) = events.next().await? {
            if event.name == "error" {
                return Err(broken_off(&event.data));
            }
            show(&parse(&event.data)?)?;
        }
        return Ok(());
    }
    loop {
        let query = after.to_string();
        let page: EventPage =
            session.client.get("events", &[("after", query.as_str()), ("limit", "1000")]).await?;
        if page.events.is_empty() {
            return Ok(());
        }
        page.events.iter().try_for_each(show)?;
        after = page.next;
    }
}

fn broken_off(data: &str) -> Failure {
    let body = serde_json::from_str::<ErrorBody>(data);
    Failure::failed(body.map_or_else(|_| data.to_owned(), |body| body.message))
}

fn parse<T: DeserializeOwned>(data: &str) -> Result<T> {
    serde_json::from_str(data)
        .map_err(|error| Failure::failed(format!("understand the host's answer: {error}")))
}
