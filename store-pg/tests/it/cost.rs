//! What calls cost, counted instead of timed: round trips to the server, and rows that it reads.

use std::{collections::BTreeMap, time::Duration};

use freehold_core::{
    Connection, OperationKind, OperationState, PageRequest, Progress, Project, ProjectFilter, ProjectName,
    Status, Store, TargetName,
    seal::{KeyId, Place, Sealed},
    store::{
        Change, Claim, End, NewOperation, OperationFilter, ProjectChange, ProjectUpdate, RecordedProgress,
        SealedItem, Settlement, StatusChange, TargetClaim, Transition,
    },
};
use sqlx::Connection as _;
use time::OffsetDateTime;

use crate::fixture::{counter::Counter, *};

/// The most round trips that each call may take, with the one that a connection makes as it goes back to its pool and
/// the two that tell other hosts. Each of them is a wait, and none of them is free on either side: whoever adds one says
/// here what for.
const ROUND_TRIPS: [(&str, u64); 13] = [
    // One keeps its organization from being closed meanwhile.
    ("create", 19),
    ("claim", 10),
    ("renew", 2),
    ("settle", 4),
    ("command", 4),
    ("settle as removed", 5),
    ("sequence", 7),
    ("read a project", 2),
    ("list projects", 2),
    ("find by name", 2),
    ("operation in flight", 2),
    ("read an operation", 2),
    ("read events", 3),
];

/// The most rows, of tables and of indexes, that one project's whole life and a look at everything may read.
const ROWS: i64 = 700;

#[tokio::test]
async fn no_call_takes_more_round_trips_than_it_may() {
    let Some(database) = Database::migrated().await else { return };
    let counter = Counter::before(&database).await;
    let store = counter.store().await;
    let mut cheapest = BTreeMap::new();
    for round in 0..4 {
        // The first ones prepare their statements, and any may meet the telling of others: the cheapest tells.
        for (call, trips) in life(&store, &counter, round).await {
            let least = cheapest.entry(call).or_insert(trips);
            *least = trips.min(*least);
        }
    }
    println!("{cheapest:?}");
    assert_eq!(cheapest.len(), ROUND_TRIPS.len());
    for (call, most) in ROUND_TRIPS {
        assert!(cheapest[call] <= most, "{call} takes {} round trips, and may take {most}", cheapest[call]);
    }
}

#[tokio::test]
async fn what_a_life_reads_does_not_grow_with_what_is_on_record() {
    const ROUNDS: i64 = 10;
    let Some(database) = Database::migrated().await else { return };
    let counter = Counter::before(&database).await;
    fill(&database).await;
    let before = rows_read(&database).await;
    let store = counter.store().await;
    for round in 0..ROUNDS {
        life(&store, &counter, usize::try_from(round).unwrap()).await;
    }
    store.close().await;
    let mut read = rows_read(&database).await;
    for (what, rows) in &mut read {
        *rows = (*rows - before.get(what).copied().unwrap_or_default()) / ROUNDS;
    }
    read.retain(|_, rows| *rows > 0);
    let all: i64 = read.values().sum();
    println!("{all} rows are read in a life");
    assert!((1..=ROWS).contains(&all), "{all} rows are read in a life, and may be at most {ROWS}: {read:#?}");
}

