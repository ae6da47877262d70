//! Who may do what: every route of the document, for every role, for strangers and for nobody.

use std::collections::{BTreeMap, BTreeSet};

use freehold_core::Status;
use serde_json::{Value, json};

use crate::people::{People, session};

/// Whom a route is for: the roles that may use it (Owner, Administrator, Developer, Read-only), and what it answers to
/// the others. Written by hand, from the matrix that the roles are specified by.
const RULES: &[(&str, &str)] = &[
    ("GET /healthz", "anyone"),
    ("GET /readyz", "anyone"),
    ("GET /metrics", "superuser"),
    ("GET /openapi.json", "known"),
    ("GET /openapi/studio.json", "known"),
    ("GET /openapi/management.json", "known"),
    ("GET /api/freehold/v1/doctor", "superuser"),
    ("POST /api/freehold/v1/doctor", "superuser"),
    ("GET /api/freehold/v1/events", "superuser"),
    ("GET /api/freehold/v1/events/stream", "superuser"),
    ("GET /api/freehold/v1/targets", "known"),
    ("GET /api/freehold/v1/targets/{target}/inventory", "superuser"),
    ("GET /api/freehold/v1/organizations/{slug}", "OADR"),
    ("PUT /api/freehold/v1/organizations/{slug}/defaults", "O"),
    ("GET /api/freehold/v1/studio/custom-content", "known"),
    ("GET /api/freehold/v1/projects", "known"),
    ("POST /api/freehold/v1/projects", "OA"),
    ("GET /api/freehold/v1/projects/{ref}", "OADR"),
    ("PATCH /api/freehold/v1/projects/{ref}", "OA"),
    ("DELETE /api/freehold/v1/projects/{ref}", "OA"),
    ("GET /api/freehold/v1/projects/{ref}/wait", "OADR"),
    ("GET /api/freehold/v1/projects/{ref}/secrets", "OAD"),
    ("GET /api/freehold/v1/projects/{ref}/health", "OADR"),
    ("GET /api/freehold/v1/projects/{ref}/plan", "OADR"),
    ("GET /api/freehold/v1/projects/{ref}/logs", "OADR"),
    ("POST /api/freehold/v1/projects/{ref}/retry", "OA"),
    ("POST /api/freehold/v1/projects/{ref}/pause", "OA"),
    ("POST /api/freehold/v1/projects/{ref}/resume", "OA"),
    ("POST /api/freehold/v1/projects/{ref}/restart", "OA"),
    ("POST /api/freehold/v1/projects/{ref}/reconfigure", "OA"),
    ("POST /api/freehold/v1/projects/{ref}/repair", "OA"),
    ("GET /api/freehold/v1/operations", "list"),
    ("GET /api/freehold/v1/operations/{id}", "OADR"),
    ("GET /api/freehold/v1/operations/{id}/wait", "OADR"),
    ("GET /api/freehold/v1/operations/{id}/progress", "OADR"),
    ("POST /api/freehold/v1/operations/{id}/cancel", "OA"),
];

/// Everybody who asks, and the letter of their role.
const CALLERS: [(&str, &str); 5] =
    [("stranger", "-"), ("reader", "R"), ("developer", "D"), ("admin", "A"), ("owner", "O")];

#[tokio::test]
async fn every_route_of_the_document_answers_each_role_strangers_and_nobody_as_its_rule_says() {
    let people = People::new().await;
    let document: Value = serde_json::from_str(&freehold_host::openapi::json().unwrap()).unwrap();
    let documented: BTreeSet<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            methods.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase()))
        })
        .collect();
    let rules: BTreeMap<&str, &str> = RULES.iter().copied().collect();
    assert_eq!(documented, rules.keys().map(ToString::to_string).collect(), "a route without a rule here");

    for (index, (route, rule)) in rules.iter().enumerate() {
        let project = people.project(&format!("project {index}")).await;
        let operation = people.control.project(&project).await.unwrap().status_operation.unwrap();
        let (method, template) = route.split_once(' ').unwrap();
        let path = template
            .replace("{ref}", project.as_str())
            .replace("{id}", &operation.to_string())
            .replace("{target}", "mock")
            .replace("{slug}", "acme");
        let path = match *rule {
            "list" => format!("{path}?ref={project}"),
            _ if path.ends_with("/wait") => format!("{path}?timeout=0"),
            _ => path,
        };
        // What is created carries a field that nobody knows: the rule is asked before the handler reads it.
        let body = match *route {
            "POST /api/freehold/v1/projects" => json!({ "organization": "acme", "unknown": 1 }),
            "POST /api/freehold/v1/doctor" => json!({ "unknown": 1 }),
            _ => Value::Null,
        };
        let nobody = people.send(method, &path, None, &body).await.status();
        match *rule {
            "anyone" => assert_eq!(nobody, 200, "{route}"),
            _ => assert_eq!(nobody, 401, "{route}"),
        }
        for (name, letter) in CALLERS {
            let status = people.send(method, &path, Some(&session(name)), &body).await.status();
            let allowed = !matches!(status, 401 | 403 | 404);
            match *rule {
                "anyone" | "known" => assert!(allowed, "{route} for {name}: {status}"),
                "superuser" => assert_eq!(status, 403, "{route} for {name}"),
                "list" if letter == "-" => assert_eq!(status, 404, "{route} for {name}"),
                "list" => assert!(allowed, "{route} for {name}: {status}"),
                _ if letter == "-" => assert_eq!(status, 404, "{route} for {name}"),
                roles if roles.contains(letter) => assert!(allowed, "{route} for {name}: {status}"),
                _ => assert_eq!(status, 403, "{route} for {name}"),
            }
        }
        if *route != "GET /api/freehold/v1/events/stream" {
            let status = people.send(method, &path, Some(people.superuser.expose()), &body).await.status();
            assert!(!matches!(status, 401 | 403 | 404), "{route} for the superuser: {status}");
        }
    }
}

