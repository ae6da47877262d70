//! Gives one operation to one worker.

use freehold_core::{
    Error, Fact, Operation, OperationKind, OperationState,
    store::{Claim, Claimed},
};
use sqlx::{PgConnection, PgPool, types::Uuid};

use crate::{
    allocate::interval,
    error::{During, Failure, Result},
    facts, queries,
    rows::{OperationRow, select_operations},
    sealed,
    transaction::{begin, end},
};

/// The oldest that may be worked on, whose project nobody is changing at this moment. Who is looked at by somebody else
/// is skipped: nobody waits, so nobody waits in a circle. The queue of a target that is full is not even looked at; of an
/// organization that is full there, its operations are passed over.
const CANDIDATE: &str = "\
    WITH served AS ( \
        SELECT name, most - (SELECT count(*) FROM freehold.operations r \
            WHERE r.target = name AND r.state = 'running') AS free \
        FROM unnest($1::text[], $2::bigint[]) AS t (name, most) \
    ), full_for AS ( \
        SELECT r.target, p.organization FROM unnest($1::text[], $6::bigint[]) AS t (name, most) \
            JOIN freehold.operations r ON r.target = t.name AND r.state = 'running' \
            JOIN freehold.projects p ON p.reference = r.project \
        WHERE t.most IS NOT NULL GROUP BY r.target, p.organization, t.most HAVING count(*) >= t.most \
    ) \
    SELECT id, target, takeover FROM ( \
        SELECT due.* FROM served s CROSS JOIN LATERAL ( \
            SELECT o.id, o.target, o.number, false AS takeover \
            FROM freehold.operations o JOIN freehold.projects p ON p.reference = o.project \
            WHERE o.target = s.name AND o.state = 'waiting' AND o.not_before <= statement_timestamp() \
                AND o.kind = ANY ($4) AND NOT $5 = ANY (o.set_aside_by) \
                AND NOT EXISTS (SELECT FROM freehold.operations r \
                    WHERE r.project = o.project AND r.state = 'running') \
                AND NOT EXISTS (SELECT FROM full_for f \
                    WHERE f.target = o.target AND f.organization = p.organization) \
            ORDER BY o.number LIMIT 1 FOR NO KEY UPDATE OF p, o SKIP LOCKED \
        ) due WHERE s.free > 0 \
        UNION ALL \
        SELECT abandoned.* FROM ( \
            SELECT o.id, o.target, o.number, true AS takeover \
            FROM freehold.operations o JOIN freehold.projects p ON p.reference = o.project \
            WHERE o.target = ANY ($1) AND o.state = 'running' AND o.lease_expires_at < statement_timestamp() - $3 \
                AND o.kind = ANY ($4) AND NOT $5 = ANY (o.set_aside_by) \
            ORDER BY o.number LIMIT 1 FOR NO KEY UPDATE OF p, o SKIP LOCKED \
        ) abandoned \
    ) found ORDER BY number LIMIT 1";
/// One claim of a target at a time, so that two of them never both take the last place.
const LOCK_TARGET: &str = "SELECT pg_advisory_xact_lock(hashtextextended('freehold/claim/' || $1, 0))";
/// Looked at once more now that everything is locked: the statement before may have seen a state of before the locks.
const STILL: &str = "\
    SELECT CASE o.state \
        WHEN 'waiting' THEN \
            NOT EXISTS (SELECT FROM freehold.operations r WHERE r.project = o.project AND r.state = 'running') \
            AND (SELECT count(*) FROM freehold.operations r WHERE r.target = o.target AND r.state = 'running') < $2 \
            AND ($4::bigint IS NULL OR (SELECT count(*) FROM freehold.operations r \
                JOIN freehold.projects q ON q.reference = r.project \
                JOIN freehold.projects p ON p.organization = q.organization \
                WHERE p.reference = o.project AND r.target = o.target AND r.state = 'running') < $4) \
        WHEN 'running' THEN o.lease_expires_at < clock_timestamp() - $3 \
        ELSE false END \
    FROM freehold.operations o WHERE o.id = $1";
const TAKE: &str = concat!(
    "WITH fenced AS ( \
        UPDATE freehold.projects p SET epoch = p.epoch + 1 FROM freehold.operations o \
        WHERE o.id = $1 AND p.reference = o.project RETURNING p.epoch \
    ), taken AS ( \
        UPDATE freehold.operations o SET state = 'running', attempt = o.attempt + 1, epoch = fenced.epoch, \
            takeovers = o.takeovers + CASE WHEN o.state = 'running' THEN 1 ELSE 0 END, \
            deadline = CASE WHEN o.attempt = 0 \
                THEN greatest(o.deadline, clock_timestamp() + (o.deadline - o.not_before)) ELSE o.deadline END, \
            set_aside = NULL, set_aside_by = '{}', \
            lease_owner = $2, lease_expires_at = clock_timestamp() + $3, \
            started_at = coalesce(o.started_at, clock_timestamp()) \
        FROM fenced WHERE o.id = $1 RETURNING o.* \
    ) ",
    select_operations!("taken", "")
);

