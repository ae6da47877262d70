//! Opening the store.

use std::sync::Arc;

use freehold_core::{Store, accounts::AccountStore};
#[cfg(feature = "store-pg")]
use tokio::task::JoinHandle;
#[cfg(feature = "store-pg")]
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Config, StoreConfig},
    exit::{Failure, Result},
};

/// An open store, and the server under it where that is ours.
pub(crate) struct OpenStore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) accounts: Arc<dyn AccountStore>,
    #[cfg(feature = "store-pg")]
    connections: freehold_pg::PgStore,
    #[cfg(feature = "store-pg")]
    server: Option<Server>,
}

/// The server under the store, started again whenever it ends before we stop it.
#[cfg(feature = "store-pg")]
struct Server {
    stopping: CancellationToken,
    kept: JoinHandle<freehold_pg::EmbeddedServer>,
}

#[cfg(feature = "store-pg")]
impl Server {
    fn keep(server: freehold_pg::EmbeddedServer) -> Self {
        let stopping = CancellationToken::new();
        let kept = tokio::spawn({
            let stopping = stopping.clone();
            async move {
                server.keep_running(&stopping).await;
                server
            }
        });
        Self { stopping, kept }
    }

    /// The server, once nobody starts it again.
    async fn let_go(self) -> Result<freehold_pg::EmbeddedServer> {
        self.stopping.cancel();
        self.kept.await.map_err(|error| Failure::internal(format!("let go of PostgreSQL: {error}")))
    }
}

impl OpenStore {
    /// Opens the store, starting a server of our own where none is named.
    ///
    /// # Errors
    /// If there is none to be had.
    #[cfg(feature = "store-pg")]
    pub(crate) async fn open(config: &Config) -> Result<Self> {
        let (url, server) = match &config.store {
            StoreConfig::Postgres(url) => (url.clone(), None),
            StoreConfig::Embedded => {
                let folder = freehold_pg::EmbeddedConfig::new(config.state.join("postgres"));
                let server = freehold_pg::EmbeddedServer::start(&folder).await?;
                (server.url(), Some(Server::keep(server)))
            }
        };
        let store = freehold_pg::PgStore::connect(&freehold_pg::Config::new(url)).await?;
        Ok(Self {
            store: Arc::new(store.clone()),
            accounts: Arc::new(store.clone()),
            connections: store,
            server,
        })
    }

    /// Says that this program has no store.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "store-pg"))]
    pub(crate) async fn open(config: &Config) -> Result<Self> {
        use freehold_core::ExposeSecret as _;
        let named = match &config.store {
            StoreConfig::Embedded => false,
            StoreConfig::Postgres(url) => !url.expose_secret().is_empty(),
        };
        let wanted = if named { "PostgreSQL" } else { "a PostgreSQL of its own" };
        Err(Failure::usage(format!(
            "this program was built without {wanted}: build it with the feature store-pg"
        )))
    }

    /// Closes the connections, then stops the server, if it is ours.
    ///
    /// # Errors
    /// If it does not stop.
    pub(crate) async fn close(self) -> Result<()> {
        #[cfg(feature = "store-pg")]
        {
            // A server that the same signal reached ends when its last connection does: by then nobody may start it again.
            let server = match self.server {
                Some(server) => Some(server.let_go().await?),
                None => None,
            };
            self.connections.close().await;
            if let Some(server) = server {
                server.stop().await?;
            }
        }
        Ok(())
    }
}

/// Makes the store's server take the password that the host has.
///
/// # Errors
/// If it still does not, with the statement to run where the server is not ours.
#[cfg(feature = "store-pg")]
pub(crate) async fn repair(config: &Config) -> Result<()> {
    use freehold_core::Detail;
    use freehold_pg::{EmbeddedConfig, EmbeddedServer, Repaired};
    match &config.store {
        StoreConfig::Embedded => {
            let folder = EmbeddedConfig::new(config.state.join("postgres"));
            match EmbeddedServer::repair(&folder).await? {
                Repaired::Mended => {
                    println!("The store takes its password again. A host that runs goes on by itself.")
                }
                Repaired::WasWell => println!("The store takes its password: there was nothing to repair."),
            }
            Ok(())
        }
        StoreConfig::Postgres(url) => match freehold_pg::Config::new(url.clone()).check_password().await {
            Ok(()) => {
                println!("The store takes its password: there was nothing to repair.");
                Ok(())
            }
            Err(error) if matches!(error.detail(), Some(Detail::StorePassword)) => {
                Err(Failure::failed(format!(
                    "the store's server is not ours to change. Run there, as a superuser, with the password of the store's \
                 URL in place of the dots:\n  {}\nor put the password that the role has into the URL. psql's \\password \
                 asks for it and shows it to nobody. A host that runs goes on by itself once the two agree.",
                    error.context("statement").unwrap_or_default()
                )))
            }
            Err(error) => Err(error.into()),
        },
    }
}

/// Says that this program has no store.
///
/// # Errors
/// Always.
#[cfg(not(feature = "store-pg"))]
pub(crate) async fn repair(config: &Config) -> Result<()> {
    OpenStore::open(config).await.map(drop)
}
