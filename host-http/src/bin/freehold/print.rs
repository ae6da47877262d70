//! What people read.

use std::fmt::Write as _;

use freehold_host::wire::{
    Address, Event, Finding, LogLine, Operation, Project, ProjectHealth, ProjectPlan, SecretValues,
};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::exit::{Failure, Result};

/// Prints a value as JSON.
///
/// # Errors
/// If it cannot be written, which would be a fault of ours.
pub(crate) fn json<T: serde::Serialize>(value: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Failure::internal(format!("write JSON: {error}")))?;
    println!("{text}");
    Ok(())
}

/// A list of projects.
pub(crate) fn projects(projects: &[Project]) {
    let width =
        projects.iter().map(|project| project.name.as_str().chars().count()).max().unwrap_or(0).max(4);
    println!("{:<20}  {:<width$}  {:<16}  {:<8}  ORGANIZATION", "REF", "NAME", "STATUS", "TARGET");
    for project in projects {
        println!(
            "{:<20}  {:<width$}  {:<16}  {:<8}  {}",
            project.reference,
            project.name,
            project.status.as_str(),
            project.target,
            project.organization
        );
    }
}

/// One project.
pub(crate) fn project(project: &Project, secrets: Option<&SecretValues>) {
    println!("{} {}", project.name, project.status);
    println!("  ref           {}", project.reference);
    println!("  organization  {}", project.organization);
    println!("  target        {} (stack {})", project.target, project.stack);
    println!("  created       {}", moment(project.created_at));
    if project.protected {
        println!("  protected     destroy is refused");
    }
    if let Some(connection) = &project.connection {
        if let Some(database) = &connection.database {
            println!("  database      {} (PostgreSQL {})", host(&database.endpoint.public), database.version);
        }
        for (name, endpoint) in [("pooler", &connection.pooler), ("api", &connection.api)] {
            if let Some(endpoint) = endpoint {
                println!("  {name:<12}  {}", host(&endpoint.public));
            }
        }
    }
    let Some(secrets) = secrets else { return };
    if let Some(string) = connection_string(project, secrets) {
        println!("  connection    {string}");
    }
    for (name, secret) in &secrets.secrets {
        println!("  secret        {name} = {}", secret.expose());
    }
}

/// A list of operations, each failure with its reason.
pub(crate) fn operations(operations: &[Operation]) {
    println!("{:<36}  {:<20}  {:<11}  {:<9}  CREATED", "ID", "PROJECT", "KIND", "STATE");
    for operation in operations {
        println!(
            "{}  {}  {:<11}  {:<9}  {}",
            operation.id,
            operation.project,
            operation.kind.as_str(),
            operation.state.as_str(),
            moment(operation.created_at)
        );
        if let Some(before) = operation.position {
            println!("  {before} before it in the queue of target {}", operation.target);
        }
        if let Some(error) = &operation.error {
            println!("  {}", error.chain);
        }
    }
}

/// What psql takes to reach a project's database (PostgreSQL's documentation, section 32.1.1.2).
pub(crate) fn connection_string(project: &Project, secrets: &SecretValues) -> Option<String> {
    let database = project.connection.as_ref()?.database.as_ref()?;
    let password = secrets.secrets.get(database.password_secret.as_str())?;
    Some(format!(
        "postgresql://{}:{}@{}/{}",
        percent_encoded(&database.user),
        percent_encoded(password.expose()),
        host(&database.endpoint.public),
        percent_encoded(&database.name)
    ))
}

/// One event on a line.
pub(crate) fn event(event: &Event) -> String {
    let fact = serde_json::to_value(&event.fact).unwrap_or_default();
    let mut text =
        format!("{:>6}  {}  {}  {}", event.sequence, moment(event.at), event.project, event.name());
    for (name, value) in fact.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if name != "type" && value != "null" {
            // Writing to a string cannot fail.
            let _ = write!(text, " {name}={value}");
        }
    }
    text
}

/// One line of a log.
pub(crate) fn log_line(line: &LogLine) -> String {
    format!("{}  {}", line.service, line.line)
}

/// What would have to be done.
pub(crate) fn plan(plan: &ProjectPlan) {
    if plan.changes.is_empty() {
        println!("nothing to do: the project is as it is meant to be");
    }
    for change in &plan.changes {
        let action = format!("{:?}", change.action).to_lowercase();
        println!("{action:<8} {} {} {}: {}", change.resource, change.name, change.service, change.reason);
    }
}

/// How each service is.
pub(crate) fn health(health: &ProjectHealth) {
    for service in &health.services {
        let latency = service.latency_ms.map_or(String::new(), |latency| format!(", {latency} ms"));
        let problem = service.last_error.as_deref().map_or(String::new(), |error| format!(": {error}"));
        let flapping = if service.flapping { ", flapping" } else { "" };
        println!(
            "{:<20} {:<10} {}{latency}{flapping}{problem}",
            service.service,
            service.state.as_str(),
            service.probe
        );
        for drift in &service.drift {
            println!("{:<20} {:<10} {drift}", "", "drift");
        }
    }
}

/// What is wrong with a project, on a line.
pub(crate) fn finding(finding: &Finding) -> String {
    let mut text = match finding.trouble.as_str() {
        "missing" => "nothing of it is on the engine".to_owned(),
        "unknown" => "the store does not know it".to_owned(),
        "removed" => "it was removed, and this is here again".to_owned(),
        "failed" => "left of what failed".to_owned(),
        "unlabelled" => "the store does not know it, and nothing tells whose it is".to_owned(),
        other => other.to_owned(),
    };
    if let (Some(name), Some(status)) = (&finding.name, &finding.status) {
        text = format!("{name} is {status}: {text}");
    }
    let resources: Vec<_> = finding.resources.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    if !resources.is_empty() {
        text = format!("{text}: {}", resources.join(", "));
    }
    // Of an age that nothing tells the backend says that it is as old as can be.
    match finding.since.filter(|since| *since > OffsetDateTime::UNIX_EPOCH) {
        Some(since) => format!("{text}, since {}", moment(since)),
        None => text,
    }
}

/// A moment to the second (RFC 3339).
fn moment(at: OffsetDateTime) -> String {
    at.replace_nanosecond(0).unwrap_or(at).format(&Rfc3339).unwrap_or_default()
}

fn host(address: &Address) -> String {
    freehold_core::Address { host: address.host.clone(), port: address.port }.to_string()
}

/// Percent-encoding of everything but unreserved characters (RFC 3986 section 2.3).
fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_may_hold_anything_and_still_stand_in_a_connection_string() {
        assert_eq!(percent_encoded("a-b_c.~9"), "a-b_c.~9");
        assert_eq!(percent_encoded("p@s:/w ä"), "p%40s%3A%2Fw%20%C3%A4");
    }
}