/// Only while nobody works on it: another program may be able to read it.
const SET_ASIDE: &str = "\
    UPDATE freehold.operations SET set_aside = $2, set_aside_by = array_append(set_aside_by, $3) \
    WHERE id = $1 AND (state = 'waiting' OR lease_expires_at < clock_timestamp() - $4)";
/// The version by which this program knows again what it could not read.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Tries so often to find another candidate after losing one to somebody else.
const TRIES: usize = 5;

#[derive(Debug, sqlx::FromRow)]
struct Candidate(Uuid, String, bool);

/// What one look for work found.
enum Found {
    Taken(Box<Claimed>),
    /// A candidate that somebody else took meanwhile.
    Lost,
    Nothing,
}

/// Takes up to one operation that may be worked on.
pub(crate) async fn claim(pool: &PgPool, claim: &Claim) -> Result<Option<Claimed>> {
    for _ in 0..TRIES {
        let mut transaction = begin(pool, "begin a claim").await?;
        let mut looked_at = None;
        let found = attempt(&mut transaction, claim, &mut looked_at).await;
        match (end(transaction, found, "commit a claim").await, looked_at) {
            (Ok(Found::Taken(claimed)), _) => return Ok(Some(*claimed)),
            (Ok(Found::Lost), _) => {}
            (Ok(Found::Nothing), _) => break,
            (Err(failure), Some(id)) if failure.is_unreadable() => {
                set_aside(pool, claim, id, failure).await?;
            }
            (Err(failure), _) => return Err(failure),
        }
    }
    Ok(None)
}

async fn attempt(
    connection: &mut PgConnection,
    claim: &Claim,
    looked_at: &mut Option<Uuid>,
) -> Result<Found> {
    let Some(candidate) = candidate(connection, claim).await? else { return Ok(Found::Nothing) };
    *looked_at = Some(candidate.0);
    let taken = take(connection, claim, &candidate).await?;
    Ok(taken.map_or(Found::Lost, |claimed| Found::Taken(Box::new(claimed))))
}

/// Leaves an operation alone whose row, or whose project's, cannot be read, so that it is in nobody's way.
async fn set_aside(pool: &PgPool, claim: &Claim, id: Uuid, failure: Failure) -> Result<()> {
    let reason = Error::from(failure).chain();
    sqlx::query(SET_ASIDE)
        .bind(id)
        .bind(&reason)
        .bind(VERSION)
        .bind(interval(claim.margin)?)
        .execute(pool)
        .await
        .during("set an operation aside")?;
    tracing::error!(operation = %id, reason, "an operation cannot be read; it is set aside, and destroy ends it");
    Ok(())
}

async fn candidate(connection: &mut PgConnection, claim: &Claim) -> Result<Option<Candidate>> {
    let (targets, most): (Vec<_>, Vec<_>) =
        claim.targets.iter().map(|target| (target.name.as_str(), i64::from(target.max_operations))).unzip();
    let of_an_organization = claim.targets.iter().map(|target| target.max_operations_per_organization);
    let of_an_organization: Vec<_> = of_an_organization.map(|most| most.map(i64::from)).collect();
    sqlx::query_as(CANDIDATE)
        .bind(targets)
        .bind(most)
        .bind(interval(claim.margin)?)
        .bind(OperationKind::ALL.map(OperationKind::as_str))
        .bind(VERSION)
        .bind(of_an_organization)
        .fetch_optional(connection)
        .await
        .during("look for an operation")
}

async fn take(
    connection: &mut PgConnection,
    claim: &Claim,
    Candidate(id, target, takeover): &Candidate,
) -> Result<Option<Claimed>> {
    let served = claim.targets.iter().find(|served| served.name == **target);
    let most = served.map_or(0, |served| served.max_operations);
    let of_an_organization = served.and_then(|served| served.max_operations_per_organization);
    if !takeover {
        sqlx::query(LOCK_TARGET)
            .bind(target)
            .execute(&mut *connection)
            .await
            .during("lock a target's queue")?;
    }
    let still: bool = sqlx::query_scalar(STILL)
        .bind(id)
        .bind(i64::from(most))
        .bind(interval(claim.margin)?)
        .bind(of_an_organization.map(i64::from))
        .fetch_one(&mut *connection)
        .await
        .during("look at an operation")?;
    if !still {
        return Ok(None);
    }
    let taken: OperationRow = sqlx::query_as(TAKE)
        .bind(id)
        .bind(&claim.owner)
        .bind(interval(claim.lease)?)
        .fetch_one(&mut *connection)
        .await
        .during("claim an operation")?;
    let operation = Operation::try_from(taken)?;
    let project = queries::known_project(connection, &operation.project).await?;
    let sealed = sealed::of(connection, Some(&project.reference)).await?;
    let lease = operation.lease.clone().ok_or(Failure::Unfit { what: "a lease" })?;
    let begun = Fact::OperationChanged {
        operation: operation.id,
        kind: operation.kind,
        state: OperationState::Running,
        attempt: operation.attempt,
        reason: takeover.then(|| "the lease of the worker before ran out".to_owned()),
    };
    facts::write(connection, &project.reference, &project.organization, &[begun]).await?;
    Ok(Some(Claimed { lease, operation, project, sealed, takeover: *takeover }))
}
