//! What `deploy` says of one container (Compose specification, Compose Deploy Specification): its limits, and what happens
//! when it ends.

use super::{
    at::At,
    keys,
    problem::Result,
    quantity::{BYTES, DURATION, bytes, duration},
};
use crate::graph::Restart;

/// How a number of processors is written, for messages.
pub(super) const CPUS: &str = "a number of processors above 0";

/// What is left of a service's `deploy`.
#[derive(Debug, Default)]
pub(super) struct Deploy {
    pub(super) cpus: Option<f64>,
    pub(super) memory_bytes: Option<u64>,
    pub(super) memory_reservation: Option<u64>,
    pub(super) pids: Option<i64>,
    pub(super) restart: Option<Restart>,
}

/// A number of processors.
pub(super) fn cpus(text: &str) -> Option<f64> {
    text.parse().ok().filter(|cpus: &f64| *cpus > 0.0 && cpus.is_finite())
}

pub(super) fn read(at: &At<'_>) -> Result<Deploy> {
    let mut deploy = Deploy::default();
    for (key, at) in at.entries()? {
        match key {
            "resources" => read_resources(&mut deploy, &at)?,
            "restart_policy" => deploy.restart = Some(restart_policy(&at)?),
            "replicas" => {
                at.read("1: Freehold runs one container of each service", |text| {
                    (text == "1").then_some(())
                })?;
            }
            "mode" => at.read("replicated", |text| (text == "replicated").then_some(()))?,
            "labels" => {}
            _ => at.unknown(&keys::DEPLOY)?,
        }
    }
    Ok(deploy)
}

fn read_resources(deploy: &mut Deploy, at: &At<'_>) -> Result<()> {
    for (key, at) in at.entries()? {
        match key {
            "limits" => {
                for (key, at) in at.entries()? {
                    match key {
                        "cpus" => deploy.cpus = Some(at.read(CPUS, cpus)?),
                        "memory" => deploy.memory_bytes = Some(at.read(BYTES, bytes)?),
                        "pids" => deploy.pids = Some(at.number()?),
                        _ => at.unknown(&keys::LIMITS)?,
                    }
                }
            }
            "reservations" => {
                for (key, at) in at.entries()? {
                    match key {
                        "memory" => deploy.memory_reservation = Some(at.read(BYTES, bytes)?),
                        "cpus" => drop(at.read(CPUS, cpus)?),
                        _ => at.unknown(&keys::RESERVATIONS)?,
                    }
                }
            }
            _ => at.unknown(&keys::RESOURCES)?,
        }
    }
    Ok(())
}

fn restart_policy(at: &At<'_>) -> Result<Restart> {
    let (mut condition, mut attempts) = (Restart::Always, None);
    for (key, at) in at.entries()? {
        match key {
            "condition" => {
                condition = at.read("none, on-failure or any", |text| match text {
                    "none" => Some(Restart::No),
                    "on-failure" => Some(Restart::OnFailure(None)),
                    "any" => Some(Restart::Always),
                    _ => None,
                })?;
            }
            "max_attempts" => attempts = Some(at.number()?),
            "delay" | "window" => drop(at.read(DURATION, duration)?),
            _ => at.unknown(&keys::RESTART_POLICY)?,
        }
    }
    Ok(match condition {
        Restart::OnFailure(_) => Restart::OnFailure(attempts),
        other => other,
    })
}
