//! What PostgreSQL and sqlx report, mapped once to the error of the workspace.

use freehold_core::{Detail, Error, Kind};
use sqlx::{error::DatabaseError, migrate::MigrateError};

/// What failed, by the verb. No variant holds a connection string: sqlx's errors name no password, and its options are
/// never formatted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{verb}")]
    Statement {
        verb: &'static str,
        #[source]
        source: sqlx::Error,
    },
    #[error("migrate the store's schema")]
    Migrate(#[source] MigrateError),
    #[error("read {what} {value:?}, which the store holds")]
    Unreadable {
        what: &'static str,
        value: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("store {what}: it does not fit")]
    Unfit { what: &'static str },
    /// Already an error of the workspace.
    #[error(transparent)]
    Refused(Error),
}

pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// Whether what the store holds cannot be read, by this program at least. Others can be.
    pub(crate) fn is_unreadable(&self) -> bool {
        match self {
            Self::Unreadable { .. } | Self::Unfit { .. } => true,
            Self::Statement { source, .. } => {
                matches!(source, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_))
            }
            Self::Migrate(_) | Self::Refused(_) => false,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Refused(error)
    }
}

/// Names what was being done when a statement failed.
pub(crate) trait During<T> {
    fn during(self, verb: &'static str) -> Result<T>;
}

impl<T> During<T> for Result<T, sqlx::Error> {
    fn during(self, verb: &'static str) -> Result<T> {
        self.map_err(|source| Failure::Statement { verb, source })
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused(error) => error,
            Failure::Statement { verb, source } => statement(verb, source),
            Failure::Migrate(source) => migration(source),
            Failure::Unreadable { .. } | Failure::Unfit { .. } => {
                Error::internal(failure.to_string()).because(failure)
            }
        }
    }
}

/// How each migration error reads to the operator. A failed statement inside is mapped as any other.
fn migration(source: MigrateError) -> Error {
    match source {
        MigrateError::Execute(source) => statement("migrate the store's schema", source),
        MigrateError::ExecuteMigration(source, version) => {
            statement("migrate the store's schema", source).with("migration", version)
        }
        source => Error::internal("migrate the store's schema").because(source),
    }
}

fn statement(verb: &'static str, source: sqlx::Error) -> Error {
    let refusal = source.as_database_error().and_then(|error| refused(verb, error));
    if let Some(error) = refusal {
        return error;
    }
    if refuses_password(&source) {
        return password_refused(verb).because(source);
    }
    let kind = match &source {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Kind::Unavailable,
        sqlx::Error::Configuration(_) => Kind::InvalidInput,
        sqlx::Error::Database(error) => database_kind(error.code().as_deref().unwrap_or_default()),
        _ => Kind::Internal,
    };
    Error::new(kind, verb).because(source)
}

/// Whether the server is there, and takes another password than ours.
pub(crate) fn refuses_password(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).as_deref() == Some("28P01")
}

/// It passes once somebody has put it right, so whoever waits for the store goes on waiting.
pub(crate) fn password_refused(verb: &str) -> Error {
    let message = format!(
        "{verb}: the store's server refuses the password of the store's role (SQLSTATE 28P01): \
         `freehold store repair` puts that right, or says how"
    );
    Error::detailed(Detail::StorePassword, message)
}

/// Kinds by SQLSTATE (PostgreSQL, appendix A): first what passes by itself, then what the operator has to put right.
fn database_kind(code: &str) -> Kind {
    match (code.get(..2).unwrap_or_default(), code) {
        // Connection exceptions, insufficient resources, the server going down or coming up, serialization failures and
        // deadlocks, locks and statements that took too long, a server that may not write at present.
        ("08" | "53" | "40" | "58", _)
        | (_, "57P01" | "57P02" | "57P03" | "57P05" | "55P03" | "57014" | "25P03" | "25006") => {
            Kind::Unavailable
        }
        // Password or role refused, no such database, no right to it.
        ("28", _) | (_, "3D000" | "42501") => Kind::InvalidInput,
        _ => Kind::Internal,
    }
}

/// What a constraint refuses, by its name.
fn refused(verb: &'static str, error: &dyn DatabaseError) -> Option<Error> {
    match error.constraint()? {
        "projects_name" => {
            Some(Error::new(Kind::AlreadyExists, format!("{verb}: the organization has one of that name")))
        }
        "projects_reference" => {
            Some(Error::new(Kind::AlreadyExists, format!("{verb}: there is one with that ref")))
        }
        "operations_id" => {
            Some(Error::new(Kind::AlreadyExists, format!("{verb}: there is one with that id")))
        }
        "grants_person" | "access_tokens_owner" => {
            Some(Error::new(Kind::NotFound, format!("{verb}: there is no such person")))
        }
        "operations_one_running" | "operations_one_waiting" => Some(Error::detailed(
            Detail::LostRace,
            format!("{verb}: another operation of the project was recorded or begun at the same moment"),
        )),
        "projects_active_is_reachable" => {
            Some(Error::internal(format!("{verb}: a project becomes ACTIVE_HEALTHY only with a connection")))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_by_itself_is_unavailable_and_what_does_not_is_not() {
        for code in ["08006", "53300", "57P01", "57P03", "40001", "40P01", "55P03", "57014"] {
            assert_eq!(database_kind(code), Kind::Unavailable, "{code}");
        }
        for code in ["28000", "3D000"] {
            assert_eq!(database_kind(code), Kind::InvalidInput, "{code}");
        }
        for code in ["42P01", "23514", ""] {
            assert_eq!(database_kind(code), Kind::Internal, "{code}");
        }
    }
}
