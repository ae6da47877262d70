//! The Management API's routes in words.

use super::surface::{Said, said};

/// Each under `/v1`; under `/api/v1` they are the same.
pub(super) const SAID: &[Said] = &[
    said("GET /v1/organizations", "List the organizations that the caller sees"),
    said("POST /v1/organizations", "Make an organization").status(201).body(r#"{"name":"Acme"}"#),
    said("GET /v1/organizations/{slug}", "Show an organization"),
    said("GET /v1/organizations/{slug}/members", "List an organization's members"),
    said("GET /v1/organizations/{slug}/projects", "List an organization's projects")
        .query(&["limit", "offset", "search", "sort", "statuses"]),
    said("GET /v1/projects", "List the projects that the caller sees"),
    said("POST /v1/projects", "Make a project; it is answered while it comes up").status(201).body(
        r#"{"organization_slug":"acme","name":"demo","db_pass":"a long password","region":"eu-west-1"}"#,
    ),
    said("GET /v1/projects/{ref}", "Show a project"),
    said("PATCH /v1/projects/{ref}", "Rename a project").body(r#"{"name":"demo"}"#),
    said("DELETE /v1/projects/{ref}", "Destroy a project and its data"),
    said("POST /v1/projects/{ref}/pause", "Pause a project: its data is kept"),
    said("GET /v1/projects/{ref}/restore", "List what a project can be resumed with: nothing to choose from"),
    said("POST /v1/projects/{ref}/restore", "Resume a project, or try again one that never came up"),
    said("GET /v1/projects/{ref}/health", "Show how a project's services are").query(&["services"]),
    said("GET /v1/projects/{ref}/branches", "List a project's branches: there are none"),
    said("POST /v1/projects/{ref}/branches", "Not there: branches").body(r#"{"branch_name":"develop"}"#),
    said("DELETE /v1/projects/{ref}/branches", "Not there: branches"),
    said("GET /v1/projects/{ref}/upgrade/status", "Show how an upgrade goes: there is none"),
    said("GET /v1/projects/{ref}/upgrade/eligibility", "Tell whether a project can be upgraded: it cannot"),
    said("POST /v1/projects/{ref}/upgrade", "Not there: upgrades"),
    said("GET /v1/projects/{ref}/api-keys", "List a project's API keys").query(&["reveal"]),
    said(
        "POST /v1/projects/{ref}/api-keys",
        "Make an API key, where the project's gateway has a place for one",
    )
    .status(201)
    .query(&["reveal"])
    .body(r#"{"type":"secret","name":"mine","description":"for the importer"}"#),
    said("GET /v1/projects/{ref}/api-keys/legacy", "Tell whether a project has legacy API keys"),
    said("PUT /v1/projects/{ref}/api-keys/legacy", "Leave the legacy API keys as they are")
        .query(&["enabled"]),
    said("GET /v1/projects/{ref}/api-keys/{key}", "Show an API key").query(&["reveal"]),
    said("PATCH /v1/projects/{ref}/api-keys/{key}", "Change what is told of an API key")
        .query(&["reveal"])
        .body(r#"{"name":"mine","description":"for the importer"}"#),
    said("DELETE /v1/projects/{ref}/api-keys/{key}", "Delete an API key: the gateway knows it no longer")
        .query(&["reveal"]),
    said("POST /v1/projects/{ref}/database/query", "Run SQL on a project's database")
        .status(201)
        .body(r#"{"query":"select 1","parameters":[],"read_only":true}"#),
    said("POST /v1/projects/{ref}/database/query/read-only", "Run SQL that can only read")
        .status(201)
        .body(r#"{"query":"select 1","parameters":[]}"#),
    said(
        "GET /v1/projects/{ref}/database/migrations",
        "List the migrations that a project's database records",
    ),
    said("POST /v1/projects/{ref}/database/migrations", "Run a migration and record it")
        .body(r#"{"name":"notes","query":"create table notes ()"}"#),
    said("PUT /v1/projects/{ref}/database/migrations", "Record a migration that was run already")
        .body(r#"{"name":"notes","query":"create table notes ()"}"#),
    said("PATCH /v1/projects/{ref}/database/password", "Change the database's password")
        .body(r#"{"password":"a long password"}"#),
    said("GET /v1/projects/{ref}/types/typescript", "Make TypeScript types of a project's schemas")
        .query(&["included_schemas"]),
    said("GET /v1/projects/{ref}/postgrest", "Show PostgREST's settings"),
    said("PATCH /v1/projects/{ref}/postgrest", "Change PostgREST's settings").body(r#"{"max_rows":1000}"#),
    said("GET /v1/projects/{ref}/config/auth", "Show GoTrue's settings"),
    said("PATCH /v1/projects/{ref}/config/auth", "Change GoTrue's settings")
        .body(r#"{"disable_signup":true}"#),
    said("GET /v1/projects/{ref}/config/database/pooler", "Show the pooler's settings"),
    said("PATCH /v1/projects/{ref}/config/database/pooler", "Change the pooler's settings")
        .body(r#"{"default_pool_size":20}"#),
    said("GET /v1/projects/{ref}/config/storage", "Show the storage service's settings"),
    said("PATCH /v1/projects/{ref}/config/storage", "Leave the storage service's settings as they are")
        .body(r#"{"fileSizeLimit":52428800}"#),
    said("GET /v1/projects/{ref}/config/database/postgres", "Not there: the database's own settings"),
    said("PUT /v1/projects/{ref}/config/database/postgres", "Not there: the database's own settings"),
    said("GET /v1/projects/{ref}/storage/buckets", "List a project's buckets"),
    said("POST /v1/projects/{ref}/network-bans/retrieve", "List banned addresses: there are none")
        .status(201),
    said("POST /v1/projects/{ref}/network-bans/retrieve/enriched", "The same with reasons").status(201),
    said("GET /v1/projects/{ref}/network-restrictions", "Show who may connect: Freehold restricts nobody"),
    said("POST /v1/projects/{ref}/network-restrictions/apply", "Not there: restricting who may connect"),
    said(
        "GET /v1/projects/{ref}/ssl-enforcement",
        "Tell whether connections must be encrypted: not by Freehold",
    ),
    said("PUT /v1/projects/{ref}/ssl-enforcement", "Leave that as it is")
        .body(r#"{"requestedConfig":{"database":false}}"#),
    said(
        "GET /v1/projects/{ref}/readonly",
        "Tell whether Freehold holds the database read-only: it does not",
    ),
    said("GET /v1/projects/{ref}/functions", "Not there: edge functions"),
    said("POST /v1/projects/{ref}/functions", "Not there: edge functions"),
    said("POST /v1/projects/{ref}/functions/deploy", "Not there: edge functions"),
    said("GET /v1/projects/{ref}/functions/{function}", "Not there: edge functions"),
    said("PATCH /v1/projects/{ref}/functions/{function}", "Not there: edge functions"),
    said("DELETE /v1/projects/{ref}/functions/{function}", "Not there: edge functions"),
    said("GET /v1/projects/{ref}/functions/{function}/body", "Not there: edge functions"),
    said("GET /v1/projects/{ref}/secrets", "Not there: secrets of edge functions"),
    said("POST /v1/projects/{ref}/secrets", "Not there: secrets of edge functions"),
    said("DELETE /v1/projects/{ref}/secrets", "Not there: secrets of edge functions"),
    said("GET /v1/projects/{ref}/analytics/endpoints/logs", "Not there: logs by SQL"),
    said("GET /v1/projects/{ref}/analytics/endpoints/logs.all", "Not there: logs by SQL"),
    said("GET /v1/projects/{ref}/advisors/performance", "Not there: advisors"),
    said("GET /v1/projects/{ref}/advisors/security", "Not there: advisors"),
    said("GET /v1/projects/{ref}/database/backups", "Not there: backups"),
    said("POST /v1/projects/{ref}/database/backups/restore-pitr", "Not there: backups"),
    said("GET /v1/projects/{ref}/custom-hostname", "Not there: domains"),
    said("GET /v1/projects/{ref}/vanity-subdomain", "Not there: domains"),
    said("GET /v1/snippets", "Not there: snippets"),
];
