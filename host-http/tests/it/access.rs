//! Who gets in, and what a request may cost.

use freehold_host::Bounds;
use serde_json::json;

use crate::host::{Host, V1, create};

#[tokio::test]
async fn no_wrong_and_malformed_credentials_are_refused_alike() {
    let host = Host::new().await;
    let token = host.token.expose();
    let wrong =
        [None, Some("Bearer fh_wrong".to_owned()), Some(token.to_owned()), Some(format!("Basic {token}"))];
    for credential in wrong {
        let mut request = warp::test::request().path("/api/freehold/v1/projects");
        if let Some(credential) = &credential {
            request = request.header("authorization", credential);
        }
        let reply = request.reply(&host.filter).await;
        assert_eq!(reply.status(), 401, "{credential:?}");
        assert_eq!(reply.headers()["www-authenticate"], "Bearer realm=\"freehold\"");
        let text = String::from_utf8_lossy(reply.body());
        assert!(text.contains("unauthenticated") && !text.contains(token), "{text}");
    }
}

#[tokio::test]
async fn a_command_without_a_credential_does_nothing() {
    let host = Host::new().await;
    let request = warp::test::request().method("POST").path("/api/freehold/v1/projects");
    assert_eq!(request.json(&create("demo")).reply(&host.filter).await.status(), 401);
    assert_eq!(host.get(&format!("{V1}/projects")).await.json()["items"], json!([]));
}

#[tokio::test]
async fn health_needs_no_credential_and_says_nothing_of_the_inside() {
    let host = Host::new().await;
    let alive = warp::test::request().path("/healthz").reply(&host.filter).await;
    assert_eq!((alive.status().as_u16(), &alive.body()[..]), (200, &b"ok\n"[..]));
    host.backend.disconnect();
    let ready = warp::test::request().path("/readyz").reply(&host.filter).await;
    assert_eq!(ready.status(), 503);
    let body: serde_json::Value = serde_json::from_slice(ready.body()).unwrap();
    assert_eq!(body["checks"]["store"], json!({"ready": true}));
    assert_eq!(body["checks"]["target/mock"], json!({"ready": false, "code": "unavailable"}));
}

#[tokio::test]
async fn a_body_beyond_the_bound_is_refused() {
    let host = Host::with(Bounds { body: 1000, ..Bounds::default() }).await;
    let reply = host.send("POST", &format!("{V1}/projects"), &create(&"x".repeat(1000))).await;
    assert_eq!((reply.status(), reply.json()["code"].as_str()), (413, Some("too_large")));
}

#[tokio::test]
async fn every_answer_bears_the_id_of_its_request() {
    let host = Host::new().await;
    let reply = host.request("GET", "/api/freehold/v1/projects/x").header("x-request-id", "mine-1");
    let reply = reply.reply(&host.filter).await;
    assert_eq!(reply.headers()["x-request-id"], "mine-1");
    let body: serde_json::Value = serde_json::from_slice(reply.body()).unwrap();
    assert_eq!(body["request_id"], "mine-1");
    let unknown = host.get("/nowhere").await;
    assert_eq!(unknown.header("x-request-id"), unknown.json()["request_id"]);
}

#[tokio::test]
async fn an_unknown_path_is_404_and_a_wrong_method_405() {
    let host = Host::new().await;
    assert_eq!(host.get("/nowhere").await.status(), 404);
    assert_eq!(host.get(&format!("{V1}/projects/")).await.status(), 404);
    let reply = host.send("PATCH", "/healthz", &json!({})).await;
    assert_eq!((reply.status(), reply.json()["code"].as_str()), (405, Some("method_not_allowed")));
}

#[tokio::test]
async fn a_wrong_request_is_told_what_is_wrong_and_no_value_is_repeated() {
    let host = Host::new().await;
    for (body, part) in [
        (json!({"organization": "acme", "name": ""}), "name"),
        (json!({"organization": "acme", "name": "x", "colour": "red"}), "colour"),
        (json!({"organization": "acme", "name": "x", "excluded_services": ["nope"]}), "nope"),
        (json!({"organization": "acme", "name": "x", "secrets": "hunter2"}), "expected a map"),
        (json!({"organization": "acme", "name": "x", "secrets": {"nope": "hunter2"}}), "nope"),
    ] {
        let reply = host.send("POST", &format!("{V1}/projects"), &body).await;
        assert_eq!(reply.status(), 400, "{body}");
        assert!(reply.text().contains(part) && !reply.text().contains("hunter2"), "{}", reply.text());
    }
    for path in
        ["projects?limt=1", "projects?statuses=ASLEEP", "projects/no-ref", "operations/7", "projects?after=!"]
    {
        assert_eq!(host.get(&format!("{V1}/{path}")).await.status(), 400, "{path}");
    }
}
