//! Watching an operation: one line a step as it happens, and an explanation when it fails.

use std::{io::Write, time::Duration};

use freehold_core::{Detail, OperationState};
use freehold_host::wire::{ErrorBody, Operation, Step};
use time::OffsetDateTime;

use crate::{
    client::Client,
    exit::{Failure, Result},
};

/// How much of what was printed is shown when an operation failed.
const LAST_LINES: usize = 20;

/// Watches an operation until it has ended.
///
/// # Errors
/// If it failed: what, why, what is left and what to do next. If the host goes away meanwhile, the operation goes on.
pub(crate) async fn operation(
    client: &Client,
    operation: &Operation,
    out: &mut impl Write,
) -> Result<Operation> {
    let mut events = client.events(&format!("operations/{}/progress", operation.id), &[]).await?;
    let mut steps = Steps::default();
    while let Some(event) = events.next().await? {
        if event.name == "error" {
            let body: ErrorBody = parse(&event.data)?;
            return Err(Failure::failed(body.message));
        }
        let now: Operation = parse(&event.data)?;
        for line in steps.lines(&now) {
            // Somebody who closes the terminal does not end the operation.
            let _ = writeln!(out, "{line}");
        }
        if now.state.has_ended() {
            return verdict(now);
        }
    }
    Err(Failure::unreachable(format!(
        "the host went away; operation {} goes on when it is back",
        operation.id
    )))
}

fn verdict(operation: Operation) -> Result<Operation> {
    match operation.state {
        OperationState::Succeeded => Ok(operation),
        OperationState::Cancelled => Err(Failure::conflict(format!("{} was cancelled", operation.kind))),
        _ => Err(Failure::failed(explanation(&operation))),
    }
}

/// What failed, why, what is left, and what to do next, with the last output.
fn explanation(operation: &Operation) -> String {
    let mut text = format!("{} failed", operation.kind);
    let Some(error) = &operation.error else { return text };
    if let Some(step) = &error.step {
        text += &format!(" at \"{step}\"");
    }
    if let Some(service) = &error.service {
        text += &format!(" of {service}");
    }
    text += &format!(":\n  {}", error.chain);
    if let Some(report) = &operation.report {
        for (stream, printed) in [("standard output", &report.stdout), ("standard error", &report.stderr)] {
            let lines: Vec<_> = printed.trim_end().lines().collect();
            if !lines.is_empty() {
                let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
                text += &format!("\nlast on {stream}:\n  {}", last.join("\n  "));
            }
        }
    }
    if !error.leftovers.is_empty() {
        text += &format!("\nwhat is left: {}", error.leftovers.join(", "));
    }
    text + "\nnext: " + &next_step(operation)
}

fn next_step(operation: &Operation) -> String {
    use freehold_core::OperationKind::{Create, Destroy, Pause, Reconfigure, Restart, Resume, Retry};
    let project = operation.project;
    if let Some(Detail::DataGone { names }) = operation.error.as_ref().and_then(|error| error.detail.as_ref())
    {
        let accepted: Vec<_> = names.iter().map(|name| format!("--accept-data-loss {name}")).collect();
        let command = if operation.kind == Resume { "resume" } else { "restart" };
        let accepted = accepted.join(" ");
        return format!(
            "bring it back and `freehold {command} {project}`, or go on without it, its data lost for good: \
             `freehold {command} {project} {accepted}`"
        );
    }
    match operation.kind {
        Create | Retry => {
            format!("mend the cause, then `freehold retry {project}`, or `freehold destroy {project}`")
        }
        Pause => {
            format!("mend the cause, then `freehold pause {project}` again, or `freehold resume {project}`")
        }
        Resume => format!("its data is kept; mend the cause, then `freehold resume {project}`"),
        Restart | Reconfigure => {
            format!("look with `freehold health {project}` and `freehold logs {project}`")
        }
        Destroy => format!("`freehold destroy {project}` again removes what is left"),
    }
}

/// Which steps were shown already.
#[derive(Debug, Default)]
struct Steps {
    shown: Option<Step>,
    attempt: u32,
    queued: Option<u64>,
}

impl Steps {
    /// The lines for what is new.
    fn lines(&mut self, operation: &Operation) -> Vec<String> {
        let mut lines = Vec::new();
        if operation.position != self.queued {
            self.queued = operation.position;
            if let Some(before @ 1..) = operation.position {
                lines.push(format!("         waits behind {before} other operations"));
            }
        }
        if operation.attempt > self.attempt {
            self.attempt = operation.attempt;
            if operation.attempt > 1 {
                let reason = operation.error.as_ref().map_or("", |error| error.chain.as_str());
                lines.push(format!("         attempt {}: {reason}", operation.attempt));
            }
        }
        // The newest steps are kept, so the last one shown may be gone: then all of them are new.
        let new =
            self.shown.as_ref().and_then(|shown| operation.steps.iter().rposition(|step| step == shown));
        for step in &operation.steps[new.map_or(0, |index| index + 1)..] {
            lines.push(line(step, operation.started_at.unwrap_or(operation.created_at)));
        }
        self.shown = operation.steps.last().cloned().or(self.shown.take());
        lines
    }
}

fn line(step: &Step, began: OffsetDateTime) -> String {
    let elapsed = Duration::try_from(step.at - began).unwrap_or_default();
    let line = format!("{:>6.1} s  {:<28} {}", elapsed.as_secs_f64(), step.name, step.service);
    line.trim_end().to_owned()
}

fn parse<T: serde::de::DeserializeOwned>(data: &str) -> Result<T> {
    serde_json::from_str(data)
        .map_err(|error| Failure::failed(format!("understand the host's answer: {error}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn operation(steps: &[&str]) -> Operation {
        let at = "2026-01-01T00:00:00Z";
        let steps: Vec<_> = steps
            .iter()
            .map(|name| json!({"name": name, "service": "db", "attempt": 1, "at": "2026-01-01T00:00:01.5Z"}))
            .collect();
        serde_json::from_value(json!({
            "id": "01890000-0000-7000-8000-000000000000", "ref": "abcdefghijklmnopqrst", "target": "t", "kind": "create",
            "services": [], "generation": 1, "state": "failed", "attempt": 1, "cancel_requested": false, "deadline": at,
            "position": null, "steps": steps, "log": [], "planned_by": "0", "created_at": at, "started_at": at,
            "ended_at": at,
            "error": {"kind": "timeout", "detail": null, "message": "start", "chain": "start: no answer", "step": "start",
                      "service": "db", "context": {}, "leftovers": ["volume x"]},
            "report": {"stdout": "", "stderr": "FATAL: no space\n", "duration_ms": 1},
        }))
        .unwrap()
    }

    #[test]
    fn each_step_is_shown_once() {
        let mut steps = Steps::default();
        assert_eq!(steps.lines(&operation(&["create"])), ["   1.5 s  create                       db"]);
        assert!(steps.lines(&operation(&["create"])).is_empty());
        assert_eq!(steps.lines(&operation(&["create", "start"])).len(), 1);
        assert_eq!(steps.lines(&operation(&["start", "wait"])).len(), 1, "though older steps are not kept");
    }

    #[test]
    fn a_failure_says_what_why_what_is_left_and_what_next() {
        let text = explanation(&operation(&[]));
        for part in
            ["create failed at \"start\" of db", "no answer", "FATAL: no space", "volume x", "freehold retry"]
        {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
