//! Places in organizations that wait for somebody.

use freehold_core::{
    Error, Kind, OrganizationId,
    accounts::{Grant, Invitation, Membership, NewInvitation, PersonId, Role, Scope, united},
};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use super::{grants, people};
use crate::{
    error::{During, Result},
    rows::parse,
    transaction,
};

/// An invitation's columns, between what is said before and after them.
macro_rules! invitation {
    ($head:literal, $tail:literal) => {
        concat!($head, "id, organization, email, role, projects, created_at, expires_at", $tail)
    };
}

const IS_MEMBER: &str = "SELECT EXISTS (SELECT FROM freehold.grants g JOIN freehold.people p ON p.id = g.person \
    WHERE g.organization = $1 AND p.email = $2)";
const PUT: &str = invitation!(
    "INSERT INTO freehold.invitations (organization, email, role, projects, digest, expires_at) \
     VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (organization, email) DO UPDATE \
     SET role = $3, projects = $4, digest = $5, expires_at = $6, created_at = clock_timestamp() RETURNING ",
    ""
);
const OF: &str = invitation!("SELECT ", " FROM freehold.invitations WHERE organization = $1 ORDER BY id");
const BY_DIGEST: &str = invitation!("SELECT ", " FROM freehold.invitations WHERE digest = $1");
const TAKE: &str = invitation!("DELETE FROM freehold.invitations WHERE digest = $1 RETURNING ", "");
const BY_ADDRESS: &str =
    invitation!("SELECT ", " FROM freehold.invitations WHERE organization = $1 AND email = $2");
const LOCK: &str =
    invitation!("SELECT ", " FROM freehold.invitations WHERE organization = $1 AND id = $2 FOR UPDATE");
const DELETE: &str = "DELETE FROM freehold.invitations WHERE id = $1";

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: i64,
    organization: String,
    email: String,
    role: String,
    projects: Option<Vec<String>>,
    created_at: OffsetDateTime,
    expires_at: OffsetDateTime,
}

impl Row {
    fn read(self) -> Result<Invitation> {
        let scope = match self.projects {
            None => Scope::Everywhere,
            Some(projects) => Scope::Projects(
                projects.iter().map(|project| parse("project", project)).collect::<Result<_>>()?,
            ),
        };
        Ok(Invitation {
            id: self.id,
            organization: parse("organization", &self.organization)?,
            email: self.email,
            grant: Grant { role: parse("role", &self.role)?, scope },
            created_at: self.created_at,
            expires_at: self.expires_at,
        })
    }
}

pub(super) async fn invite(
    pool: &PgPool,
    email: &str,
    new: &NewInvitation,
    over: &[Role],
) -> Result<Invitation> {
    const VERB: &str = "invite somebody";
    let mut transaction = transaction::begin(pool, VERB).await?;
    let work = async {
        grants::lock(&mut transaction, &new.organization).await?;
        let is_member = sqlx::query_scalar(IS_MEMBER).bind(new.organization.as_str()).bind(email);
        if is_member.fetch_one(&mut *transaction).await.during(VERB)? {
            let message = format!("invite {email}: they are a member already");
            return Err(Error::new(Kind::AlreadyExists, message).into());
        }
        let former = sqlx::query_as(BY_ADDRESS).bind(new.organization.as_str()).bind(email);
        let former: Option<Row> = former.fetch_optional(&mut *transaction).await.during(VERB)?;
        if let Some(former) = former {
            former.read()?.yields_to(over)?;
        }
        let row: Row = sqlx::query_as(PUT)
            .bind(new.organization.as_str())
            .bind(email)
            .bind(new.grant.role.as_str())
            .bind(grants::projects(&new.grant))
            .bind(new.digest.as_slice())
            .bind(new.expires_at)
            .fetch_one(&mut *transaction)
            .await
            .during(VERB)?;
        row.read()
    };
    let work = work.await;
    transaction::end(transaction, work, VERB).await
}

pub(super) async fn of(pool: &PgPool, organization: &OrganizationId) -> Result<Vec<Invitation>> {
    let rows: Vec<Row> =
        sqlx::query_as(OF).bind(organization.as_str()).fetch_all(pool).await.during("list invitations")?;
    rows.into_iter().map(Row::read).collect()
}

pub(super) async fn delete(
    pool: &PgPool,
    organization: &OrganizationId,
    id: i64,
    over: &[Role],
) -> Result<bool> {
    const VERB: &str = "take an invitation back";
    let mut transaction = transaction::begin(pool, VERB).await?;
    let work = async {
        // Locked: nobody puts another in its place meanwhile.
        let found = sqlx::query_as(LOCK).bind(organization.as_str()).bind(id);
        let found: Option<Row> = found.fetch_optional(&mut *transaction).await.during(VERB)?;
        let Some(found) = found else { return Ok(false) };
        found.read()?.yields_to(over)?;
        sqlx::query(DELETE).bind(id).execute(&mut *transaction).await.during(VERB)?;
        Ok(true)
    };
    let work = work.await;
    transaction::end(transaction, work, VERB).await
}

pub(super) async fn by_digest(pool: &PgPool, digest: &[u8; 32]) -> Result<Option<Invitation>> {
    let found = sqlx::query_as(BY_DIGEST).bind(digest.as_slice()).fetch_optional(pool).await;
    let row: Option<Row> = found.during("read an invitation")?;
    row.map(Row::read).transpose()
}

pub(super) async fn accept(pool: &PgPool, digest: &[u8; 32], person: PersonId) -> Result<Membership> {
    const VERB: &str = "accept an invitation";
    let mut transaction = transaction::begin(pool, VERB).await?;
    let work = take(&mut transaction, digest, person).await;
    transaction::end(transaction, work, VERB).await
}

async fn take(connection: &mut PgConnection, digest: &[u8; 32], person: PersonId) -> Result<Membership> {
    const VERB: &str = "accept an invitation";
    let absent = || Error::not_found("invitation", "by that token");
    let found = sqlx::query_as(BY_DIGEST).bind(digest.as_slice()).fetch_optional(&mut *connection).await;
    let found: Option<Row> = found.during(VERB)?;
    // The organization first, as everybody does it, or two would wait for each other.
    grants::lock(connection, &found.ok_or_else(absent)?.read()?.organization).await?;
    let taken = sqlx::query_as(TAKE).bind(digest.as_slice()).fetch_optional(&mut *connection).await;
    let taken: Option<Row> = taken.during(VERB)?;
    let invitation = taken.ok_or_else(absent)?.read()?;
    let person = people::of_number(connection, person).await?;
    let now: OffsetDateTime =
        sqlx::query_scalar("SELECT clock_timestamp()").fetch_one(&mut *connection).await.during(VERB)?;
    invitation.admits(&person, now)?;
    let held = grants::held(connection, &invitation.organization, person.id).await?;
    let united = united(held, &invitation.grant);
    grants::replace(connection, &invitation.organization, person.id, &united).await?;
    Ok(Membership { organization: invitation.organization, grants: united })
}
