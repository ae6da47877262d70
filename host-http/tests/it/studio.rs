//! What a real Studio was seen to ask, in its order, through a project's whole life; and what each reply must hold, as
//! was found by taking fields from replies until its pages broke.

#[cfg(feature = "docker")]
mod docker;
mod replies;
mod walk;

use std::{collections::BTreeSet, time::Duration};

use freehold_core::{ExposeSecret, accounts::Grant, accounts::Role};
use serde_json::{Value, json};

use crate::{
    host::Reply,
    people::{People, session},
};

/// Studio as the owner of Acme.
struct Studio {
    people: People,
    token: String,
    /// How long its second is.
    second: Duration,
}

impl Studio {
    async fn new() -> Self {
        Self::of(People::new().await)
    }

    /// One in a hurry, for projects that are.
    fn of(people: People) -> Self {
        Self { people, token: session("owner"), second: Duration::from_millis(2) }
    }

    async fn ask(&self, line: &str, body: &Value) -> Reply {
        let (method, path) = line.split_once(' ').unwrap();
        let mut request = warp::test::request()
            .method(method)
            .path(path)
            .header("authorization", format!("Bearer {}", self.token))
            .header("x-request-id", "0d3ae4b6-9e47-4f5c-8a5c-1f2c31b9c001")
            .header("accept", "application/json")
            .header("version", "2");
        if !body.is_null() {
            request = request.json(body);
        }
        Reply(request.reply(&self.people.filter).await)
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask(&format!("GET {path}"), &Value::Null).await
    }

    /// Asks as Studio does while it waits, until the project has this status.
    async fn poll(&self, path: &str, status: &str) {
        let waited = tokio::time::timeout(Duration::from_secs(300), async {
            while self.get(path).await.json()["status"] != status {
                tokio::time::sleep(self.second).await;
            }
        });
        assert!(waited.await.is_ok(), "{path} never told {status}");
    }
}

/// The database's password that the recorded wizard sent.
const PASSWORD: &str = "Xk9#vq2LmZ!r7Tw0pQ";

#[tokio::test]
async fn studio_takes_its_recorded_walk_and_each_reply_holds_what_its_pages_break_without() {
    let (people, asked) = crate::gateway::World::people(crate::supabase::stack()).await;
    Studio::of(people).walk().await;
    assert!(
        asked.lock().unwrap().iter().any(|asked| asked.line == "POST /pg/query"),
        "SQL went to the project"
    );
}

