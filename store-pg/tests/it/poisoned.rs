//! Rows that cannot be read, because they are broken or because a newer program wrote them, stand in nobody's way.

use freehold_core::{
    Fact, Kind, OperationId, OperationState, Status, Store,
    store::{
        Change, Committed, End, OperationFilter, Preemption, ProjectUpdate, Settlement, StatusChange,
        Transition,
    },
};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::fixture::*;

async fn run(connection: &mut PgConnection, sql: &str) {
    sqlx::query(AssertSqlSafe(sql.to_owned())).execute(connection).await.unwrap();
}

async fn column(connection: &mut PgConnection, column: &str, operation: OperationId) -> Option<String> {
    let sql = format!("SELECT {column} FROM freehold.operations WHERE id = '{operation}'");
    sqlx::query_scalar(AssertSqlSafe(sql)).fetch_one(connection).await.unwrap()
}

fn id(committed: &Committed) -> OperationId {
    committed.operation.as_ref().unwrap().id
}

/// Destroys a project whatever is in flight.
fn destruction(committed: &Committed) -> Change {
    let status = Some(StatusChange { to: Status::GoingDown, reason: None });
    let update = ProjectUpdate { status, ..ProjectUpdate::of(&committed.project) };
    let mut change = create_change("unused");
    change.project = freehold_core::store::ProjectChange::Update(Box::new(update));
    change.preemption = Preemption::Cancel;
    change.operation.as_mut().unwrap().kind = freehold_core::OperationKind::Destroy;
    change
}

#[tokio::test]
async fn an_operation_that_cannot_be_read_is_set_aside_with_the_reason_and_the_next_is_given_out() {
    let Some(database) = Database::migrated().await else { return };
    let (store, mut sql) = (database.store().await, database.connection().await);
    let poisoned = create(&store, "poisoned").await;
    let next = create(&store, "next").await;
    run(&mut sql, &format!("UPDATE freehold.operations SET steps = '[7]' WHERE id = '{}'", id(&poisoned)))
        .await;

    assert_eq!(store.claim(&claim_by("worker")).await.unwrap().pop().unwrap().operation.id, id(&next));
    assert!(store.claim(&claim_by("worker")).await.unwrap().is_empty());
    let reason = column(&mut sql, "set_aside", id(&poisoned)).await.unwrap();
    assert!(reason.contains("steps"), "{reason}");
    assert_eq!(column(&mut sql, "state", id(&poisoned)).await.as_deref(), Some("waiting"));
    assert_eq!(store.operation(id(&poisoned)).await.unwrap_err().kind(), Kind::Internal);
    let listed = store.operations(&OperationFilter::default(), &Default::default()).await.unwrap().items;
    assert_eq!(listed.iter().map(|operation| operation.id).collect::<Vec<_>>(), [id(&next)]);

    run(&mut sql, "UPDATE freehold.operations SET steps = '[]', set_aside = NULL, set_aside_by = '{}'").await;
    assert_eq!(store.claim(&claim_by("worker")).await.unwrap().pop().unwrap().operation.id, id(&poisoned));
}

#[tokio::test]
async fn destroy_is_the_way_out_of_an_operation_that_ran_and_cannot_be_read_any_more() {
    let Some(database) = Database::migrated().await else { return };
    let (store, mut sql) = (database.store().await, database.connection().await);
    let poisoned = create(&store, "poisoned").await;
    store.claim(&claim_by("first")).await.unwrap().pop().unwrap();
    run(
        &mut sql,
        "UPDATE freehold.operations SET log = '[{}]', lease_expires_at = now() - interval '1 hour'",
    )
    .await;
    assert!(store.claim(&claim_by("second")).await.unwrap().is_empty());
    let destroyed = store.commit(destruction(&poisoned)).await.unwrap();
    assert_eq!(column(&mut sql, "state", id(&poisoned)).await.as_deref(), Some("cancelled"));
    let claimed = store.claim(&claim_by("second")).await.unwrap().pop().unwrap();
    assert_eq!(claimed.operation.id, id(&destroyed));
    let transition = Some(Box::new(Transition { to: Status::Removed, reason: None, connection: None }));
    let end = End::Ended { state: OperationState::Succeeded, transition };
    let settlement =
        Settlement { lease: claimed.lease, end, error: None, report: None, progress: vec![], facts: vec![] };
    assert_eq!(store.settle(settlement).await.unwrap().status, Status::Removed);
}

