//! SQL goes to the project's own postgres-meta with the project's own key, and nowhere else.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use freehold_core::{
    ExposeSecret, ProjectRef, Status,
    control_plane::TargetSettings,
    memory::{MemoryBackend, MemoryStack},
    stack::{SecretGenerator, SecretSpec, ServiceSpec},
    store::PortPool,
};
use freehold_host::{SessionConfig, Sessions};
use serde_json::{Value, json};
use warp::{Filter, Reply as _, http::StatusCode};

use crate::people::{People, SECRET, session};

/// What one gateway was asked: path and query, the key that it was given, the body.
type Asked = Arc<Mutex<Vec<(String, String, Value)>>>;

/// A host with one project, whose gateway is ours.
struct World {
    people: People,
    project: ProjectRef,
    asked: Asked,
    service_key: String,
}

impl World {
    async fn new() -> Self {
        let mut stack = MemoryStack::mock().unwrap();
        stack.spec.services.push(ServiceSpec {
            name: "meta".parse().unwrap(),
            wire: "postgres-meta".into(),
            default_on: true,
            label: "Meta".into(),
            description: String::new(),
        });
        stack.spec.secrets.push(SecretSpec {
            name: "service_key".parse().unwrap(),
            generator: SecretGenerator::Jwt {
                key: "jwt_secret".parse().unwrap(),
                claims: BTreeMap::from([("role".to_owned(), "service_role".into())]),
                days: 30,
            },
        });
        // The stack has two ports, the second is the gateway's: the pool is such that it is the one that we hold.
        let (listener, port) = free_port().await;
        let settings = TargetSettings {
            port_pool: PortPool { first: port - 1, last: port },
            ..TargetSettings::default()
        };
        let backend = MemoryBackend::new().unwrap().with_stacks(vec![stack]);
        let secret = Some(SECRET.into());
        let people = People::on(backend, settings, |accounts| {
            accounts.sessions(Sessions::new(SessionConfig { secret, ..SessionConfig::default() }))
        })
        .await;
        let project = people.project("demo").await;
        let row = people.control.project(&project).await.unwrap();
        assert_eq!(row.connection.unwrap().api.unwrap().internal.port, port);
        let asked = Asked::default();
        tokio::spawn(warp::serve(gateway(Arc::clone(&asked))).incoming(listener).run());
        let secrets = people.control.secrets(&project).await.unwrap();
        let service_key = secrets[&"service_key".parse().unwrap()].expose_secret().to_owned();
        Self { people, project, asked, service_key }
    }

    async fn query(&self, sql: &str, name: &str) -> crate::host::Reply {
        let path = format!("/api/platform/pg-meta/{}/query?key=test", self.project);
        self.people.send("POST", &path, Some(&session(name)), &json!({ "query": sql })).await
    }
}

/// A port of those that projects may have, held from now on: others that look for one at the same time get another.
async fn free_port() -> (tokio::net::TcpListener, u16) {
    for port in 31_000..32_700 {
        if let Ok(listener) = tokio::net::TcpListener::bind(("127.0.0.1", port)).await {
            return (listener, port);
        }
    }
    panic!("no port is free");
}

/// A gateway with postgres-meta behind `/pg`.
fn gateway(asked: Asked) -> impl Filter<Extract = (warp::reply::Response,), Error = warp::Rejection> + Clone {
    let query = warp::query::raw().or(warp::any().map(String::new)).unify();
    warp::path::full().and(query).and(warp::header::<String>("apikey")).and(warp::body::bytes()).map(
        move |path: warp::path::FullPath, query: String, key: String, body: warp::hyper::body::Bytes| {
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let path = if query.is_empty() {
                path.as_str().to_owned()
            } else {
                format!("{}?{query}", path.as_str())
            };
            asked.lock().unwrap().push((path.clone(), key, body.clone()));
            match (path.as_str(), body["query"].as_str()) {
                ("/pg/query", Some("select broken")) => {
                    let error = json!({ "error": "column \"broken\" does not exist", "code": "42703" });
                    warp::reply::with_status(warp::reply::json(&error), StatusCode::BAD_REQUEST)
                        .into_response()
                }
                ("/pg/query", Some("page")) => warp::reply::html("<script>alert(1)</script>").into_response(),
                ("/pg/query", Some("lead away")) => {
                    warp::redirect::found(warp::http::Uri::from_static("http://127.0.0.1:1/")).into_response()
                }
                ("/pg/query", _) => warp::reply::json(&json!([{ "value": 1 }])).into_response(),
                ("/pg/generators/typescript?included_schemas=public", _) => {
                    "export type Json = string".into_response()
                }
                _ => warp::reply::json(&json!([{ "name": "notes" }])).into_response(),
            }
        },
    )
}

