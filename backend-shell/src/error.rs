//! What can go wrong here, named for the verb that failed, and its one way to the workspace's error.

use std::{fmt, io, path::PathBuf, process::ExitStatus};

use freehold_core::{Detail, Error, Kind};

use crate::hook::Hook;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("read the stack: {}: {problem}", file.display())]
    ReadStack { file: PathBuf, problem: String },
    #[error(
        "use the stack {digest}: what is kept of it in {} is not what was kept there: put that folder back as it was, or, if \
         these are the hooks that the target has now, remove it and start Freehold again", folder.display()
    )]
    Changed { digest: String, folder: PathBuf },
    #[error("find the stack {digest}: it is not kept in {}", folder.display())]
    FindStack { digest: String, folder: PathBuf },
    #[error("{verb} {}", path.display())]
    Touch { verb: &'static str, path: PathBuf, source: io::Error },
    #[error("lock {}: the hook that an earlier call left does not end", path.display())]
    Lock { path: PathBuf },
    #[error("start the hook {}", program.display())]
    Start { program: PathBuf, source: io::Error },
    #[error("watch the hook {hook}")]
    Watch { hook: Hook, source: io::Error },
    #[error("read what the hook {hook} answered: {problem}")]
    Answer { hook: Hook, problem: String },
    #[error("{hook}: {reason}")]
    Run { hook: Hook, status: ExitStatus, reason: String, port_taken: Option<u16>, data_gone: Vec<String> },
}

impl Failure {
    /// For use with `map_err`: `verb` failed on `path`.
    pub(crate) fn touch(verb: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Touch { verb, path, source }
    }

    /// What the caller can do about it.
    fn kind(&self) -> Kind {
        match self {
            Self::ReadStack { .. } | Self::FindStack { .. } => Kind::InvalidInput,
            Self::Changed { .. } => Kind::Conflict,
            Self::Lock { .. } => Kind::Unavailable,
            Self::Touch { .. } | Self::Start { .. } | Self::Watch { .. } | Self::Answer { .. } => {
                Kind::Internal
            }
            Self::Run { status, .. } => match status.code() {
                // sysexits.h: EX_USAGE, EX_DATAERR, EX_CONFIG
                Some(64 | 65 | 78) => Kind::InvalidInput,
                // EX_UNAVAILABLE, EX_TEMPFAIL
                Some(69 | 75) => Kind::Unavailable,
                Some(_) => Kind::Internal,
                // Killed by a signal of somebody else's: a takeover, or the kernel for want of memory.
                None => Kind::Unavailable,
            },
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let message = failure.to_string();
        match failure {
            Failure::Run { port_taken: Some(port), .. } => {
                Self::detailed(Detail::PortTaken { port }, message)
            }
            Failure::Run { data_gone: names, .. } if !names.is_empty() => {
                let message = format!(
                    "{message}: find the data {}: bring it back, accept its loss by that name, or destroy the project",
                    names.join(", ")
                );
                Self::detailed(Detail::DataGone { names }, message)
            }
            Failure::Touch { source, .. } | Failure::Start { source, .. } | Failure::Watch { source, .. } => {
                Self::internal(message).because(source)
            }
            other => Self::new(other.kind(), message),
        }
    }
}

/// How a process ended, for people.
pub(crate) struct Ending(pub(crate) ExitStatus);

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use std::os::unix::process::ExitStatusExt as _;
        match (self.0.code(), self.0.signal()) {
            (Some(code), _) => write!(f, "it ended with exit status {code} and said nothing"),
            (None, Some(signal)) => write!(f, "it was killed by signal {signal}"),
            (None, None) => f.write_str("it ended without an exit status"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    fn run(status: i32, port_taken: Option<u16>) -> Error {
        let reason = "start PostgreSQL".to_owned();
        let (hook, status, data_gone) = (Hook::Provision, ExitStatus::from_raw(status), vec![]);
        Failure::Run { hook, status, reason, port_taken, data_gone }.into()
    }

    #[test]
    fn the_exit_status_of_a_hook_says_what_the_caller_can_do() {
        assert_eq!(run(65 << 8, None).kind(), Kind::InvalidInput);
        assert_eq!(run(75 << 8, None).kind(), Kind::Unavailable);
        assert_eq!(run(9, None).kind(), Kind::Unavailable);
        assert_eq!(run(1 << 8, None).kind(), Kind::Internal);
    }

    #[test]
    fn a_port_that_a_hook_found_taken_is_a_detail() {
        let error = run(70 << 8, Some(20_000));
        assert_eq!(error.detail(), Some(&Detail::PortTaken { port: 20_000 }));
        assert_eq!(error.to_string(), "provision: start PostgreSQL");
    }
}
