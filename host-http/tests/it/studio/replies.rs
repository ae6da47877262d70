//! What a reply must hold for Studio's pages to stand.

use serde_json::Value;

/// By the end of the path: what must be there. `[]` is each item, and there must be one.
const REQUIRED: &[(&str, &[&str])] = &[
    ("/organizations", &["[].plan", "[].slug", "[].id", "[].name"]),
    ("/organizations/acme/projects", &["pagination", "projects"]),
    ("/platform/projects", &["pagination", "projects"]),
    ("/platform/projects/{ref}", &["organization_id", "status", "connectionString", "ref", "name"]),
    (
        "/profile/permissions",
        &["[].actions", "[].resources", "[].condition", "[].organization_slug", "[].restrictive"],
    ),
    ("/databases", &["[].region", "[].identifier", "[].status"]),
    ("/billing/addons", &["selected_addons"]),
    ("/entitlements", &["entitlements", "entitlements[].hasAccess"]),
    ("/settings", &["service_api_keys", "app_config.endpoint", "status"]),
    ("/pause/status", &["can_restore"]),
    ("/databases-statuses", &["[].identifier", "[].status"]),
    ("/config/postgrest", &["db_schema", "max_rows"]),
    ("/config/pgbouncer", &["pgbouncer_enabled", "pool_mode", "db_port"]),
    ("/config/supavisor", &["[].identifier", "[].connection_string", "[].pool_mode", "[].db_port"]),
    ("/config/storage", &["fileSizeLimit", "features.imageTransformation.enabled"]),
    ("/config", &["SITE_URL", "JWT_EXP"]),
    ("/subscription", &["plan.id", "plan.name", "addons"]),
    ("/backups", &["backups", "physicalBackupData", "pitr_enabled"]),
    ("/downloadable-backups", &["backups"]),
    ("/platform/projects POST", &["ref", "id", "status", "organization_slug", "name"]),
    ("/restore POST", &["status", "id"]),
    ("/invitations", &["invitations"]),
    ("/service-versions", &["supabase-postgres"]),
    ("/roles", &["org_scoped_roles[].id", "org_scoped_roles[].base_role_id", "project_scoped_roles"]),
    ("/members", &["[].gotrue_id", "[].role_ids"]),
    // A list is one row that holds it.
    ("/query/entity-types-public-0 POST", &["[].data"]),
    ("/query/schemas POST", &["[].name"]),
    ("/profile", &["id", "gotrue_id", "primary_email", "username", "disabled_features"]),
];

/// What the items of a list of projects must hold, where there are any.
const CARDS: &[&str] = &["projects[].databases", "projects[].status", "projects[].name", "projects[].ref"];

/// Checks a reply, then that the check fails with each of its fields taken away.
pub(super) fn check_with_each_field_removed(path: &str, reply: &Value) {
    if path.ends_with("/health") || path.ends_with("/api-keys") || path.ends_with("/branches") {
        assert!(reply.is_array(), "{path}: {reply}");
    }
    if path.ends_with("/feature-flags") {
        assert!(reply.is_object(), "{path}: {reply}");
    }
    let mut required = required(path);
    let some_projects = reply["projects"].as_array().is_some_and(|projects| !projects.is_empty());
    if path.ends_with("/organizations/acme/projects") && some_projects {
        required.extend(CARDS);
    }
    if path.ends_with("/health") {
        required.extend(["[].name", "[].status", "[].healthy"]);
    }
    if path.ends_with("/api-keys") {
        required.extend(["[].name", "[].api_key"]);
    }
    for field in &required {
        assert!(holds(reply, field), "{path} lacks {field}: {reply}");
        let mut broken = reply.clone();
        remove(&mut broken, field);
        assert!(!required.iter().all(|field| holds(&broken, field)), "{path}: nobody misses {field}");
    }
    if path.ends_with("/permissions") {
        let null = reply.as_array().unwrap().iter().any(|entry| entry["condition"].is_null());
        assert!(null, "a missing condition is a refusal to Studio: {reply}");
    }
    if path.contains("/query/entity-types") {
        assert!(reply[0]["data"].is_array(), "the table editor breaks: {reply}");
    }
    if path.ends_with("/entitlements") {
        let entitled = reply["entitlements"].as_array().unwrap();
        for key in ["project_pausing", "project_scoped_roles"] {
            let is_so = |entry: &Value| entry["feature"]["key"] == key && entry["hasAccess"] == true;
            assert!(entitled.iter().any(is_so), "Studio does not offer {key}: {reply}");
        }
    }
    if path.ends_with("/settings") {
        let endpoint = reply["app_config"]["endpoint"].as_str().unwrap();
        assert!(!endpoint.contains("://"), "it is no URL: {reply}");
    }
    if required.contains(&"connectionString") && reply["status"] == "ACTIVE_HEALTHY" {
        let word = reply["connectionString"].as_str().unwrap_or_default();
        assert!(!word.is_empty() && !word.contains(super::PASSWORD), "Studio would ask on and on: {reply}");
    }
    if path.ends_with("/databases") {
        assert!(path.contains(reply[0]["identifier"].as_str().unwrap()), "the primary is named by the ref");
    }
}

fn required(path: &str) -> Vec<&'static str> {
    let project = path.strip_prefix("/api/platform/projects/").is_some_and(|rest| !rest.contains(['/', ' ']));
    let path = if project { "/platform/projects/{ref}" } else { path };
    let found = REQUIRED.iter().find(|(end, _)| path.ends_with(end));
    found.map(|(_, fields)| fields.to_vec()).unwrap_or_default()
}

/// Whether a field is there, be it `null`.
fn holds(value: &Value, field: &str) -> bool {
    match field.split_once('.') {
        None => value.get(field).is_some(),
        Some((head, rest)) => match head.strip_suffix("[]") {
            Some(list) => {
                let list = if list.is_empty() { Some(value) } else { value.get(list) };
                let items = list.and_then(Value::as_array);
                items.is_some_and(|items| !items.is_empty() && items.iter().all(|item| holds(item, rest)))
            }
            None => value.get(head).is_some_and(|value| holds(value, rest)),
        },
    }
}

fn remove(value: &mut Value, field: &str) {
    match field.split_once('.') {
        None => {
            value.as_object_mut().unwrap().remove(field);
        }
        Some((head, rest)) => match head.strip_suffix("[]") {
            Some("") => remove(&mut value[0], rest),
            Some(list) => remove(&mut value[list][0], rest),
            None => remove(&mut value[head], rest),
        },
    }
}
