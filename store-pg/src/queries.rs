//! What is read without being changed.
//!
//! Each shape of a filter is a statement of its own. One for all of them would be planned once, for no shape in particular,
//! and read everything for each.

use freehold_core::{
    Error, Operation, OperationId, OrganizationId, Page, PageRequest, Project, ProjectFilter, ProjectRef,
    Status,
    store::{Census, OperationFilter, Replay},
};
use sqlx::{FromRow, PgConnection, PgPool, QueryBuilder, Row as _, postgres::PgRow, types::Uuid};
use time::OffsetDateTime;

use crate::{
    error::{During, Failure, Result},
    rows::{OperationRow, ProjectRow, number, parse, select_operations, select_projects, texts},
};

const NOW: &str = "SELECT clock_timestamp()";
const PROJECT: &str = select_projects!("WHERE p.reference = $1");
const PROJECTS: &str = select_projects!("WHERE p.id > ");
const OPERATION: &str = select_operations!("WHERE o.id = $1");
const OPERATIONS: &str = select_operations!("WHERE o.number < ");
const REPLAY: &str =
    "SELECT body, project, operation FROM freehold.idempotency_keys WHERE organization = $1 AND key = $2";
const PROJECTS_BY_STATUS: &str = "SELECT status, count(*) FROM freehold.projects GROUP BY status";
const OPERATIONS_BY_STATE: &str =
    "SELECT kind, state, count(*) FROM freehold.operations WHERE ended_at IS NULL GROUP BY kind, state";
const OLDEST_WAITING: &str = "SELECT (extract(epoch FROM clock_timestamp() - min(not_before)) * 1000)::bigint \
    FROM freehold.operations WHERE state = 'waiting' AND not_before <= clock_timestamp()";

pub(crate) async fn now(pool: &PgPool) -> Result<OffsetDateTime> {
    sqlx::query_scalar(NOW).fetch_one(pool).await.during("ask the store for the time")
}

pub(crate) async fn project(connection: &mut PgConnection, project: &ProjectRef) -> Result<Option<Project>> {
    sqlx::query_as::<_, ProjectRow>(PROJECT)
        .bind(project.as_str())
        .fetch_optional(connection)
        .await
        .during("read a project")?
        .map(Project::try_from)
        .transpose()
}

/// A project that the caller's transaction has just locked or written.
pub(crate) async fn known_project(connection: &mut PgConnection, reference: &ProjectRef) -> Result<Project> {
    project(connection, reference).await?.ok_or_else(|| Error::not_found("project", reference).into())
}

pub(crate) async fn projects(
    pool: &PgPool,
    filter: &ProjectFilter,
    page: &PageRequest,
) -> Result<Page<Project>> {
    let limit = limit(page);
    let mut query = QueryBuilder::new(PROJECTS);
    query.push_bind(cursor(page)?.unwrap_or(0));
    if let Some(organization) = &filter.organization {
        query.push(" AND p.organization = ").push_bind(organization.as_str());
    }
    if !filter.targets.is_empty() {
        query.push(" AND p.target = ANY (").push_bind(texts(&filter.targets)).push(")");
    }
    // Written out, because the partial indexes are found by it; the second alone would hide the tombstones as well.
    if !filter.statuses.contains(&Status::Removed) {
        query.push(" AND p.status <> 'REMOVED'");
    }
    if !filter.statuses.is_empty() {
        query.push(" AND p.status = ANY (").push_bind(texts(&filter.statuses)).push(")");
    }
    if let Some(name) = &filter.name {
        query.push(" AND p.folded_name = ").push_bind(name.folded());
    }
    query.push(" ORDER BY p.id LIMIT ").push_bind(one_more(limit));
    let rows = query.build().fetch_all(pool).await.during("list projects")?;
    let page = cut(rows, limit, |row| row.get("id"));
    Ok(Page { items: readable::<ProjectRow, _>(page.items)?, next: page.next })
}

pub(crate) async fn operation(
    connection: &mut PgConnection,
    operation: OperationId,
) -> Result<Option<Operation>> {
    sqlx::query_as::<_, OperationRow>(OPERATION)
        .bind(operation.as_uuid())
        .fetch_optional(connection)
        .await
        .during("read an operation")?
        .map(Operation::try_from)
        .transpose()
}

/// An operation that the caller's transaction has just locked or written.
pub(crate) async fn known_operation(connection: &mut PgConnection, id: OperationId) -> Result<Operation> {
    operation(connection, id).await?.ok_or_else(|| Error::not_found("operation", id).into())
}

