//! Opening the store.

use std::sync::Arc;

use freehold_core::{Store, accounts::AccountStore};

#[cfg(not(feature = "store-pg"))]
use crate::exit::Failure;
use crate::{
    config::{Config, StoreConfig},
    exit::Result,
};

/// An open store, and the server under it where that is ours.
pub(crate) struct OpenStore {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) accounts: Arc<dyn AccountStore>,
    #[cfg(feature = "store-pg")]
    connections: freehold_pg::PgStore,
    #[cfg(feature = "store-pg")]
    server: Option<freehold_pg::EmbeddedServer>,
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
                (server.url(), Some(server))
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
            self.connections.close().await;
            if let Some(server) = self.server {
                server.stop().await?;
            }
        }
        Ok(())
    }
}
