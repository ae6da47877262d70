//! The settings of a project's services: what Studio is told of them, and what comes of changing them.

use std::time::Duration;

use freehold_core::{ExposeSecret, ProjectRef, Status, control_plane::TargetSettings, memory::MemoryBackend};
use freehold_host::{SessionConfig, Sessions};
use serde_json::{Value, json};

use crate::{
    people::{People, SECRET, session},
    supabase,
};

struct World {
    people: People,
    project: ProjectRef,
}

impl World {
    async fn new() -> Self {
        let backend = MemoryBackend::new().unwrap().with_stacks(vec![supabase::stack()]);
        let people = People::on(backend, TargetSettings::default(), |accounts| {
            let secret = Some(SECRET.into());
            accounts.sessions(Sessions::new(SessionConfig { secret, ..SessionConfig::default() }))
        })
        .await;
        let project = people.project("demo").await;
        Self { people, project }
    }

    fn path(&self, service: &str) -> String {
        match service {
            "auth" => format!("/api/platform/auth/{}/config", self.project),
            _ => format!("/api/platform/projects/{}/config/{service}", self.project),
        }
    }

    async fn read(&self, service: &str) -> Value {
        let reply = self.people.get(&self.path(service), &session("owner")).await;
        assert_eq!(reply.status(), 200, "{service}: {}", reply.text());
        reply.json()
    }

    /// What comes of a change, once it is in force.
    async fn change(&self, service: &str, body: Value) -> (u16, Value) {
        let owner = session("owner");
        let reply = self.people.send("PATCH", &self.path(service), Some(&owner), &body).await;
        let healthy = [Status::ActiveHealthy];
        self.people.control.wait(&self.project, &healthy, Duration::from_secs(30)).await.unwrap();
        (reply.status(), reply.json())
    }

    async fn variable(&self, name: &str) -> Option<String> {
        let variables = self.people.control.variables(&self.project).await.unwrap();
        variables.get(name).map(|value| value.expose_secret().to_owned())
    }
}

#[tokio::test]
async fn postgrest_is_told_with_the_stacks_values_and_a_change_is_a_reconfigure_of_that_alone() {
    let world = World::new().await;
    let before = world.read("postgrest").await;
    assert_eq!(
        (&before["db_schema"], &before["max_rows"], &before["db_extra_search_path"]),
        (&json!("public,graphql_public"), &json!(1000), &json!("public"))
    );
    let secrets = world.people.control.secrets(&world.project).await.unwrap();
    let secret = secrets[&"jwt_secret".parse().unwrap()].expose_secret();
    assert_eq!(
        (before["jwt_secret"].as_str(), before["role_claim_key"].as_str()),
        (Some(secret), Some(".role"))
    );

    let (status, after) =
        world.change("postgrest", json!({ "max_rows": 50, "db_schema": "public, api" })).await;
    assert_eq!((status, &after["max_rows"], &after["db_schema"]), (200, &json!(50), &json!("public,api")));
    assert_eq!(world.variable("PGRST_DB_MAX_ROWS").await.as_deref(), Some("50"));
    assert_eq!(
        world.variable("PGRST_DB_EXTRA_SEARCH_PATH").await,
        None,
        "what was not named stays the stack's"
    );
    assert_eq!(world.read("postgrest").await, after);
    let generation = world.people.control.project(&world.project).await.unwrap().generation;
    assert_eq!(generation, 2);
    world.change("postgrest", json!({ "max_rows": 50 })).await;
    let same = world.people.control.project(&world.project).await.unwrap().generation;
    assert_eq!(same, generation, "what changes nothing restarts nothing");

    for (body, field, status) in
        [(json!({ "max_rows": "many" }), "max_rows", 400), (json!({ "db_pool": 9 }), "db_pool", 501)]
    {
        let (refused, body) = world.change("postgrest", body).await;
        assert!(refused == status && body["message"].as_str().unwrap().contains(field), "{body}");
    }
    let developer = world.people.get(&world.path("postgrest"), &session("developer")).await;
    assert_eq!(developer.status(), 200);
    assert_eq!(world.people.get(&world.path("postgrest"), &session("reader")).await.status(), 403);
    assert_eq!(world.people.get(&world.path("postgrest"), &session("stranger")).await.status(), 404);
}

