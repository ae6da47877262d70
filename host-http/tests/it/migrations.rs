//! Migrations are run on the project's own database and recorded there, both or neither.

use serde_json::{Value, json};

use crate::{people::session, postgres_meta::World};

#[tokio::test(flavor = "multi_thread")]
async fn a_migration_is_run_and_recorded_or_neither_and_once_where_it_says_so() {
    let Some(world) = World::new().await else { return };
    let path = format!("/v1/projects/{}/database/migrations", world.project);
    let owner = session("owner");
    let apply = async |body: Value, key: Option<&str>| {
        let mut request = warp::test::request().method("POST").path(&path);
        request = request.header("authorization", format!("Bearer {owner}"));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        crate::host::Reply(request.json(&body).reply(&world.people.filter).await)
    };
    let names = async || {
        let listed = world.people.get(&path, &session("reader")).await.json();
        let names = listed.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap().to_owned());
        names.collect::<Vec<_>>()
    };
    assert_eq!(names().await, Vec::<String>::new());

    // What a migration sets does not concern the record, and its last line may be a comment.
    let first = json!({ "name": "notes", "query": "create table notes (body text); set role none -- it's" });
    let reply = apply(first, None).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    let second = json!({ "name": "more", "query": "insert into notes values ('it''s')" });
    for _ in 0..2 {
        assert_eq!(apply(second.clone(), Some("once")).await.status(), 200);
    }
    assert_eq!(names().await, ["notes", "more"]);

    let broken = apply(json!({ "name": "bad", "query": "create table t (); select broken" }), None).await;
    assert!((400..500).contains(&broken.status()), "{}", broken.text());
    assert!(broken.json()["message"].as_str().unwrap().contains("broken"), "{}", broken.text());
    assert_eq!(apply(json!({ "query": " " }), None).await.status(), 400);
    assert_eq!(names().await, ["notes", "more"]);

    let ran = json!({ "name": "elsewhere", "query": "create table notes (body text)" });
    let recorded = world.people.send("PUT", &path, Some(&owner), &ran).await;
    assert_eq!(recorded.status(), 200, "it is not run: {}", recorded.text());
    assert_eq!(names().await, ["notes", "more", "elsewhere"]);

    let query = format!("/v1/projects/{}/database/query", world.project);
    let sql = "select (select count(*)::int from notes) as rows, to_regclass('t') is null as undone, \
               (select array_agg(created_by) from supabase_migrations.schema_migrations) as authors, \
               (select statements from supabase_migrations.schema_migrations where name = 'more') as said";
    let found = world.people.send("POST", &query, Some(&owner), &json!({ "query": sql })).await.json();
    let expected = json!([{
        "rows": 1, "undone": true, "authors": vec!["owner@example.com"; 3],
        "said": ["insert into notes values ('it''s')"],
    }]);
    assert_eq!(found, expected);
    let query = format!("{query}/read-only");
    let refused =
        world.people.send("POST", &query, Some(&owner), &json!({ "query": "delete from notes" })).await;
    assert!((400..500).contains(&refused.status()), "{}", refused.text());
}
