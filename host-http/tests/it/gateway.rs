//! A project with a gateway of ours: what the host asks of the project's services is written down and answered.

use std::sync::{Arc, Mutex};

use freehold_core::{
    Backend, ExposeSecret, ProjectRef,
    control_plane::TargetSettings,
    faults::{Faults, FaultyBackend, Injector},
    memory::{MemoryBackend, MemoryStack},
    store::PortPool,
};
use freehold_host::{SessionConfig, Sessions};
use serde_json::{Value, json};
use warp::{
    Filter, Reply as _,
    http::{HeaderMap, Method, StatusCode},
    hyper::body::Bytes,
};

use crate::{
    host::Reply,
    people::{People, SECRET, session},
    supabase,
};

/// One request that the gateway got.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Asked {
    pub(crate) line: String,
    pub(crate) key: String,
    pub(crate) connection: Option<String>,
    pub(crate) body: Value,
}

pub(crate) type Log = Arc<Mutex<Vec<Asked>>>;

/// A host with one project, whose gateway is ours.
pub(crate) struct World {
    pub(crate) people: People,
    pub(crate) project: ProjectRef,
    pub(crate) asked: Log,
    pub(crate) service_key: String,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::of(supabase::stack(), "demo").await
    }

    /// Of a stack whose second port is the gateway's. Without a name there is no project yet.
    pub(crate) async fn of(stack: MemoryStack, name: &str) -> Self {
        let (people, asked) = Self::people(stack).await;
        Self::with(people, asked, name).await
    }

    /// Whose backend meets these faults.
    pub(crate) async fn faulty(faults: Faults) -> Self {
        let (stack, injector) = (supabase::stack(), Arc::new(Injector::new(faults).unwrap()));
        let count = stack.spec.port_count();
        let backend = Arc::new(MemoryBackend::new().unwrap().with_stacks(vec![stack]));
        let (people, listener) = in_front_of(FaultyBackend::new(backend, injector), count).await;
        Self::with(people, serve(listener), "demo").await
    }

    async fn with(people: People, asked: Log, name: &str) -> Self {
        let project = people.project(name).await;
        let secrets = people.control.secrets(&project).await.unwrap();
        let key = secrets.get(&"service_role_key".parse().unwrap());
        let service_key = key.map(|key| key.expose_secret().to_owned()).unwrap_or_default();
        Self { people, project, asked, service_key }
    }

    /// People without a project: the first that they make has the gateway.
    pub(crate) async fn people(stack: MemoryStack) -> (People, Log) {
        let (people, listener) = before_gateway(stack).await;
        (people, serve(listener))
    }

    /// Asks as a member.
    pub(crate) async fn send(&self, name: &str, method: &str, path: &str, body: &Value) -> Reply {
        let path = path.replace("{ref}", self.project.as_str());
        self.people.send(method, &path, Some(&session(name)), body).await
    }

    /// What the gateway was asked last.
    pub(crate) fn last(&self) -> Asked {
        self.asked.lock().unwrap().last().cloned().unwrap()
    }
}

/// People, and the listener at the address of the gateway that their first project has, which is the second port of the
/// stack.
pub(crate) async fn before_gateway(stack: MemoryStack) -> (People, tokio::net::TcpListener) {
    let count = stack.spec.port_count();
    in_front_of(MemoryBackend::new().unwrap().with_stacks(vec![stack]), count).await
}

/// The same on a backend whose stack has so many ports.
async fn in_front_of(backend: impl Backend + 'static, count: u16) -> (People, tokio::net::TcpListener) {
    let (listener, port) = free_port().await;
    let pool = PortPool { first: port - 1, last: port - 2 + count };
    let settings = TargetSettings { port_pool: pool, ..TargetSettings::default() };
    let people = People::on(backend, settings, |accounts| {
        let secret = Some(SECRET.into());
        accounts.sessions(Sessions::new(SessionConfig { secret, ..SessionConfig::default() }))
    })
    .await;
    (people, listener)
}

/// Runs the gateway.
fn serve(listener: tokio::net::TcpListener) -> Log {
    let asked = Log::default();
    tokio::spawn(warp::serve(gateway(Arc::clone(&asked))).incoming(listener).run());
    asked
}

/// A port of those that projects may have, held from now on: others that look for one at the same time get another.
async fn free_port() -> (tokio::net::TcpListener, u16) {
    for port in (31_001..32_700).step_by(3) {
        if let Ok(listener) = tokio::net::TcpListener::bind(("127.0.0.1", port)).await {
            return (listener, port);
        }
    }
    panic!("no port is free");
}

fn gateway(log: Log) -> impl Filter<Extract = (warp::reply::Response,), Error = warp::Rejection> + Clone {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    let headers = warp::header::headers_cloned();
    warp::method().and(warp::path::full()).and(query).and(headers).and(warp::body::bytes()).map(
        move |method: Method, path: warp::path::FullPath, query: String, headers: HeaderMap, body: Bytes| {
            let header =
                |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let mark = if query.is_empty() { "" } else { "?" };
            let line = format!("{method} {}{mark}{query}", path.as_str());
            let reply = answer(&line, &body);
            let key = header("apikey").unwrap_or_default();
            log.lock().unwrap().push(Asked { line, key, connection: header("x-connection-encrypted"), body });
            reply
        },
    )
}

fn answer(line: &str, body: &Value) -> warp::reply::Response {
    let rows = |rows: Value| warp::reply::json(&rows).into_response();
    match (line, body["query"].as_str()) {
        ("POST /pg/query", Some("select broken")) => {
            let error = json!({ "error": "column \"broken\" does not exist", "code": "42703" });
            warp::reply::with_status(warp::reply::json(&error), StatusCode::BAD_REQUEST).into_response()
        }
        ("POST /pg/query", Some("page")) => warp::reply::html("<script>alert(1)</script>").into_response(),
        ("POST /pg/query", Some("lead away")) => {
            warp::redirect::found(warp::http::Uri::from_static("http://127.0.0.1:1/")).into_response()
        }
        ("POST /pg/query", Some(sql)) if sql.contains("_realtime.tenants") => {
            rows(json!([{ "tenant": { "max_concurrent_users": 200, "private_only": false } }]))
        }
        // As Studio asks for lists: one row that holds them.
        ("POST /pg/query", Some(sql)) if sql.contains("with records as") => rows(json!([{ "data": [] }])),
        ("POST /pg/query", Some(sql)) if sql.contains("pg_namespace n where") => {
            rows(json!([{ "id": 2200, "name": "public" }]))
        }
        ("POST /pg/query", _) => rows(json!([{ "value": 1 }])),
        ("GET /pg/generators/typescript?included_schemas=public", _) => {
            "export type Json = string".into_response()
        }
        ("GET /auth/v1/health", _) => {
            rows(json!({ "name": "GoTrue", "version": "v2.186.0", "description": "x" }))
        }
        ("GET /rest/v1/", _) => rows(json!({ "swagger": "2.0", "info": { "version": "14.8" } })),
        ("DELETE /auth/v1/admin/users/gone", _) => {
            let error = json!({ "code": 404, "msg": "User not found" });
            warp::reply::with_status(warp::reply::json(&error), StatusCode::NOT_FOUND).into_response()
        }
        (signed, _) if signed.starts_with("POST /storage/v1/object/sign/b/") => {
            let path = signed.trim_start_matches("POST /storage/v1");
            rows(json!({ "signedURL": format!("{path}?token=t") }))
        }
        ("GET /auth/v1/admin/users/u/factors", _) => rows(json!([])),
        _ => rows(json!([{ "name": "notes" }])),
    }
}
