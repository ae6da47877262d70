//! A project's life over HTTP.

use serde_json::json;

use crate::host::{Host, V1, create};

#[tokio::test]
async fn a_project_is_created_paused_resumed_restarted_reconfigured_and_destroyed() {
    let host = Host::new().await;
    let reply = host.send("POST", &format!("{V1}/projects"), &create("demo")).await;
    assert_eq!(reply.status(), 201, "{}", reply.text());
    let created = reply.json();
    let path = format!("{V1}/projects/{}", created["project"]["ref"].as_str().unwrap());
    assert_eq!(reply.header("location"), path);
    assert_eq!(host.ended(&created).await["state"], "succeeded");
    for (verb, status) in [
        ("pause", "INACTIVE"),
        ("resume", "ACTIVE_HEALTHY"),
        ("restart", "ACTIVE_HEALTHY"),
        ("reconfigure", "ACTIVE_HEALTHY"),
        ("repair", "ACTIVE_HEALTHY"),
    ] {
        let reply = host.send("POST", &format!("{path}/{verb}"), &json!({})).await;
        assert_eq!(reply.status(), 202, "{verb}: {}", reply.text());
        let operation = host.ended(&reply.json()).await;
        assert_eq!(operation["state"], "succeeded", "{verb}: {operation}");
        assert_eq!(host.get(&path).await.json()["status"], status, "{verb}");
    }
    let destroyed = host.send("DELETE", &path, &json!(null)).await;
    assert_eq!(destroyed.status(), 202);
    host.ended(&destroyed.json()).await;
    assert_eq!(host.get(&path).await.json()["status"], "REMOVED");
    assert_eq!(host.get(&format!("{V1}/projects")).await.json()["items"], json!([]));
}

#[tokio::test]
async fn an_illegal_command_tells_the_status_for_people_and_programs() {
    let host = Host::new().await;
    let project = host.project("demo").await;
    let reply = host.send("POST", &format!("{V1}/projects/{project}/resume"), &json!({})).await;
    let body = reply.json();
    assert_eq!((reply.status(), body["code"].as_str()), (409, Some("conflict")));
    assert_eq!(body["detail"]["type"], "illegal_transition");
    assert_eq!(body["detail"]["status"], "ACTIVE_HEALTHY");
}

#[tokio::test]
async fn the_same_request_under_one_key_is_carried_out_once() {
    let host = Host::new().await;
    let send = async |body| {
        let request = host.request("POST", "/api/freehold/v1/projects").header("idempotency-key", "k1");
        request.json(&body).reply(&host.filter).await
    };
    let (first, second) = (send(create("demo")).await, send(create("demo")).await);
    assert_eq!((first.status().as_u16(), second.status().as_u16()), (201, 201));
    assert_eq!(second.headers()["idempotency-replayed"], "true");
    assert_eq!(first.headers()["location"], second.headers()["location"]);
    let other = send(create("other")).await;
    assert_eq!(other.status(), 409);
    assert!(String::from_utf8_lossy(other.body()).contains("key_reused"));
}

#[tokio::test]
async fn a_project_is_renamed_annotated_and_protected_against_destroy() {
    let host = Host::new().await;
    let path = format!("{V1}/projects/{}", host.project("demo").await);
    let amend = json!({ "name": "Demo 2", "protected": true, "annotations": { "region": "local" } });
    let amended = host.send("PATCH", &path, &amend).await.json();
    assert_eq!((amended["name"].as_str(), amended["protected"].as_bool()), (Some("Demo 2"), Some(true)));
    assert_eq!(amended["annotations"], json!({ "region": "local" }));
    let refused = host.send("DELETE", &path, &json!(null)).await;
    assert_eq!((refused.status(), refused.json()["detail"]["type"].as_str()), (409, Some("protected")));
    host.send("PATCH", &path, &json!({ "protected": false })).await;
    assert_eq!(host.send("DELETE", &path, &json!(null)).await.status(), 202);
}

#[tokio::test]
async fn a_name_is_taken_whatever_its_case() {
    let host = Host::new().await;
    host.project("demo").await;
    let reply = host.send("POST", &format!("{V1}/projects"), &create("DEMO")).await;
    assert_eq!((reply.status(), reply.json()["code"].as_str()), (409, Some("already_exists")));
}

