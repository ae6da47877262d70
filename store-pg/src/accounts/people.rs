//! People.

use freehold_core::{
    Error, Subject,
    accounts::{Identity, Names, Person, PersonId},
};
use sqlx::{PgConnection, PgPool};
use time::OffsetDateTime;

use crate::{
    error::{During, Result},
    rows::parse,
    transaction,
};

/// A person's columns. The tail says whose.
macro_rules! select_people {
    ($tail:literal) => {
        select_people!("", $tail)
    };
    ($more:literal, $tail:literal) => {
        concat!(
            "SELECT ",
            $more,
            "p.id, p.subject, p.email, p.username, p.first_name, p.last_name, p.superuser, p.created_at \
             FROM freehold.people p ",
            $tail
        )
    };
}

pub(super) use select_people;

const OF_SUBJECT: &str = select_people!("WHERE p.subject = $1");
const OF_NUMBER: &str = select_people!("WHERE p.id = $1");
const ADD: &str = "INSERT INTO freehold.people (subject, email, username) VALUES ($1, $2, $3) \
    ON CONFLICT (subject) DO NOTHING RETURNING id";
const READDRESS: &str = "UPDATE freehold.people SET email = $2 WHERE subject = $1 AND email <> $2";
const RENAME: &str =
    "UPDATE freehold.people SET username = $2, first_name = $3, last_name = $4 WHERE id = $1 RETURNING id";
/// One binder at a time: which row becomes the superuser depends on which one was.
const LOCK: &str = "LOCK TABLE freehold.people IN SHARE ROW EXCLUSIVE MODE";
const INHERIT: &str = "UPDATE freehold.people SET subject = $1 WHERE superuser \
    AND NOT EXISTS (SELECT FROM freehold.people WHERE subject = $1)";
const DETHRONE: &str = "UPDATE freehold.people SET superuser = false WHERE superuser AND subject <> $1";
const ENTHRONE: &str = "UPDATE freehold.people SET superuser = true, email = $2 WHERE subject = $1";

#[derive(Debug, sqlx::FromRow)]
pub(super) struct PersonRow {
    id: i64,
    subject: String,
    email: String,
    username: String,
    first_name: Option<String>,
    last_name: Option<String>,
    superuser: bool,
    created_at: OffsetDateTime,
}

impl PersonRow {
    pub(super) fn read(self) -> Result<Person> {
        Ok(Person {
            id: PersonId(self.id),
            subject: parse("subject", &self.subject)?,
            email: self.email,
            names: Names { username: self.username, first: self.first_name, last: self.last_name },
            superuser: self.superuser,
            created_at: self.created_at,
        })
    }
}

pub(super) async fn of_subject(pool: &PgPool, subject: &Subject) -> Result<Option<Person>> {
    let row: Option<PersonRow> = sqlx::query_as(OF_SUBJECT)
        .bind(subject.as_str())
        .fetch_optional(pool)
        .await
        .during("read a person")?;
    row.map(PersonRow::read).transpose()
}

/// A person by their number.
///
/// # Errors
/// `NotFound`.
pub(super) async fn of_number(connection: &mut PgConnection, id: PersonId) -> Result<Person> {
    let row: Option<PersonRow> =
        sqlx::query_as(OF_NUMBER).bind(id.0).fetch_optional(connection).await.during("read a person")?;
    row.ok_or_else(|| Error::not_found("person", id.0))?.read()
}

pub(super) async fn enroll(pool: &PgPool, identity: &Identity) -> Result<(Person, bool)> {
    const VERB: &str = "enroll a person";
    let mut transaction = transaction::begin(pool, VERB).await?;
    let work = enroll_in(&mut transaction, identity).await;
    transaction::end(transaction, work, VERB).await
}

async fn enroll_in(connection: &mut PgConnection, identity: &Identity) -> Result<(Person, bool)> {
    const VERB: &str = "enroll a person";
    let (subject, email) = (identity.subject.as_str(), identity.email.as_str());
    let added: Option<i64> = sqlx::query_scalar(ADD)
        .bind(subject)
        .bind(email)
        .bind(identity.username())
        .fetch_optional(&mut *connection)
        .await
        .during(VERB)?;
    if added.is_none() {
        sqlx::query(READDRESS).bind(subject).bind(email).execute(&mut *connection).await.during(VERB)?;
    }
    let row: PersonRow = sqlx::query_as(OF_SUBJECT).bind(subject).fetch_one(connection).await.during(VERB)?;
    Ok((row.read()?, added.is_some()))
}

pub(super) async fn rename(pool: &PgPool, id: PersonId, names: &Names) -> Result<Person> {
    const VERB: &str = "rename a person";
    let renamed: Option<i64> = sqlx::query_scalar(RENAME)
        .bind(id.0)
        .bind(&names.username)
        .bind(&names.first)
        .bind(&names.last)
        .fetch_optional(pool)
        .await
        .during(VERB)?;
    renamed.ok_or_else(|| Error::not_found("person", id.0))?;
    let row: PersonRow = sqlx::query_as(OF_NUMBER).bind(id.0).fetch_one(pool).await.during(VERB)?;
    row.read()
}

pub(super) async fn bind_superuser(pool: &PgPool, identity: &Identity) -> Result<Person> {
    const VERB: &str = "bind the superuser";
    let mut transaction = transaction::begin(pool, VERB).await?;
    let work = async {
        let (subject, email) = (identity.subject.as_str(), identity.email.as_str());
        sqlx::query(LOCK).execute(&mut *transaction).await.during(VERB)?;
        sqlx::query(INHERIT).bind(subject).execute(&mut *transaction).await.during(VERB)?;
        enroll_in(&mut transaction, identity).await?;
        sqlx::query(DETHRONE).bind(subject).execute(&mut *transaction).await.during(VERB)?;
        sqlx::query(ENTHRONE).bind(subject).bind(email).execute(&mut *transaction).await.during(VERB)?;
        let row: PersonRow =
            sqlx::query_as(OF_SUBJECT).bind(subject).fetch_one(&mut *transaction).await.during(VERB)?;
        row.read()
    };
    let work = work.await;
    transaction::end(transaction, work, VERB).await
}
