//! Opaque API keys that are made, renamed and deleted.

use std::{collections::BTreeMap, time::Duration};

use freehold_core::{
    ExposeSecret, Kind, Status,
    faults::{Fault, Faults, Then},
    memory::MemoryStack,
};
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::{gateway::World, host::Reply};

const PATH: &str = "/v1/projects/{ref}/api-keys";

impl World {
    async fn keys(&self) -> Vec<Value> {
        let all = self.send("owner", "GET", PATH, &Value::Null).await.json();
        let opaque = |key: &&Value| key["type"] != "legacy";
        all.as_array().unwrap().iter().filter(opaque).cloned().collect()
    }

    async fn secret_text(&self) -> String {
        let secrets = self.people.control.secrets(&self.project).await.unwrap();
        secrets[&"secret_key".parse().unwrap()].expose_secret().to_owned()
    }

    async fn idle(&self) {
        let project = self.people.control.project(&self.project).await.unwrap();
        let operation = project.status_operation.unwrap();
        self.people.control.wait_operation(operation, Duration::from_secs(30)).await.unwrap();
    }
}

#[tokio::test]
async fn a_deleted_key_leaves_its_place_to_one_with_another_text() {
    let world = World::new().await;
    let old = world.secret_text().await;
    let make = json!({
        "type": "secret", "name": "importer", "description": "nightly", "expose_as_env": true,
        "secret_jwt_template": { "role": "service_role" },
    });
    let full = world.send("owner", "POST", PATH, &make).await;
    let message = full.json()["message"].as_str().unwrap().to_owned();
    assert!(full.status() == 409 && message.contains("1 secret") && message.contains("default"), "{message}");

    let deleted = world.send("owner", "DELETE", &format!("{PATH}/secret_key"), &Value::Null).await;
    assert_eq!((deleted.status(), &deleted.json()["name"]), (200, &json!("default")), "{}", deleted.text());
    let project = world.people.control.project(&world.project).await.unwrap();
    assert_eq!(project.status, Status::ActiveHealthy, "it is out of force when that is answered");
    let new = world.secret_text().await;
    assert_ne!(old, new, "its text was made anew");
    let kinds: Vec<_> = world.keys().await.iter().map(|key| key["type"].clone()).collect();
    assert_eq!(kinds, ["publishable"]);
    for (method, status) in [("GET", 404), ("PATCH", 404), ("DELETE", 404)] {
        let absent = world.send("owner", method, &format!("{PATH}/secret_key"), &json!({})).await;
        assert_eq!((absent.status(), &absent.json()["message"]), (status, &json!("API key not found")));
    }

    let made = world.send("owner", "POST", PATH, &make).await;
    assert_eq!(made.status(), 201, "{}", made.text());
    assert_eq!(made.header("cache-control"), "no-store");
    let made = made.json();
    let shown = made["api_key"].as_str().unwrap();
    assert!(shown.starts_with(&new[..15]) && !shown.contains(&new[15..]), "{made}");
    assert_eq!((&made["prefix"], &made["description"]), (&json!(new[..15]), &json!("nightly")));
    let path = format!("{PATH}/{}", made["id"].as_str().unwrap());
    let shown = world.send("owner", "GET", &format!("{path}?reveal=true"), &Value::Null).await.json();
    assert_eq!((&shown["api_key"], &shown["name"]), (&json!(new), &json!("importer")));
    assert_eq!(world.send("owner", "POST", PATH, &make).await.status(), 409, "the place is taken again");

    let renamed = world.send("owner", "PATCH", &path, &json!({ "name": "exporter" })).await.json();
    assert_eq!((&renamed["name"], &renamed["description"]), (&json!("exporter"), &json!("nightly")));
    let emptied = world.send("owner", "PATCH", &path, &json!({ "description": null })).await.json();
    assert_eq!((&emptied["name"], &emptied["description"]), (&json!("exporter"), &Value::Null));
    assert_eq!(world.keys().await[1]["name"], "exporter");
}

#[tokio::test]
async fn what_keys_cannot_be_is_refused_with_the_field_and_changes_nothing() {
    let world = World::new().await;
    for (field, body) in [
        ("type", json!({ "type": "legacy", "name": "mine" })),
        ("type", json!({ "name": "mine" })),
        ("name", json!({ "type": "secret", "name": "No" })),
        ("name", json!({ "type": "secret", "name": "service_role" })),
        ("description", json!({ "type": "secret", "name": "mine", "description": "x".repeat(257) })),
        (
            "secret_jwt_template",
            json!({ "type": "secret", "name": "mine", "secret_jwt_template": { "role": "anon" } }),
        ),
    ] {
        let refused = world.send("owner", "POST", PATH, &body).await;
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(refused.status() == 400 && message.contains(field), "{body}: {message}");
    }
    for method in ["PATCH", "DELETE"] {
        let refused = world.send("owner", method, &format!("{PATH}/anon"), &json!({ "name": "mine" })).await;
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(refused.status() == 501 && message.contains("rotate"), "{method}: {message}");
    }
    for (method, path) in [("POST", PATH.to_owned()), ("DELETE", format!("{PATH}/secret_key"))] {
        let body = json!({ "type": "secret", "name": "mine" });
        assert_eq!(world.send("reader", method, &path, &body).await.status(), 403, "{method}");
    }
    let names: Vec<_> = world.keys().await.iter().map(|key| key["name"].clone()).collect();
    assert_eq!(names, ["default", "default"]);
    world.people.control.pause(&world.project).await.unwrap();
    world.idle().await;
    let refused = world.send("owner", "DELETE", &format!("{PATH}/secret_key"), &Value::Null).await;
    assert_eq!(refused.status(), 409, "its gateway does not run: {}", refused.text());
}

