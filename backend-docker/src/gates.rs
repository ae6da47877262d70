//! What a container waits for before it starts: how far each service has come, and opening gates as it goes on.

use freehold_core::ServiceName;
use tokio::sync::watch;

use crate::graph::{Condition, Gate, Graph};

/// How far a service has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// It is not started.
    Waiting,
    /// It is started.
    Started,
    /// It answers.
    Ready,
    /// It ran to its end, and well.
    Done,
}

/// How far all services of a project have come.
#[derive(Debug)]
pub(crate) struct Stages(Vec<(ServiceName, watch::Sender<Stage>)>);

impl Stages {
    /// All services of a graph, waiting.
    pub(crate) fn new(graph: &Graph) -> Self {
        Self(
            graph
                .containers
                .iter()
                .map(|node| (node.service.clone(), watch::Sender::new(Stage::Waiting)))
                .collect(),
        )
    }

    /// Notes that a service has come so far.
    pub(crate) fn reach(&self, service: &ServiceName, stage: Stage) {
        if let Some(sender) = self.of(service) {
            sender.send_replace(stage);
        }
    }

    /// Ends when all gates are open. A gate to a service that does not run in this project is no gate: whether it may
    /// be left out was decided when the project was planned. A service that fails opens no gate; whoever brings the
    /// project up gives up then, and drops all who wait.
    pub(crate) async fn open(&self, gates: &[Gate]) {
        for gate in gates {
            if let Some(sender) = self.of(&gate.service) {
                // The sender lives as long as `self`, so the only end is the gate's opening.
                let _ = sender.subscribe().wait_for(|stage| is_open(gate.condition, *stage)).await;
            }
        }
    }

    fn of(&self, service: &ServiceName) -> Option<&watch::Sender<Stage>> {
        self.0.iter().find(|(name, _)| name == service).map(|(_, sender)| sender)
    }
}

fn is_open(condition: Condition, stage: Stage) -> bool {
    match condition {
        Condition::Started => stage >= Stage::Started,
        Condition::Healthy => stage >= Stage::Ready,
        Condition::Completed => stage == Stage::Done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_only_answers_has_not_completed() {
        assert!(is_open(Condition::Started, Stage::Started) && !is_open(Condition::Healthy, Stage::Started));
        assert!(is_open(Condition::Healthy, Stage::Ready) && !is_open(Condition::Completed, Stage::Ready));
        assert!(is_open(Condition::Completed, Stage::Done));
    }
}
