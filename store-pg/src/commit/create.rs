//! Adds a project: within the bounds, with its ports and its network.

use freehold_core::{Detail, Error, OperationId, store::NewProject};
use sqlx::PgConnection;

use crate::{
    allocate,
    error::{During, Result},
    organizations,
    rows::{json, number, texts},
};

const CREATE: &str = "INSERT INTO freehold.projects \
    (reference, name, folded_name, organization, target, machine, stack, digest, status, status_operation, \
     annotations, excluded, memory_bytes, cpus) \
    SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14 \
    WHERE NOT EXISTS (SELECT FROM freehold.closed_organizations WHERE id = $4)";
/// Who counts under a bound waits for whoever counts under the same one, until that transaction has ended.
const LOCK_BOUND: &str = "SELECT pg_advisory_xact_lock(hashtextextended('freehold/bound/' || $1, 0))";
const OF_TARGET: &str = "SELECT count(*), least(coalesce(sum(memory_bytes), 0), 9223372036854775807)::bigint \
    FROM freehold.projects WHERE target = $1 AND status <> 'REMOVED'";
const OF_ORGANIZATION: &str =
    "SELECT count(*) FROM freehold.projects WHERE organization = $1 AND status <> 'REMOVED'";

pub(super) async fn create(
    connection: &mut PgConnection,
    new: &NewProject,
    operation: Option<OperationId>,
) -> Result<()> {
    within_bounds(connection, new).await?;
    organizations::keep_open(connection, &new.organization).await?;
    let machine = allocate::machine(connection, &new.machine).await?;
    let created = sqlx::query(CREATE)
        .bind(new.reference.as_str())
        .bind(new.name.as_str())
        .bind(new.name.folded())
        .bind(new.organization.as_str())
        .bind(new.target.as_str())
        .bind(machine)
        .bind(new.stack.as_str())
        .bind(&new.digest)
        .bind(new.status.as_str())
        .bind(operation.map(|operation| operation.as_uuid()))
        .bind(json("annotations", &new.annotations)?)
        .bind(texts(&new.excluded))
        .bind(memory(new)?)
        .bind(new.limits.cpus)
        .execute(&mut *connection)
        .await
        .during("create a project")?;
    if created.rows_affected() == 0 {
        return Err(NewProject::refused(&new.organization).into());
    }
    // Last, because it locks the machine's pools until the transaction ends.
    if new.ports > 0 {
        allocate::ports(connection, machine, &new.reference, new.ports, &new.port_pool).await?;
    }
    if let Some(pool) = &new.subnet_pool {
        allocate::subnet(connection, machine, &new.reference, pool).await?;
    }
    Ok(())
}

async fn within_bounds(connection: &mut PgConnection, new: &NewProject) -> Result<()> {
    let bounds = &new.bounds;
    if bounds.max_projects.is_some() || bounds.max_memory_bytes.is_some() {
        lock(connection, format!("target/{}", new.target)).await?;
        let (projects, memory_in_use): (i64, i64) = sqlx::query_as(OF_TARGET)
            .bind(new.target.as_str())
            .fetch_one(&mut *connection)
            .await
            .during("count a target's projects")?;
        check("max_projects", projects, 1, bounds.max_projects)?;
        check("max_memory_bytes", memory_in_use, memory(new)?.unwrap_or(0), bounds.max_memory_bytes)?;
    }
    if bounds.max_projects_per_organization.is_some() {
        lock(connection, format!("organization/{}", new.organization)).await?;
        let projects: i64 = sqlx::query_scalar(OF_ORGANIZATION)
            .bind(new.organization.as_str())
            .fetch_one(connection)
            .await
            .during("count an organization's projects")?;
        check("max_projects_per_organization", projects, 1, bounds.max_projects_per_organization)?;
    }
    Ok(())
}

async fn lock(connection: &mut PgConnection, bound: String) -> Result<()> {
    sqlx::query(LOCK_BOUND).bind(bound).execute(connection).await.during("lock a bound")?;
    Ok(())
}

fn check(setting: &str, in_use: i64, more: i64, limit: Option<u64>) -> Result<()> {
    let Some(limit) = limit else { return Ok(()) };
    let wanted: u64 = number("a bound", in_use.saturating_add(more))?;
    if wanted <= limit {
        return Ok(());
    }
    Err(Error::detailed(
        Detail::Bound { setting: setting.to_owned(), limit },
        format!(
            "create a project: {setting} is {limit} and {in_use} are in use; raise it or destroy projects"
        ),
    )
    .into())
}

fn memory(new: &NewProject) -> Result<Option<i64>> {
    new.limits.memory_bytes.map(|bytes| number("a memory limit", bytes)).transpose()
}
