//! Gives each operation to one worker.

use std::collections::BTreeMap;

use freehold_core::{
    Error, Fact, Operation, OperationKind, OperationState, Project, ProjectRef,
    store::{Claim, Claimed, SealedItem},
};
use sqlx::{FromRow as _, PgConnection, PgPool, Row as _, types::Uuid};

use crate::{
    allocate::interval,
    error::{During, Failure, Result},
    facts,
    rows::{OperationRow, ProjectRow, select_operations, select_projects},
    sealed,
    transaction::{begin, end},
};

/// One claim of a target at a time, so that what follows sees all that runs and two of them never both take the last place.
/// In one order, so that nobody waits in a circle.
const LOCK_TARGETS: &str = "\
    SELECT pg_advisory_xact_lock(hashtextextended('freehold/claim/' || name, 0)) \
    FROM (SELECT name FROM unnest($1::text[]) AS t (name) ORDER BY name) AS served";
/// The oldest that may be worked on, whose projects nobody is changing at this moment. Who is looked at by somebody else
/// is skipped, so that nobody waits. The queue of a target that is full is not even looked at; of an organization that is full
/// there, its operations are passed over, and so are those that would fill it more.
const TAKE: &str = concat!(
    "WITH served AS ( \
        SELECT name, of_each, most - (SELECT count(*) FROM freehold.operations r \
            WHERE r.target = name AND r.state = 'running') AS free \
        FROM unnest($1::text[], $2::bigint[], $9::bigint[]) AS t (name, most, of_each) \
    ), runs AS ( \
        SELECT s.name AS target, p.organization, count(*) AS number FROM served s \
            JOIN freehold.operations r ON r.target = s.name AND r.state = 'running' \
            JOIN freehold.projects p ON p.reference = r.project \
        WHERE s.of_each IS NOT NULL GROUP BY s.name, p.organization \
    ), candidates AS ( \
        SELECT due.*, s.of_each FROM served s CROSS JOIN LATERAL ( \
            SELECT o.id, o.number, o.target, p.organization, false AS takeover \
            FROM freehold.operations o JOIN freehold.projects p ON p.reference = o.project \
            WHERE o.target = s.name AND o.state = 'waiting' AND o.not_before <= statement_timestamp() \
                AND o.kind = ANY ($4) AND NOT $5 = ANY (o.set_aside_by) \
                AND NOT EXISTS (SELECT FROM freehold.operations r \
                    WHERE r.project = o.project AND r.state = 'running') \
                AND NOT EXISTS (SELECT FROM runs \
                    WHERE runs.target = o.target AND runs.organization = p.organization \
                        AND runs.number >= s.of_each) \
            ORDER BY o.number LIMIT least(greatest(s.free, 0), $6) FOR NO KEY UPDATE OF p, o SKIP LOCKED \
        ) due WHERE s.free > 0 \
        UNION ALL \
        SELECT abandoned.*, NULL FROM ( \
            SELECT o.id, o.number, o.target, p.organization, true AS takeover \
            FROM freehold.operations o JOIN freehold.projects p ON p.reference = o.project \
            WHERE o.target = ANY ($1) AND o.state = 'running' AND o.lease_expires_at < statement_timestamp() - $3 \
                AND o.kind = ANY ($4) AND NOT $5 = ANY (o.set_aside_by) \
            ORDER BY o.number LIMIT $6 FOR NO KEY UPDATE OF p, o SKIP LOCKED \
        ) abandoned \
    ), found AS ( \
        SELECT c.id, c.takeover FROM ( \
            SELECT *, row_number() OVER (PARTITION BY target, organization, takeover ORDER BY number) AS place \
            FROM candidates \
        ) c LEFT JOIN runs USING (target, organization) \
        WHERE c.of_each IS NULL OR c.place <= c.of_each - coalesce(runs.number, 0) \
        ORDER BY c.number LIMIT $6 \
    ), fenced AS ( \
        UPDATE freehold.projects p SET epoch = p.epoch + 1 FROM found JOIN freehold.operations o USING (id) \
        WHERE p.reference = o.project RETURNING o.id, p.epoch, found.takeover \
    ), taken AS ( \
        UPDATE freehold.operations o SET state = 'running', attempt = o.attempt + 1, epoch = fenced.epoch, \
            takeovers = o.takeovers + CASE WHEN fenced.takeover THEN 1 ELSE 0 END, \
            deadline = CASE WHEN fenced.takeover THEN o.deadline \
                ELSE greatest(o.deadline, clock_timestamp() + (o.deadline - o.not_before)) END, \
            set_aside = NULL, set_aside_by = '{}', \
            lease_owner = $7, lease_expires_at = clock_timestamp() + $8, \
            started_at = coalesce(o.started_at, clock_timestamp()) \
        FROM fenced WHERE o.id = fenced.id RETURNING o.*, fenced.takeover \
    ) ",
    select_operations!("taken", ", o.takeover", "ORDER BY o.number")
);
/// Read once they are locked: what was given to a project before that is there.
const PROJECTS: &str = select_projects!("WHERE p.reference = ANY ($1)");

/// Only while nobody works on it: another program may be able to read it.
const SET_ASIDE: &str = "\
    UPDATE freehold.operations SET set_aside = $2, set_aside_by = array_append(set_aside_by, $3) \
    WHERE id = $1 AND (state = 'waiting' OR lease_expires_at < clock_timestamp() - $4)";
