//! Access tokens.

use freehold_core::accounts::{AccessToken, NewAccessToken, Person, PersonId};
use sqlx::PgPool;
use time::OffsetDateTime;

use super::people::{PersonRow, select_people};
use crate::error::{During, Result};

const ADD: &str = "INSERT INTO freehold.access_tokens (owner, name, alias, digest, expires_at) \
    VALUES ($1, $2, $3, $4, $5) RETURNING id, owner, name, alias, created_at, expires_at, last_used_at";
const OF_OWNER: &str = "SELECT id, owner, name, alias, created_at, expires_at, last_used_at \
    FROM freehold.access_tokens WHERE owner = $1 ORDER BY id DESC";
const DELETE: &str = "DELETE FROM freehold.access_tokens WHERE owner = $1 AND id = $2";
/// Who owns a token. Its row is written once a minute, however often the token is used.
const USE: &str = concat!(
    "WITH noted AS (UPDATE freehold.access_tokens SET last_used_at = now() WHERE digest = $1 \
        AND (expires_at IS NULL OR expires_at > now()) \
        AND (last_used_at IS NULL OR last_used_at <= now() - interval '1 minute')) ",
    select_people!(
        "t.id AS token, ",
        "JOIN freehold.access_tokens t ON t.owner = p.id \
         WHERE t.digest = $1 AND (t.expires_at IS NULL OR t.expires_at > now())"
    )
);

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: i64,
    owner: i64,
    name: String,
    alias: String,
    created_at: OffsetDateTime,
    expires_at: Option<OffsetDateTime>,
    last_used_at: Option<OffsetDateTime>,
}

impl From<Row> for AccessToken {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            owner: PersonId(row.owner),
            name: row.name,
            alias: row.alias,
            created_at: row.created_at,
            expires_at: row.expires_at,
            last_used_at: row.last_used_at,
        }
    }
}

pub(super) async fn create(pool: &PgPool, token: &NewAccessToken) -> Result<AccessToken> {
    let row: Row = sqlx::query_as(ADD)
        .bind(token.owner.0)
        .bind(&token.name)
        .bind(&token.alias)
        .bind(&token.digest[..])
        .bind(token.expires_at)
        .fetch_one(pool)
        .await
        .during("keep an access token")?;
    Ok(row.into())
}

pub(super) async fn of(pool: &PgPool, owner: PersonId) -> Result<Vec<AccessToken>> {
    let rows: Vec<Row> =
        sqlx::query_as(OF_OWNER).bind(owner.0).fetch_all(pool).await.during("list access tokens")?;
    Ok(rows.into_iter().map(AccessToken::from).collect())
}

pub(super) async fn delete(pool: &PgPool, owner: PersonId, token: i64) -> Result<bool> {
    let deleted = sqlx::query(DELETE).bind(owner.0).bind(token).execute(pool).await;
    Ok(deleted.during("delete an access token")?.rows_affected() > 0)
}

#[derive(Debug, sqlx::FromRow)]
struct Used {
    token: i64,
    #[sqlx(flatten)]
    owner: PersonRow,
}

pub(super) async fn used(pool: &PgPool, digest: &[u8; 32]) -> Result<Option<(Person, i64)>> {
    let used: Option<Used> =
        sqlx::query_as(USE).bind(&digest[..]).fetch_optional(pool).await.during("look an access token up")?;
    used.map(|used| Ok((used.owner.read()?, used.token))).transpose()
}
