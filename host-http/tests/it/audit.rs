//! The audit log: what is done over HTTP is on it, and only those see it who may.

use std::time::{Duration, Instant};

use freehold_core::{
    Status,
    accounts::{AuditLog, AuditPage, NewAuditEntry, Whose},
};
use serde_json::{Value, json};

use crate::people::{People, session};

const ACME: &str = "/api/platform/organizations/acme";

async fn log(people: &People, path: &str, name: &str) -> Vec<Value> {
    let reply = people.get(path, &session(name)).await;
    assert_eq!(reply.status(), 200, "{}", reply.text());
    reply.json()["result"].as_array().unwrap().clone()
}

/// Action, status and whose credential, newest first.
fn told(entries: &[Value]) -> Vec<(String, u64, &str)> {
    let told = |entry: &Value| {
        let action =
            format!("{} {}", entry["action"]["method"].as_str()?, entry["action"]["route"].as_str()?);
        Some((action, entry["action"]["status"].as_u64()?))
    };
    let credential = |entry: &'_ Value| entry["actor"]["token_type"].as_str().map(str::to_owned);
    entries
        .iter()
        .map(|entry| {
            let (action, status) = told(entry).unwrap();
            let credential = credential(entry).unwrap();
            let kind = if credential.starts_with("access token ") {
                "token"
            } else if credential == "session" {
                "session"
            } else {
                "superuser"
            };
            (action, status, kind)
        })
        .collect()
}

#[tokio::test]
async fn who_did_what_to_what_and_what_came_of_it_is_on_the_log_and_no_secret_is() {
    let people = People::new().await;
    let owner = session("owner");
    let tokens = "/api/platform/profile/access-tokens";
    let made = people.send("POST", tokens, Some(&owner), &json!({ "name": "ci" })).await.json();
    let (token, number) = (made["access_token"].as_str().unwrap(), made["id"].as_i64().unwrap());
    let body =
        json!({ "organization_slug": "acme", "name": "demo", "db_pass": "correct horse battery staple" });
    let project = people.send("POST", "/api/platform/projects", Some(token), &body).await.json();
    let reference = project["ref"].as_str().unwrap().to_owned();
    let (demo, healthy) = (reference.parse().unwrap(), [Status::ActiveHealthy]);
    people.control.wait(&demo, &healthy, Duration::from_secs(30)).await.unwrap();
    let pause = format!("/api/platform/projects/{reference}/pause");
    assert_eq!(people.send("POST", &pause, Some(&session("developer")), &Value::Null).await.status(), 403);
    assert_eq!(people.send("POST", &pause, Some(&session("stranger")), &Value::Null).await.status(), 404);
    assert_eq!(
        people.send("POST", &pause, Some(people.superuser.expose()), &Value::Null).await.status(),
        201
    );
    let invited = json!({ "email": "guest@example.com", "role_id": 4 });
    let invitation =
        people.send("POST", &format!("{ACME}/members/invitations"), Some(&owner), &invited).await;
    let invitation = invitation.json()["token"].as_str().unwrap().to_owned();
    let path = format!("{ACME}/members/invitations/{invitation}");
    people.person("guest").await;
    assert_eq!(people.send("POST", &path, Some(&session("guest")), &Value::Null).await.status(), 201);
    let gone = format!("{ACME}/members/guest");
    assert_eq!(people.send("DELETE", &gone, Some(&owner), &Value::Null).await.status(), 204);

    let entries = log(&people, &format!("{ACME}/audit"), "admin").await;
    let by_token = "POST /api/platform/organizations/{slug}/members/invitations/{token}";
    let expected = [
        ("DELETE /api/platform/organizations/{slug}/members/{gotrue_id}", 204, "session"),
        (by_token, 201, "session"),
        ("POST /api/platform/organizations/{slug}/members/invitations", 201, "session"),
        ("POST /api/platform/projects/{ref}/pause", 201, "superuser"),
        ("POST /api/platform/projects/{ref}/pause", 403, "session"),
        ("POST /api/platform/projects", 201, "token"),
    ];
    let expected: Vec<_> = expected.map(|(action, status, kind)| (action.to_owned(), status, kind)).into();
    assert_eq!(told(&entries), expected, "a stranger's try is not for Acme to know");
    assert_eq!(entries[0]["target"]["metadata"]["gotrue_id"], "guest");
    let made = &entries[5];
    assert_eq!((&made["project_ref"], &made["organization_slug"]), (&json!(reference), &json!("acme")));
    assert_eq!(made["target"]["metadata"], json!({ "org_slug": "acme", "project_ref": reference }));
    assert_eq!(
        (&made["actor"]["id"], &made["actor"]["email"]),
        (&json!("owner"), &json!("owner@example.com"))
    );
    assert_eq!(made["actor"]["token_type"], format!("access token {number}"));
    assert_eq!(
        (&made["action"]["metadata"][0]["status"], &made["actor"]["type"]),
        (&json!(201), &json!("user"))
    );
    assert_eq!(entries[3]["action"]["name"], "Pause a project");
    assert!(made["occurred_at"].is_string() && made["timestamp"].is_i64() && made["request_id"].is_string());

    let mine = log(&people, "/api/platform/profile/audit", "owner").await;
    assert_eq!(told(&mine).last().unwrap().0, "POST /api/platform/profile/access-tokens");
    let text = json!([entries, mine]).to_string();
    for secret in [token, &invitation, "battery staple", people.superuser.expose()] {
        assert!(!text.contains(secret));
    }
}

