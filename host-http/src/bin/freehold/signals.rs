//! SIGINT and SIGTERM: the first asks for an end, the second takes it.

use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::{Failure, Result};

/// Wrappers such as `timeout` signal both a process and its group: what comes so soon after the first is not a second one.
const ECHO: Duration = Duration::from_millis(500);

/// A token that the first SIGINT or SIGTERM cancels. The second ends the program at once, as a shell reports a signal
/// (128 and its number).
///
/// # Errors
/// If the system takes no handlers.
pub(crate) fn shutdown() -> Result<CancellationToken> {
    let install =
        |kind| signal(kind).map_err(|error| Failure::internal(format!("listen for signals: {error}")));
    let (mut interrupt, mut terminate) =
        (install(SignalKind::interrupt())?, install(SignalKind::terminate())?);
    let token = CancellationToken::new();
    let first = token.clone();
    tokio::spawn(async move {
        let mut asked: Option<Instant> = None;
        loop {
            let code = tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
            };
            match asked {
                None => {
                    asked = Some(Instant::now());
                    first.cancel();
                }
                Some(asked) if asked.elapsed() < ECHO => {}
                Some(_) => std::process::exit(code),
            }
        }
    });
    Ok(token)
}
