//! Running a program inside a container.

use bollard::{
    container::LogOutput,
    exec::{CreateExecOptions, StartExecOptions, StartExecResults},
};
use freehold_core::{Context, ExposeSecret, SecretString};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;

use super::Engine;
use crate::error::EngineError;

/// How much of what a program prints is kept.
const OUTPUT_LIMIT: usize = 16 * 1024;

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
        self.run(ctx, container, command, None).await
    }

    /// The same for a program that reads `input` to its end. What is in it is seen by that program alone.
    pub(crate) async fn exec_with_input(
        &self,
        ctx: &Context,
        container: &str,
        command: &[String],
        input: &SecretString,
    ) -> Result<Exit, EngineError> {
        self.run(ctx, container, command, Some(input)).await
    }

    async fn run(
        &self,
        ctx: &Context,
        container: &str,
        command: &[String],
        given: Option<&SecretString>,
    ) -> Result<Exit, EngineError> {
        let run = async {
            let options = CreateExecOptions {
                attach_stdin: Some(given.is_some()),
                attach_stdout: Some(true),
                attach_stderr: Some(true),
                cmd: Some(command.to_vec()),
                ..CreateExecOptions::default()
            };
            let exec = self.client().create_exec(container, options).await?;
            let mut output = Vec::new();
            if let StartExecResults::Attached { output: mut lines, mut input } =
                self.client().start_exec(&exec.id, None::<StartExecOptions>).await?
            {
                if let Some(given) = given {
                    // A program that ended before it read all of it says why by its code.
                    let _ = input.write_all(given.expose_secret().as_bytes()).await;
                    let _ = input.shutdown().await;
                }
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
