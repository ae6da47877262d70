//! A store that cannot take its caller down with it, nor keep it waiting for ever.

use std::{
    collections::BTreeMap,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::sync::broadcast;

use super::caught;
use crate::{
    error::{Error, Kind, Result},
    event::EventPage,
    names::OrganizationId,
    operation::{Lease, Operation, OperationId},
    page::{Page, PageRequest},
    project::{Project, ProjectFilter},
    project_ref::ProjectRef,
    seal::KeyId,
    store::{
        Census, Change, Claim, Claimed, Committed, OperationFilter, PortPool, Put, RecordedProgress, Renewed,
        Replay, Retention, SealedItem, Settlement, Store, TargetRecord, Wake,
    },
};

/// How long one answer is waited for: longer than a store of ours takes to say that it has none, so that this ends only
/// what nobody else would.
const PATIENCE: Duration = Duration::from_secs(120);

/// A panic becomes an `Internal` error, and an answer that does not come an `Unavailable` one.
#[derive(Debug)]
pub(in super::super) struct GuardedStore(Arc<dyn Store>);

impl GuardedStore {
    pub(in super::super) fn new(store: Arc<dyn Store>) -> Self {
        Self(store)
    }

    async fn run<'a, T, F>(&'a self, method: &str, call: impl FnOnce(&'a dyn Store) -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        // The call is made inside, so that a panic before its first await is caught as well.
        let work = caught("store", async { call(&*self.0).await });
        tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| {
            let message = format!("hear of the store ({method}): it did not answer within {PATIENCE:?}");
            Err(Error::new(Kind::Unavailable, message))
        })
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Store for GuardedStore {
    async fn now(&self) -> Result<OffsetDateTime> {
        self.run("now", |store| store.now()).await
    }

    async fn commit(&self, change: Change) -> Result<Committed> {
        self.run("commit", |store| store.commit(change)).await
    }

    async fn replay(&self, organization: &OrganizationId, key: &str) -> Result<Option<Replay>> {
        self.run("replay", |store| store.replay(organization, key)).await
    }

    async fn project(&self, project: &ProjectRef) -> Result<Option<Project>> {
        self.run("project", |store| store.project(project)).await
    }

    async fn projects(&self, filter: &ProjectFilter, page: &PageRequest) -> Result<Page<Project>> {
        self.run("projects", |store| store.projects(filter, page)).await
    }

    async fn operation(&self, operation: OperationId) -> Result<Option<Operation>> {
        self.run("operation", |store| store.operation(operation)).await
    }

    async fn operations(&self, filter: &OperationFilter, page: &PageRequest) -> Result<Page<Operation>> {
        self.run("operations", |store| store.operations(filter, page)).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>> {
        self.run("claim", |store| store.claim(claim)).await
    }

    async fn renew(&self, lease: &Lease, extend: Duration, progress: &[RecordedProgress]) -> Result<Renewed> {
        self.run("renew", |store| store.renew(lease, extend, progress)).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Project> {
        self.run("settle", |store| store.settle(settlement)).await
    }

    async fn reallocate(
        &self,
        lease: &Lease,
        taken: u16,
        pool: &PortPool,
        aside: Duration,
    ) -> Result<Project> {
        self.run("reallocate", |store| store.reallocate(lease, taken, pool, aside)).await
    }

    async fn observed(&self, projects: &[ProjectRef]) -> Result<()> {
        self.run("observed", |store| store.observed(projects)).await
    }

    async fn events(&self, after: u64, limit: u32) -> Result<EventPage> {
        self.run("events", |store| store.events(after, limit)).await
    }

    async fn sequence(&self) -> Result<u64> {
        self.run("sequence", |store| store.sequence()).await
    }

    fn subscribe(&self) -> broadcast::Receiver<Wake> {
        let hints = AssertUnwindSafe(|| self.0.subscribe());
        // Without hints everybody looks by themselves.
        catch_unwind(hints).unwrap_or_else(|_| broadcast::channel(1).1)
    }

    async fn sealed(&self, project: Option<&ProjectRef>) -> Result<Vec<SealedItem>> {
        self.run("sealed", |store| store.sealed(project)).await
    }

    async fn keys_in_use(&self) -> Result<BTreeMap<KeyId, u64>> {
        self.run("keys_in_use", |store| store.keys_in_use()).await
    }

    async fn sealed_under_other_keys(&self, key: &KeyId, limit: u32) -> Result<Vec<SealedItem>> {
        self.run("sealed_under_other_keys", |store| store.sealed_under_other_keys(key, limit)).await
    }

    async fn reseal(&self, items: &[SealedItem]) -> Result<u64> {
        self.run("reseal", |store| store.reseal(items)).await
    }

    async fn close_organization(&self, organization: &OrganizationId) -> Result<()> {
        self.run("close_organization", |store| store.close_organization(organization)).await
    }

    async fn register(&self, target: &TargetRecord) -> Result<()> {
        self.run("register", |store| store.register(target)).await
    }

    async fn setting(&self, name: &str) -> Result<Option<String>> {
        self.run("setting", |store| store.setting(name)).await
    }

    async fn put_setting(&self, name: &str, value: &str, put: Put) -> Result<String> {
        self.run("put_setting", |store| store.put_setting(name, value, put)).await
    }

    async fn expire(&self, retention: &Retention) -> Result<()> {
        self.run("expire", |store| store.expire(retention)).await
    }

    async fn census(&self) -> Result<Census> {
        self.run("census", |store| store.census()).await
    }
}
