//! What people hold in organizations.

use freehold_core::{
    Error, Kind, OrganizationId,
    accounts::{Grant, Member, Membership, PersonId, Scope, check_unchanged},
};
use sqlx::{FromRow, PgConnection, PgPool, Row as _, postgres::PgRow};

use super::people::PersonRow;
use crate::{
    error::{During, Result},
    rows::parse,
    transaction,
};

const OF_PERSON: &str =
    "SELECT organization, role, projects FROM freehold.grants WHERE person = $1 ORDER BY organization, role";
const OF_ORGANIZATION: &str = "SELECT p.id, p.subject, p.email, p.username, p.first_name, p.last_name, \
    p.superuser, p.created_at, g.role, g.projects \
    FROM freehold.grants g JOIN freehold.people p ON p.id = g.person WHERE g.organization = $1 ORDER BY p.id, g.role";
/// Whoever changes what is held in an organization waits for the others who do: the last owner is somebody for all.
const LOCK: &str =
    "SELECT id FROM freehold.organizations WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE";
const HELD: &str = "SELECT role, projects FROM freehold.grants WHERE organization = $1 AND person = $2";
const REMOVE: &str = "DELETE FROM freehold.grants WHERE organization = $1 AND person = $2";
const ADD: &str =
    "INSERT INTO freehold.grants (organization, person, role, projects) VALUES ($1, $2, $3, $4)";
const ORPHANED: &str = "SELECT count(*) > 0 AND NOT coalesce(bool_or(role = 'owner' AND projects IS NULL), false) \
    FROM freehold.grants WHERE organization = $1";

pub(super) async fn memberships(pool: &PgPool, person: PersonId) -> Result<Vec<Membership>> {
    let rows = sqlx::query(OF_PERSON).bind(person.0).fetch_all(pool).await.during("read memberships")?;
    let mut memberships: Vec<Membership> = Vec::new();
    for row in rows {
        let organization: OrganizationId = parse("organization", column(&row, "organization")?)?;
        let grant = grant(&row)?;
        match memberships.last_mut().filter(|last| last.organization == organization) {
            Some(last) => last.grants.push(grant),
            None => memberships.push(Membership { organization, grants: vec![grant] }),
        }
    }
    for membership in &mut memberships {
        membership.grants.sort_by_key(|grant| grant.role);
    }
    Ok(memberships)
}

pub(super) async fn members(pool: &PgPool, organization: &OrganizationId) -> Result<Vec<Member>> {
    let rows = sqlx::query(OF_ORGANIZATION).bind(organization.as_str()).fetch_all(pool).await;
    let mut members: Vec<Member> = Vec::new();
    for row in rows.during("list members")? {
        let person = PersonRow::from_row(&row).during("list members")?.read()?;
        let grant = grant(&row)?;
        match members.last_mut().filter(|last| last.person.id == person.id) {
            Some(last) => last.grants.push(grant),
            None => members.push(Member { person, grants: vec![grant] }),
        }
    }
    for member in &mut members {
        member.grants.sort_by_key(|grant| grant.role);
    }
    Ok(members)
}

pub(super) async fn put(
    pool: &PgPool,
    organization: &OrganizationId,
    person: PersonId,
    expected: &[Grant],
    grants: &[Grant],
) -> Result<()> {
    const VERB: &str = "set what a member holds";
    let mut transaction = transaction::begin(pool, VERB).await?;
    let work = async {
        lock(&mut transaction, organization).await?;
        let person_exists = sqlx::query("SELECT FROM freehold.people WHERE id = $1").bind(person.0);
        let found = person_exists.fetch_optional(&mut *transaction).await.during(VERB)?;
        found.ok_or_else(|| Error::not_found("person", person.0))?;
        let held = held(&mut transaction, organization, person).await?;
        check_unchanged(organization, &held, expected)?;
        replace(&mut transaction, organization, person, grants).await?;
        let orphaned = sqlx::query_scalar(ORPHANED).bind(organization.as_str());
        if orphaned.fetch_one(&mut *transaction).await.during(VERB)? {
            let message =
                format!("take the last owner from organization {organization}: make somebody else one first");
            return Err(Error::new(Kind::Conflict, message).into());
        }
        Ok(())
    };
    let work = work.await;
    transaction::end(transaction, work, VERB).await
}

/// Makes whoever else changes what is held in an organization wait.
///
/// # Errors
/// `NotFound`.
pub(super) async fn lock(connection: &mut PgConnection, organization: &OrganizationId) -> Result<()> {
    let locked: Option<String> = sqlx::query_scalar(LOCK)
        .bind(organization.as_str())
        .fetch_optional(&mut *connection)
        .await
        .during("lock an organization")?;
    locked.map(drop).ok_or_else(|| Error::not_found("organization", organization).into())
}

/// What a person holds in one organization.
pub(super) async fn held(
    connection: &mut PgConnection,
    organization: &OrganizationId,
    person: PersonId,
) -> Result<Vec<Grant>> {
    let rows = sqlx::query(HELD).bind(organization.as_str()).bind(person.0).fetch_all(connection).await;
    rows.during("read what a member holds")?.iter().map(grant).collect()
}

/// Sets what a person holds in an organization that is locked.
pub(super) async fn replace(
    connection: &mut PgConnection,
    organization: &OrganizationId,
    person: PersonId,
    grants: &[Grant],
) -> Result<()> {
    let remove = sqlx::query(REMOVE).bind(organization.as_str()).bind(person.0);
    remove.execute(&mut *connection).await.during("set what a member holds")?;
    add(connection, organization, person, grants).await
}

/// The projects that a grant is for, as they are kept: none is the whole organization.
pub(super) fn projects(grant: &Grant) -> Option<Vec<&str>> {
    match &grant.scope {
        Scope::Everywhere => None,
        Scope::Projects(projects) => Some(projects.iter().map(|project| project.as_str()).collect()),
    }
}

/// Adds what a person who holds nothing there yet is to hold.
pub(super) async fn add(
    connection: &mut PgConnection,
    organization: &OrganizationId,
    person: PersonId,
    grants: &[Grant],
) -> Result<()> {
    for grant in grants {
        sqlx::query(ADD)
            .bind(organization.as_str())
            .bind(person.0)
            .bind(grant.role.as_str())
            .bind(projects(grant))
            .execute(&mut *connection)
            .await
            .during("add what a member holds")?;
    }
    Ok(())
}

fn grant(row: &PgRow) -> Result<Grant> {
    let scope = match column::<Option<Vec<String>>>(row, "projects")? {
        None => Scope::Everywhere,
        Some(projects) => {
            let projects = projects.iter().map(|project| parse("project", project));
            Scope::Projects(projects.collect::<Result<_>>()?)
        }
    };
    Ok(Grant { role: parse("role", column(row, "role")?)?, scope })
}

fn column<'r, T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>>(
    row: &'r PgRow,
    name: &str,
) -> Result<T> {
    row.try_get(name).during("read what a member holds")
}
