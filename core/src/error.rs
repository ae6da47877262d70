//! What went wrong, said once and the same way by every crate of the workspace.
//!
//! An [`Error`] answers three questions: what can the caller do about it ([`Kind`]), what exactly was it
//! ([`Detail`], for programs to match on), and what happened (the message, the context pairs and the source
//! chain, for people). What a failed call printed travels with it as a [`Report`].

use std::{error::Error as StdError, fmt};

use serde::{Deserialize, Serialize};

use crate::{
    accounts::Role,
    lifecycle::{Status, Trigger},
    operation::OperationId,
    report::Report,
};

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Errors by the caller's next move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The request is wrong: change it.
    InvalidInput,
    /// The named thing does not exist.
    NotFound,
    /// A thing of that name exists already: choose another.
    AlreadyExists,
    /// The request is right but not now: look at the present state and decide again.
    Conflict,
    /// This backend cannot do that.
    Unsupported,
    /// A bound that the operator set is reached: raise the setting that is named, or free something.
    Exhausted,
    /// Something that we depend on does not answer: the same call may succeed later.
    Unavailable,
    /// A deadline passed: the same call may succeed later.
    Timeout,
    /// Somebody asked for the work to stop.
    Cancelled,
    /// A fault of ours or of a dependency that the caller can do nothing about.
    Internal,
}

impl Kind {
    /// Whether the control plane tries an operation again, while its deadline lasts, after an error of this kind.
    #[must_use]
    pub const fn is_retryable(self) -> bool {
        match self {
            Self::Unavailable | Self::Timeout => true,
            Self::InvalidInput
            | Self::NotFound
            | Self::AlreadyExists
            | Self::Conflict
            | Self::Unsupported
            | Self::Exhausted
            | Self::Cancelled
            | Self::Internal => false,
        }
    }

    /// The kind as programs read it: `invalid_input`, `not_found`, …
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidInput => "invalid_input",
            Self::NotFound => "not_found",
            Self::AlreadyExists => "already_exists",
            Self::Conflict => "conflict",
            Self::Unsupported => "unsupported",
            Self::Exhausted => "exhausted",
            Self::Unavailable => "unavailable",
            Self::Timeout => "timeout",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What exactly happened, where a program may want to act on it. Each detail belongs to one [`Kind`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Detail {
    /// A host port that the project was given is held by somebody else.
    PortTaken {
        /// The port.
        port: u16,
    },
    /// Data of the project is gone from the engine. It is made anew, empty, only by a restart or resume that says each of
    /// these names.
    DataGone {
        /// What is gone, as the engine names it: volumes, folders.
        names: Vec<String>,
    },
    /// The lifecycle has no such transition.
    IllegalTransition {
        /// The project's status at the time.
        status: Status,
        /// What was asked.
        trigger: Trigger,
        /// The operation in flight, if one runs or waits.
        operation: Option<OperationId>,
    },
    /// Another operation of the project runs or waits.
    Busy {
        /// The project's status at the time.
        status: Status,
        /// The operation in flight.
        operation: OperationId,
    },
    /// The project is protected: lift the protection first.
    Protected,
    /// The row changed between reading and writing it.
    LostRace,
    /// What stands there is for a role that the caller may not take it from.
    AboveCaller {
        /// The role.
        role: Role,
    },
    /// The lease on the operation ran out or was taken over.
    LeaseLost,
    /// Events before `oldest` are no longer kept.
    Gone {
        /// The oldest event that can still be read.
        oldest: u64,
    },
    /// An idempotency key was used before with another body.
    KeyReused,
    /// A bound is reached.
    Bound {
        /// The setting that holds the bound.
        setting: String,
        /// Its present value.
        limit: u64,
    },
    /// The database refuses the password that the store has (`SQLSTATE 28P01`).
    CredentialDrift,
    /// The store's own server refuses the password of the store's role (`SQLSTATE 28P01`). Nothing is lost, and all goes
    /// on by itself once the two agree.
    StorePassword,
}

impl Detail {
    /// The kind that this detail belongs to.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match self {
            Self::IllegalTransition { .. }
            | Self::Busy { .. }
            | Self::Protected
            | Self::LostRace
            | Self::AboveCaller { .. }
            | Self::LeaseLost
            | Self::KeyReused
            | Self::PortTaken { .. }
            | Self::CredentialDrift => Kind::Conflict,
            Self::Gone { .. } | Self::DataGone { .. } => Kind::NotFound,
            Self::Bound { .. } => Kind::Exhausted,
            Self::StorePassword => Kind::Unavailable,
        }
    }
}

type Source = Box<dyn StdError + Send + Sync + 'static>;

