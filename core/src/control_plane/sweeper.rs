//! Removing what lands on an engine after its project was removed: the one late request that a worker which lost its
//! lease may still have had under way, or a program that came back to life.

use std::{collections::BTreeSet, sync::Arc};

use super::{Inner, doctor::Trouble};

impl Inner {
    /// Looks at every engine that this host serves, round by round, until the control plane stops. What the store does
    /// not know at all is left to people ([`doctor`](super::ControlPlane::doctor)): the store may have forgotten it.
    pub(super) async fn keep_sweeping(self: Arc<Self>) {
        let mut told = BTreeSet::new();
        loop {
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                () = tokio::time::sleep(self.settings.sweep) => {}
            }
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                () = self.sweep(&mut told) => {}
            }
        }
    }

    async fn sweep(&self, told: &mut BTreeSet<crate::ProjectRef>) {
        for target in self.targets.values() {
            match self.examine(target).await {
                Ok(mut findings) => {
                    let landed = findings.iter_mut().filter(|finding| finding.trouble == Trouble::Removed);
                    self.remove_all(target, landed, self.settings.grace, told).await;
                }
                Err(error) => {
                    tracing::debug!(target = %target.name, error = %error.chain(), "cannot sweep a target");
                }
            }
        }
    }
}
