//! What can be typed.

mod remote;

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::remote::{
    CreateArguments, DefaultsArguments, ListArguments, ReconfigureArguments, Remote, StudioCommand, Target,
};
use crate::exit::CODES;

/// Run many isolated project stacks on machines you own.
#[derive(Debug, Parser)]
#[command(name = "freehold", version, after_help = CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How the commands find a running host.
#[derive(Clone, Debug, Args)]
pub(crate) struct Connection {
    /// The host's URL; the token for another than the client file's is taken from `FREEHOLD_TOKEN`
    #[arg(long, global = true, env = "FREEHOLD_URL")]
    pub(crate) url: Option<String>,
    /// The file with the host's URL and token
    #[arg(long, global = true, env = "FREEHOLD_CLIENT_FILE")]
    pub(crate) client_file: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the host until a signal ends it; projects go on running
    Serve(ServeArguments),
    /// Run the host with a project called demo, which is paused when this ends
    Demo(HostArguments),
    /// Print the configuration in force, secrets masked
    Config(HostArguments),
    /// Look after the keys that secrets are sealed under
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Look after the store
    #[command(subcommand)]
    Store(StoreCommand),
    #[command(flatten)]
    Remote(Remote),
}

/// What the host can be told; the rest stands in its configuration file.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct HostArguments {
    /// The configuration file
    #[arg(long, env = "FREEHOLD_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// The folder for everything that is kept
    #[arg(long, env = "FREEHOLD_STATE")]
    pub(crate) state: Option<PathBuf>,
    /// The address to listen on [default: 127.0.0.1:4000]
    #[arg(long, env = "FREEHOLD_LISTEN")]
    pub(crate) listen: Option<SocketAddr>,
    /// A PostgreSQL for the store instead of one of our own; without a password, which all users of the machine could
    /// see: `FREEHOLD_DATABASE_URL` or a file may have one
    #[arg(long)]
    pub(crate) database_url: Option<String>,
    /// A file that holds such a URL
    #[arg(long, env = "FREEHOLD_DATABASE_URL_FILE")]
    pub(crate) database_url_file: Option<PathBuf>,
    /// The targets to serve, in place of those configured
    #[arg(long = "target", value_enum, value_delimiter = ',', env = "FREEHOLD_TARGETS")]
    pub(crate) targets: Vec<TargetKind>,
    /// A stack for the Docker target: a folder with a Compose file and a manifest, or supabase=FOLDER for Supabase's own
    #[arg(long = "stack", value_name = "[NAME=]FOLDER", env = "FREEHOLD_STACKS", value_delimiter = ',')]
    pub(crate) stacks: Vec<PathBuf>,
    /// What to log, for instance `info` or `freehold_core=debug,warn`
    #[arg(long, env = "FREEHOLD_LOG")]
    pub(crate) log: Option<String>,
}

/// A kind of target that this program knows.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TargetKind {
    /// Hook programs; the shipped ones run PostgreSQL
    Shell,
    /// A Docker Engine
    Docker,
    /// Nothing real: projects in memory
    Mock,
}

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    pub(crate) host: HostArguments,
    /// Keep everything in memory, listen on a free port, and print one line of JSON with URL and token
    #[arg(long)]
    pub(crate) ephemeral: bool,
    /// Make a new token; the old one is worth nothing from then on
    #[arg(long, conflicts_with = "ephemeral")]
    pub(crate) new_token: bool,
    /// Go wrong on purpose, by this fault plan: for tests of services and of Freehold itself
    #[arg(long, value_name = "FILE")]
    pub(crate) faults: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Print the key file, to be kept in a safe place
    Export(HostArguments),
    /// Put a new key before the old ones; a host that starts reseals everything under it
    Rotate(HostArguments),
    /// Drop the keys under which the store holds nothing any more; the host must not run on a store of its own meanwhile
    Prune(HostArguments),
}

#[derive(Debug, Subcommand)]
pub(crate) enum StoreCommand {
    /// Make the store's server take the password that the host has (SQLSTATE 28P01): our own server is given it; for any
    /// other the statement is shown that its superuser can run. A host that runs goes on by itself
    Repair(HostArguments),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn what_can_be_typed_is_consistent() {
        Cli::command().debug_assert();
    }
}