pub(crate) async fn operations(
    pool: &PgPool,
    filter: &OperationFilter,
    page: &PageRequest,
) -> Result<Page<Operation>> {
    let limit = limit(page);
    let mut query = QueryBuilder::new(OPERATIONS);
    query.push_bind(cursor(page)?.unwrap_or(i64::MAX));
    let in_flight = !filter.states.is_empty() && filter.states.iter().all(|state| !state.has_ended());
    match &filter.project {
        // A partial index for each state tells what of the project is in it.
        Some(project) if in_flight => {
            query.push(" AND (false");
            for state in &filter.states {
                query.push(format_args!(" OR (o.state = '{state}' AND o.project = "));
                query.push_bind(project.as_str()).push(")");
            }
            query.push(")");
        }
        Some(project) => {
            query.push(" AND o.project = ").push_bind(project.as_str());
        }
        // Written out, because the partial index of what is in flight is found by it.
        None if in_flight => {
            query.push(" AND o.ended_at IS NULL");
        }
        None => {}
    }
    if !filter.states.is_empty() {
        query.push(" AND o.state = ANY (").push_bind(texts(&filter.states)).push(")");
    }
    query.push(" ORDER BY o.number DESC LIMIT ").push_bind(one_more(limit));
    let rows = query.build().fetch_all(pool).await.during("list operations")?;
    let page = cut(rows, limit, |row| row.get("number"));
    Ok(Page { items: readable::<OperationRow, _>(page.items)?, next: page.next })
}

pub(crate) async fn replay(
    connection: &mut PgConnection,
    organization: &OrganizationId,
    key: &str,
) -> Result<Option<Replay>> {
    let found: Option<(String, String, Option<Uuid>)> = sqlx::query_as(REPLAY)
        .bind(organization.as_str())
        .bind(key)
        .fetch_optional(connection)
        .await
        .during("look an idempotency key up")?;
    let Some((body, project, operation)) = found else { return Ok(None) };
    let project = parse("ref", &project)?;
    Ok(Some(Replay { body, project, operation: operation.map(OperationId::from_uuid) }))
}

pub(crate) async fn census(pool: &PgPool) -> Result<Census> {
    let mut census = Census::default();
    let rows: Vec<(String, i64)> =
        sqlx::query_as(PROJECTS_BY_STATUS).fetch_all(pool).await.during("count projects")?;
    for (status, count) in rows {
        // What only a newer program knows, a newer program counts.
        let Ok(status) = status.parse() else { continue };
        census.projects.insert(status, number("a count", count)?);
    }
    let rows: Vec<(String, String, i64)> =
        sqlx::query_as(OPERATIONS_BY_STATE).fetch_all(pool).await.during("count operations")?;
    for (kind, state, count) in rows {
        let (Ok(kind), Ok(state)) = (kind.parse(), state.parse()) else { continue };
        census.operations.insert((kind, state), number("a count", count)?);
    }
    let oldest: Option<i64> =
        sqlx::query_scalar(OLDEST_WAITING).fetch_one(pool).await.during("look for the oldest operation")?;
    census.oldest_waiting = oldest
        .map(|millis| number("a duration", millis).map(std::time::Duration::from_millis))
        .transpose()?;
    Ok(census)
}

/// What is asked for to see whether another page follows.
fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1)
}

fn limit(page: &PageRequest) -> usize {
    usize::try_from(page.limit.clamp(1, PageRequest::MAX)).unwrap_or(usize::MAX)
}

/// Cursors are the number of the last row of the page before.
fn cursor(page: &PageRequest) -> Result<Option<i64>> {
    let Some(text) = &page.after else { return Ok(None) };
    match text.parse() {
        Ok(number) if number >= 0 => Ok(Some(number)),
        _ => Err(Error::invalid("after", format_args!("{text:?} is not the `next` of a page")).into()),
    }
}

/// What can be read. A row that cannot be is named in the log and left out, so that it does not hide the others.
fn readable<R, T>(rows: Vec<PgRow>) -> Result<Vec<T>>
where
    R: for<'r> FromRow<'r, PgRow>,
    T: TryFrom<R, Error = Failure>,
{
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        match R::from_row(&row).during("read a row").and_then(T::try_from) {
            Ok(item) => items.push(item),
            Err(failure) if failure.is_unreadable() => {
                // Of a project its ref, of an operation its id: the first column of both.
                let id = row.try_get::<String, _>(0);
                let id =
                    id.or_else(|_| row.try_get::<Uuid, _>(0).map(|id| id.to_string())).unwrap_or_default();
                let reason = Error::from(failure).chain();
                tracing::error!(id, reason, "a row of the store cannot be read; it is left out");
            }
            Err(failure) => return Err(failure),
        }
    }
    Ok(items)
}

/// One row more than wanted was asked for: if it is there, another page follows.
fn cut<T>(mut items: Vec<T>, limit: usize, key: impl Fn(&T) -> i64) -> Page<T> {
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(|last| key(last).to_string());
    Page { items, next }
}
