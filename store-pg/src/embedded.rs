//! A PostgreSQL server of the host's own, for where none is to be had.

mod binaries;
mod cluster;
mod config;
mod folder;
mod postmaster;
mod repair;
mod revival;
mod user;

use std::{fmt, time::Duration};

use freehold_core::{Error, ExposeSecret, Kind, Result, SecretString};
use sqlx::{Connection, PgConnection};

use self::{cluster::Cluster, folder::Folder, postmaster::Found};
pub use self::{
    config::{Binaries, EmbeddedConfig},
    repair::Repaired,
};
use crate::error::{During, password_refused};

/// The role and the database of the store.
const NAME: &str = "freehold";
const OWN_DATA: &str = "SHOW data_directory";
const HAS_DATABASE: &str = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = 'freehold')";
const CREATE_DATABASE: &str = "CREATE DATABASE freehold";
/// How long the server may be replaying what a crash left before it takes connections.
const RECOVERY: Duration = Duration::from_secs(120);
const POLL: Duration = Duration::from_millis(100);

/// A running server. It keeps running when this is dropped, or when the host is killed: the next start on the same
/// folder adopts it. [`stop`](Self::stop) ends it, [`keep_running`](Self::keep_running) starts it again when something else
/// ended it.
///
/// ```no_run
/// use freehold_pg::{Config, EmbeddedConfig, EmbeddedServer, PgStore};
///
/// # async fn example() -> freehold_core::Result<()> {
/// let server = EmbeddedServer::start(&EmbeddedConfig::new("/var/lib/freehold/postgres")).await?;
/// let store = PgStore::connect(&Config::new(server.url())).await?;
/// // …
/// store.close().await;
/// server.stop().await?;
/// # Ok(())
/// # }
/// ```
///
/// # Guarantees
/// - It listens on 127.0.0.1 and on a socket in its own folder, which nobody but its user and root can enter; on a port that stays the same unless a stranger has taken it, and asks for a random
///   password (SCRAM-SHA-256) that is kept in the file `password` beside the data, readable by the host's user alone.
/// - Started by root, it runs as an operating-system user of its own, who owns the data; that user is made if it is
///   missing. Started by anybody else, it runs as whoever that is.
/// - PostgreSQL's programs that are there are used: those of the folder that is configured, or the newest of
///   `/usr/lib/postgresql/*/bin` and `PATH`. They are downloaded only where there are none.
/// - A live server on the folder is adopted if it shows that the data and the password are ours. What a crash left behind
///   is cleared away, even if the number of its process belongs to another by now.
///
/// # Caveats
/// The download (from Maven Central, by `pg-embed`) is tested against a mirror with an archive of our own making; against
/// the real archive it is untested. Data stays with its major version: after an upgrade of the system, keep the old
/// programs installed, or move the data with `pg_upgrade`.
pub struct EmbeddedServer {
    cluster: Cluster,
    port: u16,
    adopted: bool,
    url: SecretString,
}

impl fmt::Debug for EmbeddedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedServer")
            .field("data", &self.cluster.folder.data())
            .field("port", &self.port)
            .field("adopted", &self.adopted)
            .finish_non_exhaustive()
    }
}

impl EmbeddedServer {
    /// Adopts the server that runs on the folder, or starts one, making its data first where there is none.
    ///
    /// # Errors
    /// `Conflict` if another host uses the folder; `InvalidInput` if the configuration or the folder is wrong; `Unavailable`
    /// if PostgreSQL is neither found nor downloaded, or does not start (the cause holds what it printed last), and with
    /// [`StorePassword`](freehold_core::Detail::StorePassword) if it does not take our password, which
    /// [`repair`](Self::repair) mends.
    pub async fn start(config: &EmbeddedConfig) -> Result<Self> {
        let user = user::server_user(&config.user).await?;
        let folder = Folder::open(config, user)?;
        let found = postmaster::find(&folder.data())?;
        let binaries = binaries::find(config, &folder).await?;
        let cluster = Cluster::new(folder, &binaries)?;
        cluster.check_reach().await?;
        cluster.initialize().await?;
        let cluster = match found {
            Found::Live { port, .. } => {
                let server = Self::on(cluster, port, true)?;
                match server.prove_ours().await {
                    Ok(()) => return Ok(server.announced()),
                    Err(error) if server.still_runs()? => return Err(error),
                    // It was dying when it was found, and its port may be anybody's by now.
                    Err(_) => server.cluster,
                }
            }
            Found::Nothing => cluster,
        };
        let port = cluster.start(config.port).await?;
        let server = Self::on(cluster, port, false)?;
        server.prove_ours().await?;
        Ok(server.announced())
    }

