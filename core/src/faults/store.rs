//! A store that goes wrong by plan.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::sync::broadcast;

use super::injector::Injector;
use crate::{
    error::Result,
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

/// Any store, with a fault plan acting before and after each method. Hints ([`Store::subscribe`]) are handed on as they
/// are: they may be lost anyway.
#[derive(Debug)]
pub struct FaultyStore {
    store: Arc<dyn Store>,
    injector: Arc<Injector>,
}

impl FaultyStore {
    /// Wraps a store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, injector: Arc<Injector>) -> Self {
        Self { store, injector }
    }

    async fn around<T, F>(&self, method: &str, work: impl Fn() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        self.injector.around("store", method, work).await
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl Store for FaultyStore {
    async fn now(&self) -> Result<OffsetDateTime> {
        self.around("now", || self.store.now()).await
    }

    async fn commit(&self, change: Change) -> Result<Committed> {
        self.around("commit", || self.store.commit(change.clone())).await
    }

    async fn replay(&self, organization: &OrganizationId, key: &str) -> Result<Option<Replay>> {
        self.around("replay", || self.store.replay(organization, key)).await
    }

    async fn project(&self, project: &ProjectRef) -> Result<Option<Project>> {
        self.around("project", || self.store.project(project)).await
    }

    async fn projects(&self, filter: &ProjectFilter, page: &PageRequest) -> Result<Page<Project>> {
        self.around("projects", || self.store.projects(filter, page)).await
    }

    async fn operation(&self, operation: OperationId) -> Result<Option<Operation>> {
        self.around("operation", || self.store.operation(operation)).await
    }

    async fn operations(&self, filter: &OperationFilter, page: &PageRequest) -> Result<Page<Operation>> {
        self.around("operations", || self.store.operations(filter, page)).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>> {
        self.around("claim", || self.store.claim(claim)).await
    }

    async fn renew(&self, lease: &Lease, extend: Duration, progress: &[RecordedProgress]) -> Result<Renewed> {
        self.around("renew", || self.store.renew(lease, extend, progress)).await
    }

    async fn settle(&self, settlement: Settlement) -> Result<Project> {
        self.around("settle", || self.store.settle(settlement.clone())).await
    }

    async fn reallocate(
        &self,
        lease: &Lease,
        taken: u16,
        pool: &PortPool,
        aside: Duration,
    ) -> Result<Project> {
        self.around("reallocate", || self.store.reallocate(lease, taken, pool, aside)).await
    }

    async fn observed(&self, projects: &[ProjectRef]) -> Result<()> {
        self.around("observed", || self.store.observed(projects)).await
    }

    async fn events(&self, after: u64, limit: u32) -> Result<EventPage> {
        self.around("events", || self.store.events(after, limit)).await
    }

    async fn sequence(&self) -> Result<u64> {
        self.around("sequence", || self.store.sequence()).await
    }

    fn subscribe(&self) -> broadcast::Receiver<Wake> {
        self.store.subscribe()
    }

    async fn sealed(&self, project: Option<&ProjectRef>) -> Result<Vec<SealedItem>> {
        self.around("sealed", || self.store.sealed(project)).await
    }

    async fn keys_in_use(&self) -> Result<BTreeMap<KeyId, u64>> {
        self.around("keys_in_use", || self.store.keys_in_use()).await
    }

    async fn sealed_under_other_keys(&self, key: &KeyId, limit: u32) -> Result<Vec<SealedItem>> {
        self.around("sealed_under_other_keys", || self.store.sealed_under_other_keys(key, limit)).await
    }

    async fn reseal(&self, items: &[SealedItem]) -> Result<u64> {
        self.around("reseal", || self.store.reseal(items)).await
    }

    async fn close_organization(&self, organization: &OrganizationId) -> Result<()> {
        self.around("close_organization", || self.store.close_organization(organization)).await
    }

    async fn register(&self, target: &TargetRecord) -> Result<()> {
        self.around("register", || self.store.register(target)).await
    }

    async fn setting(&self, name: &str) -> Result<Option<String>> {
        self.around("setting", || self.store.setting(name)).await
    }

    async fn put_setting(&self, name: &str, value: &str, put: Put) -> Result<String> {
        self.around("put_setting", || self.store.put_setting(name, value, put)).await
    }

    async fn expire(&self, retention: &Retention) -> Result<()> {
        self.around("expire", || self.store.expire(retention)).await
    }

    async fn census(&self) -> Result<Census> {
        self.around("census", || self.store.census()).await
    }
}
