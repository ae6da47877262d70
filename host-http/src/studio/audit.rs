//! The audit log of an organization, and everybody's own.

use freehold_core::{
    Error, Result,
    accounts::{Action, AuditEntry, AuditPage, Credential, Resource, Whose},
};
use serde::Deserialize;
use serde_json::{Value, json as object};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::{moment, organizations::named};
use crate::{
    auth::Accounts,
    call::Call,
    error::json,
    openapi,
    route::Route,
    rule::{At, Rule},
};

pub(crate) const ROUTES: &[Route] = &[
    Route::new(
        Method::GET,
        "/api/platform/organizations/{slug}/audit",
        Rule::May(Action::Read, Resource::AuditLog, At::Organization),
        |call| Box::pin(of_organization(call)),
    ),
    Route::new(Method::GET, "/api/platform/profile/audit", Rule::Known, |call| Box::pin(of_caller(call))),
];

/// What Studio asks for, and a page for programs.
#[derive(Deserialize)]
struct Query {
    iso_timestamp_start: Option<String>,
    iso_timestamp_end: Option<String>,
    before: Option<i64>,
    limit: Option<u32>,
}

impl Query {
    fn page(self, whose: Whose) -> Result<AuditPage> {
        let moment = |name: &str, text: Option<String>| {
            let parse = |text: String| OffsetDateTime::parse(&text, &Rfc3339);
            text.map(parse).transpose().map_err(|_| Error::invalid(name, "is no moment as RFC 3339 has it"))
        };
        Ok(AuditPage {
            whose,
            from: moment("iso_timestamp_start", self.iso_timestamp_start)?,
            to: moment("iso_timestamp_end", self.iso_timestamp_end)?,
            before: self.before,
            limit: self.limit.unwrap_or(AuditPage::MAX),
        })
    }
}

async fn of_organization(call: Call) -> Result<Response> {
    let organization = named(&call).await?;
    list(&call, Some(Whose::Organization(organization.id))).await
}

/// What the caller did. A mere token did nothing as a person.
async fn of_caller(call: Call) -> Result<Response> {
    let subject = call.actor().and_then(|actor| actor.subject);
    list(&call, subject.map(Whose::Subject)).await
}

async fn list(call: &Call, whose: Option<Whose>) -> Result<Response> {
    let (accounts, query) = (call.accounts()?, call.query::<Query>()?);
    let entries = match whose {
        Some(whose) => accounts.audit_log(&query.page(whose)?).await?,
        None => Vec::new(),
    };
    let shown = object!({
        "result": entries.into_iter().map(shown).collect::<Vec<_>>(),
        "retention_period": days(call),
    });
    Ok(json(StatusCode::OK, &shown))
}

/// For how many days the log is kept.
pub(super) fn days(call: &Call) -> u64 {
    call.api().auth().accounts().map_or(0, Accounts::audit_days)
}

/// An entry as Studio reads it: one of April 2026 by `occurred_at`, lists of `metadata` and `target`, later ones by
/// `timestamp` and what stands beside it.
fn shown(AuditEntry { id, at, entry, outcome }: AuditEntry) -> Value {
    let (method, route) = entry.action.split_once(' ').unwrap_or(("", entry.action.as_str()));
    let actor = &entry.actor;
    let credential = match actor.credential {
        Credential::Session => "session".to_owned(),
        Credential::Token(token) => format!("access token {token}"),
        Credential::Superuser => "superuser".to_owned(),
    };
    let subject = actor.subject.as_ref().map(|subject| subject.as_str());
    let target = match (&entry.project, &entry.organization) {
        (Some(project), _) => format!("project {project}"),
        (None, Some(organization)) => format!("organization {organization}"),
        (None, None) => "account".to_owned(),
    };
    let mut metadata = object!(entry.details);
    metadata["org_slug"] = object!(entry.organization);
    metadata["project_ref"] = object!(entry.project);
    let mut done = object!({ "method": method, "route": route });
    let mut action = object!({
        "name": openapi::words(method, route).unwrap_or(&entry.action),
        "method": method,
        "route": route,
    });
    // What is not known is not there: Studio shows whatever is.
    if let Some(status) = outcome {
        done["status"] = object!(status);
        action["status"] = object!(status);
    }
    action["metadata"] = object!([done]);
    object!({
        "id": id,
        "request_id": entry.request_id,
        "occurred_at": moment(at),
        "timestamp": i64::try_from(at.unix_timestamp_nanos() / 1000).unwrap_or_default(),
        "organization_slug": entry.organization,
        "project_ref": entry.project,
        "action": action,
        "actor": {
            "id": subject.unwrap_or(&credential),
            "type": if subject.is_some() { "user" } else { "superuser" },
            "metadata": [{ "email": actor.email, "ip": entry.address, "token_type": credential }],
            "user_id": subject,
            "email": actor.email,
            "ip": entry.address,
            "token_type": credential,
        },
        "target": { "description": target, "metadata": metadata },
    })
}
