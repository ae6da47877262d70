//! Records a new operation: by itself, or within a larger statement.

use freehold_core::{Operation, Project, store::NewOperation};
use sqlx::{FromRow as _, PgConnection, Postgres, postgres::PgArguments, query::Query};

use crate::{
    allocate::interval,
    error::{During, Result},
    rows::{OperationRow, number, select_operations, texts},
};

/// The statement that records the operation of [`bind`], of a project on a target, once for each row of what it is told from.
macro_rules! insert_operation {
    ($project:literal, $target:literal, $from:literal) => {
        concat!(
            "INSERT INTO freehold.operations \
                (id, kind, scope, accept_data_loss, generation, not_before, deadline, planned_by, project, target) \
             SELECT $1, $2, $3, $4, $5, moment + $6, moment + $6 + $7, $8, ",
            $project,
            ", ",
            $target,
            " FROM ",
            $from,
            "clock_timestamp() AS moment RETURNING *"
        )
    };
}

pub(super) use insert_operation;

const RECORD: &str = concat!(
    "WITH recorded AS (",
    insert_operation!("$9", "$10", ""),
    ") ",
    select_operations!("recorded", "")
);

/// Binds an operation as the first eight parameters of a statement.
pub(super) fn bind<'q>(
    statement: &'static str,
    operation: &'q NewOperation,
) -> Result<Query<'q, Postgres, PgArguments>> {
    Ok(sqlx::query(statement)
        .bind(operation.id.as_uuid())
        .bind(operation.kind.as_str())
        .bind(texts(&operation.scope))
        .bind(&operation.accept_data_loss)
        .bind(number::<_, i64>("a generation", operation.generation)?)
        .bind(interval(operation.delay)?)
        .bind(interval(operation.timeout)?)
        .bind(&operation.planned_by))
}

/// Records an operation of a project whose row the transaction has locked or written.
pub(super) async fn record(
    connection: &mut PgConnection,
    project: &Project,
    operation: &NewOperation,
) -> Result<Operation> {
    let recorded = bind(RECORD, operation)?
        .bind(project.reference.as_str())
        .bind(project.target.as_str())
        .fetch_one(connection)
        .await
        .during("record an operation")?;
    OperationRow::from_row(&recorded).during("read an operation")?.try_into()
}