#[tokio::test]
async fn sql_and_lists_are_answered_by_the_projects_own_database() {
    let world = World::new().await;
    let reply = world.query("select 1 as value", "developer").await;
    assert_eq!((reply.status(), reply.json()), (200, json!([{ "value": 1 }])));
    let asked = world.asked.lock().unwrap().pop().unwrap();
    assert_eq!(
        asked,
        ("/pg/query".into(), world.service_key.clone(), json!({ "query": "select 1 as value" }))
    );

    let broken = world.query("select broken", "owner").await;
    let message = broken.json()["message"].as_str().unwrap().to_owned();
    assert_eq!((broken.status(), message.as_str()), (400, "column \"broken\" does not exist"));
    let nothing = world.query("  ", "owner").await;
    assert_eq!((nothing.status(), nothing.json()), (201, json!([])));

    let tables = format!("/api/platform/pg-meta/{}/tables?included_schemas=public", world.project);
    let tables = world.people.get(&tables, &session("reader")).await;
    assert_eq!((tables.status(), tables.json()), (200, json!([{ "name": "notes" }])));
    assert_eq!(world.asked.lock().unwrap().pop().unwrap().0, "/pg/tables?included_schemas=public");

    let query = format!("/v1/projects/{}/database/query", world.project);
    let body = json!({ "query": "select $1::int", "parameters": [1] });
    let reply = world.people.send("POST", &query, Some(&session("admin")), &body).await;
    assert_eq!((reply.status(), reply.json()), (201, json!([{ "value": 1 }])));
    assert_eq!(world.asked.lock().unwrap().pop().unwrap().2, body);
    let body = json!({ "query": "select 1", "read_only": true });
    assert_eq!(world.people.send("POST", &query, Some(&session("admin")), &body).await.status(), 501);
    let types = format!("/v1/projects/{}/types/typescript", world.project);
    let types = world.people.get(&types, &session("reader")).await;
    assert_eq!(types.json(), json!({ "types": "export type Json = string" }));
}

#[tokio::test]
async fn what_a_tenant_answers_neither_runs_where_studio_does_nor_leads_anywhere() {
    let world = World::new().await;
    let page = world.query("page", "owner").await;
    assert_eq!(page.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    let led = world.query("lead away", "owner").await;
    assert_eq!(led.status(), 302, "it is not followed");
    assert_eq!(led.header("location"), "");
}

#[tokio::test]
async fn nobody_asks_a_project_that_is_not_theirs_not_up_or_not_for_them() {
    let world = World::new().await;
    for (name, status) in [("reader", 403), ("stranger", 404)] {
        assert_eq!(world.query("select 1", name).await.status(), status, "{name}");
    }
    assert!(world.asked.lock().unwrap().is_empty());
    let accepted = world.people.control.pause(&world.project).await.unwrap();
    let patience = Duration::from_secs(60);
    world.people.control.wait_operation(accepted.operation.unwrap().id, patience).await.unwrap();
    assert_eq!(world.people.control.project(&world.project).await.unwrap().status, Status::Inactive);
    let paused = world.query("select 1", "owner").await;
    assert_eq!(paused.status(), 503, "{}", paused.text());
    assert!(world.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_stack_without_postgres_meta_says_so() {
    let people = People::new().await;
    let project = people.project("demo").await;
    let path = format!("/api/platform/pg-meta/{project}/query");
    let reply = people.send("POST", &path, Some(&session("owner")), &json!({ "query": "select 1" })).await;
    assert_eq!(reply.status(), 501);
    assert!(reply.json()["message"].as_str().unwrap().contains("postgres-meta"), "{}", reply.text());
}
