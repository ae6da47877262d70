//! SIGINT and SIGTERM: the first asks for an end, the second takes it.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::{Failure, Result};

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
        loop {
            let code = tokio::select! {
                _ = interrupt.recv() => 130,
                _ = terminate.recv() => 143,
            };
            if first.is_cancelled() {
                std::process::exit(code);
            }
            first.cancel();
        }
    });
    Ok(token)
}
