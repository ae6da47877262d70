//! Numbers events, reads them by number, and forgets old ones.
//!
//! Numbers are given apart from writing, and only to what is committed: so they are dense, and a transaction that stays
//! open holds nobody up. Its own events are numbered once it ends.

use std::time::Duration;

use freehold_core::{Detail, Error, Event, EventPage, PageRequest, store::Retention};
use sqlx::{PgConnection, PgPool};

use crate::{
    allocate::interval,
    error::{During, Result},
    rows::{EventRow, number},
    transaction::{begin, end},
};

const TRY_LOCK: &str = "SELECT pg_try_advisory_xact_lock(hashtextextended('freehold/sequencer', 0))";
const LAST: &str = "SELECT last FROM freehold.event_numbers";
const NUMBER: &str = "\
    WITH unnumbered AS ( \
        SELECT written, row_number() OVER (ORDER BY written) AS place \
        FROM (SELECT written FROM freehold.events WHERE sequence IS NULL ORDER BY written LIMIT $1) AS batch \
    ), numbered AS ( \
        UPDATE freehold.events e SET sequence = n.last + u.place \
        FROM unnumbered u, freehold.event_numbers n WHERE e.written = u.written RETURNING e.sequence \
    ) \
    UPDATE freehold.event_numbers SET last = (SELECT max(sequence) FROM numbered) \
    WHERE EXISTS (SELECT FROM numbered) RETURNING last, (SELECT count(*) FROM numbered)";
const READ: &str = "SELECT sequence, at, project, organization, fact FROM freehold.events \
    WHERE sequence > $1 ORDER BY sequence LIMIT $2";
const OLDEST: &str = "SELECT oldest FROM freehold.event_numbers";
// By the moment at which the statement began: an index cannot be asked for what is older than a clock that goes on.
const FORGET_EVENTS: &str = "\
    WITH kept AS ( \
        UPDATE freehold.event_numbers SET oldest = greatest(oldest, coalesce( \
            (SELECT min(sequence) FROM freehold.events WHERE at >= statement_timestamp() - $1), last + 1)) \
        RETURNING oldest \
    ) \
    DELETE FROM freehold.events USING kept WHERE sequence < kept.oldest";
const FORGET_KEYS: &str =
    "DELETE FROM freehold.idempotency_keys WHERE created_at < statement_timestamp() - $1";
/// Never the one that put its project where it stands.
const FORGET_OPERATIONS: &str = "DELETE FROM freehold.operations o USING freehold.projects p \
    WHERE p.reference = o.project AND o.ended_at < statement_timestamp() - $1 \
    AND p.status_operation IS DISTINCT FROM o.id";
const FORGET_SET_ASIDE: &str =
    "DELETE FROM freehold.port_blocks WHERE set_aside_until <= statement_timestamp()";

const BATCH: i64 = 5_000;

/// Numbers what was committed since, unless another host is at it. Gives the newest number, and whether any was given.
pub(crate) async fn sequence(pool: &PgPool) -> Result<(u64, bool)> {
    let mut any = false;
    loop {
        let mut transaction = begin(pool, "begin to number events").await?;
        let batch = number_batch(&mut transaction).await;
        let (last, numbered) = end(transaction, batch, "number events").await?;
        any |= numbered > 0;
        if numbered < BATCH {
            return Ok((number("a sequence number", last)?, any));
        }
    }
}

/// Numbers up to a batch. Gives the newest number, and how many were given.
async fn number_batch(connection: &mut PgConnection) -> Result<(i64, i64)> {
    let ours: bool =
        sqlx::query_scalar(TRY_LOCK).fetch_one(&mut *connection).await.during("lock the sequencer")?;
    let done: Option<(i64, i64)> = if ours {
        let statement = sqlx::query_as(NUMBER).bind(BATCH);
        statement.fetch_optional(&mut *connection).await.during("number events")?
    } else {
        None
    };
    if let Some(done) = done {
        return Ok(done);
    }
    let last = sqlx::query_scalar(LAST).fetch_one(connection).await.during("read the newest number")?;
    Ok((last, 0))
}

/// Events after a number, in order.
pub(crate) async fn events(pool: &PgPool, after: u64, limit: u32) -> Result<EventPage> {
    // Whoever asks for more than there can be finds nothing.
    let from = i64::try_from(after).unwrap_or(i64::MAX);
    let mut connection = pool.acquire().await.during("read events")?;
    let rows = sqlx::query_as::<_, EventRow>(READ)
        .bind(from)
        .bind(i64::from(limit.clamp(1, PageRequest::MAX)))
        .fetch_all(&mut *connection)
        .await
        .during("read events")?;
    // Read afterwards: what was forgotten meanwhile is noticed.
    let oldest: i64 =
        sqlx::query_scalar(OLDEST).fetch_one(&mut *connection).await.during("read the oldest number")?;
    if from.saturating_add(1) < oldest {
        let oldest = number("a sequence number", oldest)?;
        return Err(Error::detailed(
            Detail::Gone { oldest },
            format!("read events after {after}: the oldest that is kept is {oldest}"),
        )
        .into());
    }
    let events = rows.into_iter().map(Event::try_from).collect::<Result<Vec<_>>>()?;
    let next = events.last().map_or(after, |event| event.sequence);
    Ok(EventPage { events, next })
}

/// What is kept for longer than this is kept for ever: no timestamp reaches so far back.
const FOR_EVER: Duration = Duration::from_secs(1000 * 365 * 24 * 3600);

/// Forgets what is older than it has to be kept: of events, only a beginning, so that no number is missing.
pub(crate) async fn expire(pool: &PgPool, retention: &Retention) -> Result<()> {
    let forget = [
        (FORGET_EVENTS, retention.events, "forget old events"),
        (FORGET_KEYS, retention.idempotency_keys, "forget old idempotency keys"),
        (FORGET_OPERATIONS, retention.operations, "forget old operations"),
    ];
    for (statement, kept, verb) in forget {
        if kept < FOR_EVER {
            sqlx::query(statement).bind(interval(kept)?).execute(pool).await.during(verb)?;
        }
    }
    sqlx::query(FORGET_SET_ASIDE).execute(pool).await.during("give back ports that were set aside")?;
    Ok(())
}
