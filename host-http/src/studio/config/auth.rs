//! GoTrue's settings, as far as the stack has variables for them: one table.

use freehold_core::{
    Error, Kind, Result,
    accounts::{Action, Resource},
};
use serde_json::{Map, Value};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use crate::{
    call::Call,
    error::private,
    route::Route,
    rule::{At, Rule},
    studio::{
        variables::{Changes, Variables},
        view::View,
    },
};

pub(crate) const READ: Rule = Rule::May(Action::Read, Resource::AuthSettings, At::Project);
pub(crate) const UPDATE: Rule = Rule::May(Action::Update, Resource::AuthSettings, At::Project);

pub(super) const ROUTES: &[Route] = &[
    Route::new(Method::GET, "/api/platform/auth/{ref}/config", READ, |call| Box::pin(show(call))),
    Route::new(Method::PATCH, "/api/platform/auth/{ref}/config", UPDATE, |call| Box::pin(amend(call))),
    Route::new(Method::PATCH, "/api/platform/auth/{ref}/config/hooks", UPDATE, |call| Box::pin(amend(call))),
];

/// What a setting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Number,
    Flag,
    /// Told to nobody; that it is set is shown by stars.
    Secret,
}

/// Studio's name (GoTrue's, without its prefix), the stack's variable, and what it is.
const SETTINGS: &[(&str, &str, Form)] = &[
    ("SITE_URL", "SITE_URL", Form::Text),
    ("URI_ALLOW_LIST", "ADDITIONAL_REDIRECT_URLS", Form::Text),
    ("JWT_EXP", "JWT_EXPIRY", Form::Number),
    ("DISABLE_SIGNUP", "DISABLE_SIGNUP", Form::Flag),
    ("EXTERNAL_EMAIL_ENABLED", "ENABLE_EMAIL_SIGNUP", Form::Flag),
    ("EXTERNAL_PHONE_ENABLED", "ENABLE_PHONE_SIGNUP", Form::Flag),
    ("EXTERNAL_ANONYMOUS_USERS_ENABLED", "ENABLE_ANONYMOUS_USERS", Form::Flag),
    ("MAILER_AUTOCONFIRM", "ENABLE_EMAIL_AUTOCONFIRM", Form::Flag),
    ("SMS_AUTOCONFIRM", "ENABLE_PHONE_AUTOCONFIRM", Form::Flag),
    ("SMTP_ADMIN_EMAIL", "SMTP_ADMIN_EMAIL", Form::Text),
    ("SMTP_HOST", "SMTP_HOST", Form::Text),
    ("SMTP_PORT", "SMTP_PORT", Form::Text),
    ("SMTP_SENDER_NAME", "SMTP_SENDER_NAME", Form::Text),
    ("SMTP_USER", "SMTP_USER", Form::Secret),
    ("SMTP_PASS", "SMTP_PASS", Form::Secret),
];

/// What stands for a secret that is set. Sent back it changes nothing.
const STARS: &str = "********";

/// The settings of a project, by Studio's names.
pub(crate) async fn settings(call: &Call, view: &View) -> Result<Map<String, Value>> {
    Ok(shown(&Variables::of(call, view).await?))
}

fn shown(variables: &Variables<'_>) -> Map<String, Value> {
    let value = |name: &str, form: Form| match form {
        Form::Text => variables.text(name).map_or(Value::from(""), Value::from),
        Form::Number => variables.number(name).map_or(Value::Null, Value::from),
        Form::Flag => Value::from(variables.flag(name).unwrap_or(false)),
        Form::Secret if variables.is_set(name) => Value::from(STARS),
        Form::Secret => Value::Null,
    };
    let settings = SETTINGS.iter().filter(|(_, name, _)| variables.has(name));
    let settings = settings.map(|(field, name, form)| ((*field).to_owned(), value(name, *form)));
    settings.collect()
}

async fn show(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    Ok(private(StatusCode::OK, &settings(&call, &view).await?))
}

async fn amend(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    change(&call, &view, &call.json()?).await?;
    Ok(private(StatusCode::OK, &settings(&call, &view).await?))
}

/// Changes what differs. What there is no setting for is refused by its name, unless the form merely sends back that it
/// has none.
///
/// # Errors
/// `Unsupported`, `InvalidInput`, each naming the field; `Conflict` while the project cannot be reconfigured.
pub(crate) async fn change(call: &Call, view: &View, sent: &Map<String, Value>) -> Result<()> {
    let variables = Variables::of(call, view).await?;
    let mut changes = Changes::default();
    for (field, value) in sent {
        let Some((_, name, form)) = SETTINGS.iter().find(|(known, ..)| known == field) else {
            if is_nothing(value) {
                continue;
            }
            let message = format!("change {field}: the project's stack has no setting for it");
            return Err(Error::new(Kind::Unsupported, message));
        };
        if *form == Form::Secret && value.as_str() == Some(STARS) {
            continue;
        }
        let text = written(field, *form, value)?;
        variables.change(&mut changes, field, name, text)?;
    }
    let moves = ["SMTP_HOST", "SMTP_PORT"].into_iter().any(|name| changes.has(name));
    let given = sent.get("SMTP_PASS").is_some_and(|value| value.as_str() != Some(STARS));
    if moves && variables.is_set("SMTP_PASS") && !given {
        // Another server would be told a password that whoever names it may not read.
        let message = "must be given anew, or emptied, where SMTP_HOST or SMTP_PORT changes";
        return Err(Error::invalid("SMTP_PASS", message));
    }
    changes.apply(call, view).await
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::Bool(true) | Value::Array(_) | Value::Object(_) => false,
    }
}

/// A value as the variable has it.
fn written(field: &str, form: Form, value: &Value) -> Result<String> {
    match (form, value) {
        (_, Value::Null) => Ok(String::new()),
        (Form::Text | Form::Secret, Value::String(text)) => Ok(text.clone()),
        (Form::Text, Value::Number(number)) => Ok(number.to_string()),
        (Form::Number, Value::Number(number)) if number.is_u64() => Ok(number.to_string()),
        (Form::Flag, Value::Bool(flag)) => Ok(flag.to_string()),
        (Form::Text | Form::Secret, _) => Err(Error::invalid(field, "is no text")),
        (Form::Number, _) => Err(Error::invalid(field, "is no number of 0 or more")),
        (Form::Flag, _) => Err(Error::invalid(field, "is neither true nor false")),
    }
}
