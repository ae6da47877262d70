//! A service's health check (Compose specification, "healthcheck").

use super::{
    at::At,
    keys,
    problem::Result,
    quantity::{DURATION, duration},
};
use crate::graph::HealthCheck;

/// Reads `healthcheck`. `start_interval` is accepted and has no effect: Docker knows it from API 1.44 on only, and
/// Freehold's own probes, which open gates sooner, make it needless.
pub(crate) fn read(at: &At<'_>) -> Result<HealthCheck> {
    let mut check =
        HealthCheck { test: Vec::new(), interval: None, timeout: None, retries: None, start_period: None };
    let mut disabled = false;
    for (key, at) in at.entries()? {
        match key {
            "test" => check.test = test(&at)?,
            "interval" => check.interval = Some(at.read(DURATION, duration)?),
            "timeout" => check.timeout = Some(at.read(DURATION, duration)?),
            "start_period" => check.start_period = Some(at.read(DURATION, duration)?),
            "start_interval" => drop(at.read(DURATION, duration)?),
            "retries" => check.retries = Some(at.read("a whole number", |text| text.parse().ok())?),
            "disable" => disabled = at.flag()?,
            _ => at.unknown(&keys::HEALTHCHECK)?,
        }
    }
    if disabled {
        check.test = vec!["NONE".into()];
    }
    Ok(check)
}

fn test(at: &At<'_>) -> Result<Vec<String>> {
    if !at.is_list() {
        return Ok(vec!["CMD-SHELL".into(), at.filled()?.to_owned()]);
    }
    let test = at.texts()?;
    match test.first().map(String::as_str) {
        Some("NONE") if test.len() == 1 => Ok(test),
        Some("CMD") if test.len() > 1 => Ok(test),
        Some("CMD-SHELL") if test.len() == 2 => Ok(test),
        _ => Err(at.bad(r#"["CMD", "program", "argument", …], ["CMD-SHELL", "line"], ["NONE"] or a string"#)),
    }
}
