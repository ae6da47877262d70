//! Claiming operations and carrying each out in a task of its own.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::{
    sync::{Notify, broadcast},
    time::Instant,
};
use tracing::Instrument as _;

use super::{Inner, Target, guard::panic_text};
use crate::{
    error::Result,
    store::{Claim, Claimed, End, Settlement, TargetClaim, Wake},
};

/// How many operations are claimed at once: those that wait cost little more than one.
const AT_ONCE: u32 = 32;
/// The shortest time from one claim to the next: where there is much to do, what waits meanwhile is claimed together.
const PACE: Duration = Duration::from_millis(5);

impl Inner {
    /// Claims operations until the control plane stops. What it claims runs beside it.
    pub(super) async fn work(self: Arc<Self>) {
        let mut wakes = self.store.subscribe();
        let freed = Arc::new(Notify::new());
        let claim = self.claim();
        let mut next = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                () = tokio::time::sleep_until(next) => {}
            }
            // What was told until now is looked at now, all of it at once.
            wakes = wakes.resubscribe();
            next = Instant::now() + PACE;
            match self.store.claim(&claim).await {
                Ok(claimed) if !claimed.is_empty() => {
                    for claimed in claimed {
                        self.begin_work(claimed, &freed).await;
                    }
                    continue;
                }
                Ok(_) => {}
                Err(error) => tracing::warn!(error = %error.chain(), "cannot claim work"),
            }
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => return,
                () = freed.notified() => {}
                () = next_work(&mut wakes) => {}
                () = tokio::time::sleep(self.settings.poll) => {}
            }
        }
    }

    async fn begin_work(self: &Arc<Self>, claimed: Claimed, freed: &Arc<Notify>) {
        if self.stopping.is_cancelled() {
            if let Err(error) = self.give_back(claimed).await {
                tracing::warn!(error = %error.chain(), "cannot hand back what was just claimed");
            }
            return;
        }
        let span = tracing::info_span!(
            "operation",
            id = %claimed.operation.id,
            kind = %claimed.operation.kind,
            project = %claimed.project.reference,
            target = %claimed.project.target,
            attempt = claimed.operation.attempt,
        );
        let (inner, freed) = (Arc::clone(self), Arc::clone(freed));
        self.operations.spawn(
            async move {
                if let Err(panic) = AssertUnwindSafe(inner.carry_out(claimed)).catch_unwind().await {
                    // The heartbeat ends with it, and whoever takes the operation over counts that.
                    tracing::error!(panic = panic_text(&*panic), "the work panicked; its lease will run out");
                }
                freed.notify_one();
            }
            .instrument(span),
        );
    }

    async fn give_back(&self, claimed: Claimed) -> Result<()> {
        let not_before = self.store.now().await?;
        let end = End::Released { not_before };
        self.store
            .settle(Settlement {
                lease: claimed.lease,
                end,
                error: None,
                report: None,
                progress: vec![],
                facts: vec![],
            })
            .await
            .map(drop)
    }

    fn claim(&self) -> Claim {
        let served = |target: &Target| TargetClaim {
            name: target.name.clone(),
            max_operations: target.settings.max_operations,
            max_operations_per_organization: target.settings.max_operations_per_organization,
        };
        Claim {
            owner: self.owner.clone(),
            targets: self.targets.values().map(served).collect(),
            lease: self.settings.lease,
            margin: self.settings.lease_margin,
            limit: AT_ONCE,
        }
    }
}

/// Returns at the next hint that there may be work. A store that hints no more leaves the looking to the poll.
async fn next_work(wakes: &mut broadcast::Receiver<Wake>) {
    loop {
        match wakes.recv().await {
            Ok(Wake::Operations) | Err(broadcast::error::RecvError::Lagged(_)) => return,
            Ok(Wake::Written | Wake::Events) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
