//! Brings the schema to the version that this program knows.

use freehold_core::{Error, Kind};
use sqlx::{
    Connection, PgPool,
    migrate::{MigrateError, Migrator},
};

use crate::error::{During, Failure, Result};

/// The migrations of this program. Each runs in a transaction, one program at a time (an advisory lock), and is kept
/// with its checksum in `freehold.migrations`.
fn migrator() -> Migrator {
    let mut migrator = sqlx::migrate!();
    migrator.dangerous_set_table_name("freehold.migrations");
    migrator.create_schema("freehold");
    migrator
}

/// Runs what is missing. The connection is closed afterwards, so that the lock goes with it, however it ends.
pub(crate) async fn migrate(pool: &PgPool) -> Result<()> {
    let migrator = migrator();
    let mut connection = pool.acquire().await.during("connect to the store")?.detach();
    sqlx::query("SET statement_timeout = 0").execute(&mut connection).await.during("prepare to migrate")?;
    let outcome = migrator.run_direct(None, &mut connection, false).await;
    let _ = connection.close().await;
    let known = migrator.iter().map(|migration| migration.version).max().unwrap_or_default();
    outcome.map_err(|error| match error {
        MigrateError::VersionMissing(version) if version > known => Failure::Refused(Error::new(
            Kind::Conflict,
            format!(
                "use the store: its schema is at version {version} and this program knows up to {known}: \
                 run a program that is as new as the one that migrated it"
            ),
        )),
        MigrateError::VersionMismatch(version) => Failure::Refused(Error::new(
            Kind::Conflict,
            format!(
                "use the store: migration {version} that was applied to it is not the one that this program has: \
                 run the program that migrated it"
            ),
        )),
        other => Failure::Migrate(other),
    })
}
