//! The superuser is made known to a GoTrue that comes up late, and what it says to people is passed on.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use freehold_core::{
    accounts::{AccountStore, Role},
    memory::MemoryAccounts,
};
use freehold_host::{GoTrue, GoTrueConfig, Superuser, ensure_organization};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use warp::{Filter, Reply, http::StatusCode};

use crate::people::{People, SECRET, session};

/// As much of GoTrue as is asked for, with the users that it has.
#[derive(Clone, Default)]
struct FakeGoTrue {
    users: Arc<Mutex<Vec<Value>>>,
    down: Arc<AtomicBool>,
}

impl FakeGoTrue {
    async fn serve(&self) -> String {
        let fake = self.clone();
        let routes = warp::method()
            .and(warp::path::full())
            .and(warp::header::optional::<String>("authorization"))
            .and(warp::body::bytes())
            .map(
                move |method: warp::http::Method,
                      path: warp::path::FullPath,
                      bearer: Option<String>,
                      body| {
                    let body: &warp::hyper::body::Bytes = &body;
                    let body = serde_json::from_slice(body).unwrap_or(Value::Null);
                    let (status, reply) =
                        fake.answer(method.as_str(), path.as_str(), bearer.as_deref(), &body);
                    warp::reply::with_status(warp::reply::json(&reply), status).into_response()
                },
            );
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(warp::serve(routes).incoming(listener).run());
        url
    }

    fn answer(&self, method: &str, path: &str, bearer: Option<&str>, body: &Value) -> (StatusCode, Value) {
        if self.down.load(Ordering::SeqCst) {
            return (StatusCode::BAD_GATEWAY, json!({}));
        }
        let mut users = self.users.lock().unwrap();
        let known = users.iter_mut().find(|user| user["email"] == body["email"] && user["email"].is_string());
        match (method, path) {
            ("POST", "/signup") if known.is_some() => {
                (StatusCode::UNPROCESSABLE_ENTITY, json!({ "code": 422, "msg": "User already registered" }))
            }
            ("POST", "/signup") => {
                users.push(json!({ "id": "u-new", "email": body["email"] }));
                (StatusCode::OK, json!({ "id": "u-new", "email": body["email"] }))
            }
            ("POST", "/recover") => (StatusCode::OK, json!({})),
            _ if !is_administrator(bearer) => {
                (StatusCode::UNAUTHORIZED, json!({ "msg": "no administrator" }))
            }
            ("POST", "/admin/users") if known.is_some() => {
                (StatusCode::UNPROCESSABLE_ENTITY, json!({ "error_code": "email_exists", "msg": "taken" }))
            }
            ("POST", "/admin/users") => {
                let mut user = body.clone();
                user["id"] = json!(format!("u-{}", users.len()));
                users.push(user.clone());
                (StatusCode::OK, user)
            }
            ("GET", "/admin/users") => (StatusCode::OK, json!({ "users": *users, "aud": "authenticated" })),
            ("PUT", path) => match users.iter_mut().find(|user| path.ends_with(user["id"].as_str().unwrap()))
            {
                Some(user) => {
                    user["password"] = body["password"].clone();
                    (StatusCode::OK, user.clone())
                }
                None => (StatusCode::NOT_FOUND, json!({})),
            },
            _ => (StatusCode::NOT_FOUND, json!({})),
        }
    }
}

fn is_administrator(bearer: Option<&str>) -> bool {
    let token = bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default();
    let mut validation = Validation::new(Algorithm::HS256);
    validation.validate_aud = false;
    decode::<Value>(token, &DecodingKey::from_secret(SECRET.as_bytes()), &validation)
        .is_ok_and(|token| token.claims["role"] == "service_role")
}

fn gotrue(url: &str) -> GoTrue {
    GoTrue::new(GoTrueConfig { url: url.into(), secret: Some(SECRET.into()), ..GoTrueConfig::default() })
}

fn superuser(password: &str) -> Superuser {
    Superuser { email: "root@example.com".into(), password: password.into() }
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(60), async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(waited.await.is_ok(), "{what}");
}