#[tokio::test]
async fn studio_takes_a_project_through_its_life() {
    let studio = Studio::new().await;
    // The body that was measured.
    let body = json!({
        "cloud_provider": "AWS", "organization_slug": "acme", "name": "My Project", "db_pass": PASSWORD,
        "db_region": "East US (Ohio)", "desired_instance_size": "micro", "data_api_use_api_schema": false,
        "high_availability": false, "organization_id": 4711,
    });
    let created = studio.ask("POST /api/platform/projects", &body).await;
    assert_eq!(created.status(), 201, "{}", created.text());
    let created = created.json();
    let reference = created["ref"].as_str().unwrap().to_owned();
    assert_eq!(
        (created["status"].as_str(), created["region"].as_str()),
        (Some("COMING_UP"), Some("local-dev"))
    );
    let project = format!("/api/platform/projects/{reference}");
    studio.poll(&project, "ACTIVE_HEALTHY").await;
    let secrets = studio.people.control.secrets(&reference.parse().unwrap()).await.unwrap();
    assert_eq!(secrets[&"db_password".parse().unwrap()].expose_secret(), PASSWORD);
    let detail = studio.get(&project).await;
    let text = detail.text();
    assert!(
        !detail.json()["connectionString"].as_str().unwrap().is_empty() && !text.contains("Xk9#"),
        "{text}"
    );

    let empty = async |line: &str, body: Value, status: u16| {
        let reply = studio.ask(line, &body).await;
        assert_eq!((reply.status(), reply.text().as_str()), (status, ""), "{line}");
    };
    let renamed = studio.ask(&format!("PATCH {project}"), &json!({ "name": "Renamed" })).await.json();
    assert_eq!(renamed["name"], "Renamed");
    empty(&format!("POST {project}/pause"), Value::Null, 201).await;
    studio.poll(&format!("{project}/status"), "INACTIVE").await;
    assert_eq!(studio.get(&project).await.json()["connectionString"], Value::Null);
    assert_eq!(studio.get(&format!("{project}/pause/status")).await.json()["can_restore"], true);
    let restored = studio.ask(&format!("POST {project}/restore"), &json!({})).await;
    assert_eq!((restored.status(), restored.json()["status"].as_str()), (200, Some("RESTORING")));
    let downloads =
        studio.get(&format!("/api/platform/database/{reference}/backups/downloadable-backups")).await;
    assert_eq!(downloads.status(), 200);
    studio.poll(&format!("{project}/status"), "ACTIVE_HEALTHY").await;
    empty(&format!("POST {project}/restart"), json!({}), 201).await;
    studio.poll(&project, "ACTIVE_HEALTHY").await;
    let services = json!({ "restartRequest": { "region": "local-dev", "services": ["postgresql"] } });
    empty(&format!("POST {project}/restart-services"), services, 201).await;
    studio.poll(&project, "ACTIVE_HEALTHY").await;
    empty(&format!("PATCH {project}/db-password"), json!({ "password": "another password" }), 200).await;
    studio.poll(&project, "ACTIVE_HEALTHY").await;
    let secrets = studio.people.control.secrets(&reference.parse().unwrap()).await.unwrap();
    assert_eq!(secrets[&"db_password".parse().unwrap()].expose_secret(), "another password");

    let deleted = studio.ask(&format!("DELETE {project}"), &Value::Null).await;
    assert_eq!((deleted.status(), deleted.json()["ref"].as_str()), (200, Some(reference.as_str())));
    assert_eq!(studio.get(&project).await.status(), 404);
    let lists = ["/api/platform/projects", "/api/platform/organizations/acme/projects"];
    for list in lists {
        assert!(!studio.get(list).await.text().contains(&reference), "{list}");
    }
}

#[tokio::test]
async fn an_empty_reply_says_that_it_is_empty_or_studio_takes_it_for_broken_json() {
    let studio = Studio::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/platform/profile/audit-login", listener.local_addr().unwrap());
    let shutdown = tokio_util::sync::CancellationToken::new();
    let filter = studio.people.filter.clone();
    tokio::spawn(freehold_host::server::serve(listener, filter, shutdown.clone(), Duration::from_secs(1)));
    let reply = reqwest::Client::new().post(url).bearer_auth(&studio.token).send().await.unwrap();
    assert_eq!((reply.status().as_u16(), &reply.headers()["content-length"]), (201, &"0".parse().unwrap()));
    shutdown.cancel();
}

#[tokio::test]
async fn a_wizard_is_told_what_is_wrong_and_creates_what_it_may() {
    let studio = Studio::new().await;
    let create = async |body: Value| {
        let reply = studio.ask("POST /api/platform/projects", &body).await;
        (reply.status(), reply.json())
    };
    let (status, body) = create(json!({ "name": "x", "db_pass": "p" })).await;
    assert!(status == 400 && body["message"].as_str().unwrap().contains("organization_slug"), "{body}");
    let (status, body) = create(json!({ "name": "x", "organization_slug": "nowhere" })).await;
    assert_eq!((status, body["message"].as_str()), (404, Some("Organization not found")));
    let excluded = json!({ "exclude_services": ["  Worker", "worker", "unknown"] });
    let wanted = json!({ "name": "x", "organization_slug": "acme", "local_runtime": excluded });
    let (status, body) = create(wanted.clone()).await;
    assert_eq!((status, &body["local_runtime"]), (201, &json!({ "exclude_services": ["worker"] })), "{body}");
    let (status, body) = create(wanted).await;
    assert!(status == 409 && body["message"].is_string(), "{body}");
    let regions = studio.get("/api/platform/projects/available-regions?cloud_provider=AWS").await.json();
    let region = &regions["all"]["specific"][0];
    assert_eq!((&region["code"], &region["type"]), (&json!("mock"), &json!("specific")), "{regions}");
    let there = json!({ "name": "there", "organization_slug": "acme", "region_selection": region });
    assert_eq!(create(there).await.0, 201);
    let everything = json!({ "exclude_services": [] });
    let (_, body) =
        create(json!({ "name": "y", "organization_slug": "acme", "local_runtime": everything })).await;
    assert_eq!(body["local_runtime"], json!({ "exclude_services": [] }));
    let (_, body) = create(json!({ "name": "z", "organization_slug": "acme" })).await;
    assert_eq!(body["local_runtime"], json!({ "exclude_services": ["metrics"] }), "the stack's default");
}

