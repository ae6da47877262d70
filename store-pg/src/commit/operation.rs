//! Records new operations: one by itself, or several within a larger statement.

use freehold_core::{Operation, Project, store::NewOperation};
use sqlx::{FromRow as _, PgConnection, Postgres, postgres::PgArguments, query::Query};

use crate::{
    allocate::interval,
    error::{During, Result},
    rows::{OperationRow, json, number, select_operations},
};

/// The rows that [`bind`] tells of, with what else a statement is told of each: further arrays, and what their columns are.
macro_rules! asked {
    ($arrays:literal, $columns:literal) => {
        concat!(
            "asked AS MATERIALIZED (SELECT * FROM unnest($1::uuid[], $2::text[], $3::jsonb[], $4::jsonb[], \
             $5::bigint[], $6::interval[], $7::interval[], $8::text[]",
            $arrays,
            ") AS t (id, kind, scope, accept_data_loss, generation, delay, timeout, planned_by",
            $columns,
            ")) "
        )
    };
}

/// Records such rows, once `reference` and `target` of their projects are beside them.
macro_rules! insert_operations {
    ($from:literal) => {
        concat!(
            "INSERT INTO freehold.operations (id, project, target, kind, scope, accept_data_loss, generation, \
                not_before, deadline, planned_by) \
             SELECT id, reference, target, kind, ARRAY(SELECT jsonb_array_elements_text(scope)), \
                ARRAY(SELECT jsonb_array_elements_text(accept_data_loss)), generation, \
                moment + delay, moment + delay + timeout, planned_by \
             FROM ",
            $from,
            ", clock_timestamp() AS moment ORDER BY id RETURNING *"
        )
    };
}

pub(super) use {asked, insert_operations};

const RECORD: &str = concat!(
    "WITH ",
    asked!("", ""),
    ", recorded AS (",
    insert_operations!("asked, (VALUES ($9, $10)) AS project (reference, target)"),
    ") ",
    select_operations!("recorded", "")
);

/// Binds operations as the first eight parameters of a statement.
pub(super) fn bind(
    statement: &'static str,
    operations: &[&NewOperation],
) -> Result<Query<'static, Postgres, PgArguments>> {
    let each = || operations.iter();
    Ok(sqlx::query(statement)
        .bind(each().map(|operation| operation.id.as_uuid()).collect::<Vec<_>>())
        .bind(each().map(|operation| operation.kind.as_str()).collect::<Vec<_>>())
        .bind(each().map(|operation| json("a scope", &operation.scope)).collect::<Result<Vec<_>>>()?)
        .bind(each().map(|operation| json("data", &operation.accept_data_loss)).collect::<Result<Vec<_>>>()?)
        .bind(
            each()
                .map(|operation| number::<_, i64>("a generation", operation.generation))
                .collect::<Result<Vec<_>>>()?,
        )
        .bind(each().map(|operation| interval(operation.delay)).collect::<Result<Vec<_>>>()?)
        .bind(each().map(|operation| interval(operation.timeout)).collect::<Result<Vec<_>>>()?)
        .bind(each().map(|operation| operation.planned_by.clone()).collect::<Vec<_>>()))
}

/// Records an operation of a project whose row the transaction has locked or written.
pub(super) async fn record(
    connection: &mut PgConnection,
    project: &Project,
    operation: &NewOperation,
) -> Result<Operation> {
    let recorded = bind(RECORD, &[operation])?
        .bind(project.reference.as_str())
        .bind(project.target.as_str())
        .fetch_one(connection)
        .await
        .during("record an operation")?;
    OperationRow::from_row(&recorded).during("read an operation")?.try_into()
}