#[tokio::test]
async fn the_pooler_is_told_with_its_own_address_and_user_and_no_password() {
    let world = World::new().await;
    let rows = world.read("supavisor").await;
    let connection = world.people.control.project(&world.project).await.unwrap().connection.unwrap();
    let port = connection.pooler.unwrap().public.port;
    assert_eq!((&rows[0]["db_port"], &rows[0]["default_pool_size"]), (&json!(port), &json!(20)));
    assert_eq!(rows[0]["db_user"], format!("postgres.{}", world.project));
    let secrets = world.people.control.secrets(&world.project).await.unwrap();
    let password = secrets[&"db_password".parse().unwrap()].expose_secret();
    assert!(!rows.to_string().contains(password) && rows[0]["identifier"] == world.project.as_str());
    let (status, after) = world.change("pgbouncer", json!({ "default_pool_size": 7 })).await;
    assert_eq!(
        (status, &after["default_pool_size"], &after["pgbouncer_enabled"]),
        (200, &json!(7), &json!(true))
    );
    assert_eq!(world.read("supavisor").await[0]["default_pool_size"], 7);
    assert_eq!(world.change("supavisor", json!({ "pool_mode": "session" })).await.0, 501);
    assert_eq!(world.change("supavisor", json!({ "default_pool_size": 0 })).await.0, 400);
    assert_eq!(world.read("pgbouncer/status").await, json!({ "active": true }));
}

#[tokio::test]
async fn auth_settings_are_told_and_changed_and_its_secrets_only_changed() {
    let world = World::new().await;
    let before = world.read("auth").await;
    assert_eq!((&before["SITE_URL"], &before["JWT_EXP"]), (&json!("http://localhost:3000"), &json!(3600)));
    assert_eq!((&before["DISABLE_SIGNUP"], &before["SMTP_PASS"]), (&json!(false), &Value::Null));
    let change = json!({
        "DISABLE_SIGNUP": true, "JWT_EXP": 60, "SMTP_PASS": "hunter2", "EXTERNAL_GITHUB_ENABLED": false,
        "HOOK_SEND_SMS_URI": null,
    });
    let (status, after) = world.change("auth", change).await;
    assert_eq!((status, &after["DISABLE_SIGNUP"], &after["JWT_EXP"]), (200, &json!(true), &json!(60)));
    assert!(!after.to_string().contains("hunter2") && after["SMTP_PASS"] == "********", "{after}");
    let (_, again) = world.change("auth", after.clone()).await;
    assert_eq!(again, after, "stars sent back leave the password as it is");
    assert_eq!(world.variable("SMTP_PASS").await.as_deref(), Some("hunter2"));
    for (body, field, status) in [
        (json!({ "EXTERNAL_GITHUB_ENABLED": true }), "EXTERNAL_GITHUB_ENABLED", 501),
        (json!({ "JWT_EXP": "soon" }), "JWT_EXP", 400),
        (json!({ "DISABLE_SIGNUP": "yes" }), "DISABLE_SIGNUP", 400),
    ] {
        let (refused, body) = world.change("auth", body).await;
        assert!(refused == status && body["message"].as_str().unwrap().contains(field), "{body}");
    }
    // The password goes to no other server than the one that it was given for.
    let elsewhere =
        world.change("auth", json!({ "SMTP_HOST": "mail.example.com", "SMTP_PASS": "********" })).await;
    assert!(
        elsewhere.0 == 400 && elsewhere.1["message"].as_str().unwrap().contains("SMTP_PASS"),
        "{elsewhere:?}"
    );
    let moved =
        world.change("auth", json!({ "SMTP_HOST": "mail.example.com", "SMTP_PASS": "hunter2" })).await;
    assert_eq!((moved.0, &moved.1["SMTP_HOST"]), (200, &json!("mail.example.com")));
    let secret = world.change("auth", json!({ "SMTP_PASS": ["hunter3"] })).await.1;
    assert!(!secret.to_string().contains("hunter3"), "{secret}");
}

