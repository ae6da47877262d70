//! The health check's own test, run by us at our own pace.

use freehold_core::{Context, Kind, Result};

use super::PATIENCE;
use crate::engine::Engine;

/// Runs `["CMD", …]` or `["CMD-SHELL", "…"]` in the container, as the engine would.
pub(super) async fn probe(
    engine: &Engine,
    ctx: &Context,
    id: &str,
    test: &[String],
) -> Result<(String, Option<String>)> {
    let command = match test {
        [kind, line] if kind == "CMD-SHELL" => vec!["/bin/sh".into(), "-c".into(), line.clone()],
        [kind, command @ ..] if kind == "CMD" => command.to_vec(),
        _ => return Ok(("health check".into(), Some("its test is neither CMD nor CMD-SHELL".into()))),
    };
    let problem = match tokio::time::timeout(PATIENCE, engine.exec(ctx, id, &command)).await {
        Err(_) => Some(format!("no answer within {PATIENCE:?}")),
        Ok(Ok(exit)) if exit.code == 0 => None,
        Ok(Ok(exit)) if exit.output.is_empty() => Some(format!("exited {}", exit.code)),
        Ok(Ok(exit)) => Some(format!("exited {}: {}", exit.code, exit.output)),
        Ok(Err(error)) => {
            let error = freehold_core::Error::from(error);
            match error.kind() {
                Kind::Cancelled | Kind::Timeout => return Err(error),
                _ => Some(error.chain()),
            }
        }
    };
    Ok(("health check".into(), problem))
}
