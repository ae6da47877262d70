//! Stores that break a promise, round the one in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use freehold_core::{
    EventPage, Operation, OperationId, OrganizationId, Page, PageRequest, PortBlock, Project, ProjectFilter,
    ProjectRef, Result, Store,
    contract::{StoreFixture, store},
    memory::MemoryStore,
    operation::Lease,
    seal::KeyId,
    store::{
        Bounds, Census, Change, Claim, Claimed, Committed, OperationFilter, PortPool, ProjectChange, Put,
        RecordedProgress, Renewed, Replay, Retention, SealedItem, Settlement, TargetRecord, Wake,
    },
};
use time::OffsetDateTime;
use tokio::sync::broadcast;

use super::{assert_caught, of_clause};

/// What a store does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Flaw {
    None,
    KeepsHalfOfARefusedChange,
    LetsTheLastWriterWin,
    LetsTwoOperationsRun,
    GivesWorkOutTwice,
    GivesOneOrganizationAll,
    GivesMoreThanAsked,
    ForgetsTheLastSteps,
    WaitsForNoMargin,
    LetsZombiesWrite,
    ForgetsOutcomes,
    GivesEverybodyTheSamePorts,
    KnowsNoBounds,
    LeavesGapsBetweenEvents,
    TellsNobody,
    ForgetsKeys,
    LosesRowsBetweenPages,
    ResealsWhatHasChanged,
    BindsTargetsAnew,
    ClosesNothing,
}

const FLAWS: [(Flaw, &str); 19] = [
    (Flaw::KeepsHalfOfARefusedChange, "atomic::a_refused_change_leaves_nothing_behind"),
    (
        Flaw::LetsTheLastWriterWin,
        "versions::of_two_changes_prepared_from_one_version_the_second_loses_the_race",
    ),
    (
        Flaw::LetsTwoOperationsRun,
        "one_operation::destroy_asks_an_operation_that_runs_to_end_and_waits_behind_it",
    ),
    (Flaw::GivesWorkOutTwice, "claims::every_operation_is_given_to_exactly_one_of_many_workers"),
    (
        Flaw::GivesOneOrganizationAll,
        "claims::an_organization_never_runs_more_operations_than_its_bound_and_others_go_first",
    ),
    (Flaw::GivesMoreThanAsked, "claims::a_claim_of_several_gives_the_oldest_within_its_limit_and_the_bound"),
    (Flaw::ForgetsTheLastSteps, "leases::progress_that_comes_with_the_end_is_recorded"),
    (Flaw::WaitsForNoMargin, "leases::an_abandoned_operation_is_taken_over_only_after_lease_and_margin"),
    (Flaw::LetsZombiesWrite, "leases::who_lost_its_lease_writes_nothing_more"),
    (Flaw::ForgetsOutcomes, "outcomes::a_failure_is_kept_and_tells_its_reason"),
    (Flaw::GivesEverybodyTheSamePorts, "allocation::a_hundred_creates_at_once_share_no_port_and_no_network"),
    (Flaw::KnowsNoBounds, "amounts::bounds_hold_for_creates_that_come_at_once_and_name_their_setting"),
    (Flaw::LeavesGapsBetweenEvents, "events::numbers_are_dense_while_many_write_and_two_number"),
    (Flaw::TellsNobody, "events::who_listens_hears_of_changes_and_of_numbers"),
    (Flaw::ForgetsKeys, "idempotency_keys::the_same_request_under_one_key_is_carried_out_once"),
    (Flaw::LosesRowsBetweenPages, "lists::pages_follow_each_other_without_gaps_while_rows_change"),
    (Flaw::ResealsWhatHasChanged, "sealed_items::items_are_resealed_only_where_they_are_unchanged"),
    (Flaw::BindsTargetsAnew, "settings::a_targets_name_is_bound_to_one_engine_for_good"),
    (Flaw::ClosesNothing, "organizations::one_that_has_a_project_is_not_closed_and_a_closed_one_gets_none"),
];

/// A store in memory with a flaw.
#[derive(Debug)]
struct Broken {
    flaw: Flaw,
    inside: MemoryStore,
    /// The newest lease of each operation.
    leases: Mutex<BTreeMap<OperationId, Lease>>,
    /// What was given out last.
    claimed: Mutex<Option<Claimed>>,
}

