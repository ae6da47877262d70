//! The document against what is served.

use serde_json::{Value, json};

use crate::host::Host;

#[tokio::test]
async fn every_documented_route_answers_and_needs_the_credential_that_it_says() {
    let host = Host::new().await;
    let document = host.get("/openapi.json").await.json();
    // Streams end, so that this does.
    host.shutdown.cancel();
    let mut count = 0;
    for (template, methods) in document["paths"].as_object().unwrap() {
        for (method, description) in methods.as_object().unwrap() {
            // A project for each, because some routes destroy what others show.
            let project = host.project(&format!("demo {count}")).await;
            let page = host.get(&format!("/api/freehold/v1/operations?ref={project}")).await.json();
            let operation = page["items"][0]["id"].as_str().unwrap();
            let (path, method) = (template.replace("{ref}", project.as_str()), method.to_uppercase());
            let path = path.replace("{id}", operation).replace("{target}", "mock");
            let answer = host.send(&method, &path, &json!({})).await;
            assert!(!matches!(answer.status(), 404 | 405), "{method} {path}: {}", answer.status());
            let bare = warp::test::request().method(&method).path(&path).reply(&host.filter).await;
            let wanted = if description["security"] == json!([{}]) { 200 } else { 401 };
            assert_eq!(bare.status(), wanted, "{method} {path}");
            count += 1;
        }
    }
    assert!(count > 25, "{count} routes");
}

#[tokio::test]
async fn what_is_served_is_the_document_that_is_checked_in() {
    let served = Host::new().await.get("/openapi.json").await.json();
    let checked_in: Value = serde_json::from_str(include_str!("../../openapi.json")).unwrap();
    assert!(served == checked_in);
}
