//! Organizations.

use freehold_core::{
    Error, OrganizationId,
    accounts::{Grant, Organization, PersonId, Role},
};
use sqlx::PgPool;
use time::OffsetDateTime;

use super::grants;
use crate::{
    error::{During, Result},
    rows::parse,
    transaction,
};

const ADD: &str =
    "INSERT INTO freehold.organizations (id, name) VALUES ($1, $2) RETURNING id, number, name, created_at";
const ONE: &str = "SELECT id, number, name, created_at FROM freehold.organizations WHERE id = $1";
const ALL: &str = "SELECT id, number, name, created_at FROM freehold.organizations o \
    WHERE $1::bigint IS NULL \
    OR EXISTS (SELECT FROM freehold.grants g WHERE g.organization = o.id AND g.person = $1) ORDER BY number";
const RENAME: &str =
    "UPDATE freehold.organizations SET name = $2 WHERE id = $1 RETURNING id, number, name, created_at";

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: String,
    number: i64,
    name: String,
    created_at: OffsetDateTime,
}

impl Row {
    fn read(self) -> Result<Organization> {
        let id = parse("organization", &self.id)?;
        Ok(Organization { id, number: self.number, name: self.name, created_at: self.created_at })
    }
}

pub(super) async fn create(
    pool: &PgPool,
    id: &OrganizationId,
    name: &str,
    owner: Option<PersonId>,
) -> Result<Organization> {
    const VERB: &str = "create an organization";
    let mut transaction = transaction::begin(pool, VERB).await?;
    let work = async {
        let row: Row = sqlx::query_as(ADD)
            .bind(id.as_str())
            .bind(name)
            .fetch_one(&mut *transaction)
            .await
            .during(VERB)?;
        if let Some(owner) = owner {
            grants::add(&mut transaction, id, owner, &[Grant::everywhere(Role::Owner)]).await?;
        }
        row.read()
    };
    let work = work.await;
    transaction::end(transaction, work, VERB).await
}

pub(super) async fn one(pool: &PgPool, id: &OrganizationId) -> Result<Option<Organization>> {
    let row: Option<Row> =
        sqlx::query_as(ONE).bind(id.as_str()).fetch_optional(pool).await.during("read an organization")?;
    row.map(Row::read).transpose()
}

pub(super) async fn of(pool: &PgPool, member: Option<PersonId>) -> Result<Vec<Organization>> {
    let member = member.map(|person| person.0);
    let rows: Vec<Row> =
        sqlx::query_as(ALL).bind(member).fetch_all(pool).await.during("list organizations")?;
    rows.into_iter().map(Row::read).collect()
}

pub(super) async fn rename(pool: &PgPool, id: &OrganizationId, name: &str) -> Result<Organization> {
    let renamed = sqlx::query_as(RENAME).bind(id.as_str()).bind(name).fetch_optional(pool).await;
    let row: Option<Row> = renamed.during("rename an organization")?;
    row.ok_or_else(|| Error::not_found("organization", id))?.read()
}
