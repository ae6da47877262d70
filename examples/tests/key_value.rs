//! The example of a backend keeps the promises of a backend: all that its author has to write.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

use std::{
    any::Any,
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use freehold_core::{
    Address, Backend, Context, Error, PortBlock, Provisioner as _, Result, Runtime, Wish,
    contract::{BackendFixture, backend::Offer},
};
use freehold_examples::key_value::{KeyValueServers, ask};

#[derive(Default)]
struct KeyValue(Arc<KeyValueServers>);

async fn said(runtime: &Runtime, line: &str) -> Result<String> {
    let address = Address { host: "127.0.0.1".into(), port: runtime.ports.first };
    ask(&address, line).await.map_err(|error| Error::internal("reach the server").because(error))
}

#[async_trait]
impl BackendFixture for KeyValue {
    fn backend(&self) -> Arc<dyn Backend> {
        self.0.clone()
    }

    fn ports(&self, count: u16) -> PortBlock {
        static NEXT: AtomicU16 = AtomicU16::new(24_000);
        loop {
            let first = NEXT.fetch_add(count, Ordering::Relaxed);
            if TcpListener::bind(("127.0.0.1", first)).is_ok() {
                return PortBlock { first, count };
            }
        }
    }

    fn offers(&self) -> &[Offer] {
        &[Offer::Data, Offer::Strangers, Offer::Damage]
    }

    async fn write(&self, runtime: &Runtime, marker: &str) -> Result<()> {
        said(runtime, &format!("set marker {marker}")).await.map(drop)
    }

    async fn read(&self, runtime: &Runtime) -> Result<Option<String>> {
        let found = said(runtime, "get marker").await?;
        Ok((found != "nothing").then_some(found))
    }

    async fn occupy(&self, port: u16) -> Result<Box<dyn Any + Send>> {
        Ok(Box::new(TcpListener::bind(("127.0.0.1", port)).unwrap()))
    }

    async fn damage(&self, runtime: &Runtime) -> Result<()> {
        self.0.crash(&runtime.project);
        while self.0.plan(&Context::new(Duration::from_secs(5)), runtime, Wish::Active).await?.is_empty() {
            tokio::task::yield_now().await;
        }
        Ok(())
    }
}

freehold_core::backend_contract!(KeyValue::default(), not offered: Leftovers, Settings, RestartServices, FollowLogs);
