//! Sealed items: kept as they are given, never opened here.

use std::collections::BTreeMap;

use freehold_core::{ProjectRef, seal::KeyId, store::SealedItem};
use sqlx::{FromRow as _, PgConnection, PgPool, Row as _};

use crate::{
    error::{During, Result},
    rows::{SealedRow, number},
};

const OF: &str = "SELECT project, name, version, key_id, data FROM freehold.sealed \
    WHERE coalesce(project, '') = $1 ORDER BY name";
const OF_EACH: &str = "SELECT project, name, version, key_id, data FROM freehold.sealed \
    WHERE coalesce(project, '') = ANY ($1) ORDER BY coalesce(project, ''), name";
const PUT: &str = "INSERT INTO freehold.sealed AS there (project, name, version, key_id, data) \
    SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::bytea[]) ON CONFLICT ((coalesce(project, '')), name) DO UPDATE \
    SET version = excluded.version, key_id = excluded.key_id, data = excluded.data \
    WHERE there.version < excluded.version";
const FORGET: &str = "DELETE FROM freehold.sealed WHERE coalesce(project, '') = $1";
const KEYS: &str = "SELECT key_id, count(*) FROM freehold.sealed GROUP BY key_id";
const NOT_UNDER: &str = "SELECT project, name, version, key_id, data FROM freehold.sealed \
    WHERE key_id <> $1 ORDER BY coalesce(project, ''), name LIMIT $2";
const RESEAL: &str = "UPDATE freehold.sealed SET key_id = $4, data = $5 \
    WHERE coalesce(project, '') = $1 AND name = $2 AND version = $3 AND key_id <> $4";
const ADD: &str = "INSERT INTO freehold.sealed (project, name, version, key_id, data) \
    VALUES (NULL, $1, $2, $3, $4) ON CONFLICT DO NOTHING";

/// The items of a project, or of the installation itself.
pub(crate) async fn of(
    connection: &mut PgConnection,
    project: Option<&ProjectRef>,
) -> Result<Vec<SealedItem>> {
    sqlx::query_as::<_, SealedRow>(OF)
        .bind(owner(project))
        .fetch_all(connection)
        .await
        .during("read sealed items")?
        .into_iter()
        .map(SealedItem::try_from)
        .collect()
}

/// The items of several projects, each with its project's ref: it tells whose item it is that cannot be read.
pub(crate) async fn of_each(
    connection: &mut PgConnection,
    projects: &[&str],
) -> Result<Vec<(String, Result<SealedItem>)>> {
    let rows = sqlx::query(OF_EACH).bind(projects).fetch_all(connection).await.during("read sealed items")?;
    rows.iter()
        .map(|row| {
            let project = row.try_get("project").during("read an item's project")?;
            let item = SealedRow::from_row(row).during("read a sealed item").and_then(SealedItem::try_from);
            Ok((project, item))
        })
        .collect()
}

/// Adds items in the place of those of a lower version. No two of them have the same place.
pub(crate) async fn put(connection: &mut PgConnection, items: &[SealedItem]) -> Result<()> {
    if items.is_empty() {
        return Ok(());
    }
    let version = |item: &SealedItem| number::<_, i64>("a secret's version", item.place.version);
    let projects: Vec<_> =
        items.iter().map(|item| item.place.project.as_ref().map(ProjectRef::as_str)).collect();
    let names: Vec<_> = items.iter().map(|item| item.place.name.as_str()).collect();
    let versions = items.iter().map(version).collect::<Result<Vec<_>>>()?;
    let keys: Vec<_> = items.iter().map(|item| item.sealed.key.as_str()).collect();
    let data: Vec<_> = items.iter().map(|item| item.sealed.data.as_slice()).collect();
    sqlx::query(PUT)
        .bind(projects)
        .bind(names)
        .bind(versions)
        .bind(keys)
        .bind(data)
        .execute(connection)
        .await
        .during("keep sealed items")?;
    Ok(())
}

/// Forgets everything of a project.
pub(crate) async fn forget(connection: &mut PgConnection, project: &ProjectRef) -> Result<()> {
    sqlx::query(FORGET).bind(project.as_str()).execute(connection).await.during("forget sealed items")?;
    Ok(())
}

pub(crate) async fn keys_in_use(pool: &PgPool) -> Result<BTreeMap<KeyId, u64>> {
    let rows: Vec<(String, i64)> = sqlx::query_as(KEYS).fetch_all(pool).await.during("count sealed items")?;
    rows.into_iter().map(|(key, count)| Ok((KeyId::new(key), number("a count", count)?))).collect()
}

pub(crate) async fn under_other_keys(pool: &PgPool, key: &KeyId, limit: u32) -> Result<Vec<SealedItem>> {
    sqlx::query_as::<_, SealedRow>(NOT_UNDER)
        .bind(key.as_str())
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await
        .during("read sealed items")?
        .into_iter()
        .map(SealedItem::try_from)
        .collect()
}

/// Replaces what still stands at the same place and version under another key. One statement an item, so that
/// nobody's row stays locked for longer than that.
pub(crate) async fn reseal(pool: &PgPool, items: &[SealedItem]) -> Result<u64> {
    let mut replaced = 0;
    for item in items {
        let version: i64 = number("a secret's version", item.place.version)?;
        let project = item.place.project.as_ref();
        let done = sqlx::query(RESEAL)
            .bind(owner(project))
            .bind(&item.place.name)
            .bind(version)
            .bind(item.sealed.key.as_str())
            .bind(&item.sealed.data)
            .execute(pool)
            .await
            .during("reseal an item")?;
        replaced += done.rows_affected();
        if done.rows_affected() == 0 && project.is_none() {
            sqlx::query(ADD)
                .bind(&item.place.name)
                .bind(version)
                .bind(item.sealed.key.as_str())
                .bind(&item.sealed.data)
                .execute(pool)
                .await
                .during("keep a sealed item")?;
        }
    }
    Ok(replaced)
}

/// How the index writes whose an item is.
fn owner(project: Option<&ProjectRef>) -> &str {
    project.map_or("", ProjectRef::as_str)
}
