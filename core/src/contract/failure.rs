//! Why a test of a suite failed, and where in the suite that was seen.

use std::{fmt, panic::Location};

use crate::error::Error;

/// What a test came to.
pub(super) type Verified<T = ()> = std::result::Result<T, Failure>;

/// Why a test failed.
#[derive(Debug)]
pub(super) struct Failure {
    at: &'static Location<'static>,
    message: String,
}

impl Failure {
    #[track_caller]
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { at: Location::caller(), message: message.into() }
    }

    /// The same, of something that the reader has to know besides.
    pub(super) fn of(mut self, what: impl fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.at.file().rsplit("contract/").next().unwrap_or_default();
        write!(f, "{} ({file}:{})", self.message, self.at.line())
    }
}

impl From<Error> for Failure {
    #[track_caller]
    fn from(error: Error) -> Self {
        Self::new(format!("{}: failed to {}", error.kind(), error.chain()))
    }
}

/// Gives the error of a call that must not succeed.
#[track_caller]
pub(super) fn refused<T>(result: crate::Result<T>, what: impl fmt::Display) -> Verified<Error> {
    match result {
        Err(error) => Ok(error),
        Ok(_) => Err(Failure::new(format!("{what} was accepted"))),
    }
}

/// Gives what must be there.
#[track_caller]
pub(super) fn there<T>(found: Option<T>, what: impl fmt::Display) -> Verified<T> {
    found.ok_or_else(|| Failure::new(format!("{what} is not there")))
}

/// Fails unless a condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)+) => {
        if !$condition {
            return Err($crate::contract::failure::Failure::new(format!($($message)+)));
        }
    };
}

/// Fails unless two values are the same.
macro_rules! ensure_eq {
    ($found:expr, $expected:expr, $($what:tt)+) => {
        match (&$found, &$expected) {
            (found, expected) => {
                if *found != *expected {
                    let what = format!($($what)+);
                    let message = format!("{what}: found {found:?} where {expected:?} is promised");
                    return Err($crate::contract::failure::Failure::new(message));
                }
            }
        }
    };
}
