//! Changes a project's row, if it still is what the change was prepared from.

use freehold_core::{Detail, Error, Fact, OperationId, Project, ProjectName, Status, store::ProjectUpdate};
use sqlx::PgConnection;

use crate::{
    error::{During, Result},
    queries,
    rows::{ProjectRow, json, number, select_projects, texts},
};

const LOCK: &str = "SELECT true FROM freehold.projects WHERE reference = $1 FOR NO KEY UPDATE";
const AMEND: &str = concat!(
    "WITH amended AS (UPDATE freehold.projects SET \
    status = coalesce($2, status), \
    status_operation = CASE WHEN $2::text IS NULL THEN status_operation ELSE $3 END, \
    was_active = was_active OR coalesce($2 = 'ACTIVE_HEALTHY', false), \
    name = coalesce($4, name), \
    folded_name = coalesce($5, folded_name), \
    annotations = coalesce($6, annotations), \
    protected = coalesce($7, protected), \
    generation = coalesce($8, generation), \
    excluded = coalesce($9, excluded), \
    memory_bytes = CASE WHEN $10 THEN $11 ELSE memory_bytes END, \
    cpus = CASE WHEN $10 THEN $12 ELSE cpus END, \
    connection = coalesce($13, connection), \
    updated_at = clock_timestamp(), \
    version = version + 1 \
    WHERE reference = $1 RETURNING *) ",
    select_projects!("amended", "")
);

/// Locks a project's row and gives what is there, if it is the version that the change was prepared from.
pub(super) async fn lock(connection: &mut PgConnection, update: &ProjectUpdate) -> Result<Project> {
    // Locked first, read after: a join that waits for a lock would show the allocations of before.
    sqlx::query(LOCK)
        .bind(update.reference.as_str())
        .execute(&mut *connection)
        .await
        .during("lock a project")?;
    let project = queries::known_project(connection, &update.reference).await?;
    if project.version != update.expected_version {
        return Err(Error::detailed(
            Detail::LostRace,
            format!(
                "change project {}: it is at version {}, and the change was prepared from {}",
                project.reference, project.version, update.expected_version
            ),
        )
        .into());
    }
    Ok(project)
}

/// Writes what changes, and the facts that follow. Gives the row; one that nothing changes keeps its version.
pub(super) async fn amend(
    connection: &mut PgConnection,
    update: &ProjectUpdate,
    before: Project,
    operation: Option<OperationId>,
    written: &mut Vec<Fact>,
) -> Result<Project> {
    if !changes(update) {
        return Ok(before);
    }
    let amended: ProjectRow = sqlx::query_as(AMEND)
        .bind(update.reference.as_str())
        .bind(update.status.as_ref().map(|change| change.to.as_str()))
        .bind(operation.map(|operation| operation.as_uuid()))
        .bind(update.name.as_ref().map(ProjectName::as_str))
        .bind(update.name.as_ref().map(ProjectName::folded))
        .bind(update.annotations.as_ref().map(|annotations| json("annotations", annotations)).transpose()?)
        .bind(update.protected)
        .bind(update.generation.map(|generation| number::<_, i64>("a generation", generation)).transpose()?)
        .bind(update.excluded.as_ref().map(|excluded| texts(excluded)))
        .bind(update.limits.is_some())
        .bind(
            update
                .limits
                .and_then(|limits| limits.memory_bytes)
                .map(|bytes| number::<_, i64>("a memory limit", bytes))
                .transpose()?,
        )
        .bind(update.limits.and_then(|limits| limits.cpus))
        .bind(update.connection.as_ref().map(|connection| json("a connection", connection)).transpose()?)
        .fetch_one(connection)
        .await
        .during("change a project")?;
    if let Some(change) = update.status.as_ref().filter(|change| change.to != before.status) {
        let (from, to): (Option<Status>, Status) = (Some(before.status), change.to);
        written.push(Fact::StatusChanged { from, to, operation, reason: change.reason.clone() });
    }
    let told = [
        ("name", update.name.is_some()),
        ("annotations", update.annotations.is_some()),
        ("protected", update.protected.is_some()),
    ];
    let fields: Vec<String> =
        told.into_iter().filter(|(_, changed)| *changed).map(|(field, _)| field.to_owned()).collect();
    if !fields.is_empty() {
        written.push(Fact::Amended { fields });
    }
    amended.try_into()
}

/// Whether there is anything to write. Every field is named, so that a new one is thought of here.
fn changes(update: &ProjectUpdate) -> bool {
    let ProjectUpdate {
        reference: _,
        expected_version: _,
        guard: _,
        status,
        name,
        annotations,
        protected,
        generation,
        excluded,
        limits,
        connection,
    } = update;
    status.is_some()
        || name.is_some()
        || annotations.is_some()
        || protected.is_some()
        || generation.is_some()
        || excluded.is_some()
        || limits.is_some()
        || connection.is_some()
}
