//! The schema says the same as the model.

use std::collections::BTreeSet;

use freehold_core::{OperationKind, OperationState, Status, accounts::Role};
use sqlx::{PgConnection, Row};

use crate::fixture::Database;

#[tokio::test]
async fn the_checks_know_the_statuses_kinds_states_and_roles_of_the_model() {
    let Some(database) = Database::new().await else { return };
    database.store().await;
    let mut connection = database.connection().await;
    let model = [
        ("projects_status", Status::ALL.map(Status::as_str).to_vec()),
        ("operations_kind", OperationKind::ALL.map(OperationKind::as_str).to_vec()),
        ("grants_known_role", Role::ALL.map(Role::as_str).to_vec()),
        ("operations_state", OperationState::ALL.map(OperationState::as_str).to_vec()),
    ];
    for (constraint, texts) in model {
        let check = "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1";
        assert_eq!(
            quoted(&mut connection, check, constraint).await,
            texts.into_iter().map(str::to_owned).collect(),
            "{constraint}"
        );
    }
}

#[tokio::test]
async fn the_names_that_are_kept_apart_are_those_of_statuses_that_hold_a_name() {
    let Some(database) = Database::new().await else { return };
    database.store().await;
    let index = "SELECT pg_get_expr(indpred, indrelid) FROM pg_index WHERE indexrelid = ('freehold.' || $1)::regclass";
    let excepted = quoted(&mut database.connection().await, index, "projects_name").await;
    let expected: BTreeSet<_> = Status::ALL
        .into_iter()
        .filter(|status| !status.holds_name())
        .map(|s| s.as_str().to_owned())
        .collect();
    assert_eq!(excepted, expected);
}

/// The texts in quotes of an expression of the catalogue.
async fn quoted(connection: &mut PgConnection, query: &'static str, name: &str) -> BTreeSet<String> {
    let expression: String = sqlx::query(query).bind(name).fetch_one(connection).await.unwrap().get(0);
    expression.split('\'').skip(1).step_by(2).map(str::to_owned).collect()
}
