//! The audit log.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use freehold_core::{
    Result as Outcome,
    accounts::{
        Actor, AuditEntry, AuditLog, AuditPage, Conclusion, Credential, NewAuditEntry, PersonId, Whose,
    },
};
use sqlx::{PgPool, types::Json};
use time::OffsetDateTime;

use crate::{
    allocate::interval,
    error::{During, Failure, Result},
    rows::parse,
    store::PgStore,
};

const RECORD: &str = "INSERT INTO freehold.audit_log \
    (person, subject, email, credential, token, action, organization, project, details, address, request_id) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) RETURNING id";
const CONCLUDE: &str = "UPDATE freehold.audit_log SET outcome = $2, \
    organization = coalesce(organization, $3), project = coalesce(project, $4) WHERE id = $1 AND outcome IS NULL";
/// The oldest first. The moment is one for the statement, as an index wants it.
const EXPIRE: &str = "DELETE FROM freehold.audit_log WHERE id IN \
    (SELECT id FROM freehold.audit_log WHERE at < statement_timestamp() - $1 ORDER BY at LIMIT $2)";

/// How many entries are forgotten at once: a statement may take only so long, and one that takes longer forgets none.
const BATCH: u32 = 10_000;

/// A page of those whose column is what is asked for.
macro_rules! page_by {
    ($column:literal) => {
        concat!(
            "SELECT id, at, person, subject, email, credential, token, action, organization, project, details, \
             address, request_id, outcome FROM freehold.audit_log WHERE ",
            $column,
            " = $1 AND id < coalesce($2, 9223372036854775807) \
             AND at BETWEEN coalesce($3, '-infinity') AND coalesce($4, 'infinity') ORDER BY id DESC LIMIT $5"
        )
    };
}

const OF_ORGANIZATION: &str = page_by!("organization");
const OF_SUBJECT: &str = page_by!("subject");

#[derive(Debug, sqlx::FromRow)]
struct Row {
    id: i64,
    at: OffsetDateTime,
    person: Option<i64>,
    subject: Option<String>,
    email: Option<String>,
    credential: String,
    token: Option<i64>,
    action: String,
    organization: Option<String>,
    project: Option<String>,
    details: Json<BTreeMap<String, String>>,
    address: Option<String>,
    request_id: String,
    outcome: Option<i32>,
}

impl Row {
    fn read(self) -> Result<AuditEntry> {
        let credential = match (self.token, self.credential.as_str()) {
            (Some(token), _) => Credential::Token(token),
            (None, "session") => Credential::Session,
            (None, _) => Credential::Superuser,
        };
        let actor = Actor {
            person: self.person.map(PersonId),
            subject: self.subject.map(|subject| parse("subject", &subject)).transpose()?,
            email: self.email,
            credential,
        };
        let entry = NewAuditEntry {
            actor,
            action: self.action,
            organization: self.organization.map(|id| parse("organization", &id)).transpose()?,
            project: self.project.map(|reference| parse("project", &reference)).transpose()?,
            details: self.details.0,
            address: self.address.and_then(|address| address.parse().ok()),
            request_id: self.request_id,
        };
        let outcome = self.outcome.and_then(|outcome| u16::try_from(outcome).ok());
        Ok(AuditEntry { id: self.id, at: self.at, entry, outcome })
    }
}

#[async_trait]
impl AuditLog for PgStore {
    async fn record(&self, entry: &NewAuditEntry) -> Outcome<i64> {
        Ok(record(self.pool(), entry).await?)
    }

    async fn conclude(&self, entry: i64, conclusion: &Conclusion) -> Outcome<()> {
        let conclude = sqlx::query(CONCLUDE)
            .bind(entry)
            .bind(i32::from(conclusion.outcome))
            .bind(conclusion.organization.as_ref().map(|id| id.as_str()))
            .bind(conclusion.project.as_ref().map(|project| project.as_str()));
        conclude.execute(self.pool()).await.during("conclude an entry of the audit log")?;
        Ok(())
    }

    async fn audit_log(&self, page: &AuditPage) -> Outcome<Vec<AuditEntry>> {
        let (statement, whose) = match &page.whose {
            Whose::Organization(organization) => (OF_ORGANIZATION, organization.as_str()),
            Whose::Subject(subject) => (OF_SUBJECT, subject.as_str()),
        };
        let rows = sqlx::query_as(statement)
            .bind(whose)
            .bind(page.before)
            .bind(page.from)
            .bind(page.to)
            .bind(i64::from(page.limit.clamp(1, AuditPage::MAX)));
        let rows: Vec<Row> = rows.fetch_all(self.pool()).await.during("read the audit log")?;
        Ok(rows.into_iter().map(Row::read).collect::<Result<_>>()?)
    }

    async fn expire_audit_log(&self, keep: Duration) -> Outcome<()> {
        let keep = interval(keep)?;
        loop {
            let expire = sqlx::query(EXPIRE).bind(keep).bind(i64::from(BATCH));
            let expired =
                expire.execute(self.pool()).await.during("forget what is too old in the audit log")?;
            if expired.rows_affected() < u64::from(BATCH) {
                return Ok(());
            }
        }
    }
}

async fn record(pool: &PgPool, entry: &NewAuditEntry) -> Result<i64, Failure> {
    let (credential, token) = match entry.actor.credential {
        Credential::Session => ("session", None),
        Credential::Token(token) => ("token", Some(token)),
        Credential::Superuser => ("superuser", None),
    };
    sqlx::query_scalar(RECORD)
        .bind(entry.actor.person.map(|person| person.0))
        .bind(entry.actor.subject.as_ref().map(|subject| subject.as_str()))
        .bind(&entry.actor.email)
        .bind(credential)
        .bind(token)
        .bind(&entry.action)
        .bind(entry.organization.as_ref().map(|id| id.as_str()))
        .bind(entry.project.as_ref().map(|project| project.as_str()))
        .bind(Json(&entry.details))
        .bind(entry.address.map(|address| address.to_string()))
        .bind(&entry.request_id)
        .fetch_one(pool)
        .await
        .during("record what is about to be done")
}
