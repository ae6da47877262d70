//! Output is captured, bounded, and free of secrets.

use std::{collections::BTreeMap, time::Duration};

use secrecy::ExposeSecret as _;
use tokio::{sync::mpsc::Receiver, time::timeout};

use super::{
    interrupt::{AtStep, STEPS, endless},
    stage::{Call, PATIENCE, Stage},
};
use crate::{
    contract::failure::{Failure, Verified, there},
    error::{Error, Kind, Result},
    plan::Wish,
    provisioner::{LogLine, LogRequest, Outcome},
    report::{REPORT_LIMIT, Report},
    runtime::Runtime,
};

/// Fails if a text holds a secret of a project.
fn is_free(runtime: &Runtime, what: &str, text: &str) -> Verified {
    let values = runtime.secrets.iter().map(|(name, value)| (name.as_str(), value));
    let variables = runtime.variables.iter().map(|(name, value)| (name.as_str(), value));
    for (name, value) in values.chain(variables) {
        let value = value.expose_secret();
        ensure!(value.len() < 8 || !text.contains(value), "{what} holds the secret {name}");
    }
    let key: String = runtime.hash_key.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    ensure!(!text.contains(&key), "{what} holds the hash key");
    Ok(())
}

fn report_is_good(runtime: &Runtime, report: &Report) -> Verified {
    for (stream, text) in [("standard output", &report.stdout), ("standard error", &report.stderr)] {
        ensure!(text.len() <= REPORT_LIMIT, "a report keeps {} bytes of {stream}", text.len());
        is_free(runtime, stream, text)?;
    }
    Ok(())
}

fn outcome_is_good(runtime: &Runtime, outcome: &Outcome) -> Verified {
    report_is_good(runtime, &outcome.report)?;
    is_free(runtime, "an outcome", &format!("{outcome:?}"))
}

/// All lines until there are no more.
async fn all(mut lines: Receiver<Result<LogLine>>) -> Verified<Vec<LogLine>> {
    let read = async {
        let mut read = Vec::new();
        while let Some(line) = lines.recv().await {
            read.push(line?);
        }
        Ok(read)
    };
    timeout(PATIENCE, read)
        .await
        .unwrap_or_else(|_| Err(Failure::new("logs that are not followed have no end")))
}

pub(super) async fn no_secret_is_in_any_outcome_plan_health_or_log(stage: &Stage) -> Verified {
    let runtime = stage.project()?;
    let other = Runtime { secrets: stage.project()?.secrets, ..runtime.clone() };
    let ctx = Stage::context().build();
    for call in Call::LIFE {
        let outcome = stage.make(call, &runtime).await?;
        outcome_is_good(&runtime, &outcome)?;
        for wish in [Wish::Active, Wish::Paused] {
            for seen_with in [&runtime, &other] {
                // With wrong secrets it may be that nothing can be seen, which must be told without them.
                let plan = stage.backend.plan(&ctx, seen_with, wish).await;
                let health = stage.backend.health(&ctx, seen_with).await;
                for known in [&runtime, &other] {
                    is_free(known, "a plan", &format!("{plan:?}"))?;
                    is_free(known, "the health", &format!("{health:?}"))?;
                }
            }
        }
        if call.leads_to() == Some(Wish::Active) {
            let lines = stage.backend.logs(&ctx, &runtime, &LogRequest::default()).await?;
            is_free(&runtime, "a log", &format!("{:?}", all(lines).await?))?;
        }
    }
    is_free(&runtime, "the backend's Debug", &format!("{:?}", stage.backend))
}

pub(super) async fn no_secret_is_in_any_error(stage: &Stage) -> Verified {
    let runtime = stage.project()?;
    for call in Call::LIFE {
        fails_without_secrets(stage, call, &runtime).await?;
    }
    Ok(())
}

/// Lets a call fail at its first step, at its second, and so on until it comes through.
async fn fails_without_secrets(stage: &Stage, call: Call, runtime: &Runtime) -> Verified {
    for n in 1..STEPS {
        let fail = AtStep::new(n, || Box::pin(async { Err(Error::new(Kind::Unavailable, "go on")) }));
        let ctx = Stage::context().interceptor(fail).build();
        let Err(error) = stage.call(call, &ctx, runtime).await else { return Ok(()) };
        is_free(runtime, "an error", &format!("{} {error:?}", error.chain()))?;
        if let Some(report) = error.report() {
            report_is_good(runtime, report)?;
        }
    }
    Err(endless(call))
}

pub(super) async fn logs_are_of_the_services_that_were_asked_for(stage: &Stage) -> Verified {
    let (runtime, _) = stage.active().await?;
    let ctx = Stage::context().build();
    let services = stage.spec.services.iter().map(|service| &service.name);
    let services: Vec<_> = services.filter(|name| !runtime.excluded.contains(name)).cloned().collect();
    let lines = all(stage.backend.logs(&ctx, &runtime, &LogRequest::default()).await?).await?;
    ensure!(lines.iter().all(|line| services.contains(&line.service)), "a line is of no service");
    let first = there(services.first(), "a service")?;
    let request = LogRequest { services: vec![first.clone()], tail: Some(1), follow: false };
    let lines = all(stage.backend.logs(&ctx, &runtime, &request).await?).await?;
    ensure!(lines.iter().all(|line| line.service == *first), "a line is of a service that nobody asked for");
    ensure!(lines.len() <= 1, "{} lines were given where one was asked for", lines.len());
    let request = LogRequest { tail: Some(1), ..LogRequest::default() };
    let mut counts = BTreeMap::<_, u32>::new();
    for line in all(stage.backend.logs(&ctx, &runtime, &request).await?).await? {
        *counts.entry(line.service).or_default() += 1;
    }
    ensure!(counts.values().all(|count| *count == 1), "more than one line of a service: {counts:?}");
    Ok(())
}

pub(super) async fn logs_go_on_when_they_are_followed(stage: &Stage) -> Verified {
    let (runtime, _) = stage.active().await?;
    let request = LogRequest { follow: true, tail: Some(0), ..LogRequest::default() };
    let mut lines = stage.backend.logs(&Stage::context().build(), &runtime, &request).await?;
    if let Ok(ended) = timeout(Duration::from_millis(100), lines.recv()).await {
        ensure!(ended.is_some(), "logs that are followed end by themselves");
    }
    // A reader that does not read keeps nobody from working, and may go at any time.
    stage.make(Call::Restart, &runtime).await?;
    drop(lines);
    stage.make(Call::Pause, &runtime).await?;
    stage.arrived(Call::Pause, &runtime).await
}
