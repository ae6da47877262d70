//! A private server, databases in it, and changes to try on them.

pub(crate) mod changes;
pub(crate) mod counter;
pub(crate) mod server;

use freehold_pg::{Config, PgStore};
use sqlx::{Connection, PgConnection};
use tokio::sync::OnceCell;

pub(crate) use self::{changes::*, server::Server};

/// A fresh database. It goes with the server.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) url: String,
}

impl Database {
    /// `None`, said on standard error, where no PostgreSQL is to be had.
    pub(crate) async fn new() -> Option<Self> {
        Some(Self::on(Server::shared().await?).await)
    }

    /// The same with the schema in it already, which is quicker.
    pub(crate) async fn migrated() -> Option<Self> {
        static MODEL: OnceCell<String> = OnceCell::const_new();
        let server = Server::shared().await?;
        let model = MODEL.get_or_init(|| async {
            let name = new_name();
            let database = Self::create(server, &name, "template0").await;
            database.store().await.close().await;
            name
        });
        Some(Self::create(server, &new_name(), model.await).await)
    }

    /// A fresh database on this server.
    pub(crate) async fn on(server: &Server) -> Self {
        Self::create(server, &new_name(), "template0").await
    }

    async fn create(server: &Server, name: &str, model: &str) -> Self {
        let mut admin = PgConnection::connect(&server.url("postgres")).await.unwrap();
        let create = format!("CREATE DATABASE {name} TEMPLATE {model} ENCODING 'UTF8'");
        sqlx::query(sqlx::AssertSqlSafe(create)).execute(&mut admin).await.unwrap();
        admin.close().await.unwrap();
        Self { url: server.url(name) }
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

fn new_name() -> String {
    format!("t{}", uuid::Uuid::now_v7().simple())
}
