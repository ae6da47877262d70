//! How the program ends: a message and a code that scripts can tell apart.

use freehold_core::{Error, Kind};

/// What every fallible part of the program gives back.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

/// Printed under `freehold --help`.
pub(crate) const CODES: &str = "\
Exit codes:
  0  done
  1  the operation failed, or the host could not do it
  2  usage or configuration
  3  there is no such project, operation or target
  4  not in its present state (another operation, a protected project, a name that is taken)
  5  no host answers, or it refuses the token";

/// Why the program ends without having done what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// The code for "there is no such thing".
    pub(crate) const NOT_FOUND: u8 = 3;

    /// The operation failed, or the host could not do it.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// Something about how the program was called or configured.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }

    /// There is no such thing.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self { code: Self::NOT_FOUND, message: message.into() }
    }

    /// Not in its present state.
    pub(crate) fn conflict(message: impl Into<String>) -> Self {
        Self { code: 4, message: message.into() }
    }

    /// No host answers, or it refuses the token.
    pub(crate) fn unreachable(message: impl Into<String>) -> Self {
        Self { code: 5, message: message.into() }
    }

    /// A fault of ours.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::failed(message)
    }

    /// Puts what was attempted before the message.
    pub(crate) fn during(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn code(&self) -> u8 {
        self.code
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.chain();
        match error.kind() {
            Kind::InvalidInput => Self::usage(message),
            Kind::NotFound => Self::not_found(message),
            Kind::AlreadyExists | Kind::Conflict | Kind::Cancelled => Self::conflict(message),
            Kind::Unsupported | Kind::Exhausted | Kind::Unavailable | Kind::Timeout | Kind::Internal => {
                Self::failed(message)
            }
        }
    }
}
