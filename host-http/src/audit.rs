//! The audit log: every command and every change is recorded before it is made, and what came of it before it is answered.

use std::{sync::Arc, time::Duration};

use freehold_core::{
    OrganizationId, ProjectRef, Result,
    accounts::{AccountStore, Conclusion, NewAuditEntry},
};
use tokio_util::sync::CancellationToken;
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use crate::{
    api::Api,
    auth::Accounts,
    call::Call,
    error,
    route::Route,
    rule::{At, Rule},
};

/// How long entries are kept unless the operator says otherwise.
pub(crate) const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);
/// How often what is too old is looked for.
const LOOK: Duration = Duration::from_secs(3600);

/// Parameters of paths that are neither secrets nor said otherwise.
const SAID: [&str; 5] = ["gotrue_id", "role_id", "id", "key", "target"];

/// What is no change though its method is that of one: what only reads, what nothing is kept of, and SQL, of which the
/// database has its own record.
const NO_CHANGES: [&str; 16] = [
    "/pg-meta/{ref}/query",
    "/database/query",
    "/database/query/read-only",
    "/endpoints/logs.all",
    "/objects/list",
    "/objects/public-url",
    "/objects/sign",
    "/objects/sign-multi",
    "/organizations/{slug}/available-versions",
    "/auth/{ref}/validate/spam",
    "/feedback/downgrade",
    "/platform/notifications",
    "/platform/notifications/archive-all",
    "/network-bans/retrieve",
    "/network-bans/retrieve/enriched",
    "/projects/{ref}/upgrade",
];

/// Whether a route is one of commands and changes. What needs no credential is nobody's, and GoTrue's to record.
pub(crate) fn concerns(route: &Route) -> bool {
    let reads = route.method == Method::GET || route.method == Method::HEAD;
    !reads && route.rule.needs_credential() && !NO_CHANGES.iter().any(|end| route.path.ends_with(end))
}

/// An entry whose outcome is not known yet.
pub(crate) struct Recorded {
    api: Api,
    entry: i64,
}

/// What a change made, where its path could not name it.
#[derive(Clone, Debug)]
struct Made {
    organization: Option<OrganizationId>,
    project: Option<ProjectRef>,
}

/// Says on the reply which project was made.
pub(crate) fn made_project(mut response: Response, project: ProjectRef) -> Response {
    response.extensions_mut().insert(Made { organization: None, project: Some(project) });
    response
}

/// Says on the reply in which organization something was made.
pub(crate) fn made_in(mut response: Response, organization: OrganizationId) -> Response {
    response.extensions_mut().insert(Made { organization: Some(organization), project: None });
    response
}

/// Records what a call of a route that it [`concerns`] is about to do, or may not do by its role. Where that cannot be
/// recorded, nothing is done.
///
/// # Errors
/// `Unavailable`.
pub(crate) async fn begin(route: &Route, call: &Call) -> Result<Option<Recorded>> {
    let api = call.api();
    let (Some(accounts), Some(actor)) = (api.auth().accounts(), call.actor()) else { return Ok(None) };
    let project = call.kept();
    let organization = project.map(|project| project.organization.clone());
    let entry = NewAuditEntry {
        actor,
        action: format!("{} {}", route.method, route.path),
        organization: organization.or_else(|| checked_organization(route, call)),
        project: project.map(|project| project.reference),
        details: call
            .parameters()
            .filter(|(name, _)| SAID.contains(name))
            .map(|(name, value)| (name.to_owned(), value.chars().take(200).collect()))
            .collect(),
        address: call.address(),
        request_id: call.request_id().to_owned(),
    };
    let entry = accounts.store().record(&entry).await?;
    Ok(Some(Recorded { api: api.clone(), entry }))
}

/// The organization that the rule looked at: a name that was not is anybody's word.
fn checked_organization(route: &Route, call: &Call) -> Option<OrganizationId> {
    match route.rule {
        Rule::Member | Rule::May(_, _, At::Organization) => call.parameter("slug").parse().ok(),
        _ => call.kept_organization().cloned(),
    }
}

impl Recorded {
    /// Adds what came of it.
    pub(crate) fn conclude(self, worked: &Result<Response>) -> impl Future<Output = ()> + Send + use<> {
        let made = worked.as_ref().ok().and_then(|response| response.extensions().get::<Made>().cloned());
        let status = worked.as_ref().map_or_else(error::status, Response::status);
        self.end(status, made)
    }

    /// Adds that the caller's role does not allow it.
    pub(crate) async fn refused(self) {
        self.end(StatusCode::FORBIDDEN, None).await;
    }

    async fn end(self, status: StatusCode, made: Option<Made>) {
        let (organization, project) = made.map_or((None, None), |made| (made.organization, made.project));
        let conclusion = Conclusion { outcome: status.as_u16(), organization, project };
        let Some(accounts) = self.api.auth().accounts().map(Accounts::store) else { return };
        if let Err(error) = accounts.conclude(self.entry, &conclusion).await {
            // What was done is done and on record: only what came of it is not.
            tracing::error!(error = %error.chain(), entry = self.entry, "cannot conclude an entry of the audit log");
        }
    }
}

/// Forgets now and then what is older than the audit log is kept, in the background, until `shutdown` is cancelled.
pub fn keep_audit_log(store: Arc<dyn AccountStore>, kept: Duration, shutdown: CancellationToken) {
    tokio::spawn(async move {
        let mut looks = tokio::time::interval(LOOK);
        while shutdown.run_until_cancelled(looks.tick()).await.is_some() {
            if let Err(error) = store.expire_audit_log(kept).await {
                tracing::warn!(error = %error.chain(), "cannot forget what is too old in the audit log");
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_command_and_each_change_is_recorded_and_what_is_not_is_listed_here() {
        let reads = |route: &Route| route.method == Method::GET || route.method == Method::HEAD;
        let others: Vec<_> = crate::routes::all().filter(|route| !reads(route) && !concerns(route)).collect();
        let open = others.iter().filter(|route| !route.rule.needs_credential()).count();
        // Signing up, a new password, and two about Studio's flags.
        assert_eq!(open, 4);
        for end in NO_CHANGES {
            assert!(others.iter().any(|route| route.path.ends_with(end)), "{end} is no route");
        }
        for route in others.iter().filter(|route| route.rule.needs_credential()) {
            let of_notifications = route.path.starts_with("/api/platform/notifications");
            let method = if of_notifications { Method::PATCH } else { Method::POST };
            assert_eq!(route.method, method, "{}", route.path);
        }
        for path in
            ["/pause", "/members/{gotrue_id}", "/access-tokens", "/defaults", "/config/auth", "/{ref}"]
        {
            let found = crate::routes::all().any(|route| route.path.ends_with(path) && concerns(&route));
            assert!(found, "{path}");
        }
    }

    #[test]
    fn no_token_in_a_path_is_recorded() {
        let tokens = |path: &str| path.contains("{token}");
        assert!(crate::routes::all().any(|route| tokens(route.path) && concerns(&route)));
        assert!(!SAID.contains(&"token"));
    }
}
