//! A private server, databases in it, and changes to try on them.

pub(crate) mod changes;
pub(crate) mod server;

use std::sync::Arc;

use freehold_core::Store;
use freehold_pg::{Config, PgStore};
use sqlx::{Connection, PgConnection};

pub(crate) use self::{changes::*, server::Server};

/// A fresh database with the schema in it. It goes with the server.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) url: String,
}

impl Database {
    /// `None`, said on standard error, where no PostgreSQL is to be had.
    pub(crate) async fn new() -> Option<Self> {
        Some(Self::on(Server::shared().await?).await)
    }

    /// A fresh database on this server.
    pub(crate) async fn on(server: &Server) -> Self {
        let name = format!("t{}", uuid::Uuid::now_v7().simple());
        let mut admin = PgConnection::connect(&server.url("postgres")).await.unwrap();
        let create = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'");
        sqlx::query(sqlx::AssertSqlSafe(create)).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
        Self { url: server.url(&name) }
    }

    pub(crate) async fn store(&self) -> PgStore {
        let mut config = Config::new(self.url.clone());
        config.max_connections = 8;
        config.acquire_timeout_secs = 60;
        PgStore::connect(&config).await.unwrap()
    }

    pub(crate) async fn connection(&self) -> PgConnection {
        PgConnection::connect(&self.url).await.unwrap()
    }
}

/// A store on a fresh database, for what any store promises.
pub(crate) async fn any_store() -> Option<Arc<dyn Store>> {
    Some(Arc::new(Database::new().await?.store().await))
}
