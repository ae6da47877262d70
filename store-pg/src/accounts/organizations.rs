//! Organizations.

use freehold_core::{
    Error, OrganizationId,
    accounts::{Grant, Organization, PersonId, ProjectDefaults, Role, id_taken},
};
use sqlx::PgPool;
use time::OffsetDateTime;

use super::grants;
use crate::{
    error::{During, Result},
    rows::parse,
    transaction,
};

/// An organization's columns, between what is said before and after them.
macro_rules! organization {
    ($head:literal, $tail:literal) => {
        concat!($head, "id, number, name, created_at, default_target, default_stack, default_excluded", $tail)
    };
}

const ADD: &str = organization!(
    "INSERT INTO freehold.organizations (id, name) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING RETURNING ",
    ""
);
const IS_DELETED: &str = "SELECT deleted_at IS NOT NULL FROM freehold.organizations WHERE id = $1";
const ONE: &str =
    organization!("SELECT ", " FROM freehold.organizations WHERE id = $1 AND deleted_at IS NULL");
const ALL: &str = organization!(
    "SELECT ",
    " FROM freehold.organizations o WHERE deleted_at IS NULL AND ($1::bigint IS NULL \
      OR EXISTS (SELECT FROM freehold.grants g WHERE g.organization = o.id AND g.person = $1)) ORDER BY number"
);
const RENAME: &str = organization!(
    "UPDATE freehold.organizations SET name = $2 WHERE id = $1 AND deleted_at IS NULL RETURNING ",
    ""
);
const SET_DEFAULTS: &str = organization!(
    "UPDATE freehold.organizations SET default_target = $2, default_stack = $3, default_excluded = $4 \
     WHERE id = $1 AND deleted_at IS NULL RETURNING ",
    ""
);
const HELD_IN: [&str; 2] = [
    "DELETE FROM freehold.invitations WHERE organization = $1",
    "DELETE FROM freehold.grants WHERE organization = $1",
];
/// Whoever changes what is held in it waits, and then finds none. The row stays: its id is not used again.
const DELETE: &str = "UPDATE freehold.organizations SET deleted_at = clock_timestamp() \
    WHERE id = $1 AND deleted_at IS NULL RETURNING id";

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: String,
    number: i64,
    name: String,
    created_at: OffsetDateTime,
    default_target: Option<String>,
    default_stack: Option<String>,
    default_excluded: Option<Vec<String>>,
}

impl Row {
    fn read(self) -> Result<Organization> {
        let excluded = self.default_excluded.map(|names| {
            names.iter().map(|name| parse("default_excluded", name)).collect::<Result<Vec<_>>>()
        });
        let target = self.default_target.map(|name| parse("default_target", &name));
        let stack = self.default_stack.map(|name| parse("default_stack", &name));
        let defaults = ProjectDefaults {
            target: target.transpose()?,
            stack: stack.transpose()?,
            excluded: excluded.transpose()?,
        };
        let id = parse("organization", &self.id)?;
        Ok(Organization { id, number: self.number, name: self.name, defaults, created_at: self.created_at })
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
        let added = sqlx::query_as(ADD).bind(id.as_str()).bind(name).fetch_optional(&mut *transaction).await;
        let added: Option<Row> = added.during(VERB)?;
        let Some(row) = added else {
            let deleted = sqlx::query_scalar(IS_DELETED).bind(id.as_str());
            let deleted = deleted.fetch_one(&mut *transaction).await.during(VERB)?;
            return Err(id_taken(id, deleted).into());
        };
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

pub(super) async fn set_defaults(
    pool: &PgPool,
    id: &OrganizationId,
    defaults: &ProjectDefaults,
) -> Result<Organization> {
    let excluded = defaults.excluded.as_ref();
    let excluded: Option<Vec<&str>> = excluded.map(|names| names.iter().map(|name| name.as_str()).collect());
    let set = sqlx::query_as(SET_DEFAULTS)
        .bind(id.as_str())
        .bind(defaults.target.as_ref().map(|name| name.as_str()))
        .bind(defaults.stack.as_ref().map(|name| name.as_str()))
        .bind(excluded);
    let row: Option<Row> = set.fetch_optional(pool).await.during("set an organization's defaults")?;
    row.ok_or_else(|| Error::not_found("organization", id))?.read()
}

pub(super) async fn delete(pool: &PgPool, id: &OrganizationId) -> Result<()> {
    const VERB: &str = "delete an organization";
    let mut transaction = transaction::begin(pool, VERB).await?;
    let work = async {
        let deleted = sqlx::query_scalar(DELETE).bind(id.as_str()).fetch_optional(&mut *transaction).await;
        let deleted: Option<String> = deleted.during(VERB)?;
        deleted.ok_or_else(|| Error::not_found("organization", id))?;
        for statement in HELD_IN {
            sqlx::query(statement).bind(id.as_str()).execute(&mut *transaction).await.during(VERB)?;
        }
        Ok(())
    };
    let work = work.await;
    transaction::end(transaction, work, VERB).await
}