/// Every operation of a document and whom it is for.
fn operations(document: &str) -> Vec<(String, String, Value)> {
    let document: Value = serde_json::from_str(document).unwrap();
    let mut found = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            found.push((method.to_uppercase(), path.clone(), operation.clone()));
        }
    }
    found
}

/// Every route of Studio's surface and the Management API, for every role, a stranger, nobody and the superuser: each is
/// let in or not as the document says. What is answered to those who are let in is not looked at here.
#[tokio::test]
async fn every_route_of_the_other_surfaces_answers_everybody_as_its_document_says() {
    let people = People::new().await;
    let studio = operations(&freehold_host::openapi::studio_json().unwrap());
    let management = operations(&freehold_host::openapi::management_json().unwrap());
    assert!(studio.len() > 90 && management.len() > 60, "{} and {}", studio.len(), management.len());
    let again = management
        .iter()
        .map(|(method, path, operation)| (method.clone(), format!("/api{path}"), operation.clone()));
    let mut project = people.project("matrix").await;
    let (mut nobodys, mut refusals) = (People::new().await, 0);
    let (mut count, mut wrong) = (0, Vec::new());
    for (method, template, operation) in studio.iter().cloned().chain(management.clone()).chain(again) {
        let may = &operation["x-freehold-may"];
        let example = &operation["requestBody"]["content"]["application/json"]["example"];
        // One whose name is taken: nobody makes anything by it.
        let body = if example["organization_slug"].is_string() {
            json!({ "organization_slug": "acme", "name": "matrix" })
        } else {
            Value::Null
        };
        let names_something =
            ["{ref}", "{slug}"].iter().any(|name| template.contains(name)) || !body.is_null();
        let route = format!("{method} {template}");
        // Whoever comes without a credential so often has to wait: they ask a new host in time.
        refusals += 1;
        if refusals % 20 == 0 {
            nobodys = People::new().await;
        }
        for (name, letter) in
            CALLERS.into_iter().chain([("nobody", "0"), ("superuser", "S"), ("superuser", "absent")])
        {
            let status = people.control.project(&project).await.unwrap().status;
            if matches!(status, Status::GoingDown | Status::Removed) {
                count += 1;
                project = people.project(&format!("matrix {count}")).await;
            }
            let (reference, slug) =
                if letter == "absent" { ("a".repeat(20), "nowhere") } else { (project.to_string(), "acme") };
            let path = template.replace("{ref}", &reference).replace("{slug}", slug);
            let path = path.replace("{id}", "1").replace("{key}", "anon").replace("{function}", "f");
            let path =
                path.replace("{gotrue_id}", "somebody").replace("{role_id}", "4").replace("{token}", "t");
            let token = match letter {
                "0" => None,
                "S" | "absent" => Some(people.superuser.expose().to_owned()),
                _ => Some(session(name)),
            };
            let asked = if letter == "0" { &nobodys } else { &people };
            let reply = asked.send(&method, &path, token.as_deref(), &body).await;
            let status = reply.status();
            // A HEAD has no body to say in what is not there.
            let hidden = status == 404
                && (method == "HEAD"
                    || ["Project not found", "Organization not found"]
                        .contains(&reply.json()["message"].as_str().unwrap()));
            let documented = operation["responses"].get(status.to_string()).is_some();
            let (let_in, known) = (!matches!(status, 401 | 403) && !hidden, status != 401);
            let right = match (may.as_str(), letter) {
                (Some("anyone"), _) => known && status != 403,
                (_, "0") => status == 401,
                // An invitation is looked up by its token alone.
                (_, "absent") if names_something && body.is_null() && may != "invited" => hidden,
                (_, "S" | "absent") | (Some("known" | "invited"), _) => let_in,
                (Some("superuser"), _) => status == 403,
                (_, "-") => hidden,
                (Some("members"), _) => let_in,
                (Some(other), _) => panic!("{route}: {other} is no audience"),
                (None, _) if may.as_array().unwrap().contains(&json!(role(letter))) => let_in,
                (None, _) => status == 403,
            };
            if !right || !(documented || method == "HEAD") {
                wrong.push(format!("{route} for {name} ({letter}): {status} {}", reply.text()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("count: {refusals} routes asked as everybody, by their documents");
}

/// The role of a caller, as the document has it.
fn role(letter: &str) -> &'static str {
    match letter {
        "O" => "owner",
        "A" => "administrator",
        "D" => "developer",
        _ => "read_only",
    }
}

#[tokio::test]
async fn a_list_holds_only_what_its_reader_may_see_and_hidden_is_answered_as_absent() {
    let people = People::new().await;
    let project = people.project("demo").await;
    let list = "/api/freehold/v1/projects";
    assert_eq!(people.get(list, &session("reader")).await.json()["items"].as_array().unwrap().len(), 1);
    assert_eq!(people.get(list, &session("stranger")).await.json()["items"], json!([]));
    let hidden = people.get(&format!("{list}/{project}"), &session("stranger")).await;
    let absent = people.get(&format!("{list}/{}", "a".repeat(20)), &session("stranger")).await;
    let words = |reply: crate::host::Reply, name: &str| {
        let body = reply.json();
        (reply.status(), body["code"].clone(), body["message"].as_str().unwrap().replace(name, "REF"))
    };
    assert_eq!(words(hidden, project.as_str()), words(absent, &"a".repeat(20)));
    let all = people.get("/api/freehold/v1/operations", &session("owner")).await;
    assert_eq!(all.status(), 400, "all operations are the superuser's to see");
}

#[tokio::test]
async fn organizations_are_shown_to_their_members_and_changed_by_their_owners() {
    let people = People::new().await;
    let path = "/api/platform/organizations";
    let mine = people.get(path, &session("reader")).await.json();
    assert_eq!(mine.as_array().unwrap().len(), 1);
    let keys: Vec<_> = ["id", "slug", "name", "plan"].map(|key| !mine[0][key].is_null()).into();
    assert_eq!((keys, mine[0]["is_owner"].as_bool()), (vec![true; 4], Some(false)), "{mine}");
    assert_eq!(people.get(path, people.superuser.expose()).await.json().as_array().unwrap().len(), 2);
    for part in ["", "/members", "/roles"] {
        let path = format!("{path}/acme{part}");
        assert_eq!(people.get(&path, &session("reader")).await.status(), 200, "{path}");
        let hidden = people.get(&path, &session("stranger")).await;
        let body = hidden.json();
        assert_eq!((hidden.status(), body["message"].as_str()), (404, Some("Organization not found")));
        let absent = people.get(&path.replace("acme", "nowhere"), people.superuser.expose()).await;
        assert_eq!(
            (absent.status(), absent.json()["message"].as_str()),
            (404, Some("Organization not found"))
        );
    }
    let rename = json!({ "name": "Acme Ltd" });
    for (name, status) in [("admin", 403), ("stranger", 404), ("owner", 200)] {
        let reply = people.send("PATCH", &format!("{path}/acme"), Some(&session(name)), &rename).await;
        assert_eq!(reply.status(), status, "{name}");
    }
    let members = people.get(&format!("{path}/acme/members"), &session("reader")).await.json();
    let ids: Vec<_> = members.as_array().unwrap().iter().map(|one| one["role_ids"][0].as_i64()).collect();
    assert_eq!(ids, [Some(1), Some(2), Some(3), Some(4)]);

    let create = json!({ "name": "Third Party" });
    assert_eq!(people.send("POST", path, Some(&session("owner")), &create).await.status(), 403);
    let profile = people.get("/api/platform/profile", &session("owner")).await.json();
    let disabled = profile["disabled_features"].as_array().unwrap();
    assert!(disabled.contains(&json!("organizations:create")), "Studio offers what is refused: {profile}");
    let (first, second) = (
        people.send("POST", path, Some(people.superuser.expose()), &create).await.json(),
        people.send("POST", path, Some(people.superuser.expose()), &create).await.json(),
    );
    assert_eq!(first["slug"], "third-party");
    assert!(second["slug"].as_str().unwrap().starts_with("third-party-"), "{second}");
}
