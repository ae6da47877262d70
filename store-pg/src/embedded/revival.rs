//! Starting a server again that ended although nobody stopped it.

use std::{path::Path, time::Duration};

use freehold_core::{Error, Kind, Result};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::{net::unix::pipe, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{
    EmbeddedServer,
    postmaster::{self, Found},
};

/// The pauses before a start double from the first to the last, and begin anew after a server that lived longer than the
/// last.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LAST_PAUSE: Duration = Duration::from_secs(30);

impl EmbeddedServer {
    /// Starts the server again, on the port that it had, whenever it ends before `stopping` is cancelled. What fails is logged
    /// as an error and tried again, half a minute apart at most; so is a server that ends again and again.
    ///
    /// Run it beside the store, which connects again by itself. Let it come to its end before [`stop`](Self::stop): a start
    /// that has begun is finished first.
    pub async fn keep_running(&self, stopping: &CancellationToken) {
        let data = self.cluster.folder.data();
        let mut pause = FIRST_PAUSE;
        loop {
            let since = Instant::now();
            match stopping.run_until_cancelled(ended(&data)).await {
                None => return,
                Some(Ok(())) => {
                    tracing::error!(data = %data.display(), "PostgreSQL ended, and is started again");
                }
                Some(Err(error)) => tracing::error!(error = %error.chain(), "watch PostgreSQL"),
            }
            if since.elapsed() > LAST_PAUSE {
                pause = FIRST_PAUSE;
            }
            if stopping.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
            pause = (pause * 2).min(LAST_PAUSE);
            if let Err(error) = self.start_again(&data).await {
                tracing::error!(error = %error.chain(), "start PostgreSQL again");
            }
        }
    }

    async fn start_again(&self, data: &Path) -> Result<()> {
        // Somebody else may have been faster. What a killed one left behind is cleared away.
        if postmaster::find(data)? == Found::Nothing {
            self.cluster.start(Some(self.port)).await?;
            tracing::info!(port = self.port, data = %data.display(), "PostgreSQL runs again");
        }
        Ok(())
    }
}

/// Waits until no server runs on the folder: a process that became readable through its descriptor ended (pidfd_open(2),
/// Linux 5.3).
async fn ended(data: &Path) -> Result<()> {
    let Found::Live { process, .. } = postmaster::find(data)? else { return Ok(()) };
    let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) else { return Ok(()) };
    let unwatched = |error: std::io::Error| {
        Error::new(Kind::Unavailable, format!("watch process {process}")).because(error)
    };
    let descriptor = match pidfd_open(process, PidfdFlags::empty()) {
        Ok(descriptor) => descriptor,
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(error) => return Err(unwatched(error.into())),
    };
    // Its number may have been given away between the look and the descriptor.
    match postmaster::find(data)? {
        Found::Live { process: now, .. } if Pid::from_raw(now.cast_signed()) == Some(process) => {}
        _ => return Ok(()),
    }
    // It is no pipe, but tells its readiness as one does, and nothing is read from it.
    let end = pipe::Receiver::from_owned_fd_unchecked(descriptor).map_err(unwatched)?;
    end.readable().await.map_err(unwatched)
}
