//! Personal access tokens: shown once, when they are made.

use freehold_core::{
    Error, Kind, Result,
    accounts::{AccessToken, NewAccessToken},
};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::{moment, profile};
use crate::{
    auth::Token,
    call::Call,
    error::{json, private},
    route::Route,
    rule::Rule,
    wire::Secret,
};

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/platform/profile/access-tokens", Rule::Known, |call| Box::pin(list(call))),
    Route::new(Method::POST, "/api/platform/profile/access-tokens", Rule::Known, |call| {
        Box::pin(create(call))
    }),
    Route::new(Method::DELETE, "/api/platform/profile/access-tokens/{id}", Rule::Known, |call| {
        Box::pin(delete(call))
    }),
];

#[derive(Debug, Serialize)]
struct Shown {
    id: i64,
    name: String,
    token_alias: String,
    scope: &'static str,
    created_at: String,
    expires_at: Option<String>,
    last_used_at: Option<String>,
}

impl From<AccessToken> for Shown {
    fn from(token: AccessToken) -> Self {
        Self {
            id: token.id,
            name: token.name,
            token_alias: token.alias,
            scope: "V0",
            created_at: moment(token.created_at),
            expires_at: token.expires_at.map(moment),
            last_used_at: token.last_used_at.map(moment),
        }
    }
}

#[derive(Serialize)]
struct Made {
    #[serde(flatten)]
    shown: Shown,
    access_token: Secret,
}

#[derive(Deserialize)]
struct Create {
    name: String,
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

async fn list(call: Call) -> Result<Response> {
    let tokens = call.accounts()?.tokens(profile::person(&call)?.id).await?;
    Ok(json(StatusCode::OK, &tokens.into_iter().map(Shown::from).collect::<Vec<_>>()))
}

async fn create(call: Call) -> Result<Response> {
    let (owner, create) = (profile::person(&call)?.id, call.json::<Create>()?);
    let token = Token::personal()?;
    let kept = NewAccessToken {
        owner,
        name: create.name,
        alias: token.alias(),
        digest: token.digest().bytes(),
        expires_at: create.expires_at,
    };
    let shown = call.accounts()?.create_token(&kept).await?.into();
    let made = Made { shown, access_token: token.into_secret().into() };
    Ok(private(StatusCode::CREATED, &made))
}

async fn delete(call: Call) -> Result<Response> {
    let owner = profile::person(&call)?.id;
    let missing = || Error::new(Kind::NotFound, "Access token not found");
    let id = call.parameter("id").parse().map_err(|_| missing())?;
    let token = call.accounts()?.tokens(owner).await?.into_iter().find(|token| token.id == id);
    let token = token.ok_or_else(missing)?;
    if !call.accounts()?.delete_token(owner, id).await? {
        return Err(missing());
    }
    Ok(json(StatusCode::OK, &Shown::from(token)))
}
