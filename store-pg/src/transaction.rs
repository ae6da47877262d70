//! Transactions of the store's own.

use sqlx::{PgPool, Postgres, Transaction};

use crate::error::{During, Result};

/// Begins one at the level that the statements are written for, whatever the server's default is: each of them sees
/// what was committed before it, so that what is read after a lock is what the lock protects.
pub(crate) async fn begin(pool: &PgPool, verb: &'static str) -> Result<Transaction<'static, Postgres>> {
    pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await.during(verb)
}
