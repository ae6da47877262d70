//! `freehold`: the host, and commands that speak to a running one.

mod accounts;
mod cli;
mod client;
mod client_file;
mod commands;
mod config;
mod demo;
mod env_file;
mod exit;
mod faults;
mod host;
mod keys;
mod logging;
mod print;
mod private_file;
mod serve;
mod signals;
mod sse;
mod state;
mod store;
mod targets;
mod token;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use crate::{
    cli::{Cli, Command, StoreCommand},
    config::Config,
    exit::{Failure, Result},
};

fn main() -> ExitCode {
    // clap ends the program itself for usage errors, with 2.
    let cli = Cli::parse();
    let run = || -> Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| Failure::internal(format!("start the runtime: {error}")))?;
        let result = runtime.block_on(run(cli));
        // A backend's call that does not come back must not keep the program.
        runtime.shutdown_background();
        result
    };
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message().is_empty() {
                eprintln!("freehold: {}", failure.message());
            }
            ExitCode::from(failure.code())
        }
    }
}

async fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Serve(arguments) => Box::pin(serve::run(arguments)).await,
        Command::Demo(arguments) => Box::pin(demo::run(arguments)).await,
        Command::Config(arguments) => config::show(&arguments),
        Command::Keys(command) => keys::run(&command).await,
        Command::Store(StoreCommand::Repair(arguments)) => store::repair(&Config::load(&arguments)?).await,
        Command::Remote(command) => Box::pin(commands::run(cli.connection, command)).await,
    }
}
