//! Asking a host over HTTP, as its clients do.

use std::{fs, path::Path};

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// A client of one host. A cheap handle.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Client {
    /// Of the host on this folder.
    pub(crate) fn of(state: &Path) -> Self {
        let file = fs::read_to_string(state.join("client.toml")).unwrap();
        let file: toml::Table = file.parse().unwrap();
        let text = |name: &str| file[name].as_str().unwrap().to_owned();
        Self { http: reqwest::Client::new(), url: text("url"), token: text("token") }
    }

    /// Makes so many projects, some at once, and pauses them if that is wanted.
    pub(crate) async fn make(&self, name: &'static str, count: usize, callers: usize, pause: bool) {
        let mut making = JoinSet::new();
        for caller in 0..callers {
            let client = self.clone();
            making.spawn(async move {
                for number in (caller..count).step_by(callers) {
                    client.make_one(&format!("{name} {number}"), pause).await;
                }
            });
        }
        making.join_all().await;
    }

    async fn make_one(&self, name: &str, pause: bool) {
        let create = json!({ "organization": "acme", "name": name });
        let accepted = self.ask(Method::POST, "projects", &create).await.1;
        let project = accepted["project"]["ref"].as_str().expect("it is accepted").to_owned();
        self.wait(&project, "ACTIVE_HEALTHY").await;
        if pause {
            self.ask(Method::POST, &format!("projects/{project}/pause"), &json!({})).await;
            self.wait(&project, "INACTIVE").await;
        }
    }

    async fn wait(&self, project: &str, status: &str) {
        let path = format!("projects/{project}/wait?statuses={status}");
        while self.ask(Method::GET, &path, &Value::Null).await.0 == StatusCode::GATEWAY_TIMEOUT {}
    }

    /// Reads all that is on record, page by page, and says how many there are.
    pub(crate) async fn list(&self) -> usize {
        let (mut count, mut after) = (0, String::new());
        loop {
            let path = format!("projects?limit=1000{after}");
            let page = self.ask(Method::GET, &path, &Value::Null).await.1;
            count += page["items"].as_array().expect("there is a page").len();
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return count,
            }
        }
    }

    async fn ask(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let url = format!("{}/api/freehold/v1/{path}", self.url);
        let request = self.http.request(method, url).bearer_auth(&self.token);
        let request = if body.is_null() { request } else { request.json(body) };
        let reply = request.send().await.unwrap();
        let status = reply.status();
        let reply: Value = reply.json().await.unwrap();
        assert!(status.is_success() || status == StatusCode::GATEWAY_TIMEOUT, "{path}: {status}: {reply}");
        (status, reply)
    }
}