/// The version by which this program knows again what it could not read.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Takes up to the number of operations asked for.
pub(crate) async fn claim(pool: &PgPool, claim: &Claim) -> Result<Vec<Claimed>> {
    // One that cannot be read is put aside, and then the others are taken.
    loop {
        let mut transaction = begin(pool, "begin a claim").await?;
        let mut unreadable = None;
        let claimed = take(&mut transaction, claim, &mut unreadable).await;
        match (end(transaction, claimed, "commit a claim").await, unreadable) {
            (Err(failure), Some(id)) if failure.is_unreadable() => {
                if !set_aside(pool, claim, id, failure).await? {
                    return Ok(Vec::new());
                }
            }
            (claimed, _) => return claimed,
        }
    }
}

/// Leaves an operation alone whose row, or whose project's, cannot be read, so that it is in nobody's way. Gives whether
/// nobody else came first.
async fn set_aside(pool: &PgPool, claim: &Claim, id: Uuid, failure: Failure) -> Result<bool> {
    let reason = Error::from(failure).chain();
    let done = sqlx::query(SET_ASIDE)
        .bind(id)
        .bind(&reason)
        .bind(VERSION)
        .bind(interval(claim.margin)?)
        .execute(pool)
        .await
        .during("set an operation aside")?;
    tracing::error!(operation = %id, reason, "an operation cannot be read; it is set aside, and destroy ends it");
    Ok(done.rows_affected() == 1)
}

async fn take(
    connection: &mut PgConnection,
    claim: &Claim,
    unreadable: &mut Option<Uuid>,
) -> Result<Vec<Claimed>> {
    let (targets, most): (Vec<_>, Vec<_>) =
        claim.targets.iter().map(|target| (target.name.as_str(), i64::from(target.max_operations))).unzip();
    let of_each = claim.targets.iter().map(|target| target.max_operations_per_organization.map(i64::from));
    let of_each: Vec<_> = of_each.collect();
    sqlx::query(LOCK_TARGETS)
        .bind(&targets)
        .execute(&mut *connection)
        .await
        .during("lock the queues of targets")?;
    let rows = sqlx::query(TAKE)
        .bind(&targets)
        .bind(most)
        .bind(interval(claim.margin)?)
        .bind(OperationKind::ALL.map(OperationKind::as_str))
        .bind(VERSION)
        .bind(i64::from(claim.limit))
        .bind(&claim.owner)
        .bind(interval(claim.lease)?)
        .bind(of_each)
        .fetch_all(&mut *connection)
        .await
        .during("claim operations")?;
    let mut operations: Vec<(Operation, bool)> = Vec::with_capacity(rows.len());
    for row in &rows {
        *unreadable = Some(row.try_get("id").during("read an operation's id")?);
        let operation = OperationRow::from_row(row).during("read an operation").and_then(Operation::try_from);
        operations.push((operation?, row.try_get("takeover").during("read an operation")?));
    }
    if operations.is_empty() {
        return Ok(Vec::new());
    }
    let (mut projects, mut items) = belongings(connection, &operations, unreadable).await?;
    let mut claimed = Vec::with_capacity(operations.len());
    let mut begun = Vec::with_capacity(operations.len());
    for (operation, takeover) in operations {
        let project = projects
            .remove(&operation.project)
            .ok_or_else(|| Error::not_found("project", operation.project))?;
        let lease = operation.lease.clone().ok_or(Failure::Unfit { what: "a lease" })?;
        let fact = Fact::OperationChanged {
            operation: operation.id,
            kind: operation.kind,
            state: OperationState::Running,
            attempt: operation.attempt,
            reason: takeover.then(|| "the lease of the worker before ran out".to_owned()),
        };
        begun.push((project.reference, project.organization.clone(), fact));
        let sealed = items.remove(&project.reference).unwrap_or_default();
        claimed.push(Claimed { lease, operation, project, sealed, takeover });
    }
    facts::write_each(connection, &begun).await?;
    Ok(claimed)
}

/// The projects of operations that were taken, and what each has sealed.
async fn belongings(
    connection: &mut PgConnection,
    operations: &[(Operation, bool)],
    unreadable: &mut Option<Uuid>,
) -> Result<(BTreeMap<ProjectRef, Project>, BTreeMap<ProjectRef, Vec<SealedItem>>)> {
    let references: Vec<_> = operations.iter().map(|(operation, _)| operation.project.as_str()).collect();
    let operation_of = |project: &str| {
        let of = operations.iter().find(|(operation, _)| operation.project.as_str() == project);
        of.map(|(operation, _)| operation.id.as_uuid())
    };
    let rows = sqlx::query(PROJECTS).bind(&references).fetch_all(&mut *connection);
    let mut projects = BTreeMap::new();
    for row in rows.await.during("read projects")? {
        *unreadable = operation_of(row.try_get("reference").during("read a project's ref")?);
        let project = ProjectRow::from_row(&row).during("read a project").and_then(Project::try_from)?;
        projects.insert(project.reference, project);
    }
    let mut items = BTreeMap::<_, Vec<_>>::new();
    for (project, item) in sealed::of_each(connection, &references).await? {
        *unreadable = operation_of(&project);
        let item = item?;
        if let Some(project) = item.place.project {
            items.entry(project).or_default().push(item);
        }
    }
    Ok((projects, items))
}
