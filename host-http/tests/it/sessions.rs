//! Credentials of people: what admits them, and what does not.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use freehold_core::accounts::{AccountStore, NewAccessToken};
use freehold_host::{SessionConfig, Sessions, Token};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, get_current_timestamp};
use serde_json::{Value, json};
use time::{Duration, OffsetDateTime};
use warp::Filter;

use crate::people::{People, SECRET, claims, session, signed};

const PROFILE: &str = "/api/platform/profile";

/// A key made for this test alone: PKCS #8 in Base64, and the public half as a JSON Web Key has it.
const EC_KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgnrKdnt080VSG3/k9qrHFl/hEMjxJ85BH\
    cblWfxWrJ+ahRANCAAReI4Z0AyNoa0fu4ceiHBBjmKM9Prep7dVyJzjg60Bvi1MSu+iehCFlI9ygz4Np6IPp0mrqIoO5qAjk12pKEfsB";
const EC_X: &str = "XiOGdAMjaGtH7uHHohwQY5ijPT63qe3Vcic44OtAb4s";
const EC_Y: &str = "UxK76J6EIWUj3KDPg2nog-nSauoig7moCOTXakoR-wE";

/// The same for RSA: PKCS #1 in Base64, and the modulus as a JSON Web Key has it.
const RSA_KEY: &str = "MIIEpAIBAAKCAQEAuPZGXFnzCIKLZnCNJXo8pI17jYTX2QCEVZUkCl04ASTWsyILtiEFsNVT+KWYfus0zPfCAQAhyjrtsGeG2YAz\
    H3qG5QNiZO+MX7EOdRVReb32fZvzrF+OhjOjORI5d0XVfa+dp6YGOf0kKDgi0rwWfIMtd3TsFDrCdnn2hrBLHdAJt7JyqJf+UQx2\
    CK6NDZSwNbFK6aOySKq6gKKRJJ7vhT4JMQOATC9CrrphrfDuYMmSjMIwLL9aZhMZ1/KJgCmfbZZ6h7yDbfWnc6vEp/ob42oV+7y4\
    mTueb6rtdCsAw5fEBSkLmnsT5UEg3olW3vP+dlUO5QTQHiobKrXrbrdEtwIDAQABAoIBAEWNkrritlICaTJN673moAxPCeGXTWXU\
    XG8kZMei8072z+fPyzCjbVToe6m6d8RuZU4YcvNWXd6C12PpIlwC6faR6E0RPzxumk5XsfSUXi2WIi1s6i5tRpavr1bkRAjWkWgw\
    lGv5Mkk3KJQZO/sb8KbE22Ga7bXTvNG5nltayvx727wN9EX2qwcp4vKSRgEo5iIUAdw7FWlPa989C4axSslHsEJdtJGSVgOZDBTI\
    kPNnXi3R5Z/AkMd90OqLExqzd2ZBLuwn4+UyJw+Xb0uikpQ09Fb+v3rN6XoPgihqLzHGeieaTE3nRy5eG4hosrMQgLyF1UlYJyCJ\
    j4ZnqiV4ijUCgYEA/b92qVkB1etmKlP5hTxl+iNa/tVk1KxDxeB6eVCyzFwrURbGhuX2kgElr7zMH+ee3HzmbxJIxddhE+ItKHvx\
    UDzNtRKw4KmOQ8WMcKAlgowpaESLZJOrtKFR4Y3DqoJlrH0PKc5J57QBK7uBLzrjzpgeP5Tkbq0mGxBBGErpcAsCgYEAupqGJgr4\
    m4FMIRSRX7lNV29CSTBW+Ah/mo1VvoxTtVCX656qk15JRfM+0rzcYttedOssZQvAklgfYC3FcejDth7AFdlx1GDGWecdVxV3OLtx\
    GbTwCVgKrsndng5R8Tq464NMGjYRZ/eLB9WlbHeWDOHGv8gRoAvWXICeFuRujYUCgYEAwDl9+/Y4hMSqBaDN4pgJrL+B3JDtrIq/\
    YLSYMzTl7hhYnDpDtMeazape0U2V2QmO9/sKWdQhGvb5TKXHjeauvRkCwIxjQB5SbpbFuEApikcBy0I50rxnlBOtQtAxDQdxXIT0\
    qrfilstvI6EM0Smsj8H/EC2MCyfSOShMF8oQI1cCgYBQdvmJxglV5PdS/G+De4AiR9Opg7K82c1Mc82ZkSE3ej1IWO7tBSdLhox8\
    ivvtlPKyMAbAu8SaVm2RJ6uQZvKdwbzKry0qi2B8u/Am8Rar3Af1MdSf8tsIa/uogDxNbSj4RXG3i8ENt+y3wCTJFPgbLfBqGnef\
    L/uLf9qrvGz/kQKBgQD8TH0TO8XKCH5it/MWy4kfSPTkDPdELpIk525ygq2jxtPzxZvDIrZePLrNrwL4tadb+MGw5vma+/7byqAL\
    9Ykxiin0T1vAJ4RDbvuTO+oNaq2PLh8JqxLYgrGrD5mUevc+m46qKIEN9l6L+uNJ19iH0A8nnGmFUZEEkCjxyc/7AQ==";
