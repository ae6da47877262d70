//! The audit log: who did what to what, when, from where, and what came of it.

use std::{collections::BTreeMap, fmt::Debug, net::IpAddr, time::Duration};

use async_trait::async_trait;
use time::OffsetDateTime;

use super::PersonId;
use crate::{
    error::Result,
    names::{OrganizationId, Subject},
    project_ref::ProjectRef,
};

/// Who did it, and by what they were known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The person, where they are one here.
    pub person: Option<PersonId>,
    /// Who they are to the service that signs people in.
    pub subject: Option<Subject>,
    /// Their e-mail address at the time.
    pub email: Option<String>,
    /// By what they were known.
    pub credential: Credential,
}

/// By what somebody was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// A session of the service that signs people in.
    Session,
    /// An access token, by its number.
    Token(i64),
    /// The installation's own token.
    Superuser,
}

/// What is about to be done. None of it is a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewAuditEntry {
    /// Who does it.
    pub actor: Actor,
    /// What they do, as the host names it.
    pub action: String,
    /// In which organization, as far as that is known.
    pub organization: Option<OrganizationId>,
    /// To which project, as far as that is known.
    pub project: Option<ProjectRef>,
    /// To what else, by name.
    pub details: BTreeMap<String, String>,
    /// From where, if that is known.
    pub address: Option<IpAddr>,
    /// The request that asks for it.
    pub request_id: String,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conclusion {
    /// As the host counts outcomes: over HTTP it is the status.
    pub outcome: u16,
    /// The organization that was made, or is known only now.
    pub organization: Option<OrganizationId>,
    /// The project that was made.
    pub project: Option<ProjectRef>,
}

/// What is on record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number: later ones have higher ones.
    pub id: i64,
    /// When it began.
    pub at: OffsetDateTime,
    /// What it was.
    pub entry: NewAuditEntry,
    /// What came of it. `None` is not known: it goes on, or the host ended before it did.
    pub outcome: Option<u16>,
}

/// Whose entries are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whose {
    /// What was done in this organization.
    Organization(OrganizationId),
    /// What this person did.
    Subject(Subject),
}

/// Which entries are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditPage {
    /// Whose.
    pub whose: Whose,
    /// Not older than this.
    pub from: Option<OffsetDateTime>,
    /// Not newer than this.
    pub to: Option<OffsetDateTime>,
    /// Only with lower numbers: those after the last of a page.
    pub before: Option<i64>,
    /// How many at most: 1 to [`MAX`](Self::MAX).
    pub limit: u32,
}

impl AuditPage {
    /// How many entries a page has at most.
    pub const MAX: u32 = 1000;

    /// The newest entries.
    #[must_use]
    pub fn newest(whose: Whose) -> Self {
        Self { whose, from: None, to: None, before: None, limit: Self::MAX }
    }
}

/// Keeps the audit log.
///
/// # Guarantees
/// What was recorded is durable when that returns. An entry is concluded once; nothing else changes it.
///
/// # Errors
/// `Unavailable` if the store cannot be reached.
#[async_trait]
pub trait AuditLog: Debug + Send + Sync + 'static {
    /// Records what is about to be done, before it is, and gives the entry's number.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn record(&self, entry: &NewAuditEntry) -> Result<i64>;

    /// Adds what came of it, before whoever asked for it is answered. What was concluded already, or is not kept any
    /// more, stays as it is.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn conclude(&self, entry: i64, conclusion: &Conclusion) -> Result<()>;

    /// Entries, newest first.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn audit_log(&self, page: &AuditPage) -> Result<Vec<AuditEntry>>;

    /// Forgets what is older than it has to be kept.
    ///
    /// # Errors
    /// `Unavailable`.
    async fn expire_audit_log(&self, keep: Duration) -> Result<()>;
}
