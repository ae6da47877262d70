//! SQL goes to the project's own postgres-meta with the project's own key, and nowhere else.

use std::time::Duration;

use freehold_core::{ExposeSecret, Status};
use serde_json::{Value, json};

use crate::{
    gateway::World,
    people::{People, session},
};

impl World {
    async fn query(&self, sql: &str, name: &str) -> crate::host::Reply {
        self.send(name, "POST", "/api/platform/pg-meta/{ref}/query?key=test", &json!({ "query": sql })).await
    }
}

#[tokio::test]
async fn sql_and_lists_are_answered_by_the_projects_own_database() {
    let world = World::new().await;
    let reply = world.query("select 1 as value", "developer").await;
    assert_eq!((reply.status(), reply.json()), (200, json!([{ "value": 1 }])));
    let asked = world.last();
    assert_eq!((asked.line.as_str(), &asked.key), ("POST /pg/query", &world.service_key));
    assert_eq!(asked.body, json!({ "query": "select 1 as value" }));

    let broken = world.query("select broken", "owner").await;
    let message = broken.json()["message"].as_str().unwrap().to_owned();
    assert_eq!((broken.status(), message.as_str()), (400, "column \"broken\" does not exist"));
    let nothing = world.query("  ", "owner").await;
    assert_eq!((nothing.status(), nothing.json()), (201, json!([])));

    let tables = format!("/api/platform/pg-meta/{}/tables?included_schemas=public", world.project);
    let tables = world.people.get(&tables, &session("reader")).await;
    assert_eq!((tables.status(), tables.json()), (200, json!([{ "name": "notes" }])));
    assert_eq!(world.last().line, "GET /pg/tables?included_schemas=public");

    let query = format!("/v1/projects/{}/database/query", world.project);
    let body = json!({ "query": "select $1::int", "parameters": [1] });
    let reply = world.people.send("POST", &query, Some(&session("admin")), &body).await;
    assert_eq!((reply.status(), reply.json()), (201, json!([{ "value": 1 }])));
    assert_eq!(world.last().body, body);
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

#[tokio::test]
async fn a_query_works_as_the_login_role_or_as_one_that_only_reads_on_a_connection_that_nobody_else_can_read()
{
    let world = World::new().await;
    let databases = world.send("owner", "GET", "/api/platform/projects/{ref}/databases", &Value::Null).await;
    let words = databases.json();
    let path = format!("/api/platform/pg-meta/{}/query", world.project);
    let ask = async |word: &Value| {
        let request = warp::test::request().method("POST").path(&path);
        let request = request.header("authorization", format!("Bearer {}", session("owner")));
        let request = request.header("x-connection-encrypted", word.as_str().unwrap());
        let reply = request.json(&json!({ "query": "select 1" })).reply(&world.people.filter).await;
        assert_eq!(reply.status(), 200);
        world.last().connection.unwrap()
    };
    let secrets = world.people.control.secrets(&world.project).await.unwrap();
    let secret = |name: &str| secrets[&name.parse().unwrap()].expose_secret();
    let write = decrypted(&ask(&words[0]["connectionString"]).await, secret("pg_meta_crypto_key"));
    let project = world.people.control.project(&world.project).await.unwrap();
    let database = project.connection.unwrap().database.unwrap().endpoint.internal;
    let expected = format!("postgresql://postgres:{}@{database}/postgres", secret("db_password"));
    assert_eq!(write, expected);
    let read = decrypted(&ask(&words[0]["connection_string_read_only"]).await, secret("pg_meta_crypto_key"));
    assert!(read.starts_with("postgresql://freehold_read_only:") && !read.contains(secret("db_password")));
    assert!(read.ends_with(&format!("@{database}/postgres")), "{read}");
}

/// As whoever has the key reads it.
fn decrypted(text: &str, key: &str) -> String {
    use aws_lc_rs::{
        cipher::{AES_256, DecryptionContext, PaddedBlockDecryptingKey, UnboundCipherKey},
        iv::FixedLength,
    };
    use base64::Engine as _;
    use md5::{Digest as _, Md5};
    let data = base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let (salt, data) = (&data[8..16], &data[16..]);
    let mut derived = Vec::new();
    while derived.len() < 48 {
        let last = derived.len().saturating_sub(16);
        let digest =
            Md5::new().chain_update(&derived[last..]).chain_update(key).chain_update(salt).finalize();
        derived.extend_from_slice(&digest);
    }
    let key = UnboundCipherKey::new(&AES_256, &derived[..32]).unwrap();
    let key = PaddedBlockDecryptingKey::cbc_pkcs7(key).unwrap();
    let vector: [u8; 16] = derived[32..48].try_into().unwrap();
    let mut data = data.to_vec();
    let context = DecryptionContext::Iv128(FixedLength::from(vector));
    String::from_utf8(key.decrypt(&mut data, context).unwrap().to_vec()).unwrap()
}
