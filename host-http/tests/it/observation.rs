//! Looking at projects, targets and the host itself.

use freehold_core::Destroyer as _;
use serde_json::json;

use crate::host::{Host, V1};

#[tokio::test]
async fn health_plan_and_inventory_tell_of_a_running_project() {
    let host = Host::new().await;
    let project = host.project("demo").await;
    let health = host.get(&format!("{V1}/projects/{project}/health")).await.json();
    assert_eq!(health["healthy"], true, "{health}");
    let plan = host.get(&format!("{V1}/projects/{project}/plan")).await.json();
    assert_eq!(plan, json!({ "changes": [] }));
    let inventory = host.get(&format!("{V1}/targets/mock/inventory")).await.json();
    assert_eq!(inventory["holdings"][0]["ref"], project.as_str());
    assert_eq!(host.get(&format!("{V1}/targets/nope/inventory")).await.status(), 404);
}

#[tokio::test]
async fn targets_are_listed_with_their_stacks() {
    let host = Host::new().await;
    let targets = host.get(&format!("{V1}/targets")).await.json();
    assert_eq!(targets["targets"][0]["name"], "mock");
    assert_eq!(targets["targets"][0]["stacks"][0]["name"], "mock");
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_503_without_its_inside() {
    let host = Host::new().await;
    let project = host.project("demo").await;
    host.backend.disconnect();
    let reply = host.get(&format!("{V1}/projects/{project}/health")).await;
    assert_eq!((reply.status(), reply.json()["code"].as_str()), (503, Some("unavailable")));
}

#[tokio::test]
async fn waiting_ends_when_the_status_is_there_or_the_time_is_up() {
    let host = Host::new().await;
    let project = host.project("demo").await;
    let path = format!("{V1}/projects/{project}/wait");
    let there = host.get(&format!("{path}?statuses=INACTIVE,ACTIVE_HEALTHY&timeout=5")).await;
    assert_eq!((there.status(), there.json()["status"].as_str()), (200, Some("ACTIVE_HEALTHY")));
    let late = host.get(&format!("{path}?statuses=INACTIVE&timeout=0")).await;
    assert_eq!(late.status(), 504);
    assert!(late.text().contains("ACTIVE_HEALTHY"), "{}", late.text());
}

#[tokio::test]
async fn metrics_count_projects_and_operations() {
    let host = Host::new().await;
    host.project("demo").await;
    let reply = host.get("/metrics").await;
    assert!(reply.header("content-type").starts_with("text/plain; version=0.0.4"));
    for line in [
        "freehold_projects{status=\"ACTIVE_HEALTHY\"} 1",
        "# TYPE freehold_operations gauge",
        "freehold_operations_ended_total{kind=\"create\",outcome=\"succeeded\"} 1",
        "freehold_leases_lost_total 0",
    ] {
        assert!(reply.text().lines().any(|found| found == line), "{line} is not in\n{}", reply.text());
    }
    // What has ended is kept for long, and not counted at each look.
    assert!(!reply.text().contains("freehold_operations{"), "{}", reply.text());
}

#[tokio::test]
async fn the_doctor_tells_what_is_missing_and_removing_touches_nothing_that_has_an_owner() {
    let host = Host::new().await;
    let (lost, well) = (host.project("lost").await, host.project("well").await);
    let examined = host.get(&format!("{V1}/doctor")).await.json();
    assert_eq!((examined["well"].as_bool(), &examined["targets"][0]["findings"]), (Some(true), &json!([])));
    let ctx = freehold_core::Context::new(std::time::Duration::from_secs(60));
    host.backend.destroy(&ctx, &lost).await.unwrap();
    for body in [json!({}), json!({ "older_than_seconds": 0 })] {
        let diagnosis = host.send("POST", &format!("{V1}/doctor"), &body).await.json();
        let finding = &diagnosis["targets"][0]["findings"][0];
        assert_eq!(diagnosis["well"], false);
        assert_eq!((&finding["ref"], &finding["trouble"]), (&json!(lost), &json!("missing")));
        assert_eq!(finding["removed"], json!(null));
    }
    let health = host.get(&format!("{V1}/projects/{well}/health")).await.json();
    assert_eq!(health["healthy"], true);
    let wrong = host.send("POST", &format!("{V1}/doctor"), &json!({ "older_than": 1 })).await;
    assert_eq!(wrong.status(), 400);
}
