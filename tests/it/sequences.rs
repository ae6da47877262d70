//! Random sequences of what is said to a store, against a book of what it promises: the same sequences on both stores.
//!
//! `FREEHOLD_SEQUENCES` sets how many there are (128 on each store unless set), `FREEHOLD_SEED` what they are drawn from. A
//! sequence that broke a promise is kept in `proptest-regressions`, and tried first from then on.

mod book;

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use freehold_core::{
    Annotations, Connection, Detail, Error, Kind, OperationId, OperationKind, OperationState, Project,
    ProjectRef, Status, Store,
    lifecycle::{self, CREATED},
    memory::MemoryStore,
    operation::Lease,
    runtime::Limits,
    store::{
        Bounds, Change, Claim, End, NewOperation, NewProject, PortPool, Preemption, ProjectChange,
        ProjectUpdate, Settlement, StatusChange, TargetClaim, Transition,
    },
};
use freehold_pg::{EmbeddedConfig, EmbeddedServer, PgStore};
use freehold_tests::{passable_folder, postgresql};
use proptest::test_runner::{Config, RngSeed, TestRunner};
use proptest_state_machine::ReferenceStateMachine as _;
use tokio::runtime::Runtime;

use self::book::{AT_ONCE, Answer, Book, Ending, Say, kind};

const HOUR: Duration = Duration::from_secs(3600);

/// A store that is told a sequence, in a corner of its own.
struct Told {
    store: Arc<dyn Store>,
    corner: u64,
    projects: Vec<ProjectRef>,
    operations: Vec<OperationId>,
    leases: BTreeMap<usize, Lease>,
}

fn number(name: &str, unless: u64) -> u64 {
    std::env::var(name).map_or(unless, |text| text.parse().unwrap())
}

fn every_sequence_is_answered_as_promised(runtime: &Runtime, store: &Arc<dyn Store>, name: &str) {
    let (cases, seed) = (number("FREEHOLD_SEQUENCES", 128), number("FREEHOLD_SEED", 0));
    let config = Config {
        cases: u32::try_from(cases).unwrap(),
        rng_seed: RngSeed::Fixed(seed),
        source_file: Some(file!()),
        ..Config::default()
    };
    let corner = AtomicU64::new(0);
    let outcome =
        TestRunner::new(config).run(&Book::sequential_strategy(1..60), |(mut book, sequence, counter)| {
            let corner = corner.fetch_add(1, Ordering::Relaxed);
            let mut told = Told::new(store, corner);
            for say in sequence {
                if let Some(counter) = &counter {
                    counter.fetch_add(1, Ordering::SeqCst);
                }
                let before = book.clone();
                book = Book::apply(book, &say);
                let answer = runtime.block_on(told.say(&say, &before));
                assert_eq!(answer, book.answer, "{say:?}");
                runtime.block_on(told.compare(&book));
            }
            Ok(())
        });
    if let Err(broken) = outcome {
        panic!("drawn from FREEHOLD_SEED={seed}: {broken}");
    }
    println!("count: {cases} random sequences on the store {name}");
}

#[test]
fn the_store_in_memory_answers_random_sequences_as_promised() {
    let runtime = Runtime::new().unwrap();
    every_sequence_is_answered_as_promised(&runtime, &(Arc::new(MemoryStore::new()) as _), "in memory");
}

#[test]
fn the_store_on_postgresql_answers_random_sequences_as_promised() {
    if !postgresql() {
        return;
    }
    let (runtime, folder) = (Runtime::new().unwrap(), passable_folder());
    let server = runtime.block_on(EmbeddedServer::start(&EmbeddedConfig::new(folder.path()))).unwrap();
    let store = runtime.block_on(PgStore::connect(&freehold_pg::Config::new(server.url()))).unwrap();
    let shared: Arc<dyn Store> = Arc::new(store.clone());
    let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        every_sequence_is_answered_as_promised(&runtime, &shared, "on PostgreSQL");
    }));
    runtime.block_on(store.close());
    runtime.block_on(server.stop()).unwrap();
    if let Err(broken) = told {
        std::panic::resume_unwind(broken);
    }
}

impl Told {
    fn new(store: &Arc<dyn Store>, corner: u64) -> Self {
        let (projects, operations, leases) = (vec![], vec![], BTreeMap::new());
        Self { store: Arc::clone(store), corner, projects, operations, leases }
    }

    fn corner<T: std::str::FromStr<Err = Error>>(&self) -> T {
        format!("corner-{}", self.corner).parse().unwrap()
    }

