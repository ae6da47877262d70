//! Carries a prepared change out: whole or not at all, in the transaction that the connection is in.

mod amend;
mod command;
mod create;
mod inflight;
mod operation;

use std::sync::Arc;

use freehold_core::{
    Detail, Error, Fact, OperationId, ProjectRef,
    store::{Change, Committed, IdempotencyKey, ProjectChange, Wake},
};
use sqlx::{Connection, PgConnection, PgPool};

use crate::{
    error::{During, Result},
    facts,
    lane::Lane,
    listen::notify_within,
    queries, sealed,
    transaction::{begin, end},
};

const CLAIM_KEY: &str = "INSERT INTO freehold.idempotency_keys (organization, key, body, project, operation) \
    VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING";

/// Who hears of a change.
pub(crate) const WAKES: [Wake; 2] = [Wake::Written, Wake::Operations];

/// Commands that are recorded together.
pub(crate) type Commands = Lane<Change, Result<Committed>>;

/// Begins to record commands that come at the same time together.
pub(crate) fn commands(pool: PgPool) -> Commands {
    Lane::start(move |changes| {
        let pool = pool.clone();
        async move { command::commit(&pool, &changes).await }
    })
}

/// Commits a change in a transaction of its own, or with others.
pub(crate) async fn commit(pool: &PgPool, commands: &Commands, change: Change) -> Result<Committed> {
    let change = Arc::new(change);
    if command::command(&change).is_some()
        && let Some(committed) = commands.ask(&change).await
    {
        return committed;
    }
    let mut transaction = begin(pool, "begin a change").await?;
    let committed = apply(&mut transaction, &change).await;
    end(transaction, committed, "commit a change").await
}

/// Commits a change behind a savepoint: if it fails, what the transaction did before stays as it was.
pub(crate) async fn commit_in(connection: &mut PgConnection, change: &Change) -> Result<Committed> {
    let mut transaction = connection.begin().await.during("begin a change")?;
    let mut committed = apply(&mut transaction, change).await;
    if committed.is_ok()
        && let Err(failure) = notify_within(&mut transaction, &WAKES).await
    {
        committed = Err(failure);
    }
    end(transaction, committed, "commit a change").await
}

async fn apply(connection: &mut PgConnection, change: &Change) -> Result<Committed> {
    let reference = match &change.project {
        ProjectChange::Create(new) => new.reference,
        ProjectChange::Update(update) => update.reference,
    };
    let recorded = change.operation.as_ref().map(|operation| operation.id);
    let answered = recorded.or(change.cancel);
    if let Some(key) = &change.idempotency
        && let Some(replayed) = replayed(connection, key, &reference, answered).await?
    {
        return Ok(replayed);
    }

    let mut written = Vec::new();
    let project = match &change.project {
        ProjectChange::Create(new) => {
            create::create(connection, new, recorded).await?;
            written.push(Fact::StatusChanged {
                from: None,
                to: new.status,
                operation: recorded,
                reason: None,
            });
            queries::known_project(connection, &reference).await?
        }
        ProjectChange::Update(update) => {
            let before = amend::lock(connection, update).await?;
            let way = inflight::Way {
                guard: update.guard,
                preemption: change.preemption,
                next: change.operation.as_ref(),
            };
            inflight::make_way(connection, &before, way, &mut written).await?;
            amend::amend(connection, update, before, recorded, &mut written).await?
        }
    };
    if let Some(operation) = change.cancel {
        inflight::cancel(connection, &reference, operation, &mut written).await?;
    }
    let mut operation = None;
    if let Some(new) = &change.operation {
        let recorded = operation::record(connection, &project, new).await?;
        written.push(Fact::OperationChanged {
            operation: recorded.id,
            kind: recorded.kind,
            state: recorded.state,
            attempt: recorded.attempt,
            reason: None,
        });
        operation = Some(recorded);
    }
    sealed::put(connection, &change.sealed).await?;
    written.extend(change.facts.iter().cloned());
    facts::write(connection, &reference, &project.organization, &written).await?;
    if let (None, Some(cancelled)) = (&operation, change.cancel) {
        operation = Some(queries::known_operation(connection, cancelled).await?);
    }
    Ok(Committed { project, operation, replayed: false })
}

/// Takes the key for this change, or gives what it was used for. Two changes at once: the second waits for the first.
async fn replayed(
    connection: &mut PgConnection,
    key: &IdempotencyKey,
    project: &ProjectRef,
    operation: Option<OperationId>,
) -> Result<Option<Committed>> {
    let taken = sqlx::query(CLAIM_KEY)
        .bind(key.organization.as_str())
        .bind(&key.key)
        .bind(&key.body)
        .bind(project.as_str())
        .bind(operation.map(|operation| operation.as_uuid()))
        .execute(&mut *connection)
        .await
        .during("keep an idempotency key")?;
    if taken.rows_affected() == 1 {
        return Ok(None);
    }
    let Some(first) = queries::replay(connection, &key.organization, &key.key).await? else {
        // Forgotten between the two statements: the caller's next try finds it gone.
        let what = "commit a change: its idempotency key was forgotten at the same moment";
        return Err(Error::detailed(Detail::LostRace, what).into());
    };
    if first.body != key.body {
        return Err(Error::detailed(
            Detail::KeyReused,
            format!("use idempotency key {:?}: it was used for another request", key.key),
        )
        .into());
    }
    let project = queries::known_project(connection, &first.project).await?;
    let operation = match first.operation {
        Some(id) => queries::operation(connection, id).await?,
        None => None,
    };
    Ok(Some(Committed { project, operation, replayed: true }))
}
