//! The walk that a real Studio was recorded on, to be taken again.

use serde_json::{Value, json};

use super::{Studio, replies};

const WALK: &str = include_str!("walk.txt");

/// One line of it.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    status: &'static str,
    times: usize,
    paged: bool,
    anonymous: bool,
    until: Option<&'static str>,
}

/// All of them, in their order.
pub(super) fn steps() -> impl Iterator<Item = Step> {
    let lines = WALK.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let mut words = line.split_whitespace();
        let mut word = || words.next().unwrap_or_else(|| panic!("{line} is too short"));
        let (method, path, status) = (word(), word(), word());
        let mut step = Step { method, path, status, times: 1, paged: false, anonymous: false, until: None };
        while let Some(word) = words.next() {
            match word {
                "V2" => step.paged = true,
                "anonymous" => step.anonymous = true,
                "until" => step.until = words.next(),
                count => step.times = count.trim_start_matches('x').parse().unwrap(),
            }
        }
        step
    })
}

impl Studio {
    /// Takes the whole walk: each reply has its status, and what Studio's pages break without.
    pub(super) async fn walk(&self) {
        let mut project = String::new();
        for step in steps() {
            let path = step.path.replace("{ref}", &project);
            for _ in 0..step.times {
                let reply = loop {
                    let reply = self.step(&step, &path, &project).await;
                    if step.until.is_none_or(|status| reply.json()["status"] == status) {
                        break reply;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                };
                let right = match step.status {
                    "other" => reply.status() != 500 && reply.status() < 502,
                    "busy" => matches!(reply.status(), 200 | 503),
                    status => reply.status().to_string() == status,
                };
                assert!(right, "{step:?}: {} {}", reply.status(), reply.text());
                if reply.status() >= 400 {
                    assert!(reply.json()["message"].is_string(), "{step:?}: {}", reply.text());
                    continue;
                }
                if step.method == "POST" && step.path == "/api/platform/projects" {
                    reply.json()["ref"].as_str().unwrap().clone_into(&mut project);
                }
                if reply.text().is_empty() {
                    assert!(EMPTY.iter().any(|end| path.ends_with(end)), "{step:?} is empty");
                    continue;
                }
                let mut path = path.split('?').next().unwrap().to_owned();
                if step.method != "GET" {
                    path = format!("{path} {}", step.method);
                }
                replies::check_with_each_field_removed(&path, &reply.json());
            }
        }
    }

    async fn step(&self, step: &Step, path: &str, project: &str) -> crate::host::Reply {
        let mut request = warp::test::request()
            .method(step.method)
            .path(path)
            .header("x-request-id", "0d3ae4b6-9e47-4f5c-8a5c-1f2c31b9c001")
            .header("accept", "application/json");
        if !step.anonymous {
            request = request.header("authorization", format!("Bearer {}", self.token));
        }
        if step.paged {
            request = request.header("version", "2");
        }
        if path.contains("/pg-meta/") {
            let detail = self.get(&format!("/api/platform/projects/{project}")).await.json();
            request =
                request.header("x-connection-encrypted", detail["connectionString"].as_str().unwrap_or("x"));
        }
        let body = body(step.method, path);
        if !body.is_null() {
            request = request.json(&body);
        }
        crate::host::Reply(request.reply(&self.people.filter).await)
    }
}

/// What may answer with nothing.
const EMPTY: [&str; 4] = ["/audit-login", "/pause", "/restart", "/feedback/downgrade"];

/// The bodies that were recorded.
fn body(method: &str, path: &str) -> Value {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    if method != "POST" {
        return Value::Null;
    }
    match path {
        "/api/platform/projects" => json!({
            "cloud_provider": "AWS", "organization_slug": "acme", "name": "My Project",
            "db_pass": super::PASSWORD, "db_region": "East US (Ohio)", "desired_instance_size": "micro",
            "data_api_use_api_schema": false, "high_availability": false,
        }),
        "/api/platform/organizations/acme/available-versions" => {
            json!({ "provider": "AWS", "region": "East US (Ohio)" })
        }
        "/api/platform/feedback/downgrade" => json!({ "orgSlug": "acme", "reasons": "- Too expensive\n" }),
        _ if path.ends_with("/restore") || path.ends_with("/restart") => json!({}),
        _ if path.ends_with("/query") => {
            let sql = match query {
                "key=entity-types-public-0" => "with records as (select 1) select data from records",
                "key=max-connections" => "show max_connections",
                _ => "select 1",
            };
            json!({ "query": sql, "disable_statement_timeout": false })
        }
        _ => Value::Null,
    }
}
