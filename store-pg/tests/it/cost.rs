//! What calls cost, counted instead of timed: round trips to the server, and rows that it reads.

mod life;
mod record;

use std::{collections::BTreeMap, time::Duration};

use sqlx::Connection as _;

use self::{life::life, record::fill};
use crate::fixture::{counter::Counter, *};

/// The most round trips that each call may take, with the one that a connection makes as it goes back to its pool and
/// the two that tell other hosts. Each of them is a wait, and none of them is free on either side: whoever adds one says
/// here what for.
const ROUND_TRIPS: [(&str, u64); 19] = [
    // One keeps its organization from being closed meanwhile, and one takes its idempotency key.
    ("create", 20),
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
    ("replay", 2),
    ("list an organization's", 2),
    ("list what is watched", 2),
    ("list operations", 2),
    ("note what was seen", 2),
    ("expire", 8),
];

/// The most rows, of tables and of indexes, that one project's whole life and a look at everything may read.
const ROWS: i64 = 450;

/// The tables that grow with what is on record.
const GROWING: [&str; 7] =
    ["projects", "operations", "events", "port_blocks", "subnets", "sealed", "idempotency_keys"];

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
    fill(&database, 3_000, 10).await;
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

/// Connections keep their plans while a store grows: what is planned among few projects has to do among many.
#[tokio::test]
async fn whether_planned_among_a_thousand_projects_or_ten_thousand_nothing_is_read_from_one_end_to_the_other()
{
    // Often enough that statements are planned for any parameters as well.
    const ROUNDS: usize = 12;
    let Some(log) = Server::shared().await.and_then(Server::log) else { return };
    for projects in [1_000, 10_000] {
        let Some(database) = Database::migrated().await else { return };
        let counter = Counter::before(&database).await.hurried();
        fill(&database, projects, 3).await;
        explain(&database).await;
        let store = counter.store().await;
        for round in 0..ROUNDS {
            life(&store, &counter, round).await;
        }
        store.close().await;
        rows_read(&database).await;
    }
    let log = std::fs::read_to_string(log).unwrap();
    let plans: Vec<_> = log.split("Query Text: ").skip(1).collect();
    assert!(plans.len() > 2 * 20 * ROUNDS, "only {} plans were told", plans.len());
    for plan in plans {
        for table in GROWING {
            let scan = format!("Seq Scan on {table} ");
            assert!(!plan.contains(&scan), "{table} is read from one end to the other: {plan}");
        }
    }
}

/// Lets the server tell the plan of each statement in its log, of connections from now on.
async fn explain(database: &Database) {
    const EXPLAIN: &str = "DO $$ DECLARE setting text; BEGIN \
        FOREACH setting IN ARRAY ARRAY['session_preload_libraries = auto_explain', \
            'auto_explain.log_min_duration = 0', 'auto_explain.log_verbose = off'] LOOP \
            EXECUTE format('ALTER DATABASE %I SET ' || setting, current_database()); \
        END LOOP; END $$";
    let mut connection = database.connection().await;
    sqlx::query("LOAD 'auto_explain'").execute(&mut connection).await.unwrap();
    sqlx::query(EXPLAIN).execute(&mut connection).await.unwrap();
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