impl Broken {
    fn seen(&self, mut project: Project) -> Project {
        if self.flaw == Flaw::GivesEverybodyTheSamePorts {
            project.ports = project.ports.map(|ports| PortBlock { first: 20_000, ..ports });
        }
        project
    }

    /// The lease that a worker's word is taken for.
    fn believed(&self, lease: &Lease) -> Lease {
        let newest = self.leases.lock().unwrap().get(&lease.operation).cloned();
        newest.filter(|_| self.flaw == Flaw::LetsZombiesWrite).unwrap_or_else(|| lease.clone())
    }
}

#[async_trait]
impl Store for Broken {
    async fn now(&self) -> Result<OffsetDateTime> {
        self.inside.now().await
    }

    async fn commit(&self, mut change: Change) -> Result<Committed> {
        match (self.flaw, &mut change.project) {
            (Flaw::LetsTheLastWriterWin, ProjectChange::Update(update)) => {
                let stands = self.inside.project(&update.reference).await?;
                update.expected_version = stands.map_or(0, |project| project.version);
            }
            (Flaw::KnowsNoBounds, ProjectChange::Create(project)) => project.bounds = Bounds::default(),
            (Flaw::ForgetsKeys, _) => change.idempotency = None,
            _ => {}
        }
        let committed = self.inside.commit(change.clone()).await;
        if committed.is_err()
            && self.flaw == Flaw::KeepsHalfOfARefusedChange
            && let ProjectChange::Create(project) = &mut change.project
        {
            project.name = format!("half of {}", project.reference).parse()?;
            self.inside.commit(change).await?;
        }
        committed.map(|committed| Committed { project: self.seen(committed.project), ..committed })
    }

    async fn replay(&self, organization: &OrganizationId, key: &str) -> Result<Option<Replay>> {
        self.inside.replay(organization, key).await
    }

    async fn project(&self, project: &ProjectRef) -> Result<Option<Project>> {
        Ok(self.inside.project(project).await?.map(|project| self.seen(project)))
    }

    async fn projects(&self, filter: &ProjectFilter, page: &PageRequest) -> Result<Page<Project>> {
        let mut listed = self.inside.projects(filter, page).await?;
        if self.flaw == Flaw::LosesRowsBetweenPages && page.after.is_some() && !listed.items.is_empty() {
            listed.items.remove(0);
        }
        Ok(listed)
    }

    async fn operation(&self, operation: OperationId) -> Result<Option<Operation>> {
        self.inside.operation(operation).await
    }

    async fn operations(&self, filter: &OperationFilter, page: &PageRequest) -> Result<Page<Operation>> {
        self.inside.operations(filter, page).await
    }

    async fn claim(&self, claim: &Claim) -> Result<Vec<Claimed>> {
        let margin = if self.flaw == Flaw::WaitsForNoMargin { Duration::ZERO } else { claim.margin };
        let limit = if self.flaw == Flaw::GivesMoreThanAsked { u32::MAX } else { claim.limit };
        let mut claim = Claim { margin, limit, ..claim.clone() };
        if self.flaw == Flaw::GivesOneOrganizationAll {
            claim.targets.iter_mut().for_each(|target| target.max_operations_per_organization = None);
        }
        let mut claimed = self.inside.claim(&claim).await?;
        for claimed in &claimed {
            self.leases.lock().unwrap().insert(claimed.operation.id, claimed.lease.clone());
        }
        let before = match claimed.last() {
            Some(claimed) => self.claimed.lock().unwrap().replace(claimed.clone()),
            None => self.claimed.lock().unwrap().take(),
        };
        let again = matches!(self.flaw, Flaw::GivesWorkOutTwice | Flaw::LetsTwoOperationsRun);
        if claimed.is_empty() && again {
            claimed.extend(before);
        }
        Ok(claimed)
    }

    async fn renew(&self, lease: &Lease, extend: Duration, progress: &[RecordedProgress]) -> Result<Renewed> {
        self.inside.renew(&self.believed(lease), extend, progress).await
    }