#[tokio::test]
async fn a_project_that_cannot_be_read_hides_no_other_and_is_never_taken_for_one_that_is_not_there() {
    let Some(database) = Database::migrated().await else { return };
    let (store, mut sql) = (database.store().await, database.connection().await);
    let poisoned = create(&store, "poisoned").await;
    let next = create(&store, "next").await;
    let reference = poisoned.project.reference;
    let poison = "UPDATE freehold.projects SET annotations = '[]' WHERE reference =";
    run(&mut sql, &format!("{poison} '{reference}'")).await;

    let listed = store.projects(&Default::default(), &Default::default()).await.unwrap().items;
    assert_eq!(listed.iter().map(|project| project.reference).collect::<Vec<_>>(), [next.project.reference]);
    assert_eq!(store.project(&reference).await.unwrap_err().kind(), Kind::Internal);
    assert_eq!(store.claim(&claim_by("worker")).await.unwrap().pop().unwrap().operation.id, id(&next));
    assert!(store.claim(&claim_by("worker")).await.unwrap().is_empty());
    let reason = column(&mut sql, "set_aside", id(&poisoned)).await.unwrap();
    assert!(reason.contains("annotations"), "{reason}");
}

#[tokio::test]
async fn an_operation_of_a_kind_that_only_a_newer_program_knows_is_left_to_it_and_not_failed() {
    let Some(database) = Database::migrated().await else { return };
    let (store, mut sql) = (database.store().await, database.connection().await);
    let newer = create(&store, "newer").await;
    let ours = create(&store, "ours").await;
    // What the newer program's migration would have done.
    run(&mut sql, "ALTER TABLE freehold.operations DROP CONSTRAINT operations_kind").await;
    let snapshot = "UPDATE freehold.operations SET kind = 'snapshot', planned_by = '9.0.0' WHERE id =";
    run(&mut sql, &format!("{snapshot} '{}'", id(&newer))).await;

    assert_eq!(store.claim(&claim_by("worker")).await.unwrap().pop().unwrap().operation.id, id(&ours));
    assert!(store.claim(&claim_by("worker")).await.unwrap().is_empty());
    assert_eq!(column(&mut sql, "state", id(&newer)).await.as_deref(), Some("waiting"));
    assert_eq!(column(&mut sql, "set_aside", id(&newer)).await, None);
    let listed = store.operations(&OperationFilter::default(), &Default::default()).await.unwrap().items;
    assert_eq!(listed.iter().map(|operation| operation.id).collect::<Vec<_>>(), [id(&ours)]);
    assert!(store.census().await.unwrap().operations.values().sum::<u64>() >= 1);
}

#[tokio::test]
async fn what_one_version_could_not_read_another_may_try() {
    let Some(database) = Database::migrated().await else { return };
    let (store, mut sql) = (database.store().await, database.connection().await);
    let operation = create(&store, "demo").await;
    let other = "UPDATE freehold.operations SET set_aside = 'unknown detail', set_aside_by = '{0.0.1}'";
    run(&mut sql, other).await;
    let claimed = store.claim(&claim_by("worker")).await.unwrap().pop().unwrap();
    assert_eq!(claimed.operation.id, id(&operation));
    assert_eq!(column(&mut sql, "set_aside", id(&operation)).await, None::<String>);
}

#[tokio::test]
async fn a_fact_that_only_a_newer_program_knows_is_shown_and_the_others_with_it() {
    let Some(database) = Database::migrated().await else { return };
    let (store, mut sql) = (database.store().await, database.connection().await);
    let first = create(&store, "first").await;
    let reference = first.project.reference;
    let newer = format!(
        "INSERT INTO freehold.events (project, organization, fact) VALUES ('{reference}', '{}', '{{\"type\": \"forked\"}}')",
        first.project.organization
    );
    run(&mut sql, &newer).await;
    create(&store, "second").await;
    store.sequence().await.unwrap();

    let page = store.events(0, 100).await.unwrap();
    let unknown = Fact::Unknown(serde_json::json!({ "type": "forked" }));
    let place = page.events.iter().position(|event| event.fact == unknown).unwrap();
    assert!(place > 0 && place + 1 < page.events.len(), "{page:#?}");
}
