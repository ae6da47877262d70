//! The routes that Studio calls, in words. `host-http/src/studio/absent.rs` answers those that end in "there is none".

use super::surface::{Said, said};

const AUDIT: &[&str] = &["iso_timestamp_start", "iso_timestamp_end", "before", "limit"];
const LIST: &[&str] = &["limit", "offset", "search", "sort", "statuses"];

pub(super) const SAID: &[Said] = &[
    // Signing in.
    said("POST /api/platform/signup", "Make an account with GoTrue").status(201).body(
        r#"{"email":"somebody@example.com","password":"a long password","redirectTo":"https://studio.example.com"}"#,
    ),
    said("POST /api/platform/reset-password", "Have GoTrue send a link for a new password")
        .body(r#"{"email":"somebody@example.com","redirectTo":"https://studio.example.com"}"#),
    said("GET /api/platform/telemetry/feature-flags", "Show Studio's flags: there is none"),
    said("POST /api/platform/telemetry/feature-flags/track", "Take what Studio tells of flags, and keep nothing")
        .status(201),
    said("POST /api/platform/telemetry/reset", "Forget what was never kept").status(201),
    // Who is calling.
    said("GET /api/platform/profile", "Show who is calling"),
    said("POST /api/platform/profile", "Make the caller a person here").status(201),
    said("PATCH /api/platform/profile", "Change what the caller is called").body(r#"{"first_name":"Ada"}"#),
    said("GET /api/platform/profile/permissions", "List what the caller may do"),
    said("GET /api/platform/profile/audit", "List what the caller did, newest first").query(AUDIT),
    said("POST /api/platform/profile/audit-login", "Note that the caller signed in").status(201),
    said("GET /api/platform/profile/access-tokens", "List the caller's access tokens"),
    said("POST /api/platform/profile/access-tokens", "Make an access token; it is shown once")
        .status(201)
        .body(r#"{"name":"cli"}"#),
    said("DELETE /api/platform/profile/access-tokens/{id}", "End an access token"),
    said("GET /api/platform/notifications", "List notifications: there is none"),
    said("PATCH /api/platform/notifications", "Mark notifications: there is none"),
    said("PATCH /api/platform/notifications/archive-all", "Put all notifications away: there is none"),
    said("GET /api/platform/notifications/summary", "Count notifications: there is none"),
    // Organizations.
    said("GET /api/platform/organizations", "List the organizations that the caller sees"),
    said("POST /api/platform/organizations", "Make an organization").status(201).body(r#"{"name":"Acme"}"#),
    said("GET /api/platform/organizations/{slug}", "Show an organization"),
    said("PATCH /api/platform/organizations/{slug}", "Rename an organization").body(r#"{"name":"Acme"}"#),
    said("GET /api/platform/organizations/{slug}/audit", "List what was done in an organization, newest first")
        .query(AUDIT),
    said("GET /api/platform/organizations/{slug}/members", "List an organization's members"),
    said("GET /api/platform/organizations/{slug}/roles", "List an organization's roles"),
    said("GET /api/platform/organizations/{slug}/projects", "List an organization's projects").query(LIST),
    said("GET /api/platform/organizations/{slug}/usage", "Show what was used: there is none"),
    said("GET /api/platform/organizations/{slug}/usage/daily", "Show what was used each day: there is none"),
    said("GET /api/platform/organizations/{slug}/billing/plans", "List plans: there is none"),
    said("GET /api/platform/organizations/{slug}/billing/invoices", "List invoices: there is none"),
    said("HEAD /api/platform/organizations/{slug}/billing/invoices", "Count invoices: there is none"),
    said("GET /api/platform/organizations/{slug}/payments", "List means of payment: there is none"),
    said("GET /api/platform/organizations/{slug}/oauth/apps", "List OAuth apps: there is none"),
    said("DELETE /api/platform/organizations/{slug}", "Remove an organization that has no project"),
    said("PATCH /api/platform/organizations/{slug}/members/{gotrue_id}", "Give a member one role more")
        .body(r#"{"role_id":3,"role_scoped_projects":["aaaaaaaaaaaaaaaaaaaa"]}"#),
    said("DELETE /api/platform/organizations/{slug}/members/{gotrue_id}", "Remove a member").status(204),
    said(
        "PUT /api/platform/organizations/{slug}/members/{gotrue_id}/roles/{role_id}",
        "Change the projects that a member's role is for",
    )
    .body(r#"{"role_scoped_projects":["aaaaaaaaaaaaaaaaaaaa"]}"#),
    said("DELETE /api/platform/organizations/{slug}/members/{gotrue_id}/roles/{role_id}", "Take a role from a member")
        .status(204),
    said("GET /api/platform/organizations/{slug}/members/mfa/enforcement", "Tell whether members need a second factor"),
    said("GET /api/platform/organizations/{slug}/members/invitations", "List invitations"),
    said("POST /api/platform/organizations/{slug}/members/invitations", "Invite somebody")
        .status(201)
        .body(r#"{"email":"somebody@example.com","role_id":3}"#),
    said("DELETE /api/platform/organizations/{slug}/members/invitations/{id}", "Withdraw an invitation").status(204),
    said("GET /api/platform/organizations/{slug}/members/invitations/{token}", "Show an invitation to whom it is for"),
    said("POST /api/platform/organizations/{slug}/members/invitations/{token}", "Accept an invitation").status(201),
    said(
        "GET /api/platform/organizations/{slug}/members/reached-free-project-limit",
        "List members who may have no more projects: there is none",
    ),
    said("POST /api/platform/organizations/{slug}/available-versions", "List versions to choose from: there is none")
        .status(201),
    said("GET /api/platform/organizations/{slug}/billing/subscription", "Show the subscription: there is none"),
    said("GET /api/platform/organizations/{slug}/entitlements", "List what an organization's plan allows"),
    said("GET /api/platform/stripe/invoices/overdue", "List invoices: there is none"),
    said("GET /api/platform/integrations", "List integrations: there is none"),
    said("GET /api/platform/integrations/{slug}", "List an organization's integrations: there is none"),
    said("GET /api/platform/integrations/github/connections", "List connections to GitHub: there is none"),
    said("POST /api/platform/feedback/downgrade", "Take what people say as they leave, and keep nothing").status(201),
    // Projects.
    said("GET /api/platform/projects", "List the projects that the caller sees").query(LIST),
    said("POST /api/platform/projects", "Make a project; it is answered while it comes up").status(201).body(
        r#"{"organization_slug":"acme","name":"demo","db_pass":"a long password","db_region":"East US (Ohio)"}"#,
    ),
    said("GET /api/platform/projects/available-regions", "List the targets that a project may be made on")
        .query(&["cloud_provider", "organization_slug", "desired_instance_size"]),
    said("GET /api/platform/projects-resource-warnings", "List projects short of something: there is none"),
    said("GET /api/platform/projects/{ref}", "Show a project"),
    said("PATCH /api/platform/projects/{ref}", "Rename a project").body(r#"{"name":"demo"}"#),
    said("DELETE /api/platform/projects/{ref}", "Destroy a project and its data"),
    said("GET /api/platform/projects/{ref}/status", "Show a project's status"),
    said("POST /api/platform/projects/{ref}/pause", "Pause a project: its data is kept").status(201),
    said("GET /api/platform/projects/{ref}/pause/status", "Tell whether a paused project can be resumed"),
    said("POST /api/platform/projects/{ref}/restore", "Resume a project, or try again one that never came up"),
    said("GET /api/platform/projects/{ref}/restore/versions", "List what to resume with: there is none"),
    said("POST /api/platform/projects/{ref}/restart", "Restart a project").status(201),
    said("POST /api/platform/projects/{ref}/restart-services", "Restart some of a project's services")
        .status(201)
        .body(r#"{"restartRequest":{"region":"local-dev","services":["postgresql"]}}"#),
    said("PATCH /api/platform/projects/{ref}/db-password", "Change the database's password")
        .body(r#"{"password":"a long password"}"#),
    said("GET /api/platform/projects/{ref}/settings", "Show how a project is reached, and its keys"),
    said("GET /api/platform/projects/{ref}/databases", "List a project's databases"),
    said("GET /api/platform/projects/{ref}/databases-statuses", "List how they are"),
    said("GET /api/platform/projects/{ref}/service-versions", "Show the versions of a project's services"),
    said("GET /api/platform/projects/{ref}/members", "List who may see a project"),
    said("GET /api/platform/projects/{ref}/load-balancers", "List load balancers: there is none"),
    said("GET /api/platform/projects/{ref}/run-lints", "List advice: there is none"),
    said("GET /api/platform/projects/{ref}/content", "List saved content: there is none"),
    said("GET /api/platform/projects/{ref}/content/count", "Count saved content: there is none"),
    said("GET /api/platform/projects/{ref}/content/folders", "List folders of content: there is none"),
    said("GET /api/platform/projects/{ref}/analytics/endpoints/usage.api-counts", "Count requests: there is none"),
    said(
        "GET /api/platform/projects/{ref}/analytics/endpoints/usage.api-requests-count",
        "Count requests as one number: there is none",
    ),
    said("GET /api/platform/projects/{ref}/analytics/endpoints/auth.metrics", "Show figures of signing in: there is none"),
    said("GET /api/platform/projects/{ref}/analytics/endpoints/logs.all", "Search logs: there is none"),
    said("POST /api/platform/projects/{ref}/analytics/endpoints/logs.all", "Search logs: there is none"),
    said("GET /api/platform/projects/{ref}/analytics/log-drains", "List log drains: there is none"),
    said("GET /api/platform/replication/{ref}/sources", "List sources of replication: there is none"),
    said("GET /api/platform/replication/{ref}/destinations", "List destinations of replication: there is none"),
    said("GET /api/platform/replication/{ref}/pipelines", "List pipelines of replication: there is none"),
    said("GET /api/platform/projects/{ref}/infra-monitoring", "Show the machine's figures: there is none"),
    said("GET /api/platform/projects/{ref}/billing/addons", "List what was bought: there is none"),
    said("GET /api/platform/database/{ref}/backups", "List backups: there is none"),
    said("GET /api/platform/database/{ref}/backups/downloadable-backups", "List backups to take away: there is none"),
    // Settings of services.
    said("GET /api/platform/auth/{ref}/config", "Show GoTrue's settings"),
    said("PATCH /api/platform/auth/{ref}/config", "Change GoTrue's settings").body(r#"{"DISABLE_SIGNUP":true}"#),
    said("PATCH /api/platform/auth/{ref}/config/hooks", "Change GoTrue's hooks").body("{}"),
    said("GET /api/platform/projects/{ref}/config/supavisor", "Show the pooler's settings"),
    said("PATCH /api/platform/projects/{ref}/config/supavisor", "Change the pooler's settings")
        .body(r#"{"default_pool_size":20}"#),
    said("GET /api/platform/projects/{ref}/config/pgbouncer", "Show the pooler's settings in PgBouncer's words"),
    said("PATCH /api/platform/projects/{ref}/config/pgbouncer", "Change them").body(r#"{"default_pool_size":20}"#),
    said("GET /api/platform/projects/{ref}/config/pgbouncer/status", "Tell whether the pooler runs"),
    said("GET /api/platform/projects/{ref}/config/postgrest", "Show PostgREST's settings"),
    said("PATCH /api/platform/projects/{ref}/config/postgrest", "Change PostgREST's settings")
        .body(r#"{"max_rows":1000}"#),
    said("GET /api/platform/projects/{ref}/config/realtime", "Show Realtime's settings"),
    said("PATCH /api/platform/projects/{ref}/config/realtime", "Leave Realtime's settings as they are").body("{}"),
    said("GET /api/platform/projects/{ref}/config/storage", "Show the storage service's settings"),
    said("PATCH /api/platform/projects/{ref}/config/storage", "Leave the storage service's settings as they are")
        .body(r#"{"fileSizeLimit":52428800}"#),
    // The project's own services.
    said("POST /api/platform/pg-meta/{ref}/query", "Run SQL on a project's database")
        .body(r#"{"query":"select 1","disable_statement_timeout":false}"#),
    said("GET /api/platform/pg-meta/{ref}/column-privileges", "List privileges on columns"),
    said("GET /api/platform/pg-meta/{ref}/extensions", "List extensions"),
    said("GET /api/platform/pg-meta/{ref}/foreign-tables", "List foreign tables"),
    said("GET /api/platform/pg-meta/{ref}/functions", "List functions"),
    said("GET /api/platform/pg-meta/{ref}/materialized-views", "List materialized views"),
    said("GET /api/platform/pg-meta/{ref}/policies", "List row-level policies"),
    said("GET /api/platform/pg-meta/{ref}/publications", "List publications"),
    said("GET /api/platform/pg-meta/{ref}/tables", "List tables").query(&["included_schemas", "limit", "offset"]),
    said("GET /api/platform/pg-meta/{ref}/triggers", "List triggers"),
    said("GET /api/platform/pg-meta/{ref}/types", "List types"),
    said("GET /api/platform/pg-meta/{ref}/views", "List views"),
    said("GET /api/platform/projects/{ref}/api/rest", "Show PostgREST's own description"),
    said("HEAD /api/platform/projects/{ref}/api/rest", "Tell whether PostgREST answers"),
    said("POST /api/platform/projects/{ref}/api-keys/temporary", "Lend a key for an hour at most")
        .status(201)
        .query(&["authorization_exp", "claims"]),
    said("POST /api/platform/auth/{ref}/users", "Make a user of the application")
        .body(r#"{"email":"user@example.com","password":"a long password","email_confirm":true}"#),
    said("PATCH /api/platform/auth/{ref}/users/{id}", "Change a user").body(r#"{"ban_duration":"24h"}"#),
    said("DELETE /api/platform/auth/{ref}/users/{id}", "Delete a user").query(&["soft_delete"]),
    said("DELETE /api/platform/auth/{ref}/users/{id}/factors", "Delete a user's other factors"),
    said("POST /api/platform/auth/{ref}/invite", "Invite a user").body(r#"{"email":"user@example.com"}"#),
    said("POST /api/platform/auth/{ref}/magiclink", "Send a user a link to sign in").body(r#"{"email":"user@example.com"}"#),
    said("POST /api/platform/auth/{ref}/otp", "Send a user a one-time password").body(r#"{"phone":"15550100"}"#),
    said("POST /api/platform/auth/{ref}/recover", "Send a user a link for a new password")
        .body(r#"{"email":"user@example.com"}"#),
    said("POST /api/platform/auth/{ref}/validate/spam", "Look for spam in a template: there is none")
        .body(r#"{"subject":"Confirm","content":"<a>Confirm</a>"}"#),
    said("GET /api/platform/storage/{ref}/buckets", "List buckets"),
    said("POST /api/platform/storage/{ref}/buckets", "Make a bucket").body(r#"{"id":"notes","public":false}"#),
    said("GET /api/platform/storage/{ref}/buckets/{id}", "Show a bucket"),
    said("PATCH /api/platform/storage/{ref}/buckets/{id}", "Change a bucket").body(r#"{"public":true}"#),
    said("DELETE /api/platform/storage/{ref}/buckets/{id}", "Delete a bucket"),
    said("POST /api/platform/storage/{ref}/buckets/{id}/empty", "Delete all that a bucket holds"),
    said("DELETE /api/platform/storage/{ref}/buckets/{id}/objects", "Delete objects").body(r#"{"paths":["a.txt"]}"#),
    said("POST /api/platform/storage/{ref}/buckets/{id}/objects/list", "List objects")
        .body(r#"{"path":"","options":{"limit":100}}"#),
    said("POST /api/platform/storage/{ref}/buckets/{id}/objects/move", "Move an object")
        .body(r#"{"from":"a.txt","to":"b.txt"}"#),
    said("POST /api/platform/storage/{ref}/buckets/{id}/objects/public-url", "Tell where an object is for everybody")
        .body(r#"{"path":"a.txt"}"#),
    said("POST /api/platform/storage/{ref}/buckets/{id}/objects/sign", "Make a link to an object")
        .body(r#"{"path":"a.txt","expiresIn":60}"#),
    said("POST /api/platform/storage/{ref}/buckets/{id}/objects/sign-multi", "Make links to objects")
        .body(r#"{"path":["a.txt"],"expiresIn":60}"#),
    said("GET /api/platform/storage/{ref}/credentials", "List S3 keys"),
    said("POST /api/platform/storage/{ref}/credentials", "Make an S3 key").body(r#"{"description":"mine"}"#),
];
