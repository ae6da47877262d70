//! What Freehold does not have: billing, invoices, usage, branches, read replicas, backups, notifications, integrations,
//! analytics, advice, saved content. Each answers with the emptiest reply that Studio takes for valid, so that its pages
//! stand; none of them says anything of a project.

use freehold_core::{
    Result,
    accounts::{Action, Resource},
};
use serde_json::{Value, json as object};
use warp::{
    http::{HeaderValue, Method, StatusCode},
    reply::Response,
};

use super::{audit, empty, organizations, view::View};
use crate::{
    call::Call,
    error::json,
    route::Route,
    rule::{At, Rule},
};

const SEEN: Rule = Rule::May(Action::Read, Resource::Project, At::Project);

/// A route that always answers the same.
macro_rules! always {
    ($method:ident $path:literal, $rule:expr, $status:ident, $($json:tt)+) => {
        Route::new(Method::$method, $path, $rule, |_| {
            Box::pin(async { Ok(json(StatusCode::$status, &object!($($json)+))) })
        })
    };
}

/// The same about a project that is shown.
macro_rules! of_project {
    ($method:ident $path:literal, $status:ident, $($json:tt)+) => {
        Route::new(Method::$method, $path, SEEN, |call| {
            Box::pin(async move {
                View::named(&call).await?;
                Ok(json(StatusCode::$status, &object!($($json)+)))
            })
        })
    };
}

pub(crate) const ROUTES: &[Route] = &[
    // Asked before anybody signs in, and must be JSON: without it Studio's pages never load.
    always!(GET "/api/platform/telemetry/feature-flags", Rule::Anyone, OK, {}),
    always!(POST "/api/platform/telemetry/feature-flags/track", Rule::Anyone, CREATED, {}),
    always!(POST "/api/platform/telemetry/reset", Rule::Anyone, CREATED, {}),
    always!(GET "/api/platform/notifications", Rule::Known, OK, []),
    always!(PATCH "/api/platform/notifications", Rule::Known, OK, []),
    always!(PATCH "/api/platform/notifications/archive-all", Rule::Known, OK, []),
    always!(GET "/api/platform/notifications/summary", Rule::Known, OK,
        { "has_critical": false, "has_warning": false, "unread_count": 0 }),
    always!(GET "/api/platform/stripe/invoices/overdue", Rule::Known, OK, []),
    always!(GET "/api/platform/projects-resource-warnings", Rule::Known, OK, []),
    always!(GET "/api/platform/integrations", Rule::Known, OK, []),
    always!(GET "/api/platform/integrations/{slug}", Rule::Member, OK, []),
    always!(GET "/api/platform/integrations/github/connections", Rule::Known, OK, { "connections": [] }),
    always!(GET "/api/platform/organizations/{slug}/usage", Rule::Member, OK,
        { "usage_billing_enabled": false, "usages": [] }),
    always!(GET "/api/platform/organizations/{slug}/usage/daily", Rule::Member, OK, { "usages": [] }),
    always!(GET "/api/platform/organizations/{slug}/billing/plans", Rule::Member, OK, { "plans": [] }),
    always!(GET "/api/platform/organizations/{slug}/payments", Rule::Member, OK,
        { "data": [], "defaultPaymentMethodId": null }),
    Route::new(Method::GET, INVOICES, Rule::Member, |_| {
        Box::pin(async { Ok(counted(json(StatusCode::OK, &object!([])))) })
    }),
    Route::new(Method::HEAD, INVOICES, Rule::Member, |_| {
        Box::pin(async { Ok(counted(empty(StatusCode::OK))) })
    }),
    always!(GET "/api/platform/organizations/{slug}/oauth/apps", Rule::Member, OK, []),
    always!(GET "/api/platform/organizations/{slug}/members/mfa/enforcement", Rule::Member, OK, { "enforced": false }),
    always!(GET "/api/platform/organizations/{slug}/members/reached-free-project-limit", Rule::Member, OK, []),
    always!(POST "/api/platform/organizations/{slug}/available-versions", Rule::Member, CREATED,
        { "available_versions": [] }),
    Route::new(
        Method::GET,
        "/api/platform/organizations/{slug}/billing/subscription",
        Rule::Member,
        |call| Box::pin(subscription(call)),
    ),
    Route::new(Method::GET, "/api/platform/organizations/{slug}/entitlements", Rule::Member, |call| {
        Box::pin(entitlements(call))
    }),
    Route::new(Method::POST, "/api/platform/feedback/downgrade", Rule::Known, |_| {
        Box::pin(async { Ok(empty(StatusCode::CREATED)) })
    }),
    of_project!(POST "/api/platform/auth/{ref}/validate/spam", OK, { "rules": [] }),
    of_project!(GET "/api/platform/projects/{ref}/load-balancers", OK, []),
    of_project!(GET "/api/platform/projects/{ref}/run-lints", OK, []),
    of_project!(GET "/api/platform/projects/{ref}/restore/versions", OK, { "available_versions": [] }),
    of_project!(GET "/api/platform/projects/{ref}/content", OK, { "data": [] }),
    of_project!(GET "/api/platform/projects/{ref}/content/count", OK, { "private": 0, "shared": 0, "favorites": 0 }),
    of_project!(GET "/api/platform/projects/{ref}/content/folders", OK,
        { "data": { "folders": [], "contents": [] } }),
    of_project!(GET "/api/platform/projects/{ref}/analytics/endpoints/usage.api-counts", OK, { "result": [] }),
    of_project!(GET "/api/platform/projects/{ref}/analytics/endpoints/usage.api-requests-count", OK,
        { "result": [] }),
    of_project!(GET "/api/platform/projects/{ref}/analytics/endpoints/auth.metrics", OK, { "result": [] }),
    of_project!(GET "/api/platform/projects/{ref}/analytics/endpoints/logs.all", OK, { "result": [] }),
    of_project!(POST "/api/platform/projects/{ref}/analytics/endpoints/logs.all", OK, { "result": [] }),
    of_project!(GET "/api/platform/projects/{ref}/analytics/log-drains", OK, []),
    of_project!(GET "/api/platform/replication/{ref}/sources", OK, { "sources": [] }),
    of_project!(GET "/api/platform/replication/{ref}/destinations", OK, { "destinations": [] }),
    of_project!(GET "/api/platform/replication/{ref}/pipelines", OK, { "pipelines": [] }),
    of_project!(GET "/api/platform/projects/{ref}/infra-monitoring", OK,
        { "data": [], "yAxisLimit": 0, "format": "%", "total": 0 }),
    Route::new(Method::GET, "/api/platform/projects/{ref}/billing/addons", SEEN, |call| {
        Box::pin(addons(call))
    }),
    Route::new(Method::GET, "/api/platform/database/{ref}/backups", SEEN, |call| Box::pin(backups(call))),
    of_project!(GET "/api/platform/database/{ref}/backups/downloadable-backups", OK,
        { "backups": [], "status": "ok" }),
];

