//! Whether PostgreSQL lets us in. Only a whole log-in tells: during its first run the server of an image accepts
//! connections long before the role, its password and the database are there.

use std::net::SocketAddr;

use freehold_core::{Detail, Error, ExposeSecret, Kind, SecretString};
use tokio_postgres::{Config, NoTls, error::SqlState};

/// Why the server was not to be had.
#[derive(Debug)]
pub(crate) struct Refusal {
    problem: String,
    wrong_password: bool,
}

impl Refusal {
    /// The refusal as an error about a service.
    pub(crate) fn into_error(self, service: &str) -> Error {
        let message = format!("log in to the database: {}", self.problem);
        let error = if self.wrong_password {
            Error::detailed(Detail::CredentialDrift, message)
        } else {
            Error::new(Kind::Unavailable, message)
        };
        error.with("service", service)
    }
}

impl From<String> for Refusal {
    fn from(problem: String) -> Self {
        Self { problem, wrong_password: false }
    }
}

/// Logs in and out.
pub(super) async fn probe(
    address: SocketAddr,
    user: &str,
    database: &str,
    password: &SecretString,
) -> Result<(), String> {
    log_in(address, user, database, password).await.map(drop).map_err(|refusal| refusal.problem)
}

/// The server's version as it tells it, for instance `15.18`.
pub(crate) async fn server_version(
    address: SocketAddr,
    user: &str,
    database: &str,
    password: &SecretString,
) -> Result<String, Refusal> {
    super::within(async {
        let full = log_in(address, user, database, password).await?;
        // Debian's says `15.18 (Debian 15.18-0+deb12u1)`.
        let number = full.split(' ').next().filter(|number| !number.is_empty());
        number.map(str::to_owned).ok_or_else(|| "the server told no version".to_owned().into())
    })
    .await
}

/// Logs in, and answers the version that the server reports while it greets.
async fn log_in(
    address: SocketAddr,
    user: &str,
    database: &str,
    password: &SecretString,
) -> Result<String, Refusal> {
    let stream = super::tcp::connect(address).await?;
    let mut config = Config::new();
    config.user(user).dbname(database).password(password.expose_secret()).application_name("freehold");
    let (client, connection) = config.connect_raw(stream, NoTls).await.map_err(|error| describe(&error))?;
    let version = connection.parameter("server_version").unwrap_or_default().to_owned();
    drop(client);
    // With the client gone the connection says goodbye and ends.
    let _ = connection.await;
    Ok(version)
}

/// The server's own words, which never repeat a password.
fn describe(error: &tokio_postgres::Error) -> Refusal {
    match error.as_db_error() {
        Some(answer) => Refusal {
            problem: if *answer.code() == SqlState::INVALID_PASSWORD {
                format!(
                    "{} (SQLSTATE 28P01): the database has another password than the store; repair the project",
                    answer.message()
                )
            } else {
                format!("{} (SQLSTATE {})", answer.message(), answer.code().code())
            },
            wrong_password: *answer.code() == SqlState::INVALID_PASSWORD,
        },
        None => error.to_string().into(),
    }
}
