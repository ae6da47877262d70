//! Who may come to an organization, with which roles, who changes them, and who ends it.

use freehold_core::accounts::{AccountStore as _, Grant, Role};
use serde_json::{Value, json};

use crate::{
    host::Reply,
    people::{People, session},
};

const ACME: &str = "/api/platform/organizations/acme";

async fn send(people: &People, name: &str, line: &str, body: Value) -> Reply {
    let (method, path) = line.split_once(' ').unwrap();
    people.send(method, &format!("{ACME}{path}"), Some(&session(name)), &body).await
}

/// The numbers of somebody's roles.
async fn roles(people: &People, name: &str) -> Option<Vec<i64>> {
    let members = send(people, "owner", "GET /members", Value::Null).await.json();
    let members = members.as_array().unwrap();
    let member = members.iter().find(|member| member["gotrue_id"] == name)?;
    Some(member["role_ids"].as_array().unwrap().iter().map(|id| id.as_i64().unwrap()).collect())
}

#[tokio::test]
async fn roles_are_given_changed_and_taken_as_studio_does_it() {
    let people = People::new().await;
    let project = people.project("demo").await;
    let promoted = send(&people, "owner", "PATCH /members/reader", json!({ "role_id": 3 })).await;
    assert_eq!((promoted.status(), &promoted.json()["role_ids"]), (200, &json!([3])));
    assert_eq!(roles(&people, "reader").await, Some(vec![3]), "it takes the place of the old one");
    // Studio takes the old role away afterwards.
    assert_eq!(send(&people, "owner", "DELETE /members/reader/roles/4", Value::Null).await.status(), 204);
    assert_eq!(roles(&people, "reader").await, Some(vec![3]));

    let scoped = json!({ "role_id": 2, "role_scoped_projects": [project] });
    let scoped = send(&people, "owner", "PATCH /members/reader", scoped).await.json();
    let number = scoped["role_ids"][0].as_i64().unwrap();
    assert!(number > 100 && scoped["role_ids"][1] == 3, "{scoped}");
    let listed = send(&people, "owner", "GET /roles", Value::Null).await.json();
    assert_eq!(listed["project_scoped_roles"][0]["projects"][0]["ref"], project.as_str());
    let other = people.project("other").await;
    let path = format!("PUT /members/reader/roles/{number}");
    let wider = json!({ "name": "x", "role_scoped_projects": [project, other] });
    assert_eq!(send(&people, "owner", &path, wider).await.status(), 200);
    let listed = send(&people, "owner", "GET /roles", Value::Null).await.json();
    assert_eq!(listed["project_scoped_roles"][0]["projects"].as_array().unwrap().len(), 2);
    for (body, field) in [
        (json!({ "role_id": 9 }), "role_id"),
        (json!({ "role_id": 3, "role_scoped_projects": ["a".repeat(20)] }), "role_scoped_projects"),
    ] {
        let wrong = send(&people, "owner", "PATCH /members/reader", body).await;
        assert!(wrong.status() == 400 && wrong.text().contains(field), "{}", wrong.text());
    }
    for id in [number, 3] {
        let path = format!("DELETE /members/reader/roles/{id}");
        assert_eq!(send(&people, "owner", &path, Value::Null).await.status(), 204);
    }
    assert_eq!(roles(&people, "reader").await, None, "with the last role one leaves");
    let absent = send(&people, "owner", "DELETE /members/reader", Value::Null).await;
    assert_eq!((absent.status(), absent.json()["message"].as_str()), (404, Some("Member not found")));
}

#[tokio::test]
async fn nobody_changes_those_above_them_and_the_last_owner_stays() {
    let people = People::new().await;
    for (name, line, body, status) in [
        ("admin", "PATCH /members/owner", json!({ "role_id": 4 }), 403),
        ("admin", "PATCH /members/admin", json!({ "role_id": 1 }), 403),
        ("admin", "DELETE /members/owner", Value::Null, 403),
        ("developer", "PATCH /members/developer", json!({ "role_id": 2 }), 403),
        ("developer", "DELETE /members/admin", Value::Null, 403),
        ("reader", "DELETE /members/developer", Value::Null, 403),
        ("stranger", "DELETE /members/reader", Value::Null, 404),
        ("owner", "DELETE /members/owner", Value::Null, 409),
        ("owner", "PATCH /members/owner", json!({ "role_id": 4 }), 409),
        ("admin", "PATCH /members/reader", json!({ "role_id": 3 }), 200),
        ("developer", "DELETE /members/reader", Value::Null, 204),
    ] {
        let reply = send(&people, name, line, body).await;
        assert_eq!(reply.status(), status, "{name}: {line}: {}", reply.text());
    }
    assert_eq!(roles(&people, "owner").await, Some(vec![1]));
}

