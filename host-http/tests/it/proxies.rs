//! Storage, the application's people and PostgREST: by project, with its service key, and not while it is not up.

use std::time::Duration;

use freehold_core::ExposeSecret;
use serde_json::{Value, json};

use crate::{gateway::World, people::session, supabase};

/// What Studio asks, what the project's own service is asked then, and with what.
const PASSED: &[(&str, &str, &str, &str)] = &[
    ("GET storage/{ref}/buckets", "", "GET /storage/v1/bucket", ""),
    (
        "POST storage/{ref}/buckets",
        r#"{"id":"b","public":true,"unknown":1}"#,
        "POST /storage/v1/bucket",
        r#"{"id":"b","name":"b","public":true}"#,
    ),
    ("GET storage/{ref}/buckets/b", "", "GET /storage/v1/bucket/b", ""),
    (
        "PATCH storage/{ref}/buckets/b",
        r#"{"id":"b","public":false}"#,
        "PUT /storage/v1/bucket/b",
        r#"{"public":false}"#,
    ),
    ("DELETE storage/{ref}/buckets/b", "", "DELETE /storage/v1/bucket/b", ""),
    ("POST storage/{ref}/buckets/b/empty", "", "POST /storage/v1/bucket/b/empty", ""),
    (
        "DELETE storage/{ref}/buckets/b/objects",
        r#"{"paths":["x"]}"#,
        "DELETE /storage/v1/object/b",
        r#"{"prefixes":["x"]}"#,
    ),
    (
        "POST storage/{ref}/buckets/b/objects/list",
        r#"{"path":"/x","options":{"limit":1}}"#,
        "POST /storage/v1/object/list/b",
        r#"{"limit":1,"prefix":"x"}"#,
    ),
    (
        "POST storage/{ref}/buckets/b/objects/move",
        r#"{"from":"x","to":"y"}"#,
        "POST /storage/v1/object/move",
        r#"{"bucketId":"b","sourceKey":"x","destinationKey":"y"}"#,
    ),
    (
        "POST storage/{ref}/buckets/b/objects/sign",
        r#"{"path":"a b","expiresIn":5}"#,
        "POST /storage/v1/object/sign/b/a%20b",
        r#"{"expiresIn":5}"#,
    ),
    (
        "POST storage/{ref}/buckets/b/objects/sign-multi",
        r#"{"path":["x"]}"#,
        "POST /storage/v1/object/sign/b",
        r#"{"expiresIn":86400,"paths":["x"]}"#,
    ),
    (
        "POST auth/{ref}/users",
        r#"{"email":"a@example.com"}"#,
        "POST /auth/v1/admin/users",
        r#"{"email":"a@example.com"}"#,
    ),
    (
        "PATCH auth/{ref}/users/u",
        r#"{"ban_duration":"1h"}"#,
        "PUT /auth/v1/admin/users/u",
        r#"{"ban_duration":"1h"}"#,
    ),
    (
        "DELETE auth/{ref}/users/u?soft_delete=true",
        "",
        "DELETE /auth/v1/admin/users/u",
        r#"{"should_soft_delete":true}"#,
    ),
    ("DELETE auth/{ref}/users/u/factors", "", "GET /auth/v1/admin/users/u/factors", ""),
    ("POST auth/{ref}/invite", r#"{"email":"a","x":1}"#, "POST /auth/v1/invite", r#"{"email":"a"}"#),
    ("POST auth/{ref}/magiclink", r#"{"email":"a"}"#, "POST /auth/v1/magiclink", r#"{"email":"a"}"#),
    ("POST auth/{ref}/otp", r#"{"phone":"1"}"#, "POST /auth/v1/otp", r#"{"phone":"1"}"#),
    ("POST auth/{ref}/recover", r#"{"email":"a"}"#, "POST /auth/v1/recover", r#"{"email":"a"}"#),
    ("GET projects/{ref}/api/rest", "", "GET /rest/v1/", ""),
    ("HEAD projects/{ref}/api/rest", "", "HEAD /rest/v1/", ""),
];

fn parsed(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { serde_json::from_str(text).unwrap() }
}

#[tokio::test]
async fn each_request_goes_to_the_projects_own_service_with_its_service_key_and_for_those_who_may() {
    let world = World::new().await;
    for (line, body, asked, with) in PASSED {
        let (method, path) = line.split_once(' ').unwrap();
        let path = format!("/api/platform/{path}");
        for (name, status) in [("reader", 403), ("stranger", 404)] {
            let before = world.asked.lock().unwrap().len();
            let refused = world.send(name, method, &path, &parsed(body)).await.status();
            let may = name == "reader" && path.ends_with("/api/rest");
            assert!(may || refused == status, "{line} by {name}: {refused}");
            assert!(may || world.asked.lock().unwrap().len() == before, "{line} by {name} went out");
        }
        let reply = world.send("developer", method, &path, &parsed(body)).await;
        assert!((200..300).contains(&reply.status()), "{line}: {} {}", reply.status(), reply.text());
        let last = world.last();
        assert_eq!((last.line.as_str(), &last.key), (*asked, &world.service_key), "{line}");
        assert_eq!(last.body, parsed(with), "{line}");
    }
}

#[tokio::test]
async fn replies_are_those_that_studio_reads_and_refusals_keep_their_words() {
    let world = World::new().await;
    let reply = async |method: &str, path: &str, body: Value| {
        world.send("owner", method, &format!("/api/platform/{path}"), &body).await
    };
    assert_eq!(reply("POST", "auth/{ref}/users", json!({ "email": "a" })).await.status(), 201);
    let deleted = reply("DELETE", "auth/{ref}/users/u", Value::Null).await;
    assert_eq!((deleted.status(), deleted.text().as_str()), (204, ""));
    let gone = reply("DELETE", "auth/{ref}/users/gone", Value::Null).await;
    assert_eq!((gone.status(), gone.json()["message"].as_str()), (404, Some("User not found")));
    let port = world.people.control.project(&world.project).await.unwrap().connection.unwrap();
    let base = format!("http://{}/storage/v1/object", port.api.unwrap().public);
    let body = json!({ "path": "a b/c.png" });
    let link = reply("POST", "storage/{ref}/buckets/b/objects/public-url", body).await.json();
    assert_eq!(link["publicUrl"], format!("{base}/public/b/a%20b/c.png"));
    let signed = reply("POST", "storage/{ref}/buckets/b/objects/sign", json!({ "path": "x" })).await.json();
    assert_eq!(signed["signedUrl"], format!("{base}/sign/b/x?token=t"));
    let keys = reply("GET", "storage/{ref}/credentials", Value::Null).await.json();
    let secrets = world.people.control.secrets(&world.project).await.unwrap();
    let secret = |name: &str| secrets[&name.parse().unwrap()].expose_secret();
    assert_eq!(keys["data"][0]["access_key"], secret("s3_access_key_id"));
    assert!(!keys.to_string().contains(secret("s3_access_key_secret")));
    let lent = reply("POST", "projects/{ref}/api-keys/temporary?authorization_exp=60", Value::Null).await;
    assert_eq!((lent.status(), lent.header("cache-control")), (201, "no-store"));
    assert_eq!(lent.json()["api_key"].as_str().unwrap().split('.').count(), 3);
    let versions = reply("GET", "projects/{ref}/service-versions", Value::Null).await.json();
    let expected = json!({ "gotrue": "v2.186.0", "postgrest": "14.8", "supabase-postgres": "memory" });
    assert_eq!(versions, expected);
    let spam = reply("POST", "auth/{ref}/validate/spam", json!({})).await;
    assert_eq!((spam.status(), spam.json()), (200, json!({ "rules": [] })));
}

#[tokio::test]
async fn no_name_leads_to_another_part_of_the_gateway() {
    let world = World::new().await;
    for path in [
        "storage/{ref}/buckets/..",
        "storage/{ref}/buckets/%2e%2E",
        "storage/{ref}/buckets/b%5C..",
        "storage/{ref}/buckets/b%2F..%2Fx",
        "auth/{ref}/users/%2E%2e",
    ] {
        let method = if path.contains("users") { "DELETE" } else { "GET" };
        let reply = world.send("owner", method, &format!("/api/platform/{path}"), &Value::Null).await;
        assert_eq!(reply.status(), 400, "{path}");
    }
    let up = json!({ "path": "../../auth/v1/admin/users" });
    let reply = world.send("owner", "POST", "/api/platform/storage/{ref}/buckets/b/objects/sign", &up).await;
    assert_eq!(reply.status(), 400);
    assert!(world.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_up_or_has_no_key_is_refused_in_the_words_that_clients_know() {
    let world = World::new().await;
    let paused = world.people.control.pause(&world.project).await.unwrap().operation.unwrap();
    world.people.control.wait_operation(paused.id, Duration::from_secs(30)).await.unwrap();
    for (path, part) in [("storage/{ref}/buckets", "storage API"), ("projects/{ref}/api/rest", "data API")] {
        let reply = world.send("owner", "GET", &format!("/api/platform/{path}"), &Value::Null).await;
        let message = format!("Project {} is still provisioning; {part} unavailable", world.project);
        assert_eq!((reply.status(), reply.json()["message"].as_str()), (503, Some(message.as_str())));
    }
    let users = "/api/platform/auth/{ref}/users";
    assert_eq!(world.send("owner", "POST", users, &json!({})).await.status(), 503);
    assert!(world.asked.lock().unwrap().is_empty());

    let mut keyless = supabase::stack();
    keyless.spec.secrets.retain(|secret| secret.name.as_str() != "service_role_key");
    let world = World::of(keyless, "demo").await;
    let path = format!("/api/platform/storage/{}/buckets", world.project);
    let reply = world.people.get(&path, &session("owner")).await;
    let message = format!("Project {} is missing a service role key", world.project);
    assert_eq!((reply.status(), reply.json()["message"].as_str()), (503, Some(message.as_str())));
}
