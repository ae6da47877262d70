//! The store in memory, method by method.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use time::OffsetDateTime;
use tokio::sync::broadcast;

use super::state::State;
use crate::{
    clock::{Clock, SystemClock},
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

/// A [`Store`] that forgets everything when it is dropped: for tests, for trying things out, for hosts that keep
/// nothing. It keeps every promise of the trait but durability.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> freehold_core::Result<()> {
/// use freehold_core::{Store, memory::MemoryStore, store::Put};
///
/// let store = MemoryStore::new();
/// assert_eq!(store.put_setting("colour", "green", Put::IfAbsent).await?, "green");
/// assert_eq!(store.put_setting("colour", "red", Put::IfAbsent).await?, "green");
/// # Ok(())
/// # }
/// ```
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    wakes: broadcast::Sender<Wake>,
}

/// How many hints a slow subscriber may be behind.
const WAKES: usize = 256;

impl MemoryStore {
    /// An empty store on the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::on_clock(Arc::new(SystemClock))
    }

    /// An empty store on a clock of the caller's: leases, due times and retention go by it.
    #[must_use]
    pub fn on_clock(clock: Arc<dyn Clock>) -> Self {
        Self { clock, state: Mutex::default(), wakes: broadcast::Sender::new(WAKES) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a bug that was reported where it happened; what is there is still the best there is.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something that may write facts or make work, and lets the others hear of it.
    fn write<T>(&self, work: impl FnOnce(&mut State, OffsetDateTime) -> Result<T>) -> Result<T> {
        let (result, written) = {
            let mut state = self.state();
            let before = state.journal.unnumbered();
            let result = work(&mut state, self.clock.now());
            (result, state.journal.unnumbered() > before)
        };
        if written {
            self.wake(Wake::Written);
            self.wake(Wake::Operations);
        }
        result
    }

    fn wake(&self, wake: Wake) {
        // Nobody listens: nobody has to hear it.
        let _ = self.wakes.send(wake);
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("MemoryStore")
            .field("projects", &state.rows.len())
            .field("operations", &state.operations.len())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn now(&self) -> Result<OffsetDateTime> {
        Ok(self.clock.now())
    }

    async fn commit(&self, change: Change) -> Result<Committed> {
        self.write(|state, now| state.commit(now, change))
    }

    async fn replay(&self, organization: &OrganizationId, key: &str) -> Result<Option<Replay>> {
        let place = (organization.clone(), key.to_owned());
        Ok(self.state().keys.get(&place).map(|(_, replay)| replay.clone()))
    }

    async fn project(&self, project: &ProjectRef) -> Result<Option<Project>> {
        Ok(self.state().rows.get(project).map(|row| row.project.clone()))
    }

    async fn projects(&self, filter: &ProjectFilter, page: &PageRequest) -> Result<Page<Project>> {
        self.state().projects(filter, page)
    }

    async fn operation(&self, operation: OperationId) -> Result<Option<Operation>> {
        Ok(self.state().shown(operation))
    }

    async fn operations(&self, filter: &OperationFilter, page: &PageRequest) -> Result<Page<Operation>> {
        self.state().operations(filter, page)
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>> {
        self.write(|state, now| state.claim(now, claim))
    }

    async fn renew(&self, lease: &Lease, extend: Duration, progress: &[RecordedProgress]) -> Result<Renewed> {
        self.state().renew(self.clock.now(), lease, extend, progress)
    }

    async fn settle(&self, settlement: Settlement) -> Result<Project> {
        self.write(|state, now| state.settle(now, settlement))
    }

    async fn reallocate(
        &self,
        lease: &Lease,
        taken: u16,
        pool: &PortPool,
        aside: Duration,
    ) -> Result<Project> {
        self.write(|state, now| state.reallocate(now, lease, taken, pool, aside))
    }

    async fn observed(&self, projects: &[ProjectRef]) -> Result<()> {
        let (mut state, now) = (self.state(), self.clock.now());
        for project in projects {
            if let Some(row) = state.rows.get_mut(project) {
                row.project.observed_at = Some(now);
            }
        }
        Ok(())
    }

    async fn events(&self, after: u64, limit: u32) -> Result<EventPage> {
        self.state().journal.read(after, limit.clamp(1, PageRequest::MAX))
    }

    async fn sequence(&self) -> Result<u64> {
        let (newest, numbered) = {
            let journal = &mut self.state().journal;
            let numbered = journal.unnumbered() > 0;
            (journal.sequence(), numbered)
        };
        if numbered {
            self.wake(Wake::Events);
        }
        Ok(newest)
    }

    fn subscribe(&self) -> broadcast::Receiver<Wake> {
        self.wakes.subscribe()
    }

    async fn sealed(&self, project: Option<&ProjectRef>) -> Result<Vec<SealedItem>> {
        Ok(self.state().strongbox.of(project.copied()))
    }

    async fn keys_in_use(&self) -> Result<BTreeMap<KeyId, u64>> {
        Ok(self.state().strongbox.keys())
    }

    async fn sealed_under_other_keys(&self, key: &KeyId, limit: u32) -> Result<Vec<SealedItem>> {
        Ok(self.state().strongbox.not_under(key, limit))
    }

    async fn reseal(&self, items: &[SealedItem]) -> Result<u64> {
        let mut state = self.state();
        Ok(items.iter().map(|item| u64::from(state.strongbox.reseal(item))).sum())
    }

    async fn close_organization(&self, organization: &OrganizationId) -> Result<()> {
        self.state().close(organization)
    }

    async fn register(&self, target: &TargetRecord) -> Result<()> {
        let mut state = self.state();
        let known = state.targets.entry(target.name.clone()).or_insert_with(|| target.clone());
        if known == target {
            return Ok(());
        }
        Err(Error::new(
            Kind::Conflict,
            format!(
                "register target {}: the name belongs to engine {} on machine {}, and this is {} on {}; choose another name",
                target.name, known.engine, known.machine, target.engine, target.machine
            ),
        ))
    }

    async fn setting(&self, name: &str) -> Result<Option<String>> {
        Ok(self.state().settings.get(name).cloned())
    }

    async fn put_setting(&self, name: &str, value: &str, put: Put) -> Result<String> {
        let mut state = self.state();
        let stands = state.settings.entry(name.to_owned()).or_insert_with(|| value.to_owned());
        match put {
            Put::IfAbsent => {}
            Put::Replace => value.clone_into(stands),
        }
        Ok(stands.clone())
    }

    async fn expire(&self, retention: &Retention) -> Result<()> {
        let now = self.clock.now();
        // A retention that reaches back before the first moment there is keeps everything.
        let ago = |kept: Duration| now.checked_sub(kept.try_into().unwrap_or(time::Duration::MAX));
        let mut state = self.state();
        if let Some(moment) = ago(retention.events) {
            state.journal.forget_before(moment);
        }
        if let Some(moment) = ago(retention.operations) {
            state.forget_operations(moment);
        }
        if let Some(moment) = ago(retention.idempotency_keys) {
            state.keys.retain(|_, (used, _)| *used >= moment);
        }
        Ok(())
    }

    async fn census(&self) -> Result<Census> {
        Ok(self.state().census(self.clock.now()))
    }
}
