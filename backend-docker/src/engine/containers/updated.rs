//! What `docker update` can change of a container that is there, compared with its node in the graph.

use bollard::models::HostConfig;

use super::{State, create};
use crate::graph::ContainerNode;

impl State {
    /// The settings that somebody changed on the engine, by Compose's names. What the engine leaves at 0 says nothing: it
    /// may have discarded a bound that its kernel cannot keep, and `docker update` takes 0 for "as it is"
    /// (moby, `api/types/container`, `UpdateConfig`).
    pub(crate) fn changed_by_hand(&self, node: &ContainerNode) -> Vec<&'static str> {
        let HostConfig { memory, nano_cpus, cpu_quota, cpu_shares, pids_limit, .. } = &self.host;
        let extras = &node.extras;
        let differs = |is: &Option<i64>, asked: Option<i64>| {
            is.is_some_and(|is| is > 0 && asked.is_none_or(|asked| is != asked))
        };
        let mut changed = Vec::new();
        let mut note = |name, is_changed: bool| {
            if is_changed {
                changed.push(name);
            }
        };
        note("mem_limit", differs(memory, node.memory_bytes.map(create::saturating)));
        let cpus = node.cpus.map(create::nano_cpus);
        note("cpus", differs(nano_cpus, cpus) || differs(cpu_quota, None));
        note("cpu_shares", differs(cpu_shares, extras.cpu_shares));
        note("pids_limit", differs(pids_limit, extras.pids_limit));
        let reservation = extras.memory_reservation.map(create::saturating);
        note("mem_reservation", differs(&self.host.memory_reservation, reservation));
        // Unless it is asked for, the engine makes it twice the memory.
        let swap = extras.memory_swap;
        note("memswap_limit", swap.is_some() && differs(&self.host.memory_swap, swap));
        let cpuset = self.host.cpuset_cpus.as_deref().unwrap_or_default();
        note("cpuset", !cpuset.is_empty() && extras.cpuset.as_deref() != Some(cpuset));
        note("restart", self.restarts_otherwise(node));
        changed
    }

    fn restarts_otherwise(&self, node: &ContainerNode) -> bool {
        let Some(is) = &self.host.restart_policy else { return false };
        let asked = create::restart(node.restart);
        is.name != asked.name || is.maximum_retry_count.unwrap_or(0) != asked.maximum_retry_count.unwrap_or(0)
    }
}