/// One project from its creation to its end, and everything that is looked at on the way, each with its round trips.
async fn life(store: &dyn Store, counter: &Counter, round: usize) -> Vec<(&'static str, u64)> {
    let mut trips = Vec::new();
    let mut change = create_change(&format!("life {round}"));
    if let ProjectChange::Create(project) = &change.project {
        change.sealed = (0..5).map(|n| sealed(project.reference, &format!("secret/{n}"))).collect();
    }
    let (created, n) = counter.count(store.commit(change)).await;
    trips.push(("create", n));
    let created = created.unwrap();
    let (reference, operation) = (created.project.reference, created.operation.unwrap().id);

    let (claimed, n) = counter.count(store.claim(&claim())).await;
    trips.push(("claim", n));
    let lease = claimed.unwrap().pop().expect("the operation waits").lease;
    let progress = ["pull", "create", "start"].map(|name| RecordedProgress {
        at: OffsetDateTime::now_utc(),
        progress: Progress::Step { name: name.into(), service: "db".into() },
    });
    let (renewed, n) = counter.count(store.renew(&lease, LEASE, &progress)).await;
    trips.push(("renew", n));
    renewed.unwrap();
    let (active, n) = counter.count(store.settle(ended(lease, Status::ActiveHealthy))).await;
    trips.push(("settle", n));

    let (pausing, n) =
        counter.count(store.commit(command(&active.unwrap(), OperationKind::Pause, Status::Pausing))).await;
    trips.push(("command", n));
    pausing.unwrap();
    let lease = store.claim(&claim()).await.unwrap().remove(0).lease;
    let paused = store.settle(ended(lease, Status::Inactive)).await.unwrap();
    store.commit(command(&paused, OperationKind::Destroy, Status::GoingDown)).await.unwrap();
    let lease = store.claim(&claim()).await.unwrap().remove(0).lease;
    let (removed, n) = counter.count(store.settle(ended(lease, Status::Removed))).await;
    trips.push(("settle as removed", n));
    removed.unwrap();

    let (newest, n) = counter.count(store.sequence()).await;
    trips.push(("sequence", n));
    let newest = newest.unwrap();
    let (page, n) = counter.count(store.events(newest - 5, 100)).await;
    trips.push(("read events", n));
    assert_eq!(page.unwrap().events.len(), 5);
    trips.push(("read a project", counter.count(store.project(&reference)).await.1));
    trips.push(("read an operation", counter.count(store.operation(operation)).await.1));
    let name = Some(ProjectName::new("nobody").unwrap());
    for (call, filter) in [
        ("list projects", ProjectFilter::default()),
        (
            "find by name",
            ProjectFilter { name, organization: Some("acme".parse().unwrap()), ..ProjectFilter::default() },
        ),
    ] {
        let page = PageRequest::first(20);
        let (found, n) = counter.count(store.projects(&filter, &page)).await;
        trips.push((call, n));
        found.unwrap();
    }
    let in_flight = OperationFilter {
        project: Some(reference),
        states: vec![OperationState::Running, OperationState::Waiting],
    };
    let page = PageRequest::first(1);
    let (found, n) = counter.count(store.operations(&in_flight, &page)).await;
    trips.push(("operation in flight", n));
    assert!(found.unwrap().items.is_empty());
    trips
}

