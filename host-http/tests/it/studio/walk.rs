//! The walk that a real Studio was recorded on, to be taken again.

use std::time::Duration;

use futures_util::future::join_all;
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
    /// How many seconds Studio waits before it asks again.
    every: u32,
}

impl Step {
    /// Whether it is one of those that a page asks for all at once.
    fn is_of_a_page(&self) -> bool {
        self.until.is_none() && (self.method == "GET" || self.path.contains("/query"))
    }
}

/// All of them, in their order.
pub(super) fn steps() -> impl Iterator<Item = Step> {
    let lines = WALK.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(|line| {
        let mut words = line.split_whitespace();
        let mut word = || words.next().unwrap_or_else(|| panic!("{line} is too short"));
        let (method, path, status) = (word(), word(), word());
        let mut step =
            Step { method, path, status, times: 1, paged: false, anonymous: false, until: None, every: 0 };
        while let Some(word) = words.next() {
            match word {
                "V2" => step.paged = true,
                "anonymous" => step.anonymous = true,
                "until" => step.until = words.next(),
                "every" => step.every = words.next().unwrap().parse().unwrap(),
                count => step.times = count.trim_start_matches('x').parse().unwrap(),
            }
        }
        step
    })
}

impl Studio {
    /// Takes the whole walk: each reply has its status, and what Studio's pages break without. What a page asks for it asks
    /// at once, as a browser does; what somebody does there comes when the page stands.
    pub(super) async fn walk(&self) {
        let (steps, mut project) = (steps().collect::<Vec<_>>(), String::new());
        for page in steps.chunk_by(|one, next| one.is_of_a_page() && next.is_of_a_page()) {
            let replies = join_all(page.iter().map(|step| self.take(step, &project))).await;
            if let [Step { method: "POST", path: "/api/platform/projects", .. }] = page {
                replies[0].json()["ref"].as_str().unwrap().clone_into(&mut project);
            }
        }
    }

    /// Takes a step, and gives the last reply to it.
    async fn take(&self, step: &Step, project: &str) -> crate::host::Reply {
        let path = step.path.replace("{ref}", project);
        let mut last = None;
        for _ in 0..step.times {
            let reply = self.awaited(step, &path, project).await;
            check(step, &path, &reply);
            last = Some(reply);
        }
        last.unwrap()
    }

    /// The reply that Studio asks for again and again, at its own pace.
    async fn awaited(&self, step: &Step, path: &str, project: &str) -> crate::host::Reply {
        let asked = tokio::time::timeout(Duration::from_secs(300), async {
            loop {
                let reply = self.step(step, path, project).await;
                if step.until.is_none_or(|status| reply.json()["status"] == status) {
                    break reply;
                }
                tokio::time::sleep(self.second * step.every).await;
            }
        });
        asked.await.unwrap_or_else(|_| panic!("{step:?} was never answered"))
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

fn check(step: &Step, path: &str, reply: &crate::host::Reply) {
    let right = match step.status {
        "other" => reply.status() != 500 && reply.status() < 502,
        "busy" => matches!(reply.status(), 200 | 503),
        status => reply.status().to_string() == status,
    };
    assert!(right, "{step:?}: {} {}", reply.status(), reply.text());
    if reply.status() >= 400 {
        assert!(reply.json()["message"].is_string(), "{step:?}: {}", reply.text());
        return;
    }
    if reply.text().is_empty() {
        assert!(EMPTY.iter().any(|end| path.ends_with(end)), "{step:?} is empty");
        return;
    }
    let mut path = path.replace("/query?key=", "/query/");
    path.truncate(path.find('?').unwrap_or(path.len()));
    if step.method != "GET" {
        path = format!("{path} {}", step.method);
    }
    replies::check_with_each_field_removed(&path, &reply.json());
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
                "key=entity-types-public-0" => ENTITIES,
                "key=max-connections" => "show max_connections",
                "key=schemas" => SCHEMAS,
                "key=database-extensions" => EXTENSIONS,
                "key=fdws" => "select s.oid as \"id\", s.srvname as \"name\" from pg_foreign_server s",
                _ => "select 1 as version",
            };
            json!({ "query": sql, "disable_statement_timeout": false })
        }
        _ => Value::Null,
    }
}

/// SQL of the shape that was recorded.
const SCHEMAS: &str = "\n-- Adapted from information_schema.schemata\n\nselect n.oid as id, n.nspname as name \
                       from pg_namespace n where n.nspname !~ '^pg_'";
const EXTENSIONS: &str = "SELECT e.name, n.nspname AS schema, e.default_version, x.extversion AS installed_version \
                          FROM pg_available_extensions() e(name, default_version, comment) \
                          LEFT JOIN pg_extension x ON e.name = x.extname \
                          LEFT JOIN pg_namespace n ON x.extnamespace = n.oid";
const ENTITIES: &str = "with records as (select c.oid::int8 as id, c.relname as name from pg_class c \
                        join pg_namespace n on n.oid = c.relnamespace where n.nspname = 'public') \
                        select coalesce(json_agg(r), '[]') as data from records r";