const RSA_N: &str = "uPZGXFnzCIKLZnCNJXo8pI17jYTX2QCEVZUkCl04ASTWsyILtiEFsNVT-KWYfus0zPfCAQAhyjrtsGeG2YAzH3qG5QNiZO-\
    MX7EOdRVReb32fZvzrF-OhjOjORI5d0XVfa-dp6YGOf0kKDgi0rwWfIMtd3TsFDrCdnn2hrBLHdAJt7JyqJf-UQx2CK6NDZSwNbF\
    K6aOySKq6gKKRJJ7vhT4JMQOATC9CrrphrfDuYMmSjMIwLL9aZhMZ1_KJgCmfbZZ6h7yDbfWnc6vEp_ob42oV-\
    7y4mTueb6rtdCsAw5fEBSkLmnsT5UEg3olW3vP-dlUO5QTQHiobKrXrbrdEtw";

#[tokio::test]
async fn a_session_admits_whom_it_names_and_nobody_gets_in_by_a_broken_one() {
    let people = People::new().await;
    let profile = people.get(PROFILE, &session("reader")).await;
    assert_eq!(
        (profile.status(), profile.json()["primary_email"].as_str()),
        (200, Some("reader@example.com"))
    );

    let past = get_current_timestamp() - 60;
    let changed = |changes: Value| {
        let mut claims = claims("reader");
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        signed(&claims, SECRET)
    };
    let good = session("reader");
    let unsigned = good.rsplit_once('.').unwrap().0.to_owned() + ".";
    let none = {
        let header = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
        format!("{header}.{}.", good.split('.').nth(1).unwrap())
    };
    for (what, token) in [
        ("expired", changed(json!({ "exp": past }))),
        ("not yet", changed(json!({ "nbf": past + 3600 }))),
        ("another audience", changed(json!({ "aud": "others" }))),
        ("no audience", changed(json!({ "aud": null }))),
        ("no expiry", changed(json!({ "exp": null }))),
        ("nobody", changed(json!({ "sub": null }))),
        ("no address", changed(json!({ "email": "" }))),
        ("anonymous", changed(json!({ "is_anonymous": true }))),
        ("a service's key", signed(&json!({ "role": "service_role", "exp": past + 3600 }), SECRET)),
        ("another's secret", signed(&claims("reader"), "another-secret-of-at-least-32-characters")),
        ("unsigned", unsigned),
        ("alg none", none),
        ("no token", "x.y.z".to_owned()),
        ("empty", String::new()),
    ] {
        let reply = people.get(PROFILE, &token).await;
        assert_eq!(reply.status(), 401, "{what}: {}", reply.text());
        let message = reply.json()["message"].as_str().unwrap().to_owned();
        assert!(!message.is_empty() && (token.is_empty() || !message.contains(&token)), "{what}");
    }
    assert_eq!(people.send("GET", PROFILE, None, &Value::Null).await.status(), 401);
}

