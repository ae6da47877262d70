//! What has to be done now and then: numbering events, forgetting what need not be kept.

use std::{sync::Arc, time::Duration};

use tokio::{sync::broadcast, time::Instant};

use super::Inner;
use crate::store::Wake;

/// How often what is too old is looked for.
const EXPIRE: Duration = Duration::from_secs(600);

impl Inner {
    /// Numbers events as they are written, until the control plane stops.
    pub(super) async fn keep_house(self: Arc<Self>) {
        let mut wakes = self.store.subscribe();
        let mut expire_at = Instant::now() + EXPIRE;
        loop {
            if let Err(error) = self.store.sequence().await {
                tracing::warn!(error = %error.chain(), "cannot number events");
            }
            if Instant::now() >= expire_at {
                expire_at = Instant::now() + EXPIRE;
                if let Err(error) = self.store.expire(&self.settings.retention).await {
                    tracing::warn!(error = %error.chain(), "cannot forget what is too old");
                }
            }
            tokio::select! {
                biased;
                () = self.stopping.cancelled() => break,
                () = written(&mut wakes) => {
                    // What was told until now is numbered now, all of it at once.
                    wakes = wakes.resubscribe();
                }
                () = tokio::time::sleep(self.settings.poll) => {}
            }
        }
        // What the last operations wrote is numbered by whoever comes next, if not now.
        self.operations.close();
        self.operations.wait().await;
        if let Err(error) = self.store.sequence().await {
            tracing::debug!(error = %error.chain(), "left the last events unnumbered");
        }
    }
}

async fn written(wakes: &mut broadcast::Receiver<Wake>) {
    loop {
        match wakes.recv().await {
            Ok(Wake::Written) | Err(broadcast::error::RecvError::Lagged(_)) => return,
            Ok(Wake::Operations | Wake::Events) => {}
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}