#[tokio::test]
async fn lists_are_filtered_and_paged() {
    let host = Host::new().await;
    for name in ["a", "b", "c"] {
        host.project(name).await;
    }
    let mut names = Vec::new();
    let mut path = format!("{V1}/projects?limit=2&organization=acme");
    loop {
        let page = host.get(&path).await.json();
        names.extend(page["items"].as_array().unwrap().iter().map(|item| item["name"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("{V1}/projects?limit=2&organization=acme&after={next}");
    }
    assert_eq!(names, ["a", "b", "c"]);
    let none = host.get(&format!("{V1}/projects?statuses=INACTIVE,COMING_UP")).await.json();
    assert_eq!(none["items"], json!([]));
    let named = host.get(&format!("{V1}/projects?name=B")).await.json();
    assert_eq!(named["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn secrets_are_shown_on_their_own_route_alone() {
    let host = Host::new().await;
    let path = format!("{V1}/projects/{}", host.project("demo").await);
    let reply = host.get(&format!("{path}/secrets")).await;
    assert_eq!(reply.header("cache-control"), "no-store");
    let body = reply.json();
    let secrets = body["secrets"].as_object().unwrap();
    assert!(!secrets.is_empty());
    let operations = host.get(&format!("{V1}/operations")).await.text();
    let elsewhere =
        host.get(&path).await.text() + &operations + &host.get(&format!("{V1}/events")).await.text();
    for (name, value) in secrets {
        assert!(!elsewhere.contains(value.as_str().unwrap()), "{name} is shown elsewhere");
    }
}

#[tokio::test]
async fn an_operation_that_has_ended_is_cancelled_as_it_is() {
    let host = Host::new().await;
    let project = host.project("demo").await;
    let page = host.get(&format!("{V1}/operations?ref={project}&states=succeeded")).await.json();
    let id = page["items"][0]["id"].as_str().unwrap().to_owned();
    let reply = host.send("POST", &format!("{V1}/operations/{id}/cancel"), &json!({})).await;
    assert_eq!((reply.status(), reply.json()["operation"]["state"].as_str()), (202, Some("succeeded")));
}

#[tokio::test]
async fn what_is_amended_together_changes_together_or_not_at_all() {
    let host = Host::new().await;
    host.project("taken").await;
    let project = host.project("demo").await;
    let path = format!("{V1}/projects/{project}");
    let amend = json!({ "name": "Taken", "protected": true, "annotations": { "a": "b" } });
    assert_eq!(host.send("PATCH", &path, &amend).await.status(), 409);
    let before = host.get(&path).await.json();
    assert_eq!(
        (&before["name"], &before["protected"], &before["annotations"]),
        (&json!("demo"), &json!(false), &json!({}))
    );
    let amend = json!({ "name": "other", "protected": true, "annotations": { "a": "b" } });
    let after = host.send("PATCH", &path, &amend).await.json();
    assert_eq!(
        (&after["name"], &after["protected"], &after["annotations"]["a"]),
        (&json!("other"), &json!(true), &json!("b"))
    );
    assert_eq!(after["version"].as_u64(), before["version"].as_u64().map(|version| version + 1));
}

#[tokio::test]
async fn a_field_that_is_wrong_is_named_by_its_path() {
    let host = Host::new().await;
    let mut body = create("demo");
    body["limits"] = json!({ "memory_bytes": "much" });
    let reply = host.send("POST", &format!("{V1}/projects"), &body).await;
    assert_eq!(reply.status(), 400);
    assert!(
        reply.text().contains("limits.memory_bytes") && !reply.text().contains("much"),
        "{}",
        reply.text()
    );
}

#[tokio::test]
async fn a_secret_is_rotated_by_its_name_alone_and_the_answer_does_not_show_the_new_one() {
    let host = Host::new().await;
    let path = format!("{V1}/projects/{}", host.project("demo").await);
    let secret = async || {
        let secrets = host.get(&format!("{path}/secrets")).await.json();
        secrets["secrets"]["db_password"].as_str().unwrap().to_owned()
    };
    let before = secret().await;
    let rotate = json!({ "rotate": ["db_password"] });
    let reply = host.send("POST", &format!("{path}/reconfigure"), &rotate).await;
    assert_eq!(reply.status(), 202, "{}", reply.text());
    assert_eq!(host.ended(&reply.json()).await["state"], "succeeded");
    let after = secret().await;
    assert!(after != before && !reply.text().contains(&after));
    let unknown = host.send("POST", &format!("{path}/reconfigure"), &json!({ "rotate": ["nope"] })).await;
    assert_eq!(unknown.status(), 400, "{}", unknown.text());
}
