//! What people need before they can sign in; GoTrue does it, and what it says is passed on.

use freehold_core::{Error, Kind, Result};
use serde::Deserialize;
use serde_json::{Value, json};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use crate::{
    call::Call,
    error,
    gotrue::{Answered, GoTrue},
    route::Route,
    rule::Rule,
    throttle::Allowance,
    wire::Secret,
};

pub(crate) const ROUTES: &[Route] = &[
    Route::new(Method::POST, "/api/platform/signup", Rule::Anyone, |call| Box::pin(sign_up(call))),
    Route::new(Method::POST, "/api/platform/reset-password", Rule::Anyone, |call| {
        Box::pin(reset_password(call))
    }),
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SignUp {
    email: String,
    password: Secret,
    hcaptcha_token: Option<String>,
    redirect_to: Option<String>,
}

async fn sign_up(call: Call) -> Result<Response> {
    if let Some(refusal) = call.overspent(Allowance::SignUps) {
        return Ok(refusal);
    }
    let request = call.json::<SignUp>()?;
    let mut body = json!({ "email": request.email, "password": request.password.expose() });
    add_captcha(&mut body, request.hcaptcha_token);
    let answered = gotrue(&call)?.sign_up(request.redirect_to.as_deref(), &body).await?;
    Ok(passed_on(&call, answered))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResetPassword {
    email: String,
    hcaptcha_token: Option<String>,
    redirect_to: Option<String>,
}

async fn reset_password(call: Call) -> Result<Response> {
    if let Some(refusal) = call.overspent(Allowance::SignUps) {
        return Ok(refusal);
    }
    let request = call.json::<ResetPassword>()?;
    let mut body = json!({ "email": request.email });
    add_captcha(&mut body, request.hcaptcha_token);
    let answered = gotrue(&call)?.recover(request.redirect_to.as_deref(), &body).await?;
    Ok(passed_on(&call, answered))
}

fn add_captcha(body: &mut Value, token: Option<String>) {
    if let Some(token) = token {
        body["gotrue_meta_security"] = json!({ "captcha_token": token });
    }
}

fn gotrue(call: &Call) -> Result<&GoTrue> {
    let service = call.api().auth().accounts().and_then(|accounts| accounts.service());
    service.ok_or_else(|| Error::new(Kind::Unsupported, "sign people up: this host knows no GoTrue"))
}

/// GoTrue's success is a 201 here, as Studio's types have it; its errors keep their status and their words.
fn passed_on(call: &Call, answered: Answered) -> Response {
    if answered.status.is_success() {
        let body = if answered.body.is_object() { answered.body } else { json!({}) };
        return error::json(StatusCode::CREATED, &body);
    }
    error::refusal(answered.status, "sign_in_service", &answered.message(), call.request_id())
}
