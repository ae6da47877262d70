//! Whether a container that ended has done what it was meant to, or is a server that is down.

use crate::{
    engine::State,
    graph::{ContainerNode, Restart},
};

/// Whether all is well although it does not run: a job that is done. So is what ended with code 0, is not started again
/// for that, and shows no sign of a server: no port, no probe, no health check.
pub(crate) fn is_done(node: &ContainerNode, state: &State) -> bool {
    let may_end = match node.restart {
        Restart::No | Restart::OnFailure(_) => true,
        Restart::Always | Restart::UnlessStopped => false,
    };
    let serves = !node.ports.is_empty() || node.probe.is_some() || !state.test.is_empty();
    state.is_done() && (node.job || (may_end && !serves))
}

/// Why one that is not done does not run.
pub(crate) fn complaint(state: &State) -> &'static str {
    if state.is_done() {
        "it ended by itself, and it is no job: a service that may end has nothing to ask, or `job = true` in the manifest"
    } else {
        "its container does not run"
    }
}