const INVOICES: &str = "/api/platform/organizations/{slug}/billing/invoices";

/// A list of which Studio reads the length in a header.
fn counted(mut none: Response) -> Response {
    none.headers_mut().insert("x-total-count", HeaderValue::from(0));
    none
}

/// What Freehold can do that Studio asks leave for, and offers only then: pausing, and roles for some projects alone.
const ENTITLED: [&str; 2] = ["project_pausing", "project_scoped_roles"];
/// For how many days the audit log is shown: without it Studio shows none.
const AUDIT: &str = "security.audit_logs_days";

async fn entitlements(call: Call) -> Result<Response> {
    organizations::named(&call).await?;
    let entitlement = |key: &str| {
        object!({
            "feature": { "key": key, "type": "boolean" },
            "hasAccess": true,
            "type": "boolean",
            "config": { "enabled": true },
        })
    };
    let mut entitlements: Vec<Value> = ENTITLED.into_iter().map(entitlement).collect();
    entitlements.push(object!({
        "feature": { "key": AUDIT, "type": "numeric" },
        "hasAccess": true,
        "type": "numeric",
        "config": { "enabled": true, "unit": "days", "unlimited": false, "value": audit::days(&call) },
    }));
    Ok(json(StatusCode::OK, &object!({ "entitlements": entitlements })))
}

async fn subscription(call: Call) -> Result<Response> {
    organizations::named(&call).await?;
    let shown = object!({
        "plan": { "id": "enterprise", "name": "Enterprise" },
        "addons": [],
        "project_addons": [],
        "billing_cycle_anchor": 0,
        "current_period_start": 0,
        "current_period_end": 0,
        "next_invoice_at": 0,
        "usage_billing_enabled": false,
        "billing_via_partner": false,
        "billing_partner": null,
        "payment_method_type": "none",
        "scheduled_plan_change": null,
        "customer_balance": 0,
    });
    Ok(json(StatusCode::OK, &shown))
}

async fn addons(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let shown = object!({ "ref": view.project.reference, "selected_addons": [], "available_addons": [] });
    Ok(json(StatusCode::OK, &shown))
}

async fn backups(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let shown = object!({
        "backups": [],
        "physicalBackupData": {},
        "pitr_enabled": false,
        "region": view.region(),
        "walg_enabled": false,
    });
    Ok(json(StatusCode::OK, &shown))
}
