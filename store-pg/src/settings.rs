//! Values that the installation keeps under a name, and what targets' names are bound to.

use freehold_core::{
    Error, Kind,
    store::{Put, TargetRecord},
};
use sqlx::PgPool;

use crate::{
    allocate,
    error::{During, Result},
};

const READ: &str = "SELECT value FROM freehold.settings WHERE name = $1";
const ADD: &str = "INSERT INTO freehold.settings (name, value) VALUES ($1, $2) ON CONFLICT DO NOTHING";
const REPLACE: &str = "INSERT INTO freehold.settings (name, value) VALUES ($1, $2) \
    ON CONFLICT (name) DO UPDATE SET value = excluded.value, updated_at = clock_timestamp()";
const BIND: &str =
    "INSERT INTO freehold.targets (name, engine, machine) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
const BOUND: &str = "SELECT t.engine, m.name FROM freehold.targets t \
    JOIN freehold.machines m ON m.number = t.machine WHERE t.name = $1";

pub(crate) async fn setting(pool: &PgPool, name: &str) -> Result<Option<String>> {
    sqlx::query_scalar(READ).bind(name).fetch_optional(pool).await.during("read a setting")
}

/// Writes a value and gives the one that stands.
pub(crate) async fn put(pool: &PgPool, name: &str, value: &str, put: Put) -> Result<String> {
    let statement = match put {
        Put::IfAbsent => ADD,
        Put::Replace => REPLACE,
    };
    sqlx::query(statement).bind(name).bind(value).execute(pool).await.during("write a setting")?;
    match put {
        Put::IfAbsent => sqlx::query_scalar(READ).bind(name).fetch_one(pool).await.during("read a setting"),
        Put::Replace => Ok(value.to_owned()),
    }
}

/// Binds a target's name to an engine, once and for all.
pub(crate) async fn register(pool: &PgPool, target: &TargetRecord) -> Result<()> {
    let mut connection = pool.acquire().await.during("register a target")?;
    let machine = allocate::machine(&mut connection, &target.machine).await?;
    sqlx::query(BIND)
        .bind(target.name.as_str())
        .bind(&target.engine)
        .bind(machine)
        .execute(&mut *connection)
        .await
        .during("register a target")?;
    let bound: (String, String) = sqlx::query_as(BOUND)
        .bind(target.name.as_str())
        .fetch_one(&mut *connection)
        .await
        .during("read a target")?;
    if bound == (target.engine.clone(), target.machine.clone()) {
        return Ok(());
    }
    let (engine, machine) = bound;
    Err(Error::new(
        Kind::Conflict,
        format!(
            "register target {}: the name is bound to engine {engine} on machine {machine}, and this is engine {} \
             on machine {}: choose another name",
            target.name, target.engine, target.machine
        ),
    )
    .into())
}
