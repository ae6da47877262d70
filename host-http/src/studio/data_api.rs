//! A project's own PostgREST: what it says of itself, whether it answers, and a key for an hour to ask it with.

use freehold_core::{
    Error, Kind, Result,
    accounts::{Action, Resource},
};
use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use reqwest::Method as Verb;
use serde::Deserialize;
use serde_json::{Value, json as object};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::{
    empty,
    keys::Keys,
    proxied::{self, Part},
    view::View,
};
use crate::{
    call::Call,
    error::private,
    route::Route,
    rule::{At, Rule},
};

const REST: &str = "/api/platform/projects/{ref}/api/rest";
const READ: Rule = Rule::May(Action::ReadSchema, Resource::Tables, At::Project);

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, REST, READ, |call| Box::pin(describe(call))),
    Route::new(Method::HEAD, REST, READ, |call| Box::pin(ping(call))),
    Route::new(
        Method::POST,
        "/api/platform/projects/{ref}/api-keys/temporary",
        Rule::May(Action::Read, Resource::ServiceKeys, At::Project),
        |call| Box::pin(lend_key(call)),
    ),
];

/// How long a key that is lent is good at most, in seconds.
const LONGEST: u64 = 3600;

async fn describe(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    proxied::pass(&call, &view, Part::Rest, (Verb::GET, "/"), None).await
}

async fn ping(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let answered = proxied::pass(&call, &view, Part::Rest, (Verb::HEAD, "/"), None).await?;
    Ok(empty(answered.status()))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Lend {
    authorization_exp: Option<u64>,
    claims: Option<String>,
}

/// Signs a key of the project's, for the role that is asked for.
async fn lend_key(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let wanted = call.query::<Lend>()?;
    let claims: Value = match &wanted.claims {
        Some(text) => {
            serde_json::from_str(text).map_err(|_| Error::invalid("claims", "is no JSON object"))?
        }
        None => Value::Null,
    };
    let role = claims["role"].as_str().unwrap_or("service_role");
    if !["anon", "authenticated", "service_role"].contains(&role) {
        let problem = "the role is none of anon, authenticated and service_role";
        return Err(Error::invalid("claims", problem));
    }
    let keys = Keys::of(&call, &view.project).await?;
    let secret = keys.signing_secret(&view).ok_or_else(|| {
        Error::new(Kind::Unsupported, "sign a key: the project's stack declares no secret that signs keys")
    })?;
    let now = get_current_timestamp();
    let life = wanted.authorization_exp.unwrap_or(LONGEST).min(LONGEST);
    let claims = object!({ "role": role, "iss": "supabase", "iat": now, "exp": now + life });
    let key = encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes()))
        .map_err(|error| Error::internal("sign a key").because(error))?;
    Ok(private(StatusCode::CREATED, &object!({ "api_key": key })))
}