#[tokio::test]
async fn an_invitation_is_shown_once_and_admits_whom_it_is_for() {
    let people = People::new().await;
    people.person("guest").await;
    let wanted = json!({ "email": "Guest@example.com", "role_id": 3 });
    for (name, status) in [("reader", 403), ("stranger", 404)] {
        assert_eq!(send(&people, name, "POST /members/invitations", wanted.clone()).await.status(), status);
    }
    let owner = json!({ "email": "guest@example.com", "role_id": 1 });
    assert_eq!(send(&people, "admin", "POST /members/invitations", owner).await.status(), 403);
    let made = send(&people, "admin", "POST /members/invitations", wanted.clone()).await;
    assert_eq!((made.status(), made.header("cache-control")), (201, "no-store"), "{}", made.text());
    let token = made.json()["token"].as_str().unwrap().to_owned();
    let listed = send(&people, "reader", "GET /members/invitations", Value::Null).await;
    assert_eq!(listed.json()["invitations"][0]["invited_email"], "guest@example.com");
    assert!(!listed.text().contains(&token), "it is shown once");

    let path = format!("/members/invitations/{token}");
    let seen = send(&people, "guest", &format!("GET {path}"), Value::Null).await.json();
    assert_eq!((&seen["email_match"], &seen["organization_name"]), (&json!(true), &json!("Acme")), "{seen}");
    let seen = send(&people, "stranger", &format!("GET {path}"), Value::Null).await.json();
    assert_eq!((&seen["email_match"], &seen["token_does_not_exist"]), (&json!(false), &json!(false)));
    assert_eq!(send(&people, "stranger", &format!("POST {path}"), Value::Null).await.status(), 409);
    let umbra = format!("/api/platform/organizations/umbra/members/invitations/{token}");
    let elsewhere = people.send("POST", &umbra, Some(&session("guest")), &Value::Null).await;
    assert_eq!(elsewhere.status(), 404, "it is to another organization");
    let unknown = send(&people, "guest", "GET /members/invitations/nonsense", Value::Null).await.json();
    assert_eq!((&unknown["token_does_not_exist"], &unknown["organization_name"]), (&json!(true), &json!("")));
    let accepted = send(&people, "guest", &format!("POST {path}"), Value::Null).await;
    assert_eq!((accepted.status(), accepted.text().as_str()), (201, ""));
    assert_eq!(roles(&people, "guest").await, Some(vec![3]));
    assert_eq!(send(&people, "guest", &format!("POST {path}"), Value::Null).await.status(), 404);
    assert_eq!(send(&people, "admin", "POST /members/invitations", wanted).await.status(), 409);

    // Whoever may not take an invitation back may not put another in its place.
    let high = json!({ "email": "high@example.com", "role_id": 2 });
    assert_eq!(send(&people, "admin", "POST /members/invitations", high).await.status(), 201);
    let low = json!({ "email": "HIGH@example.com", "role_id": 4 });
    let replaced = send(&people, "developer", "POST /members/invitations", low).await;
    assert!(replaced.status() == 403 && replaced.text().contains("Administrator"), "{}", replaced.text());
    let listed = send(&people, "reader", "GET /members/invitations", Value::Null).await.json();
    assert_eq!(
        (&listed["invitations"][0]["role_id"], listed["invitations"].as_array().unwrap().len()),
        (&json!(2), 1)
    );
    let delete = format!("DELETE /members/invitations/{}", listed["invitations"][0]["id"]);
    assert_eq!(send(&people, "developer", &delete, Value::Null).await.status(), 403);

    let second = json!({ "email": "late@example.com", "role_id": 4 });
    let second = send(&people, "developer", "POST /members/invitations", second).await.json();
    let delete = format!("DELETE /members/invitations/{}", second["id"]);
    assert_eq!(send(&people, "developer", &delete, Value::Null).await.status(), 204);
    assert_eq!(send(&people, "developer", &delete, Value::Null).await.status(), 404);
}

#[tokio::test]
async fn an_organization_is_ended_by_its_owner_once_it_has_no_project() {
    let people = People::new().await;
    let project = people.project("demo").await;
    assert_eq!(send(&people, "admin", "DELETE ", Value::Null).await.status(), 403);
    let busy = send(&people, "owner", "DELETE ", Value::Null).await;
    assert!(busy.status() == 409 && busy.text().contains("demo"), "{}", busy.text());
    let operation = people.control.destroy(&project).await.unwrap().operation.unwrap();
    people.control.wait_operation(operation.id, std::time::Duration::from_secs(30)).await.unwrap();
    let ended = send(&people, "owner", "DELETE ", Value::Null).await;
    assert_eq!((ended.status(), ended.json()["slug"].as_str()), (200, Some("acme")));
    assert_eq!(send(&people, "owner", "GET ", Value::Null).await.status(), 404);
    // Who was let in before it ended, as the superuser always is, makes no project there any more.
    let late = json!({ "organization_slug": "acme", "name": "late" });
    let superuser = Some(people.superuser.expose());
    assert_eq!(people.send("POST", "/api/platform/projects", superuser, &late).await.status(), 404);
    let late = json!({ "organization": "acme", "name": "late" });
    let refused = people.send("POST", "/api/freehold/v1/projects", superuser, &late).await;
    assert!(refused.status() == 409 && refused.text().contains("acme"), "{}", refused.text());
    // One of the same name is another one, and sees nothing of the first.
    let body = json!({ "name": "Acme" });
    let again = people.send("POST", "/api/platform/organizations", superuser, &body).await.json();
    let slug = again["slug"].as_str().unwrap();
    assert!(slug.starts_with("acme-"), "{again}");
    let path = format!("/api/platform/organizations/{slug}/projects?statuses=REMOVED");
    let projects = people.send("GET", &path, superuser, &Value::Null).await;
    assert!(projects.status() == 200 && !projects.text().contains("demo"), "{}", projects.text());

    let grants = [Grant::everywhere(Role::Owner)];
    let person = people.person("owner").await;
    let nowhere = people.accounts.put_grants(&"acme".parse().unwrap(), person.id, &[], &grants).await;
    assert!(nowhere.is_err());
}