struct Inner {
    kind: Kind,
    detail: Option<Detail>,
    message: String,
    operation: Option<&'static str>,
    context: Vec<(&'static str, String)>,
    report: Option<Report>,
    source: Option<Source>,
}

/// The one error of the workspace.
///
/// Its `Display` is one line that finishes "failed to …"; [`Error::chain`] adds the causes.
///
/// ```
/// use freehold_core::{Error, Kind};
///
/// let error = Error::new(Kind::Unavailable, "reach the engine at /run/docker.sock")
///     .with("service", "db")
///     .because(std::io::Error::other("connection refused"));
/// assert_eq!(error.kind(), Kind::Unavailable);
/// assert_eq!(error.to_string(), "reach the engine at /run/docker.sock (service: db)");
/// assert_eq!(error.chain(), "reach the engine at /run/docker.sock (service: db): connection refused");
/// ```
pub struct Error(Box<Inner>);

impl Error {
    /// An error of a kind. `message` is a lower-case fragment that finishes "failed to …" or names what is wrong,
    /// with the thing and its value, and the way out where there is one.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            detail: None,
            message: message.into(),
            operation: None,
            context: Vec::new(),
            report: None,
            source: None,
        }))
    }

    /// An error with a detail, of that detail's kind.
    #[must_use]
    pub fn detailed(detail: Detail, message: impl Into<String>) -> Self {
        let mut error = Self::new(detail.kind(), message);
        error.0.detail = Some(detail);
        error
    }

    /// [`Kind::InvalidInput`]: `field` is wrong because of `problem`.
    #[must_use]
    pub fn invalid(field: &str, problem: impl fmt::Display) -> Self {
        Self::new(Kind::InvalidInput, format!("{field}: {problem}"))
    }

    /// [`Kind::NotFound`]: there is no `what` called `name`.
    #[must_use]
    pub fn not_found(what: &str, name: impl fmt::Display) -> Self {
        Self::new(Kind::NotFound, format!("no {what} {name}"))
    }

    /// [`Kind::Internal`]: a fault of ours.
    #[must_use]
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Kind::Internal, message)
    }

    /// Adds a context pair. Pairs with an empty value are left out.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        let value = value.to_string();
        if !value.is_empty() {
            self.0.context.push((key, value));
        }
        self
    }

    /// Names the call that failed, for instance `provision`; the innermost name is kept.
    #[must_use]
    pub fn during(mut self, operation: &'static str) -> Self {
        self.0.operation.get_or_insert(operation);
        self
    }

    /// Attaches what the failed call printed. A report that is there already is kept.
    #[must_use]
    pub fn with_report(mut self, report: Report) -> Self {
        self.0.report.get_or_insert(report);
        self
    }

    /// Sets the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What the caller can do about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// What exactly it was, where that is known.
    #[must_use]
    pub fn detail(&self) -> Option<&Detail> {
        self.0.detail.as_ref()
    }

    /// The message without context or causes.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The call that failed, where it was named.
    #[must_use]
    pub fn operation(&self) -> Option<&'static str> {
        self.0.operation
    }

    /// The value of a context pair.
    #[must_use]
    pub fn context(&self, key: &str) -> Option<&str> {
        self.0.context.iter().find(|(k, _)| *k == key).map(|(_, v)| v.as_str())
    }

    /// All context pairs, in the order in which they were added.
    pub fn context_pairs(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.context.iter().map(|(key, value)| (*key, value.as_str()))
    }

    /// What the failed call printed.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.0.report.as_ref()
    }

    /// The message and every cause below it, joined by `: `.
    #[must_use]
    pub fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let part = error.to_string();
            if !text.ends_with(&part) {
                text.push_str(": ");
                text.push_str(&part);
            }
            cause = error.source();
        }
        text
    }

    /// Whether this is [`Detail::LostRace`].
    #[must_use]
    pub fn is_lost_race(&self) -> bool {
        matches!(self.0.detail, Some(Detail::LostRace))
    }

    /// Whether this is [`Detail::LeaseLost`].
    #[must_use]
    pub fn is_lease_lost(&self) -> bool {
        matches!(self.0.detail, Some(Detail::LeaseLost))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (index, (key, value)) in self.0.context.iter().enumerate() {
            write!(f, "{}{key}: {value}", if index == 0 { " (" } else { ", " })?;
        }
        if self.0.context.is_empty() { Ok(()) } else { f.write_str(")") }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("detail", &self.0.detail)
            .field("operation", &self.0.operation)
            .field("chain", &self.chain())
            .finish_non_exhaustive()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_as_one_line_with_its_context() {
        let error = Error::new(Kind::Timeout, "start container").with("service", "db").with("step", "");
        assert_eq!(error.to_string(), "start container (service: db)");
    }

    #[test]
    fn the_innermost_operation_and_report_are_kept() {
        let error = Error::internal("boom").during("inspect").during("provision");
        assert_eq!(error.operation(), Some("inspect"));
    }

    #[test]
    fn a_detail_fixes_its_kind() {
        assert_eq!(Error::detailed(Detail::Gone { oldest: 4 }, "events").kind(), Kind::NotFound);
        assert_eq!(Error::detailed(Detail::PortTaken { port: 1 }, "bind").kind(), Kind::Conflict);
    }

    #[test]
    fn only_unavailable_and_timeout_are_retried() {
        assert!(Kind::Unavailable.is_retryable() && Kind::Timeout.is_retryable());
        assert!(!Kind::Internal.is_retryable() && !Kind::Conflict.is_retryable());
    }
}