#[tokio::test]
async fn a_project_whose_gateway_knows_no_opaque_keys_says_so() {
    let world = World::of(MemoryStack::mock().unwrap(), "plain").await;
    let refused = world.send("owner", "POST", PATH, &json!({ "type": "publishable", "name": "mine" })).await;
    let message = refused.json()["message"].as_str().unwrap().to_owned();
    assert!(refused.status() == 501 && message.contains("no keys of that kind"), "{message}");
}

#[tokio::test]
async fn of_requests_for_one_place_at_the_same_time_one_gets_it() {
    let world = World::new().await;
    let deleted = world.send("owner", "DELETE", &format!("{PATH}/secret_key"), &Value::Null).await;
    assert_eq!(deleted.status(), 200, "{}", deleted.text());
    let bodies: Vec<_> =
        (0..8).map(|n| json!({ "type": "secret", "name": format!("importer_{n}") })).collect();
    let replies = join_all(bodies.iter().map(|body| world.send("owner", "POST", PATH, body))).await;
    let made: Vec<_> = replies.iter().filter(|reply| reply.status() == 201).map(Reply::json).collect();
    assert_eq!(made.len(), 1, "{made:?}");
    assert!(replies.iter().all(|reply| [201, 409].contains(&reply.status())));
    assert_eq!(world.keys().await[1]["name"], made[0]["name"]);
}

#[tokio::test]
async fn changes_of_two_keys_at_the_same_time_are_both_kept() {
    let world = World::new().await;
    let paths = ["publishable_key", "secret_key"].map(|key| format!("{PATH}/{key}"));
    let body = json!({ "name": "renamed" });
    let renamed = join_all(paths.iter().map(|path| world.send("owner", "PATCH", path, &body))).await;
    assert!(renamed.iter().all(|reply| reply.status() == 200));
    let names: Vec<_> = world.keys().await.iter().map(|key| key["name"].clone()).collect();
    assert_eq!(names, ["renamed", "renamed"]);
}

#[tokio::test]
async fn what_is_told_of_keys_is_no_annotation_of_a_caller() {
    let world = World::new().await;
    let (projects, path) = ("/api/freehold/v1/projects", "/api/freehold/v1/projects/{ref}");
    let renamed =
        world.send("owner", "PATCH", &format!("{PATH}/secret_key"), &json!({ "name": "importer" })).await;
    assert_eq!(renamed.status(), 200, "{}", renamed.text());
    let annotated = world.send("owner", "PATCH", path, &json!({ "annotations": { "team": "x" } })).await;
    assert_eq!((annotated.status(), &annotated.json()["annotations"]), (200, &json!({ "team": "x" })));
    let taken = json!({ "api_key.secret_key": "null" });
    let create = json!({ "organization": "acme", "name": "other", "annotations": taken });
    for (method, path, body) in [("PATCH", path, json!({ "annotations": taken })), ("POST", projects, create)]
    {
        let refused = world.send("owner", method, path, &body).await;
        let message = refused.json()["message"].as_str().unwrap().to_owned();
        assert!(refused.status() == 400 && message.contains("api_key.secret_key"), "{method}: {message}");
    }
    for (count, status) in [(48, 200), (49, 400)] {
        let many: BTreeMap<_, _> = (0..count).map(|n| (format!("fact_{n}"), "x")).collect();
        let annotated = world.send("owner", "PATCH", path, &json!({ "annotations": many })).await;
        assert_eq!(annotated.status(), status, "{count}: {}", annotated.text());
    }
    let renamed =
        world.send("owner", "PATCH", &format!("{PATH}/publishable_key"), &json!({ "name": "site" })).await;
    assert_eq!(renamed.status(), 200, "there is room for the host's own: {}", renamed.text());
    let names: Vec<_> = world.keys().await.iter().map(|key| key["name"].clone()).collect();
    assert_eq!(names, ["site", "importer"]);
}

#[tokio::test]
async fn a_deletion_that_gives_up_says_so_and_no_key_is_made_until_the_gateway_is_as_wished() {
    let at = |nth, then| Fault::new("call reconfigure before", then).nth(nth);
    let faults = vec![at(1, Then::Fail(Kind::InvalidInput)), at(3, Then::Hang)];
    let world = World::faulty(Faults { faults, ..Faults::default() }).await;
    let deleted = world.send("owner", "DELETE", &format!("{PATH}/secret_key"), &Value::Null).await;
    let message = deleted.json()["message"].as_str().unwrap().to_owned();
    assert!(
        deleted.status() == 409 && message.contains("failed") && message.contains("/repair"),
        "{message}"
    );
    let make = json!({ "type": "secret", "name": "importer" });
    let early = world.send("owner", "POST", PATH, &make).await;
    let message = early.json()["message"].as_str().unwrap().to_owned();
    assert!(early.status() == 409 && message.contains("repair"), "{message}");
    world.people.control.repair(&world.project).await.unwrap();
    world.idle().await;
    let made = world.send("owner", "POST", PATH, &make).await;
    assert_eq!(made.status(), 201, "{}", made.text());

    world.people.control.repair(&world.project).await.unwrap();
    let early = world.send("owner", "POST", PATH, &make).await;
    assert!(early.status() == 409 && early.text().contains("wait for operation"), "{}", early.text());
}
