//! Figures in Prometheus' text format (version 0.0.4).

use std::fmt::{Display, Write as _};

use freehold_core::{Status, control_plane::Metrics};

/// The figures as Prometheus reads them.
pub(crate) fn text(metrics: &Metrics) -> String {
    let mut page = Page(String::new());
    let census = &metrics.census;
    page.family("freehold_projects", "gauge", "Projects by status.");
    for status in Status::ALL {
        let count = census.projects.get(&status).copied().unwrap_or_default();
        page.sample("freehold_projects", &[("status", status.as_str())], count);
    }
    page.family("freehold_operations", "gauge", "Operations in flight, by kind and state.");
    for ((kind, state), count) in &census.operations {
        let labels = [("kind", kind.as_str()), ("state", state.as_str())];
        page.sample("freehold_operations", &labels, count);
    }
    page.family(
        "freehold_operations_ended_total",
        "counter",
        "Operations that ended here, by kind and outcome.",
    );
    for ((kind, outcome), count) in &metrics.ended {
        let labels = [("kind", kind.as_str()), ("outcome", outcome.as_str())];
        page.sample("freehold_operations_ended_total", &labels, count);
    }
    let age = census.oldest_waiting.unwrap_or_default().as_secs_f64();
    page.family(
        "freehold_queue_age_seconds",
        "gauge",
        "How long the oldest operation that is due has waited.",
    );
    page.sample("freehold_queue_age_seconds", &[], age);
    page.family("freehold_leases_lost_total", "counter", "Leases on operations that were lost.");
    page.sample("freehold_leases_lost_total", &[], metrics.leases_lost);
    page.family("freehold_probe_lag_seconds", "gauge", "How late the watcher's last round was, by target.");
    for (target, lag) in &metrics.probe_lag_ms {
        let lag = std::time::Duration::from_millis(*lag).as_secs_f64();
        page.sample("freehold_probe_lag_seconds", &[("target", target.as_str())], lag);
    }
    page.0
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// Label values are names of our own enumerations and of targets, which need no escaping.
    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<_> = labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "{name}{labels} {value}");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use freehold_core::{OperationKind, OperationState};

    use super::*;

    #[test]
    fn every_figure_has_a_family_and_a_value() {
        let mut metrics = Metrics { leases_lost: 2, ..Metrics::default() };
        metrics.probe_lag_ms.insert("local".parse().unwrap(), 1500);
        metrics.census.projects.insert(Status::ActiveHealthy, 3);
        metrics.census.oldest_waiting = Some(Duration::from_secs(4));
        metrics.ended.insert((OperationKind::Create, OperationState::Succeeded), 5);
        let text = text(&metrics);
        for line in [
            "freehold_projects{status=\"ACTIVE_HEALTHY\"} 3",
            "freehold_projects{status=\"INACTIVE\"} 0",
            "freehold_operations_ended_total{kind=\"create\",outcome=\"succeeded\"} 5",
            "freehold_queue_age_seconds 4",
            "freehold_leases_lost_total 2",
            "freehold_probe_lag_seconds{target=\"local\"} 1.5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
