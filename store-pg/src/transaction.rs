//! Transactions of the store's own, at the level that the statements are written for: each of them sees what was committed
//! before it, so that what is read after a lock is what the lock protects.

use freehold_core::Error;
use sqlx::{PgPool, Postgres, Transaction};

use crate::error::{During, Result};

/// Said once by each connection, for the statements that are a transaction by themselves: the server, the database or the
/// role may have another default.
pub(crate) const EACH_AT_READ_COMMITTED: &str =
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED";
const LEVEL: &str = "SELECT current_setting('default_transaction_isolation')";

/// Refuses connections whose statements would be at another level.
pub(crate) async fn check_level(pool: &PgPool) -> Result<()> {
    let level: String = sqlx::query_scalar(LEVEL).fetch_one(pool).await.during("connect to the store")?;
    if level == "read committed" {
        return Ok(());
    }
    let what = format!("is for transactions at the level {level}: make it of connections at READ COMMITTED");
    Err(Error::invalid("pool", what).into())
}

/// Begins one, whatever a caller has said on the connection.
pub(crate) async fn begin(pool: &PgPool, verb: &'static str) -> Result<Transaction<'static, Postgres>> {
    pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await.during(verb)
}

/// Ends one by how its work went: committed, or taken back before its error is told. One that is merely dropped is taken
/// back some time later, and until then keeps its locks, which others skip.
pub(crate) async fn end<T>(
    transaction: Transaction<'_, Postgres>,
    work: Result<T>,
    verb: &'static str,
) -> Result<T> {
    match work {
        Ok(value) => {
            transaction.commit().await.during(verb)?;
            Ok(value)
        }
        Err(error) => {
            if let Err(lost) = transaction.rollback().await {
                // With its connection the server takes it back.
                tracing::debug!(error = %lost, verb, "cannot take a transaction back");
            }
            Err(error)
        }
    }
}
