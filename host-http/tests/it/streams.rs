//! Replies that go on.

use std::time::Duration;

use serde_json::Value;

use crate::host::{Host, V1};

/// The events of a stream that ends because the host shuts down once `until` was seen in the control plane.
async fn followed(host: &Host, path: &str, last_event_id: Option<&str>) -> String {
    let mut request = host.request("GET", path);
    if let Some(id) = last_event_id {
        request = request.header("last-event-id", id);
    }
    let reply = tokio::time::timeout(Duration::from_secs(20), request.reply(&host.filter)).await.unwrap();
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
    let ends = host.shutdown.clone();
    let control = host.control.clone();
    tokio::spawn(async move {
        // The newest event has been handed to a follower of the control plane, so the stream has had it as well soon.
        let mut events = control.follow_events(before - 1);
        events.recv().await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        ends.cancel();
    });
    let after = (before - 2).to_string();
    let text = followed(&host, &format!("{V1}/events/stream?after=0"), Some(&after)).await;
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
    let text = followed(&host, &format!("{V1}/operations/{id}/progress"), None).await;
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
