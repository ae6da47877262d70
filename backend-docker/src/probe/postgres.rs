//! Whether PostgreSQL lets us in. Only a whole log-in tells: during its first run the server of an image accepts
//! connections long before the role, its password and the database are there.

use std::net::SocketAddr;

use freehold_core::{Detail, Error, ExposeSecret, Kind, SecretString};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_postgres::{Config, NoTls, error::SqlState};

/// `SSLRequest`: its length and its code (PostgreSQL's documentation, "Message Formats").
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Why the server was not to be had.
#[derive(Debug)]
pub(crate) struct Refusal {
    problem: String,
    wrong_password: bool,
    /// Whether the server may think otherwise in a moment: it was not there, or is coming up.
    may_pass: bool,
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
        Self { problem, wrong_password: false, may_pass: true }
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

/// Logs in and out, and is content with any answer of a server that has come up.
pub(super) async fn decides(
    address: SocketAddr,
    user: &str,
    database: &str,
    password: &SecretString,
) -> Result<(), String> {
    match log_in(address, user, database, password).await {
        Err(refusal) if refusal.may_pass => Err(refusal.problem),
        _ => Ok(()),
    }
}

/// Whether a server answers, which it does before anybody logs in.
pub(super) async fn speaks(address: SocketAddr) -> Result<(), String> {
    let mut stream = super::tcp::connect(address).await?;
    let failed = |error| super::tcp::describe(address, &error);
    stream.write_all(&SSL_REQUEST).await.map_err(failed)?;
    match stream.read_u8().await.map_err(failed)? {
        b'S' | b'N' => Ok(()),
        _ => Err(format!("{address}: did not answer as PostgreSQL does")),
    }
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
            may_pass: *answer.code() == SqlState::CANNOT_CONNECT_NOW,
        },
        None => error.to_string().into(),
    }
}
