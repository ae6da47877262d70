//! The backend with the hooks that are shipped keeps the promises of a backend: real PostgreSQL servers, real processes.

use std::{any::Any, net::TcpListener, sync::Arc, time::Duration};

use async_trait::async_trait;
use freehold_core::{
    Backend, Error, PortBlock, ProjectRef, Result, Runtime,
    contract::{BackendFixture, backend::Offer},
};

use crate::world::{World, free_ports, kill, sql};

struct Postgresql(World);

impl Postgresql {
    async fn new() -> Self {
        Self(World::postgres().await)
    }
}

#[async_trait]
impl BackendFixture for Postgresql {
    fn backend(&self) -> Arc<dyn Backend> {
        self.0.backend.clone()
    }

    fn ports(&self, count: u16) -> PortBlock {
        free_ports(count)
    }

    fn offers(&self) -> &[Offer] {
        &Offer::OF_FIXTURES
    }

    async fn write(&self, runtime: &Runtime, marker: &str) -> Result<()> {
        let statements = format!(
            "create table if not exists marker (text text); delete from marker; insert into marker values ('{}')",
            marker.replace('\'', "''")
        );
        sql(runtime, &statements).map(drop).map_err(Error::internal)
    }

    async fn read(&self, runtime: &Runtime) -> Result<Option<String>> {
        let there = sql(runtime, "select to_regclass('marker') is not null").map_err(Error::internal)?;
        if there == "f" {
            return Ok(None);
        }
        sql(runtime, "table marker").map(Some).map_err(Error::internal)
    }

    async fn leftovers(&self, project: &ProjectRef) -> Result<Vec<String>> {
        let mut census = self.0.census();
        census.retain(|line| line.contains(project.as_str()));
        Ok(census)
    }

    async fn occupy(&self, port: u16) -> Result<Box<dyn Any + Send>> {
        Ok(Box::new(TcpListener::bind(("127.0.0.1", port)).unwrap()))
    }

    async fn damage(&self, runtime: &Runtime) -> Result<()> {
        let server = self.0.server(runtime).ok_or_else(|| Error::internal("find the server"))?;
        kill("KILL", server);
        while self.0.server(runtime).is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    fn changed(&self, mut runtime: Runtime) -> Runtime {
        runtime.secrets.insert("db_pass".parse().unwrap(), "another'; password \\ of theirs".into());
        runtime
    }
}

freehold_core::backend_contract!(Postgresql::new().await);
