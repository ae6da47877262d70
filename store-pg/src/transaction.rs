//! Transactions of the store's own.

use sqlx::{PgPool, Postgres, Transaction};

use crate::error::{During, Result};

/// Begins one at the level that the statements are written for, whatever the server's default is: each of them sees
/// what was committed before it, so that what is read after a lock is what the lock protects.
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
