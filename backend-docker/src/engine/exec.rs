//! Running a program inside a container.

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
};
use freehold_core::Context;
use futures_util::StreamExt;

use super::Engine;
use crate::error::EngineError;

/// How much of what a program prints is kept.
const OUTPUT_LIMIT: usize = 4096;

/// How a program ended.
#[derive(Debug)]
pub(crate) struct Exit {
    pub(crate) code: i64,
    pub(crate) output: String,
}

impl Engine {
    /// Runs a program inside a running container and waits for its end, at most as long as one request may take.
    pub(crate) async fn exec(
        &self,
        ctx: &Context,
        container: &str,
        command: &[String],
    ) -> Result<Exit, EngineError> {
        let run = async {
            let options = CreateExecOptions {
                attach_stdout: Some(true),
                attach_stderr: Some(true),
                cmd: Some(command.to_vec()),
                ..CreateExecOptions::default()
            };
            let exec = self.client().create_exec(container, options).await?;
            let mut output = Vec::new();
            if let StartExecResults::Attached { output: mut lines, .. } =
                self.client().start_exec(&exec.id, None::<StartExecOptions>).await?
            {
                while let Some(line) = lines.next().await {
                    let bytes = LogOutput::into_bytes(line?);
                    output.extend_from_slice(&bytes[..bytes.len().min(OUTPUT_LIMIT - output.len())]);
                }
            }
            let ended = self.client().inspect_exec(&exec.id).await?;
            let output = String::from_utf8_lossy(&output).trim().to_owned();
            // An engine that does not know the code has not seen the program succeed.
            Ok(Exit { code: ended.exit_code.unwrap_or(-1), output })
        };
        self.call(ctx, "run a program in", container, run).await
    }
}