#[tokio::test]
async fn storage_settings_are_those_of_the_stacks_files_and_nobody_changes_them() {
    let world = World::new().await;
    let shown = world.read("storage").await;
    assert_eq!(shown["fileSizeLimit"], 52_428_800);
    assert_eq!(shown["features"]["imageTransformation"]["enabled"], true);
    assert_eq!(world.change("storage", shown.clone()).await, (200, shown));
    assert_eq!(world.change("storage", json!({ "fileSizeLimit": 1 })).await.0, 501);
}

#[tokio::test]
async fn a_stack_without_these_services_says_so_and_a_project_that_is_paused_is_not_changed() {
    let people = People::new().await;
    let bare = people.project("bare").await;
    let owner = session("owner");
    let path = |service: &str| format!("/api/platform/projects/{bare}/config/{service}");
    assert_eq!(people.get(&path("postgrest"), &owner).await.json()["db_schema"], "");
    assert_eq!(people.get(&path("supavisor"), &owner).await.json(), json!([]));
    assert_eq!(people.get(&path("pgbouncer"), &owner).await.json()["pgbouncer_enabled"], false);
    assert_eq!(people.get(&path("storage"), &owner).await.json()["fileSizeLimit"], 0);
    assert_eq!(people.get(&path("realtime"), &owner).await.status(), 501);
    let change = people.send("PATCH", &path("postgrest"), Some(&owner), &json!({ "max_rows": 5 })).await;
    assert_eq!(change.status(), 501);

    let world = World::new().await;
    let paused = world.people.control.pause(&world.project).await.unwrap().operation.unwrap();
    world.people.control.wait_operation(paused.id, Duration::from_secs(30)).await.unwrap();
    let path = world.path("postgrest");
    let reply = world.people.send("PATCH", &path, Some(&owner), &json!({ "max_rows": 5 })).await;
    assert_eq!(reply.status(), 409, "{}", reply.text());
    assert_eq!(world.read("postgrest").await["max_rows"], 1000);
}

#[tokio::test]
async fn a_wizards_schemas_and_site_are_the_projects_and_no_choice_moves_a_local_project() {
    let world = World::new().await;
    let create = async |body: Value| {
        let reply = world.people.send("POST", "/api/platform/projects", Some(&session("owner")), &body).await;
        (reply.status(), reply.json())
    };
    let (status, body) = create(json!({
        "name": "a", "organization_slug": "acme", "cloud_provider": "FLY", "db_region": "Sydney, Australia (syd)",
        "desired_instance_size": "16xlarge", "postgres_engine": "17-oriole", "auth_site_url": "https://a.example.com",
        "data_api_exposed_schemas": ["api", " public"],
    }))
    .await;
    assert_eq!(status, 201, "{body}");
    let shown = ["cloud_provider", "region", "infra_compute_size"].map(|field| body[field].as_str().unwrap());
    assert_eq!(shown, ["LOCAL", "local-dev", "micro"]);
    let reference = body["ref"].as_str().unwrap().parse().unwrap();
    let variables = world.people.control.variables(&reference).await.unwrap();
    let variables: Vec<_> =
        variables.iter().map(|(name, value)| (name.as_str(), value.expose_secret())).collect();
    assert_eq!(variables, [("PGRST_DB_SCHEMAS", "api,public"), ("SITE_URL", "https://a.example.com")]);
}