    /// Says it, and gives the answer in the book's words.
    async fn say(&mut self, say: &Say, before: &Book) -> Answer {
        let answer = match *say {
            Say::Create(name) => self.create(name).await,
            Say::Command(project, trigger) => {
                let project = self.project(project).await;
                let to = lifecycle::next(project.status, trigger).unwrap();
                let mut change = amendment(&project);
                if let ProjectChange::Update(update) = &mut change.project {
                    update.status = Some(StatusChange { to, reason: None });
                }
                if kind(trigger) == OperationKind::Destroy {
                    change.preemption = Preemption::Cancel;
                }
                change.operation = Some(operation(kind(trigger)));
                self.commit(change).await
            }
            Say::Late(project) => {
                let project = self.project(project).await;
                self.commit(amendment(&Project { version: project.version - 1, ..project })).await
            }
            Say::Cancel(operation) => {
                let id = self.operations[operation];
                let project = self.store.operation(id).await.unwrap().unwrap().project;
                let project = self.store.project(&project).await.unwrap().unwrap();
                self.commit(Change { cancel: Some(id), ..amendment(&project) }).await
            }
            Say::Claim => return self.claim().await,
            Say::Renew(operation) => self.store.renew(&self.leases[&operation], HOUR, &[]).await.map(drop),
            Say::RenewLate(operation) => self.store.renew(&self.late(operation), HOUR, &[]).await.map(drop),
            Say::Settle(operation, ending) => {
                self.settle(self.leases[&operation].clone(), ending, operation, before).await
            }
            Say::SettleLate(operation) => {
                self.settle(self.late(operation), Ending::GaveUp, operation, before).await
            }
        };
        match answer {
            Ok(()) => Answer::Done,
            Err(error) => match (error.kind(), error.detail()) {
                (Kind::AlreadyExists, _) => Answer::NameTaken,
                (_, Some(Detail::Busy { .. })) => Answer::Busy,
                (_, Some(Detail::LostRace)) => Answer::LostRace,
                (_, Some(Detail::LeaseLost)) => Answer::LeaseLost,
                _ => panic!("{say:?}: {}", error.chain()),
            },
        }
    }

    async fn project(&self, project: usize) -> Project {
        self.store.project(&self.projects[project]).await.unwrap().unwrap()
    }

    /// A lease that another worker had before.
    fn late(&self, operation: usize) -> Lease {
        let lease = self.leases[&operation].clone();
        Lease { epoch: lease.epoch - 1, owner: "another".into(), ..lease }
    }

    async fn commit(&mut self, change: Change) -> Result<(), Error> {
        let recorded = change.operation.is_some();
        let committed = self.store.commit(change).await?;
        if recorded {
            self.operations.push(committed.operation.unwrap().id);
        }
        Ok(())
    }

    async fn create(&mut self, name: u8) -> Result<(), Error> {
        let project = NewProject {
            reference: ProjectRef::random(&mut rand::rng()),
            name: format!("project {name}").parse()?,
            organization: self.corner(),
            target: self.corner(),
            stack: "webapp".parse()?,
            digest: "sha256:0".into(),
            status: CREATED,
            annotations: Annotations::default(),
            excluded: vec![],
            limits: Limits::default(),
            machine: format!("machine {}", self.corner),
            ports: 3,
            port_pool: PortPool::default(),
            subnet_pool: None,
            bounds: Bounds::default(),
        };
        let reference = project.reference;
        let change = change(ProjectChange::Create(Box::new(project)));
        self.commit(Change { operation: Some(operation(OperationKind::Create)), ..change }).await?;
        self.projects.push(reference);
        Ok(())
    }

    async fn claim(&mut self) -> Answer {
        let max_operations = u32::try_from(AT_ONCE).unwrap();
        let targets =
            vec![TargetClaim { name: self.corner(), max_operations, max_operations_per_organization: None }];
        let claim = Claim { owner: "worker".into(), targets, lease: HOUR, margin: HOUR, limit: 1 };
        let Some(claimed) = self.store.claim(&claim).await.unwrap().pop() else { return Answer::Nothing };
        let operation = self.operations.iter().position(|id| *id == claimed.operation.id).unwrap();
        self.leases.insert(operation, claimed.lease);
        Answer::Claimed(operation)
    }

    async fn settle(&self, lease: Lease, ending: Ending, operation: usize, book: &Book) -> Result<(), Error> {
        let connection = |to| {
            let nothing = Connection { database: None, pooler: None, api: None, secrets: vec![] };
            (to == Status::ActiveHealthy).then_some(nothing)
        };
        let transition = book.moves(operation, ending);
        let transition =
            transition.map(|to| Box::new(Transition { to, reason: None, connection: connection(to) }));
        let end = match ending {
            Ending::Reached => End::Ended { state: OperationState::Succeeded, transition },
            Ending::GaveUp => End::Ended { state: OperationState::Failed, transition },
            Ending::HandedBack => End::Released { not_before: self.store.now().await? },
        };
        self.store
            .settle(Settlement { lease, end, error: None, report: None, progress: vec![], facts: vec![] })
            .await
            .map(drop)
    }

    /// The store shows what the book says.
    async fn compare(&self, book: &Book) {
        for (reference, entry) in self.projects.iter().zip(&book.projects) {
            assert_eq!(self.store.project(reference).await.unwrap().unwrap().status, entry.status);
        }
        assert_eq!(self.operations.len(), book.operations.len());
        for (id, work) in self.operations.iter().zip(&book.operations) {
            let shown = self.store.operation(*id).await.unwrap().unwrap();
            assert_eq!((shown.state, shown.cancel_requested), (work.state, work.cancelled), "{shown:?}");
        }
    }
}

fn change(project: ProjectChange) -> Change {
    let (preemption, sealed, facts) = (Preemption::Refuse, vec![], vec![]);
    Change { project, operation: None, preemption, cancel: None, sealed, idempotency: None, facts }
}

fn amendment(project: &Project) -> Change {
    change(ProjectChange::Update(Box::new(ProjectUpdate::of(project))))
}

fn operation(kind: OperationKind) -> NewOperation {
    NewOperation {
        id: OperationId::from_uuid(uuid::Uuid::now_v7()),
        kind,
        scope: vec![],
        accept_data_loss: vec![],
        generation: 1,
        timeout: HOUR,
        delay: Duration::ZERO,
        planned_by: "0.1.0".into(),
    }
}