#[tokio::test]
async fn an_organizations_log_is_for_its_members_and_ones_own_for_each() {
    let people = People::new().await;
    for name in ["owner", "developer", "stranger"] {
        let body = json!({ "first_name": name });
        assert_eq!(
            people.send("PATCH", "/api/platform/profile", Some(&session(name)), &body).await.status(),
            200
        );
    }
    for (name, status) in
        [("owner", 200), ("admin", 200), ("developer", 200), ("reader", 200), ("stranger", 404)]
    {
        assert_eq!(people.get(&format!("{ACME}/audit"), &session(name)).await.status(), status, "{name}");
    }
    for name in ["owner", "developer", "stranger"] {
        let mine = log(&people, "/api/platform/profile/audit", name).await;
        assert_eq!(mine.len(), 1, "{name}");
        assert_eq!(mine[0]["actor"]["id"], name);
    }
    let superuser = people.get("/api/platform/profile/audit", people.superuser.expose()).await;
    assert_eq!((superuser.status(), superuser.json()["result"].clone()), (200, json!([])));
    let permissions = people.get("/api/platform/profile/permissions", &session("reader")).await.text();
    assert!(permissions.contains("audit_logs"), "{permissions}");
    let entitlements = people.get(&format!("{ACME}/entitlements"), &session("owner")).await.json();
    let days = entitlements["entitlements"].as_array().unwrap().iter();
    let mut days = days.filter(|one| one["feature"]["key"] == "security.audit_logs_days");
    assert_eq!(days.next().unwrap()["config"]["value"], 90);
}

#[tokio::test]
async fn a_page_of_the_log_is_bounded_and_in_time() {
    let people = People::new().await;
    for _ in 0..3 {
        let body = json!({ "first_name": "Ada" });
        people.send("PATCH", "/api/platform/profile", Some(&session("owner")), &body).await;
    }
    let path = "/api/platform/profile/audit";
    let first = log(&people, &format!("{path}?limit=2"), "owner").await;
    assert_eq!(first.len(), 2);
    let rest = log(&people, &format!("{path}?before={}", first[1]["id"]), "owner").await;
    assert_eq!(rest.len(), 1);
    let past = "iso_timestamp_start=2020-01-01T00:00:00.000Z&iso_timestamp_end=2021-01-01T00:00:00.000Z";
    assert_eq!(log(&people, &format!("{path}?{past}"), "owner").await.len(), 0);
    let since = "iso_timestamp_start=2020-01-01T00:00:00.000Z";
    assert_eq!(log(&people, &format!("{path}?{since}"), "owner").await.len(), 3);
    let wrong = people.get(&format!("{path}?iso_timestamp_start=yesterday"), &session("owner")).await;
    assert!(wrong.status() == 400 && wrong.text().contains("iso_timestamp_start"), "{}", wrong.text());
    let shown = people.get(path, &session("owner")).await.json();
    assert_eq!(shown["retention_period"], 90);
}

#[tokio::test]
async fn what_was_asked_for_is_on_record_before_it_is_done() {
    let people = People::new().await;
    let project = people.project("demo").await;
    let page = AuditPage::newest(Whose::Organization("acme".parse().unwrap()));
    assert!(people.accounts.audit_log(&page).await.unwrap().is_empty(), "only what came over HTTP");
    let pause = format!("/v1/projects/{project}/pause");
    assert_eq!(people.send("POST", &pause, Some(&session("owner")), &Value::Null).await.status(), 200);
    let kept = people.accounts.audit_log(&page).await.unwrap();
    let NewAuditEntry { action, project: to, .. } = &kept[0].entry;
    assert_eq!((action.as_str(), *to), ("POST /v1/projects/{ref}/pause", Some(project)));
    let operations = people.control.operations(&Default::default(), &Default::default()).await.unwrap().items;
    assert!(kept[0].at <= operations[0].created_at, "{kept:?}");
}

#[tokio::test]
async fn nobody_who_is_signed_in_fills_the_log_by_asking() {
    const AT_ONCE: usize = 600;
    let people = People::new().await;
    let profile = "/api/platform/profile";
    let body = json!({ "first_name": "Ada" });
    let (mut refused, begun) = (None, Instant::now());
    for made in 0..2 * AT_ONCE {
        let reply = people.send("PATCH", profile, Some(&session("owner")), &body).await;
        if reply.status() != 200 {
            refused = Some((made, reply));
            break;
        }
    }
    let (made, reply) = refused.expect("somebody who asks in a loop is refused");
    // One more each half second.
    assert!((AT_ONCE..=AT_ONCE + 1 + begun.elapsed().as_secs() as usize * 2).contains(&made), "{made}");
    assert_eq!((reply.status(), reply.header("retry-after")), (429, "1"));
    assert_eq!(reply.json()["message"], "too many such requests: wait a little");
    // Others go on, reading goes on, and what was refused is not on the log.
    assert_eq!(people.send("PATCH", profile, Some(&session("admin")), &body).await.status(), 200);
    assert_eq!(people.send("PATCH", profile, Some(people.superuser.expose()), &body).await.status(), 404);
    let mine = log(&people, "/api/platform/profile/audit?limit=1000", "owner").await;
    assert_eq!(mine.len(), made);
}