    async fn settle(&self, mut settlement: Settlement) -> Result<Project> {
        settlement.lease = self.believed(&settlement.lease);
        if self.flaw == Flaw::ForgetsTheLastSteps {
            settlement.progress.clear();
        }
        if self.flaw == Flaw::ForgetsOutcomes {
            settlement.error = None;
        }
        Ok(self.seen(self.inside.settle(settlement).await?))
    }

    async fn reallocate(
        &self,
        lease: &Lease,
        taken: u16,
        pool: &PortPool,
        aside: Duration,
    ) -> Result<Project> {
        self.inside.reallocate(&self.believed(lease), taken, pool, aside).await
    }

    async fn observed(&self, projects: &[ProjectRef]) -> Result<()> {
        self.inside.observed(projects).await
    }

    async fn events(&self, after: u64, limit: u32) -> Result<EventPage> {
        let mut page = self.inside.events(after, limit).await?;
        if self.flaw == Flaw::LeavesGapsBetweenEvents {
            page.events.retain(|event| event.sequence % 10 != 0);
        }
        Ok(page)
    }

    async fn sequence(&self) -> Result<u64> {
        self.inside.sequence().await
    }

    fn subscribe(&self) -> broadcast::Receiver<Wake> {
        if self.flaw == Flaw::TellsNobody { MemoryStore::new().subscribe() } else { self.inside.subscribe() }
    }

    async fn sealed(&self, project: Option<&ProjectRef>) -> Result<Vec<SealedItem>> {
        self.inside.sealed(project).await
    }

    async fn keys_in_use(&self) -> Result<BTreeMap<KeyId, u64>> {
        self.inside.keys_in_use().await
    }

    async fn sealed_under_other_keys(&self, key: &KeyId, limit: u32) -> Result<Vec<SealedItem>> {
        self.inside.sealed_under_other_keys(key, limit).await
    }

    async fn reseal(&self, items: &[SealedItem]) -> Result<u64> {
        let mut items = items.to_vec();
        if self.flaw == Flaw::ResealsWhatHasChanged {
            for item in &mut items {
                let stand = self.inside.sealed(item.place.project.as_ref()).await?;
                if let Some(stands) = stand.iter().find(|stands| stands.place.name == item.place.name) {
                    item.place.version = stands.place.version;
                }
            }
        }
        self.inside.reseal(&items).await
    }

    async fn close_organization(&self, organization: &OrganizationId) -> Result<()> {
        if self.flaw == Flaw::ClosesNothing {
            return Ok(());
        }
        self.inside.close_organization(organization).await
    }

    async fn register(&self, target: &TargetRecord) -> Result<()> {
        let registered = self.inside.register(target).await;
        if self.flaw == Flaw::BindsTargetsAnew { Ok(()) } else { registered }
    }

    async fn setting(&self, name: &str) -> Result<Option<String>> {
        self.inside.setting(name).await
    }

    async fn put_setting(&self, name: &str, value: &str, put: Put) -> Result<String> {
        self.inside.put_setting(name, value, put).await
    }

    async fn expire(&self, retention: &Retention) -> Result<()> {
        self.inside.expire(retention).await
    }

    async fn census(&self) -> Result<Census> {
        self.inside.census().await
    }
}

struct Fixture(Arc<Broken>);

impl StoreFixture for Fixture {
    fn store(&self) -> Arc<dyn Store> {
        self.0.clone()
    }
}

fn fixture(flaw: Flaw) -> Fixture {
    let (leases, claimed) = (Mutex::default(), Mutex::default());
    Fixture(Arc::new(Broken { flaw, inside: MemoryStore::new(), leases, claimed }))
}

#[tokio::test(start_paused = true)]
async fn a_wrapper_without_a_flaw_passes() {
    let findings = store::run(async || fixture(Flaw::None)).await;
    assert!(findings.all_passed(), "{findings}");
    // What memory cannot offer is not said to have passed.
    let not_offered: Vec<_> = findings.not_offered().map(|case| case.clause).collect();
    assert_eq!(not_offered, ["hosts", "transactions", "transactions", "transactions"]);
}

#[tokio::test(start_paused = true)]
async fn each_flaw_is_caught_by_the_test_that_is_meant_for_it() {
    for (flaw, case) in FLAWS {
        let findings = store::run_some(async || fixture(flaw), of_clause(case)).await;
        assert_caught(&findings, &format!("{flaw:?}"), case);
    }
}
