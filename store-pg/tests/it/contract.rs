//! The store keeps the promises of a store, those included that not every store can.

use std::sync::Arc;

use async_trait::async_trait;
use freehold_core::{
    Result, Store,
    contract::{CallerTransaction, StoreFixture},
    store::{Change, Committed},
};
use freehold_pg::PgStore;
use sqlx::{PgPool, Postgres, Transaction};

use crate::fixture::Database;

struct Postgresql {
    database: Database,
    store: PgStore,
    callers: PgPool,
}

impl Postgresql {
    /// `None`, said on standard error, where no PostgreSQL is to be had.
    async fn new() -> Option<Self> {
        let database = Database::migrated().await?;
        let store = database.store().await;
        let callers = PgPool::connect_lazy(&database.url).unwrap();
        Some(Self { database, store, callers })
    }
}

#[async_trait]
impl StoreFixture for Postgresql {
    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.store.clone())
    }

    async fn other_host(&self) -> Result<Option<Arc<dyn Store>>> {
        Ok(Some(Arc::new(self.database.store().await)))
    }

    async fn begin(&self) -> Result<Option<Box<dyn CallerTransaction>>> {
        let transaction = self.callers.begin().await.unwrap();
        Ok(Some(Box::new(Callers { store: self.store.clone(), transaction })))
    }
}

struct Callers {
    store: PgStore,
    transaction: Transaction<'static, Postgres>,
}

#[async_trait]
impl CallerTransaction for Callers {
    async fn commit_change(&mut self, change: Change) -> Result<Committed> {
        self.store.commit_in(&mut self.transaction, change).await
    }

    async fn commit(self: Box<Self>) -> Result<()> {
        self.transaction.commit().await.unwrap();
        Ok(())
    }

    async fn roll_back(self: Box<Self>) -> Result<()> {
        self.transaction.rollback().await.unwrap();
        Ok(())
    }
}

freehold_core::store_contract!(match Postgresql::new().await {
    Some(fixture) => fixture,
    None => return,
});
