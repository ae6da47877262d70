//! The Management API in the words of its clients: keys, settings, and what there is not.

use serde_json::{Value, json};

use crate::{gateway::World, people::session};

#[tokio::test]
async fn a_project_is_made_in_the_organization_that_either_field_names() {
    let people = crate::people::People::new().await;
    let owner = session("owner");
    for (index, field) in ["organization_id", "organization_slug"].into_iter().enumerate() {
        let body =
            json!({ field: "acme", "name": format!("p{index}"), "region": "eu-west-1", "db_pass": "x" });
        let made = people.send("POST", "/v1/projects", Some(&owner), &body).await;
        assert_eq!(made.status(), 201, "{}", made.text());
        assert_eq!(made.json()["organization_id"], "acme");
        let hidden = people.send("POST", "/v1/projects", Some(&session("stranger")), &body).await;
        assert_eq!(hidden.status(), 404, "{}", hidden.text());
    }
    let neither = people.send("POST", "/v1/projects", Some(&owner), &json!({ "name": "p" })).await;
    assert_eq!(neither.status(), 400);
    assert!(neither.json()["message"].as_str().unwrap().contains("organization_slug or organization_id"));
    let wrong = json!({ "organization_id": "Ac me", "name": "p" });
    assert_eq!(people.send("POST", "/v1/projects", Some(&owner), &wrong).await.status(), 400);
    // Studio sends the number of the organization under that name.
    let studios = json!({ "organization_id": 1, "name": "p" });
    assert_eq!(people.send("POST", "/api/platform/projects", Some(&owner), &studios).await.status(), 400);
}

#[tokio::test]
async fn keys_are_those_of_the_stack_and_the_powerful_ones_are_shown_on_request() {
    let world = World::new().await;
    let path = "/v1/projects/{ref}/api-keys";
    let list = async |query: &str| {
        let keys = world.send("owner", "GET", &format!("{path}{query}"), &Value::Null).await.json();
        let keys = keys.as_array().unwrap().iter();
        keys.map(|key| {
            let text = key["api_key"].as_str().unwrap().to_owned();
            (key["id"].as_str().unwrap().to_owned(), key["type"].as_str().unwrap().to_owned(), text)
        })
        .collect::<Vec<_>>()
    };
    let (masked, clear) = (list("").await, list("?reveal=true").await);
    let kinds: Vec<_> = clear.iter().map(|(id, kind, _)| (id.as_str(), kind.as_str())).collect();
    let expected = [
        ("anon", "legacy"),
        ("service_role", "legacy"),
        ("publishable_key", "publishable"),
        ("secret_key", "secret"),
    ];
    assert_eq!(kinds, expected);
    for ((id, _, masked), (_, _, clear)) in masked.iter().zip(&clear) {
        assert_eq!(masked == clear, matches!(id.as_str(), "anon" | "publishable_key"), "{id}");
    }
    assert_eq!(clear[1].2, world.service_key);
    assert!(clear[3].2.starts_with("sb_secret_"));

    let one = world.send("owner", "GET", &format!("{path}/secret_key?reveal=true"), &Value::Null).await;
    assert_eq!(one.header("cache-control"), "no-store");
    assert_eq!(one.json()["api_key"], clear[3].2);
    assert_eq!(world.send("owner", "GET", &format!("{path}/none"), &Value::Null).await.status(), 404);
    assert_eq!(world.send("reader", "GET", path, &Value::Null).await.status(), 403);
    for (enabled, status) in [("true", 200), ("false", 501), ("", 400)] {
        let path = format!("{path}/legacy?enabled={enabled}");
        assert_eq!(world.send("owner", "PUT", &path, &Value::Null).await.status(), status, "{enabled}");
    }
}

#[tokio::test]
async fn settings_are_shown_and_changed_under_the_management_apis_own_names() {
    let world = World::new().await;
    let at = |part: &str| format!("/v1/projects/{{ref}}/{part}");
    let get = async |part: &str| world.send("owner", "GET", &at(part), &Value::Null).await.json();
    assert_eq!(get("postgrest").await["db_schema"], "public,graphql_public");
    assert_eq!(get("config/auth").await["site_url"], "http://localhost:3000");
    assert_eq!(get("config/storage").await["fileSizeLimit"], 52_428_800);
    assert_eq!(get("config/database/pooler").await[0]["default_pool_size"], 20);
    assert_eq!(get("storage/buckets").await[0]["name"], "notes");
    assert_eq!(get("upgrade/eligibility").await["eligible"], false);
    assert_eq!(get("ssl-enforcement").await["currentConfig"]["database"], false);

    let idle = async || {
        let project = world.people.control.project(&world.project).await.unwrap();
        let operation = project.status_operation.unwrap();
        let wait = std::time::Duration::from_secs(30);
        world.people.control.wait_operation(operation, wait).await.unwrap();
    };
    let body = json!({ "max_rows": 7 });
    let changed = world.send("admin", "PATCH", &at("postgrest"), &body).await;
    assert_eq!((changed.status(), &changed.json()["max_rows"]), (200, &json!(7)), "{}", changed.text());
    idle().await;
    let body = json!({ "site_url": "https://example.com" });
    let changed = world.send("admin", "PATCH", &at("config/auth"), &body).await;
    assert_eq!(changed.json()["site_url"], "https://example.com", "{}", changed.text());
    idle().await;
    let changed =
        world.send("admin", "PATCH", &at("database/password"), &json!({ "password": "next" })).await;
    assert!(changed.status() == 200 && !changed.text().contains("next"), "{}", changed.text());
    idle().await;
    for (method, part, body, status) in [
        ("PUT", "ssl-enforcement", json!({ "requestedConfig": { "database": true } }), 501),
        ("PUT", "ssl-enforcement", json!({ "requestedConfig": { "database": false } }), 200),
        ("PUT", "ssl-enforcement", json!({}), 400),
        ("POST", "network-restrictions/apply", json!({ "dbAllowedCidrs": ["10.0.0.0/8"] }), 501),
        ("POST", "network-bans/retrieve", Value::Null, 201),
        ("GET", "functions", Value::Null, 501),
        ("GET", "secrets", Value::Null, 501),
        ("POST", "branches", json!({ "branch_name": "x" }), 501),
    ] {
        let reply = world.send("owner", method, &at(part), &body).await;
        assert_eq!(reply.status(), status, "{method} {part}: {}", reply.text());
        if status == 501 {
            assert!(reply.json()["message"].as_str().unwrap().len() > 20, "{}", reply.text());
            let hidden = world.send("stranger", method, &at(part), &body).await;
            assert_eq!((hidden.status(), &hidden.json()["message"]), (404, &json!("Project not found")));
        }
    }
}
