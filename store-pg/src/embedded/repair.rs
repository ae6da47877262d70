//! Giving the store's role its password back, without a password: through the socket in the server's own folder.

use freehold_core::{Error, ExposeSecret, Kind, Result};
use sqlx::{Connection, PgConnection, postgres::PgConnectOptions};

use super::{EmbeddedConfig, EmbeddedServer, NAME, cluster::Cluster, folder::Folder, postmaster::Found};
use super::{binaries, folder, postmaster, user};
use crate::error::{During, password_refused, refuses_password};

/// Neither the statement nor an error of it is to reach the server's log.
const QUIET: &str = "SET log_statement = none; SET log_min_error_statement = panic; \
    SET log_min_duration_statement = -1";

/// What a repair came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repaired {
    /// The role has the password now that the folder has.
    Mended,
    /// It had it already: nothing was changed.
    WasWell,
}

impl EmbeddedServer {
    /// Makes the password in the folder the one that the store's role has. A host that runs on the server goes on by
    /// itself; a server that does not run is started for the occasion.
    ///
    /// # Errors
    /// `NotFound` if there is no server in the folder, `Unsupported` if the folder's path is too long for a socket;
    /// `Unavailable` if the server does not answer, or only its user and root could enter its folder and we are neither.
    pub async fn repair(config: &EmbeddedConfig) -> Result<Repaired> {
        let base = folder::existing(&config.folder)?;
        let data = base.join("server/data");
        if let Found::Live { port, .. } = postmaster::find(&data)? {
            return mend(&base, port).await;
        }
        let user = user::server_user(&config.user).await?;
        let folder = Folder::open(config, user)?;
        let binaries = binaries::find(config, &folder).await?;
        let cluster = Cluster::new(folder, &binaries)?;
        let port = cluster.start(config.port).await?;
        let repaired = mend(&base, port).await;
        cluster.stop().await?;
        repaired
    }
}

async fn mend(base: &std::path::Path, port: u16) -> Result<Repaired> {
    let password = folder::password(base)?;
    let options = || {
        let options = PgConnectOptions::new_without_pgpass().username(NAME).database("postgres").port(port);
        options.application_name("freehold store repair")
    };
    let with_password = options()
        .host("127.0.0.1")
        .password(password.expose_secret())
        .ssl_mode(sqlx::postgres::PgSslMode::Disable);
    match PgConnection::connect_with(&with_password).await {
        Ok(connection) => {
            connection.close().await.during("close a connection")?;
            return Ok(Repaired::WasWell);
        }
        Err(error) if refuses_password(&error) => {}
        Err(error) => {
            let message = format!("log in to the server on port {port}");
            return Err(Error::new(Kind::Unavailable, message).because(error));
        }
    }
    let Some(socket) = folder::socket_in(&base.join("server")) else {
        let message = format!(
            "set the password: {} is too long a path for a socket; move the folder, for instance to \
             /var/lib/freehold",
            base.display()
        );
        return Err(Error::new(Kind::Unsupported, message));
    };
    let mut connection = PgConnection::connect_with(&options().socket(&socket)).await.map_err(|error| {
        let message = format!(
            "reach the server through its socket in {}: run this as root, or as its user",
            socket.display()
        );
        Error::new(Kind::Unavailable, message).because(error)
    })?;
    sqlx::raw_sql(QUIET).execute(&mut connection).await.during("keep the statement out of the log")?;
    // A verifier, so that the password itself is sent nowhere. It holds no quote.
    let verifier = postgres_protocol::password::scram_sha_256(password.expose_secret().as_bytes());
    let statement = format!("ALTER ROLE {NAME} LOGIN PASSWORD '{verifier}'");
    sqlx::raw_sql(sqlx::AssertSqlSafe(statement))
        .execute(&mut connection)
        .await
        .during("set the password of the store's role")?;
    connection.close().await.during("close a connection")?;
    match PgConnection::connect_with(&with_password).await {
        Ok(connection) => {
            connection.close().await.during("close a connection")?;
            Ok(Repaired::Mended)
        }
        Err(error) => Err(password_refused("log in with the password that was set").because(error)),
    }
}
