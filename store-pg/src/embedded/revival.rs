//! Starting a server again that ended although nobody stopped it.

use std::{convert::Infallible, io, path::Path, time::Duration};

use freehold_core::{Error, Kind, Result};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::net::unix::pipe;

use super::{
    EmbeddedServer,
    postmaster::{self, Found},
};

/// The pauses between tries double from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(30);

impl EmbeddedServer {
    /// Starts the server again whenever it ends, on the port that it had, until this future is dropped. What does not
    /// start is logged as an error and tried again, half a minute apart at most.
    ///
    /// Run it beside the store, which connects again by itself, and drop it before [`stop`](Self::stop).
    ///
    /// # Errors
    /// `Unsupported` where the system does not tell that a process ended (Linux before 5.3).
    pub async fn keep_running(&self) -> Result<Infallible> {
        let data = self.cluster.folder.data();
        loop {
            ended(&data).await?;
            tracing::error!(data = %data.display(), "PostgreSQL ended, and is started again");
            let mut pause = FIRST_PAUSE;
            while let Err(error) = self.start_again(&data).await {
                tracing::error!(error = %error.chain(), "start PostgreSQL again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LAST_PAUSE);
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

/// Waits until no server runs on the folder: a process that became readable through its descriptor ended (pidfd_open(2)).
async fn ended(data: &Path) -> Result<()> {
    let Found::Live { process, .. } = postmaster::find(data)? else { return Ok(()) };
    let Some(process) = i32::try_from(process).ok().and_then(Pid::from_raw) else { return Ok(()) };
    let descriptor = match pidfd_open(process, PidfdFlags::NONBLOCK) {
        Ok(descriptor) => descriptor,
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(error) => return Err(unwatched(error.into())),
    };
    // Its number may have been given away between the look and the descriptor.
    if !matches!(postmaster::find(data)?, Found::Live { process: now, .. } if Pid::from_raw(now.cast_signed()) == Some(process))
    {
        return Ok(());
    }
    // It is no pipe, but tells its readiness as one does, and nothing is read from it.
    let end = pipe::Receiver::from_owned_fd_unchecked(descriptor).map_err(unwatched)?;
    end.readable().await.map_err(unwatched)
}

fn unwatched(error: io::Error) -> Error {
    Error::new(Kind::Unsupported, "watch the process of PostgreSQL, to start it again when it ends")
        .because(error)
}