#[tokio::test]
async fn the_management_api_takes_a_project_through_its_life() {
    let studio = Studio::new().await;
    let body =
        json!({ "name": "demo", "organization_slug": "acme", "db_pass": "secret", "region": "us-east-1" });
    let created = studio.ask("POST /v1/projects", &body).await;
    assert_eq!(created.status(), 201, "{}", created.text());
    let path = format!("/v1/projects/{}", created.json()["ref"].as_str().unwrap());
    studio.poll(&path, "ACTIVE_HEALTHY").await;
    let shown = studio.get(&path).await.json();
    assert!(shown["organization_slug"] == "acme" && !shown["database"]["version"].is_null(), "{shown}");
    let keys = studio.get(&format!("{path}/api-keys?reveal=true")).await.json();
    assert_eq!(keys[0]["name"], "anon");
    for (verb, status) in [("pause", "INACTIVE"), ("restore", "ACTIVE_HEALTHY")] {
        assert_eq!(studio.ask(&format!("POST {path}/{verb}"), &Value::Null).await.status(), 200, "{verb}");
        studio.poll(&path, status).await;
    }
    assert_eq!(studio.ask(&format!("DELETE {path}"), &Value::Null).await.status(), 200);
    assert_eq!(studio.get(&path).await.status(), 404);
    assert_eq!(studio.get("/v1/projects").await.json(), json!([]));
}

#[tokio::test]
async fn nothing_of_a_project_is_there_for_members_of_other_organizations() {
    let studio = Studio::new().await;
    let reference = studio.people.project("demo").await;
    let stranger = session("stranger");
    let mut lines: BTreeSet<_> = walk::steps().map(|step| format!("{} {}", step.method, step.path)).collect();
    lines.extend(
        [
            "POST /api/platform/projects/{ref}/restart-services",
            "PATCH /api/platform/projects/{ref}/db-password",
            "PATCH /api/platform/projects/{ref}",
            "GET /api/platform/projects/{ref}/members",
            "GET /v1/projects/{ref}",
            "DELETE /v1/projects/{ref}",
            "POST /v1/projects/{ref}/pause",
            "POST /v1/projects/{ref}/restore",
            "GET /v1/projects/{ref}/api-keys",
        ]
        .map(str::to_owned),
    );
    // What names a project in its query alone, or is no route of ours, holds nothing of it.
    let names = |line: &String| {
        let path = line.split('?').next().unwrap_or(line);
        let ours =
            !["ssl-enforcement", "network-", "upgrade/eligibility"].iter().any(|part| line.contains(part));
        ours && (path.contains("{ref}") || path.contains("/acme"))
    };
    for line in lines.iter().filter(|line| names(line)) {
        let (method, path) = line.split_once(' ').unwrap();
        let path = path.replace("{ref}", reference.as_str());
        let reply = studio.people.send(method, &path, Some(&stranger), &json!({})).await;
        assert_eq!(reply.status(), 404, "{line}: {}", reply.text());
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        assert!(
            ["Project not found", "Organization not found"].contains(&message.as_str()),
            "{line}: {message}"
        );
        // Whoever is refused that often is told to wait.
        let nobody = studio.people.send(method, &path, None, &json!({})).await.status();
        assert!(matches!(nobody, 401 | 429), "{line}: {nobody}");
    }
    for list in ["/api/platform/projects", "/v1/projects"] {
        assert!(!studio.people.get(list, &stranger).await.text().contains(reference.as_str()), "{list}");
    }
    let status = studio.people.control.project(&reference).await.unwrap().status;
    assert_eq!(status, freehold_core::Status::ActiveHealthy, "nothing was done to it");
}