#[tokio::test]
async fn an_access_token_is_shown_once_acts_for_its_owner_and_ends_with_them_or_its_time() {
    let people = People::new().await;
    let path = "/api/platform/profile/access-tokens";
    let made = people.send("POST", path, Some(&session("developer")), &json!({ "name": "ci" })).await;
    assert_eq!((made.status(), made.header("cache-control")), (201, "no-store"), "{}", made.text());
    let token = made.json()["access_token"].as_str().unwrap().to_owned();
    let listed = people.get(path, &token).await;
    assert_eq!(listed.json()[0]["name"], "ci");
    assert!(
        !listed.text().contains(&token) && listed.json()[0]["last_used_at"].is_string(),
        "{}",
        listed.text()
    );
    assert_eq!(people.get(PROFILE, &token).await.json()["username"], "developer");

    let id = listed.json()[0]["id"].as_i64().unwrap();
    let delete = format!("{path}/{id}");
    let others = people.send("DELETE", &delete, Some(&session("owner")), &Value::Null).await;
    assert_eq!(others.status(), 404, "another's token");
    assert_eq!(people.send("DELETE", &delete, Some(&token), &Value::Null).await.status(), 200);
    assert_eq!(people.get(PROFILE, &token).await.status(), 401);

    let (old, owner) = (Token::personal().unwrap(), people.person("developer").await.id);
    let expired = NewAccessToken {
        owner,
        name: "old".into(),
        alias: old.alias(),
        digest: old.digest().bytes(),
        expires_at: Some(OffsetDateTime::now_utc() - Duration::SECOND),
    };
    people.accounts.create_token(&expired).await.unwrap();
    assert_eq!(people.get(PROFILE, old.expose()).await.status(), 401);
}

