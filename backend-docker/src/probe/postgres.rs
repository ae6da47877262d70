//! Whether PostgreSQL lets us in. Only a whole log-in tells: during its first run the server of an image accepts
//! connections long before the role, its password and the database are there.

use std::net::SocketAddr;

use freehold_core::{ExposeSecret, SecretString};
use tokio_postgres::{Config, NoTls};

/// Logs in and out.
pub(super) async fn probe(
    address: SocketAddr,
    user: &str,
    database: &str,
    password: &SecretString,
) -> Result<(), String> {
    log_in(address, user, database, password).await.map(drop)
}

/// The server's version as it tells it, for instance `15.18`.
pub(crate) async fn server_version(
    address: SocketAddr,
    user: &str,
    database: &str,
    password: &SecretString,
) -> Result<String, String> {
    super::within(async {
        let full = log_in(address, user, database, password).await?;
        // Debian's says `15.18 (Debian 15.18-0+deb12u1)`.
        full.split(' ').next().map(str::to_owned).ok_or_else(|| "the server told no version".into())
    })
    .await
}

/// Logs in, and answers the version that the server reports while it greets.
async fn log_in(
    address: SocketAddr,
    user: &str,
    database: &str,
    password: &SecretString,
) -> Result<String, String> {
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
fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(answer) => format!("{} (SQLSTATE {})", answer.message(), answer.code().code()),
        None => error.to_string(),
    }
}