#[tokio::test]
async fn what_a_wizard_asks_of_the_data_api_is_done_or_refused_and_never_passed_over() {
    let world = World::new().await;
    let create = async |name: &str, more: Value| {
        let mut body = json!({ "name": name, "organization_slug": "acme" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let reply = world.people.send("POST", "/api/platform/projects", Some(&session("owner")), &body).await;
        (reply.status(), reply.json())
    };
    // As Studio sends them where nothing is chosen.
    let unchosen =
        json!({ "data_api_use_api_schema": false, "high_availability": false, "github_repository_id": null });
    assert_eq!(create("a", unchosen).await.0, 201);
    let (status, body) = create("b", json!({ "data_api_exposed_schemas": [] })).await;
    assert!(
        status == 400 && body["message"].as_str().unwrap().contains("data_api_exposed_schemas"),
        "{body}"
    );
    let without = json!({ "local_runtime": { "exclude_services": ["postgrest"] } });
    let (status, body) = create("b", without).await;
    assert_eq!(status, 201, "{body}");
    let path = format!("/api/platform/projects/{}/config/postgrest", body["ref"].as_str().unwrap());
    let schemas = json!({ "db_schema": "public" });
    let refused = world.people.send("PATCH", &path, Some(&session("owner")), &schemas).await;
    assert!(refused.status() == 501 && refused.text().contains("without PostgREST"), "{}", refused.text());
    let own = json!({ "data_api_use_api_schema": true, "data_api_revoke_default_privileges": true });
    let (status, body) = create("c", own.clone()).await;
    assert_eq!(status, 201, "{body}");
    let reference = body["ref"].as_str().unwrap().parse().unwrap();
    let variables = world.people.control.variables(&reference).await.unwrap();
    assert_eq!(variables["PGRST_DB_SCHEMAS"].expose_secret(), "api,graphql_public");
    for (field, value) in [
        ("high_availability", json!(true)),
        ("template_url", json!("https://example.com/x.sql")),
        ("github_repository_id", json!(7)),
    ] {
        let (status, body) = create("d", json!({ field: value })).await;
        assert!(status == 501 && body["message"].as_str().unwrap().contains(field), "{body}");
    }
    let plain = People::new().await;
    let none = json!({ "name": "d", "organization_slug": "acme", "data_api_exposed_schemas": [] });
    let made = plain.send("POST", "/api/platform/projects", Some(&session("owner")), &none).await;
    assert_eq!(made.status(), 201, "none is what its stack has: {}", made.text());
    let body = json!({ "name": "e", "organization_slug": "acme", "data_api_use_api_schema": true });
    let refused = plain.send("POST", "/api/platform/projects", Some(&session("owner")), &body).await;
    assert!(refused.status() == 501 && refused.text().contains("PGRST_DB_SCHEMAS"), "{}", refused.text());
}

#[tokio::test]
async fn an_organizations_defaults_are_set_by_its_owner_and_hold_for_wizards_that_know_of_none() {
    let world = World::new().await;
    let path = "/api/freehold/v1/organizations/acme/defaults";
    let put =
        async |name: &str, body: Value| world.people.send("PUT", path, Some(&session(name)), &body).await;
    let wanted = json!({ "target": "mock", "stack": "mock", "excluded_services": ["storage"] });
    assert_eq!(put("admin", wanted.clone()).await.status(), 403);
    for (wrong, field) in [
        (json!({ "target": "moon" }), "default_target"),
        (json!({ "stack": "moon" }), "default_stack"),
        (json!({ "excluded_services": ["moon"] }), "excluded_services"),
    ] {
        let reply = put("owner", wrong).await;
        assert!(reply.status() == 400 && reply.text().contains(field), "{}", reply.text());
    }
    assert_eq!(put("owner", wanted.clone()).await.json()["defaults"], wanted);
    let shown = world.people.get("/api/freehold/v1/organizations/acme", &session("reader")).await;
    assert_eq!((shown.status(), &shown.json()["defaults"]), (200, &wanted));
    let hidden = world.people.get("/api/freehold/v1/organizations/acme", &session("stranger")).await;
    assert_eq!(hidden.status(), 404);
    let create = async |body: Value| {
        let owner = session("owner");
        world.people.send("POST", "/api/platform/projects", Some(&owner), &body).await.json()
    };
    let made = create(json!({ "name": "a", "organization_slug": "acme" })).await;
    assert_eq!(made["local_runtime"]["exclude_services"], json!(["storage-api"]), "{made}");
    let none = json!({ "exclude_services": [] });
    let made = create(json!({ "name": "b", "organization_slug": "acme", "local_runtime": none })).await;
    assert_eq!(made["local_runtime"]["exclude_services"], json!([]), "what is said goes before it");
    let content = "/api/freehold/v1/studio/custom-content?patched=true";
    let content = world.people.get(content, &session("reader")).await.json();
    assert_eq!(content["project_creation:deployment_targets"], json!(["mock"]));
}