#[tokio::test]
async fn what_a_role_may_not_do_or_see_is_refused_or_left_out() {
    let studio = Studio::new().await;
    let (mine, other) = (studio.people.project("mine").await, studio.people.project("other").await);
    for verb in ["pause", "restart", "restore"] {
        for name in ["reader", "developer"] {
            let path = format!("/api/platform/projects/{mine}/{verb}");
            let reply = studio.people.send("POST", &path, Some(&session(name)), &json!({})).await;
            assert_eq!(reply.status(), 403, "{verb} by {name}");
        }
    }
    let settings = format!("/api/platform/projects/{mine}/settings");
    let seen = studio.people.get(&settings, &session("reader")).await.json();
    assert!(seen["service_api_keys"] == json!([]) && seen.get("jwt_secret").is_none(), "{seen}");
    let seen = studio.people.get(&settings, &session("developer")).await.json();
    assert!(!seen["service_api_keys"][0]["api_key"].is_null() && seen["jwt_secret"].is_string(), "{seen}");
    let keys = format!("/v1/projects/{mine}/api-keys");
    assert_eq!(studio.people.get(&keys, &session("reader")).await.status(), 403);

    // A role for one project alone: the other is not there.
    let scoped = studio.people.person("scoped").await;
    let grants = [Grant::on(Role::Administrator, [mine])];
    let accounts = &studio.people.accounts;
    freehold_core::accounts::AccountStore::put_grants(
        &**accounts,
        &"acme".parse().unwrap(),
        scoped.id,
        &[],
        &grants,
    )
    .await
    .unwrap();
    let token = session("scoped");
    let list = studio.people.get("/v1/projects", &token).await.json();
    assert!(list.as_array().unwrap().len() == 1 && list[0]["ref"] == mine.as_str(), "{list}");
    assert_eq!(studio.people.get(&format!("/v1/projects/{other}"), &token).await.status(), 404);
    let permissions = studio.people.get("/api/platform/profile/permissions", &token).await.json();
    let entries = permissions.as_array().unwrap();
    assert!(!entries.is_empty() && entries.iter().all(|entry| entry["project_refs"] == json!([mine])));
    let pause = format!("/v1/projects/{mine}/pause");
    assert_eq!(studio.people.send("POST", &pause, Some(&token), &Value::Null).await.status(), 200);
}

#[tokio::test]
async fn what_is_not_there_is_said_and_counted() {
    let studio = Studio::new().await;
    for path in ["/api/platform/projects/not-a-ref", "/api/platform/projects/aaaaaaaaaaaaaaaaaaaa/settings"] {
        let reply = studio.get(path).await;
        assert_eq!(
            (reply.status(), reply.json()["message"].as_str()),
            (404, Some("Project not found")),
            "{path}"
        );
    }
    let bare = studio.people.get("/api/platform/projects", &studio.token).await.json();
    assert!(bare.is_array(), "without `Version: 2` a list is bare: {bare}");
    assert_eq!(studio.get("/api/platform/something-new").await.status(), 404);
    let beyond = studio.get("/v1/projects/aaaaaaaaaaaaaaaaaaaa/something-new").await;
    assert!(beyond.status() == 501 && beyond.json()["message"].is_string());
    let figures = studio.people.get("/metrics", studio.people.superuser.expose()).await.text();
    assert!(figures.contains("freehold_unknown_routes_total{surface=\"studio\"} 1"), "{figures}");
}