#[tokio::test]
async fn the_superuser_is_set_up_when_gotrue_comes_up_and_again_with_another_password() {
    let fake = FakeGoTrue::default();
    fake.down.store(true, Ordering::SeqCst);
    let url = fake.serve().await;
    let (store, acme) = (Arc::new(MemoryAccounts::new()), "acme".parse().unwrap());
    ensure_organization(&*store, &acme, "Acme").await.unwrap();
    let pause = Duration::from_millis(20);
    let shutdown = CancellationToken::new();
    let start = |password| {
        superuser(password).ensure(store.clone(), gotrue(&url), acme.clone(), pause, shutdown.clone())
    };

    let standing = start("first-password");
    let people = People::with(|accounts| accounts.standing(standing.clone())).await;
    let ready = people.send("GET", "/readyz", None, &Value::Null).await;
    let check = ready.json()["checks"]["accounts"].clone();
    assert_eq!((ready.status(), check), (503, json!({ "ready": false, "code": "unavailable" })));

    fake.down.store(false, Ordering::SeqCst);
    until("the superuser is set up", || standing.trouble().is_none()).await;
    assert_eq!(people.send("GET", "/readyz", None, &Value::Null).await.status(), 200);
    let person = store.person(&"u-0".parse().unwrap()).await.unwrap().unwrap();
    assert!(person.superuser && person.email == "root@example.com");
    assert_eq!(store.memberships(person.id).await.unwrap()[0].grants[0].role, Role::Owner);

    let standing = start("second-password");
    until("the superuser is set up again", || standing.trouble().is_none()).await;
    let users = fake.users.lock().unwrap().clone();
    assert_eq!(users.len(), 1, "{users:?}");
    assert_eq!(users[0]["password"], "second-password");
}

#[tokio::test]
async fn the_superuser_who_signed_in_may_do_everything_and_their_password_is_in_no_answer() {
    let fake = FakeGoTrue::default();
    let url = fake.serve().await;
    let people = People::new().await;
    let store: Arc<dyn AccountStore> = people.accounts.clone();
    let root = superuser("hunter2-hunter2");
    let standing = root.ensure(
        store,
        gotrue(&url),
        "acme".parse().unwrap(),
        Duration::from_millis(20),
        CancellationToken::new(),
    );
    until("the superuser is set up", || standing.trouble().is_none()).await;
    let mut claims = crate::people::claims("u-0");
    claims["email"] = json!("root@example.com");
    let token = crate::people::signed(&claims, SECRET);
    for path in [
        "/api/platform/profile",
        "/api/platform/profile/permissions",
        "/api/platform/organizations",
        "/api/platform/organizations/umbra/members",
        "/metrics",
    ] {
        let reply = people.get(path, &token).await;
        assert_eq!(reply.status(), 200, "{path}");
        assert!(!reply.text().contains("hunter2"), "{path}");
    }
    let permissions = people.get("/api/platform/profile/permissions", &token).await.json();
    let everywhere = permissions.as_array().unwrap();
    assert!(everywhere.len() == 2 && everywhere.iter().all(|entry| entry["actions"] == json!(["%"])));
}

#[tokio::test]
async fn signing_up_and_a_new_password_are_passed_on_with_gotrues_own_words_and_bounded() {
    let fake = FakeGoTrue::default();
    let url = fake.serve().await;
    let people = People::with(|accounts| accounts.gotrue(gotrue(&url))).await;
    let body = json!({ "email": "new@example.com", "password": "hunter2", "hcaptchaToken": null });
    let send = async |path: &str| people.send("POST", path, None, &body).await;
    assert_eq!(send("/api/platform/signup").await.status(), 201);
    let again = send("/api/platform/signup").await;
    assert_eq!((again.status(), again.json()["message"].as_str()), (422, Some("User already registered")));
    assert_eq!(send("/api/platform/reset-password").await.status(), 201);
    fake.down.store(true, Ordering::SeqCst);
    assert_eq!(send("/api/platform/signup").await.status(), 502);
    let mut statuses = Vec::new();
    for _ in 0..10 {
        statuses.push(send("/api/platform/reset-password").await.status());
    }
    assert_eq!(statuses.last(), Some(&429), "{statuses:?}");
}

#[tokio::test]
async fn without_gotrue_signing_up_says_so() {
    let people = People::new().await;
    let body = json!({ "email": "new@example.com", "password": "hunter2" });
    let reply = people.send("POST", "/api/platform/signup", None, &body).await;
    assert_eq!(reply.status(), 501, "{}", reply.text());
    assert_eq!(people.get("/api/platform/profile", &session("owner")).await.status(), 200);
}