/// Three thousand projects that rest, each with ten operations behind it, all told; and a target that is full, with three
/// hundred that wait for it.
async fn fill(database: &Database) {
    const FILL: &str = r#"
        INSERT INTO freehold.machines (name, next_port, next_subnet) VALUES ('machine-1', 0, 0);
        INSERT INTO freehold.projects (reference, name, folded_name, organization, target, machine, stack, digest,
            status, annotations, excluded)
        SELECT translate(lpad(n::text, 20, '0'), '0123456789', 'bcdefghijk'), 'p' || n, 'p' || n, 'org-' || n % 100,
            CASE WHEN n % 10 = 0 THEN 'full' ELSE 'local' END, 1, 'webapp', 'sha256:0', 'INACTIVE', '{}', '{}'
        FROM generate_series(1, 3000) AS n;
        INSERT INTO freehold.port_blocks (machine, first, count, project)
        SELECT 1, 20000 + 3 * id::int, 3, reference FROM freehold.projects;
        INSERT INTO freehold.subnets (machine, network, project)
        SELECT 1, set_masklen('10.213.0.0'::inet + 16 * id, 28)::cidr, reference FROM freehold.projects;
        INSERT INTO freehold.sealed (project, name, version, key_id, data)
        SELECT reference, 'secret/' || n, 1, 'k1', '\x00' FROM freehold.projects, generate_series(1, 3) AS n;
        INSERT INTO freehold.operations (id, project, target, kind, scope, accept_data_loss, generation, state, attempt, epoch, deadline,
            not_before, planned_by, ended_at)
        SELECT gen_random_uuid(), reference, target, 'pause', '{}', '{}', 1, 'succeeded', 1, 1, now(), now(), 'test', now()
        FROM freehold.projects, generate_series(1, 10) AS n;
        INSERT INTO freehold.operations (id, project, target, kind, scope, accept_data_loss, generation, deadline, not_before, planned_by)
        SELECT gen_random_uuid(), reference, target, 'pause', '{}', '{}', 1, now() + '1 h', now(), 'test'
        FROM freehold.projects WHERE target = 'full';
        UPDATE freehold.operations SET state = 'running', attempt = 1, epoch = 1, lease_owner = 'elsewhere',
            lease_expires_at = now() + '1 h'
        WHERE number = (SELECT max(number) FROM freehold.operations);
        INSERT INTO freehold.events (sequence, project, organization, fact)
        SELECT number, project, 'acme', '{"type": "amended", "fields": []}' FROM freehold.operations;
        UPDATE freehold.event_numbers SET last = (SELECT max(sequence) FROM freehold.events);
        UPDATE freehold.machines SET next_port = 65536 + 29003, next_subnet = 4294967296 + ('10.213.187.160'::inet - '0.0.0.0'::inet);
    "#;
    let mut connection = database.connection().await;
    sqlx::raw_sql(FILL).execute(&mut connection).await.unwrap();
    sqlx::raw_sql("ANALYZE").execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Rows of what grows, and entries of its indexes, that were read so far. A connection's figures are there when it ends.
async fn rows_read(database: &Database) -> BTreeMap<String, i64> {
    const ALONE: &str = "SELECT count(*) = 1 FROM pg_stat_activity \
        WHERE datname = current_database() AND backend_type = 'client backend'";
    const READ: &str = "SELECT relname::text, seq_tup_read FROM pg_stat_user_tables \
            WHERE relname NOT IN ('machines', 'targets', 'settings', 'event_numbers') \
        UNION ALL SELECT indexrelname::text, idx_tup_read FROM pg_stat_user_indexes";
    let mut connection = database.connection().await;
    while !sqlx::query_scalar::<_, bool>(ALONE).fetch_one(&mut connection).await.unwrap() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let rows: Vec<(String, i64)> = sqlx::query_as(READ).fetch_all(&mut connection).await.unwrap();
    rows.into_iter().collect()
}

fn claim() -> Claim {
    let full = TargetClaim {
        name: TargetName::new("full").unwrap(),
        max_operations: 1,
        max_operations_per_organization: None,
    };
    let mut claim = claim_by("worker");
    claim.targets.push(full);
    claim
}

/// A command that moves the project and records an operation.
fn command(project: &Project, kind: OperationKind, to: Status) -> Change {
    let status = Some(StatusChange { to, reason: None });
    let update = ProjectUpdate { status, ..ProjectUpdate::of(project) };
    let made = create_change("unused");
    let operation = made.operation.clone().map(|operation| NewOperation { kind, ..operation });
    Change { project: ProjectChange::Update(Box::new(update)), operation, ..made }
}

/// The end that its operation hoped for.
fn ended(lease: freehold_core::operation::Lease, to: Status) -> Settlement {
    let connection = (to == Status::ActiveHealthy).then(|| Connection {
        database: None,
        pooler: None,
        api: None,
        secrets: Vec::new(),
    });
    let transition = Some(Box::new(Transition { to, reason: None, connection }));
    let end = End::Ended { state: OperationState::Succeeded, transition };
    Settlement { lease, end, error: None, report: None, progress: Vec::new(), facts: Vec::new() }
}

fn sealed(project: freehold_core::ProjectRef, name: &str) -> SealedItem {
    SealedItem {
        place: Place { project: Some(project), name: name.into(), version: 1 },
        sealed: Sealed { key: KeyId::new("k1"), data: vec![1, 2, 3] },
    }
}
