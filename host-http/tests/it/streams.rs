//! Replies that go on.

use std::time::Duration;

use http_body_util::BodyExt as _;
use serde_json::Value;

use crate::host::{Host, V1};

/// The events of a stream that ends by itself.
async fn followed(host: &Host, path: &str) -> String {
    let reply = host.request("GET", path).reply(&host.filter);
    let reply = tokio::time::timeout(Duration::from_secs(20), reply).await.unwrap();
    assert_eq!(reply.headers()["content-type"], "text/event-stream");
    String::from_utf8(reply.body().to_vec()).unwrap()
}

/// The last number that was given to an event.
async fn newest(host: &Host) -> u64 {
    host.control.events(0, 1000).await.unwrap().next
}

#[tokio::test]
async fn events_are_followed_from_any_number_until_the_host_shuts_down() {
    let host = Host::new().await;
    host.project("demo").await;
    let before = newest(&host).await;
    assert!(before > 2);
    let after = (before - 2).to_string();
    let request = host.request("GET", &format!("{V1}/events/stream?after=0")).header("last-event-id", after);
    let mut body = request.filter(&host.filter).await.unwrap().into_body();
    let mut text = String::new();
    let follow = async {
        while let Some(frame) = body.frame().await {
            text.push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
            if text.contains(&format!("id:{before}\n")) {
                host.shutdown.cancel();
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), follow).await.unwrap();
    let ids: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("id:")).collect();
    assert_eq!(ids.first().unwrap().parse::<u64>().unwrap(), before - 1, "{text}");
    assert!(text.contains("event:"), "{text}");
}

#[tokio::test]
async fn an_operation_is_watched_until_it_has_ended() {
    let host = Host::new().await;
    let project = host.project("demo").await;
    let accepted = host.control.pause(&project).await.unwrap();
    let id = accepted.operation.unwrap().id;
    let text = followed(&host, &format!("{V1}/operations/{id}/progress")).await;
    let last = text.lines().filter_map(|line| line.strip_prefix("data:")).next_back().unwrap();
    let last: Value = serde_json::from_str(last).unwrap();
    assert_eq!(last["state"], "succeeded");
    assert!(!last["steps"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn logs_are_one_json_object_a_line() {
    let host = Host::new().await;
    let project = host.project("demo").await;
    let reply = host.get(&format!("{V1}/projects/{project}/logs")).await;
    assert_eq!(reply.header("content-type"), "application/x-ndjson");
    for line in reply.text().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["service"].is_string() && line["line"].is_string(), "{line}");
    }
    assert!(!reply.text().is_empty());
    assert_eq!(host.get(&format!("{V1}/projects/{project}/logs?services=nope")).await.status(), 400);
}

#[tokio::test]
async fn events_come_as_pages_too() {
    let host = Host::new().await;
    host.project("demo").await;
    let page = host.get(&format!("{V1}/events?after=1&limit=1")).await.json();
    assert_eq!((page["events"][0]["sequence"].as_u64(), page["next"].as_u64()), (Some(2), Some(2)));
}