    fn on(cluster: Cluster, port: u16, adopted: bool) -> Result<Self> {
        Ok(Self { url: url(&cluster.folder, port, NAME)?, cluster, port, adopted })
    }

    fn announced(self) -> Self {
        let data = self.cluster.folder.data();
        tracing::info!(port = self.port, adopted = self.adopted, data = %data.display(), "PostgreSQL runs");
        self
    }

    fn still_runs(&self) -> Result<bool> {
        Ok(postmaster::find(&self.cluster.folder.data())? != Found::Nothing)
    }

    /// How the store's database is reached, password included.
    #[must_use]
    pub fn url(&self) -> SecretString {
        self.url.clone()
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether the server was running already.
    #[must_use]
    pub const fn adopted(&self) -> bool {
        self.adopted
    }

    /// Stops the server: connections are closed, everything is on disk.
    ///
    /// # Errors
    /// `Unavailable` if it does not stop.
    pub async fn stop(self) -> Result<()> {
        self.cluster.stop().await
    }

    /// Logs in, makes sure that it is our data, and adds the store's database where it is missing.
    async fn prove_ours(&self) -> Result<()> {
        let mut connection = self.login().await?;
        let data: String = sqlx::query_scalar(OWN_DATA)
            .fetch_one(&mut connection)
            .await
            .during("ask for the data folder")?;
        let ours = self.cluster.folder.data();
        if std::path::Path::new(&data) != ours {
            return Err(Error::new(
                Kind::Conflict,
                format!("use the server on port {}: its data is {data}, not {}", self.port, ours.display()),
            ));
        }
        let there: bool = sqlx::query_scalar(HAS_DATABASE)
            .fetch_one(&mut connection)
            .await
            .during("look for the database")?;
        if !there {
            sqlx::query(CREATE_DATABASE).execute(&mut connection).await.during("create the database")?;
        }
        connection.close().await.during("close a connection")?;
        Ok(())
    }

    /// A server that replays what a crash left says so and is asked again.
    async fn login(&self) -> Result<PgConnection> {
        let url = url(&self.cluster.folder, self.port, "postgres")?;
        let patience = tokio::time::Instant::now() + RECOVERY;
        loop {
            let refused = match PgConnection::connect(url.expose_secret()).await {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            let code =
                refused.as_database_error().and_then(|error| error.code()).unwrap_or_default().into_owned();
            if code == "28P01" {
                let error = password_refused(&format!("log in to the server on port {}", self.port));
                return Err(error.with("password", self.cluster.folder.password_file().display()));
            }
            // "the database system is starting up", or not even listening yet.
            let starting = code == "57P03" || matches!(refused, sqlx::Error::Io(_));
            let starting = starting && (!self.adopted || self.still_runs()?);
            if !starting || tokio::time::Instant::now() >= patience {
                return Err(Error::new(
                    Kind::Unavailable,
                    format!("log in to the server on port {}", self.port),
                )
                .because(refused));
            }
            tokio::time::sleep(POLL).await;
        }
    }
}

fn url(folder: &Folder, port: u16, database: &str) -> Result<SecretString> {
    let password = folder.password()?;
    let password = password.expose_secret();
    // It speaks to this machine alone and has no certificate: asking for one would cost each connection a round trip.
    Ok(format!("postgres://{NAME}:{password}@127.0.0.1:{port}/{database}?sslmode=disable").into())
}