#[tokio::test]
async fn public_keys_are_read_once_and_again_when_a_token_names_a_new_one() {
    let keys = Arc::new(Mutex::new(HashMap::from([("first", EC_X)])));
    let reads = Arc::new(AtomicUsize::new(0));
    let set = {
        let (keys, reads) = (Arc::clone(&keys), Arc::clone(&reads));
        warp::path!("jwks.json").map(move || {
            reads.fetch_add(1, Ordering::SeqCst);
            let keys: Vec<_> = keys
                .lock()
                .unwrap()
                .iter()
                .map(|(kid, x)| json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": x, "y": EC_Y }))
                // A secret in a public set must never sign.
                .chain([json!({ "kty": "oct", "kid": "secret", "k": "c2VjcmV0", "alg": "HS256" })])
                .collect();
            warp::reply::json(&json!({ "keys": keys }))
        })
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    tokio::spawn(warp::serve(set).incoming(listener).run());
    let people = People::with(|accounts| {
        let config = SessionConfig { jwks_url: Some(url), ..SessionConfig::default() };
        accounts.sessions(Sessions::new(config))
    })
    .await;

    for _ in 0..3 {
        assert_eq!(people.get(PROFILE, &by_key("first")).await.status(), 200);
    }
    assert_eq!(reads.load(Ordering::SeqCst), 1);
    // HS256 by a text that is public, or without a secret of ours: the kind of key follows from the algorithm.
    for forged in [signed(&claims("owner"), EC_X), signed(&claims("owner"), "secret")] {
        assert_eq!(people.get(PROFILE, &forged).await.status(), 401);
    }
    assert_eq!(people.get(PROFILE, &by_key("second")).await.status(), 401);
    assert_eq!(reads.load(Ordering::SeqCst), 1, "unknown keys do not make us read without end");
    keys.lock().unwrap().insert("second", EC_X);
    tokio::time::pause();
    tokio::time::advance(std::time::Duration::from_secs(11)).await;
    tokio::time::resume();
    assert_eq!(people.get(PROFILE, &by_key("second")).await.status(), 200);
    assert_eq!(reads.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_session_signed_with_rsa_is_admitted_by_its_public_key_and_by_no_other_kind_of_key() {
    let set = json!({ "keys": [
        { "kty": "RSA", "kid": "rsa", "use": "sig", "alg": "RS256", "n": RSA_N, "e": "AQAB" },
        { "kty": "EC", "crv": "P-256", "kid": "ec", "x": EC_X, "y": EC_Y },
    ] });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    let set = warp::path!("jwks.json").map(move || warp::reply::json(&set));
    tokio::spawn(warp::serve(set).incoming(listener).run());
    let people = People::with(|accounts| {
        let config = SessionConfig { jwks_url: Some(url), ..SessionConfig::default() };
        accounts.sessions(Sessions::new(config))
    })
    .await;
    let key = EncodingKey::from_rsa_der(&base64(RSA_KEY));
    let by = |kid: &str, algorithm: Algorithm, claims: &Value| {
        encode(&Header { kid: Some(kid.to_owned()), ..Header::new(algorithm) }, claims, &key).unwrap()
    };
    let reader = claims("reader");
    assert_eq!(people.get(PROFILE, &by("rsa", Algorithm::RS256, &reader)).await.status(), 200);
    let mut past = claims("reader");
    past["exp"] = json!(get_current_timestamp() - 60);
    for refused in [
        by("ec", Algorithm::RS256, &reader),
        by("rsa", Algorithm::RS384, &reader),
        by("rsa", Algorithm::RS256, &past),
        signed(&reader, RSA_N),
    ] {
        assert_eq!(people.get(PROFILE, &refused).await.status(), 401);
    }
}

#[tokio::test]
async fn keys_that_cannot_be_read_are_our_trouble_and_no_refusal() {
    let people = People::with(|accounts| {
        let config =
            SessionConfig { jwks_url: Some("http://127.0.0.1:1/".into()), ..SessionConfig::default() };
        accounts.sessions(Sessions::new(config))
    })
    .await;
    assert_eq!(people.get(PROFILE, &by_key("first")).await.status(), 503);
}

#[tokio::test]
async fn somebody_new_becomes_a_person_when_studio_asks_and_sees_nothing_of_others() {
    let people = People::new().await;
    let token = session("newcomer");
    let unknown = people.get(PROFILE, &token).await;
    assert_eq!(
        (unknown.status(), unknown.json()["message"].as_str()),
        (404, Some("User's profile not found"))
    );
    assert_eq!(people.send("POST", PROFILE, Some(&token), &Value::Null).await.status(), 201);
    assert_eq!(people.send("POST", PROFILE, Some(&token), &Value::Null).await.status(), 409);
    let names = json!({ "first_name": "New", "username": "new" });
    let amended = people.send("PATCH", PROFILE, Some(&token), &names).await.json();
    assert_eq!((amended["first_name"].as_str(), amended["username"].as_str()), (Some("New"), Some("new")));
    assert_eq!(people.get("/api/platform/organizations", &token).await.json(), json!([]));
    assert_eq!(people.get("/api/platform/profile/permissions", &token).await.json(), json!([]));
    let audit = people.send("POST", "/api/platform/profile/audit-login", Some(&token), &Value::Null).await;
    assert_eq!((audit.status(), audit.text().as_str()), (201, ""));
}

#[tokio::test]
async fn pages_of_the_named_origin_may_ask_with_credentials_and_others_may_not() {
    let people = People::new().await;
    let preflight = |origin: &'static str| {
        warp::test::request()
            .method("OPTIONS")
            .path(PROFILE)
            .header("origin", origin)
            .header("access-control-request-method", "PATCH")
            .header("access-control-request-headers", "authorization,content-type,version,x-request-id")
    };
    let allowed = preflight("http://studio.example.com").reply(&people.filter).await;
    assert_eq!(allowed.status(), 200);
    assert_eq!(allowed.headers()["access-control-allow-origin"], "http://studio.example.com");
    assert_eq!(allowed.headers()["access-control-allow-credentials"], "true");
    let refused = preflight("http://evil.example.com").reply(&people.filter).await;
    assert_eq!(refused.status(), 403);
    assert!(!refused.headers().contains_key("access-control-allow-origin"));
    let failed = warp::test::request().path(PROFILE).header("origin", "http://studio.example.com");
    let failed = failed.reply(&people.filter).await;
    assert_eq!(failed.status(), 401);
    assert_eq!(failed.headers()["access-control-allow-origin"], "http://studio.example.com");
}

#[tokio::test]
async fn whoever_tries_credentials_without_end_has_to_wait_and_those_who_are_known_have_not() {
    let people = People::new().await;
    let mut last = None;
    for _ in 0..200 {
        let reply = people.get(PROFILE, "sbp_wrong").await;
        if reply.status() == 429 {
            last = Some(reply);
            break;
        }
    }
    let reply = last.expect("nobody had to wait");
    assert!(reply.header("retry-after").parse::<u64>().unwrap() >= 1);
    assert_eq!(people.get(PROFILE, &session("reader")).await.status(), 200);
}

fn by_key(kid: &str) -> String {
    let der: Vec<u8> = base64(EC_KEY);
    let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::ES256) };
    encode(&header, &claims("reader"), &EncodingKey::from_ec_der(&der)).unwrap()
}

/// Standard Base64 (RFC 4648 section 4).
fn base64(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = text.bytes().filter_map(|byte| ALPHABET.iter().position(|one| *one == byte));
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_usize, 0_usize);
    for digit in digits {
        bits = (bits << 6) | digit;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).unwrap());
            bits &= (1 << held) - 1;
        }
    }
    bytes
}
