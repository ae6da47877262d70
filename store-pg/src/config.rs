//! Where the store is and how it is spoken to.

use std::{str::FromStr, time::Duration};

use freehold_core::{Error, ExposeSecret, Kind, SecretString};
use serde::Deserialize;
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use crate::error::{During, password_refused, refuses_password};

/// How long a transaction may stand still between two statements, in milliseconds: a host that is stopped in its middle
/// would hold its locks for ever, and nobody could take over what it worked on. (PostgreSQL's
/// documentation, section "Client Connection Defaults".)
const IDLE_IN_TRANSACTION: &str = "10000";

/// What it costs to read a page that does not follow the one before, in pages that do: nearly the same in memory. (PostgreSQL's
/// documentation, section "Planner Cost Constants".)
const IN_MEMORY: &str = "1.1";

/// Where the store is and how it is spoken to. Its `Debug` shows no secret.
///
/// ```
/// use freehold_pg::Config;
///
/// let config = Config::new("postgres://freehold:hunter2@127.0.0.1:5432/freehold");
/// assert!(!format!("{config:?}").contains("hunter2"));
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A connection string: `postgres://user:password@host:port/database`. Over a network add
    /// `?sslmode=verify-full`, with `&sslrootcert=FILE` where the server's certificate is not one of the Web's; without,
    /// TLS is used where the server offers it and nobody's certificate is checked (libpq's `prefer`).
    pub url: SecretString,
    /// How many connections are held at most, besides the one that listens.
    #[serde(default = "defaults::max_connections")]
    pub max_connections: u32,
    /// How long a call waits for a connection before it is `Unavailable`, in seconds.
    #[serde(default = "defaults::acquire_timeout_secs")]
    pub acquire_timeout_secs: u64,
    /// How long one statement may take before it is `Unavailable`, in seconds. Migrations take as long as they take.
    #[serde(default = "defaults::statement_timeout_secs")]
    pub statement_timeout_secs: u64,
}

mod defaults {
    pub(super) const fn max_connections() -> u32 {
        10
    }

    pub(super) const fn acquire_timeout_secs() -> u64 {
        10
    }

    pub(super) const fn statement_timeout_secs() -> u64 {
        30
    }
}

impl Config {
    /// The store at this connection string, everything else by default.
    #[must_use]
    pub fn new(url: impl Into<SecretString>) -> Self {
        Self {
            url: url.into(),
            max_connections: defaults::max_connections(),
            acquire_timeout_secs: defaults::acquire_timeout_secs(),
            statement_timeout_secs: defaults::statement_timeout_secs(),
        }
    }

    /// Whether the server takes the password of the connection string.
    ///
    /// # Errors
    /// [`StorePassword`](freehold_core::Detail::StorePassword) if it takes another one, with the statement that a
    /// superuser of it can run in the context pair `statement`, without the password; those of
    /// [`PgStore::connect`](crate::PgStore::connect).
    pub async fn check_password(&self) -> Result<(), Error> {
        let options = self.connect_options()?;
        let opened = tokio::time::timeout(self.acquire_timeout(), PgConnection::connect_with(&options)).await;
        let server = format!("{}:{}", options.get_host(), options.get_port());
        let verb = "log in to the store";
        match opened {
            Ok(Ok(connection)) => Ok(connection.close().await.during("close a connection")?),
            Ok(Err(error)) if refuses_password(&error) => {
                let role = options.get_username().replace('"', "\"\"");
                let statement = format!("ALTER ROLE \"{role}\" PASSWORD '…';");
                Err(password_refused(verb).with("statement", statement))
            }
            Ok(opened) => {
                opened.map(drop).during(verb).map_err(|error| Error::from(error).with("server", server))
            }
            Err(_) => {
                Err(Error::new(Kind::Unavailable, format!("{verb}: no answer in time"))
                    .with("server", server))
            }
        }
    }

    pub(crate) fn acquire_timeout(&self) -> Duration {
        Duration::from_secs(self.acquire_timeout_secs)
    }

    /// How connections are opened. The parser's own error is dropped: it may quote the connection string.
    pub(crate) fn connect_options(&self) -> Result<PgConnectOptions, Error> {
        let url = self.url.expose_secret();
        let options = ["postgres://", "postgresql://"]
            .into_iter()
            .find(|scheme| url.starts_with(scheme))
            .and_then(|_| PgConnectOptions::from_str(url).ok())
            .ok_or_else(|| {
                Error::invalid("store.url", "is not postgres://user:password@host:port/database")
            })?;
        let timeout = self.statement_timeout_secs.saturating_mul(1000);
        Ok(options.application_name("freehold").options([
            // What a migration finds there already is no news.
            ("client_min_messages", "warning".to_owned()),
            ("statement_timeout", timeout.to_string()),
            ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION.to_owned()),
            // What is asked for is small and in memory. A plan is kept for long, and one that reads a whole table because
            // it is short so far would be kept until the next `ANALYZE`, however fast the table grows.
            ("random_page_cost", IN_MEMORY.to_owned()),
            // No statement is long enough to be worth a compiler.
            ("jit", "off".to_owned()),
        ]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_url_is_refused_without_being_quoted() {
        for url in ["postgres://u:hunter2@host:notaport/db", "hunter2", "mysql://u:hunter2@h/db"] {
            let Err(error) = Config::new(url).connect_options() else { panic!("{url} was taken") };
            assert!(!error.chain().contains("hunter2"), "{error:?}");
        }
    }
}
