//! What can be asked of a running host.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Commands that a running host carries out.
#[derive(Debug, Subcommand)]
pub(crate) enum Remote {
    /// Make a project
    Create(Box<CreateArguments>),
    /// List projects
    List(ListArguments),
    /// Show a project
    Show {
        /// Its ref or name
        project: String,
        /// Show its secrets and connection string in clear
        #[arg(long)]
        secrets: bool,
    },
    /// Stop a project and keep its data
    Pause(Target),
    /// Start a project again
    Resume {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        loss: AcceptedLoss,
    },
    /// Restart all or some services of a project
    Restart {
        #[command(flatten)]
        target: Target,
        #[command(flatten)]
        loss: AcceptedLoss,
        /// The services; all unless said
        services: Vec<String>,
    },
    /// Bring a project up again after a failed first try
    Retry(Target),
    /// Destroy a project with its data
    Destroy {
        #[command(flatten)]
        target: Target,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Give a project another name
    Rename {
        /// Its ref or name
        project: String,
        /// Its new name
        name: String,
    },
    /// Refuse to destroy a project
    Protect {
        /// Its ref or name
        project: String,
    },
    /// Let a project be destroyed again
    Unprotect {
        /// Its ref or name
        project: String,
    },
    /// Change your own facts about a project
    Annotate {
        /// Its ref or name
        project: String,
        /// Facts to set, and with no value to remove
        #[arg(required = true, value_name = "KEY=[VALUE]", value_parser = pair)]
        annotations: Vec<(String, String)>,
    },
    /// Bring other settings of a project into force; what is not named stays as it is
    Reconfigure(Box<ReconfigureArguments>),
    /// Give secrets of a project new values, and bring them into force
    Rotate {
        #[command(flatten)]
        target: Target,
        /// The secrets, as `freehold show PROJECT --secrets` names them
        #[arg(required = true, value_name = "SECRET")]
        secrets: Vec<String>,
    },
    /// Bring a project's settings into force once more; a database that refuses the store's password is given it
    Repair(Target),
    /// List operations, newest first
    Operations {
        /// Only of this project, by ref or name
        project: Option<String>,
        /// How many at most
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
    },
    /// Ask for the end of an operation
    Cancel {
        /// The operation's id, or the ref or name of a project that has one in flight
        operation: String,
    },
    /// Read what a project's services print
    Logs {
        /// Its ref or name
        project: String,
        /// Only of these services
        services: Vec<String>,
        /// Go on with new lines
        #[arg(short, long)]
        follow: bool,
        /// At most so many lines of each service from the past
        #[arg(long)]
        tail: Option<u32>,
    },
    /// Read events
    Events {
        /// Only events after this number
        #[arg(long, default_value_t = 0)]
        after: u64,
        /// Go on with new ones
        #[arg(short, long)]
        follow: bool,
    },
    /// Show what would have to be done for a project to be as it is meant to be
    Plan {
        /// Its ref or name
        project: String,
    },
    /// Look at a project's health
    Health {
        /// Its ref or name
        project: String,
    },
    /// Show or set what an organization's projects are made with where nothing is said, as by Studio's wizard
    Defaults(DefaultsArguments),
    /// What builds of Studio can be given
    #[command(subcommand)]
    Studio(StudioCommand),
    /// Compare what is on the engines with what the store knows; ends with 1 if somebody has to do something
    Doctor {
        /// Remove what this installation made, is old enough, and has no owner: what the store does not know, or knows
        /// as removed
        #[arg(long)]
        fix: bool,
        /// How old that must be, in minutes [default: the host's grace period, 60]
        #[arg(long, value_name = "MINUTES", requires = "fix")]
        older_than: Option<u64>,
    },
}

/// A project that is commanded.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// Its ref or name
    pub(crate) project: String,
    /// Return as soon as the command is accepted
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// Data that is known to be gone.
#[derive(Debug, Args)]
pub(crate) struct AcceptedLoss {
    /// Go on without that data, which is gone: it is made anew, empty. The name as the refusal gave it; once for each
    #[arg(long = "accept-data-loss", value_name = "VOLUME")]
    pub(crate) accepted: Vec<String>,
}

/// The services that are not to run.
#[derive(Debug, Args)]
pub(crate) struct Exclusions {
    /// A service that is not to run, once for each; they take the place of those excluded so far or by the stack
    #[arg(long = "exclude", value_name = "SERVICE")]
    excluded: Vec<String>,
    /// Exclude nothing
    #[arg(long, conflicts_with = "excluded")]
    exclude_nothing: bool,
}

impl Exclusions {
    /// What was said of them: nothing at all is not the same as no service.
    pub(crate) fn said(&self) -> Option<&[String]> {
        (self.exclude_nothing || !self.excluded.is_empty()).then_some(&self.excluded)
    }
}

#[derive(Debug, Args)]
pub(crate) struct DefaultsArguments {
    /// The organization
    #[arg(default_value = "default")]
    pub(crate) organization: String,
    /// The target
    #[arg(long)]
    pub(crate) target: Option<String>,
    /// The stack
    #[arg(long)]
    pub(crate) stack: Option<String>,
    #[command(flatten)]
    pub(crate) exclusions: Exclusions,
    /// Forget what was set before
    #[arg(long)]
    pub(crate) clear: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum StudioCommand {
    /// Print the keys for its `custom-content.json`, which is read when it is built
    CustomContent {
        /// With those that only a patched Studio reads; the schema of a stock build refuses them
        #[arg(long)]
        patched: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateArguments {
    /// Its name
    pub(crate) name: String,
    /// Whose it is
    #[arg(long, default_value = "default")]
    pub(crate) organization: String,
    /// The target; may be left out where there is only one, or only one that has the stack
    #[arg(long)]
    pub(crate) target: Option<String>,
    /// The stack; may be left out where the target has only one
    #[arg(long)]
    pub(crate) stack: Option<String>,
    #[command(flatten)]
    pub(crate) exclusions: Exclusions,
    /// A file of NAME=VALUE lines for the stack's variables
    #[arg(long, value_name = "FILE")]
    pub(crate) variables: Option<PathBuf>,
    /// A file of NAME=VALUE lines for secrets of your own choice
    #[arg(long, value_name = "FILE")]
    pub(crate) secrets: Option<PathBuf>,
    /// A fact of your own
    #[arg(long = "annotate", value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) annotations: Vec<(String, String)>,
    /// A file that is applied once, before the project is first ready
    #[arg(long = "first-run", value_name = "FILE")]
    pub(crate) first_run: Vec<PathBuf>,
    /// Memory of all services together, in MiB
    #[arg(long, value_name = "MIB")]
    pub(crate) memory: Option<u64>,
    /// Processor time of each service, in cores
    #[arg(long)]
    pub(crate) cpus: Option<f64>,
    /// A key under which the same request is carried out once
    #[arg(long)]
    pub(crate) idempotency_key: Option<String>,
    /// Return as soon as the command is accepted
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReconfigureArguments {
    #[command(flatten)]
    pub(crate) target: Target,
    /// A file of NAME=VALUE lines that takes the place of all variables
    #[arg(long, value_name = "FILE")]
    pub(crate) variables: Option<PathBuf>,
    /// A file of NAME=VALUE lines for secrets that get another value
    #[arg(long, value_name = "FILE")]
    pub(crate) secrets: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) exclusions: Exclusions,
    /// Memory of all services together, in MiB
    #[arg(long, value_name = "MIB")]
    pub(crate) memory: Option<u64>,
    /// Processor time of each service, in cores
    #[arg(long)]
    pub(crate) cpus: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Only of this organization
    #[arg(long)]
    pub(crate) organization: Option<String>,
    /// Only on these targets
    #[arg(long, value_delimiter = ',')]
    pub(crate) target: Vec<String>,
    /// Only in these statuses; all but REMOVED unless said
    #[arg(long, value_delimiter = ',')]
    pub(crate) status: Vec<String>,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("is not KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}
