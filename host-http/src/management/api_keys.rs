//! A project's API keys: those that are signed by its own secret, and the opaque ones that its stack declares. A stack has
//! the keys that it has: none is made or deleted one by one, and the old ones cannot be switched off alone.

use freehold_core::{
    Error, ExposeSecret, Kind, Result,
    accounts::{Action, Resource},
    stack::SecretGenerator,
};
use serde::Deserialize;
use serde_json::{Value, json as object};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use super::v1;
use crate::{
    call::Call,
    error::{json, private},
    route::Route,
    rule::{At, Rule},
    studio::{keys::Keys, view::View},
};

const READ: Rule = Rule::May(Action::Read, Resource::ApiKeys, At::Project);
/// Whoever may change what the project's services are reached by.
const CHANGE: Rule = Rule::May(Action::Update, Resource::ApiSettings, At::Project);

pub(crate) const ROUTES: &[[Route; 2]] = &[
    v1!(GET "/projects/{ref}/api-keys", READ, |call| Box::pin(list(call))),
    v1!(POST "/projects/{ref}/api-keys", CHANGE, |call| Box::pin(fixed(call))),
    v1!(GET "/projects/{ref}/api-keys/legacy", READ, |call| Box::pin(legacy(call))),
    v1!(PUT "/projects/{ref}/api-keys/legacy", CHANGE, |call| Box::pin(switch_legacy(call))),
    v1!(GET "/projects/{ref}/api-keys/{key}", READ, |call| Box::pin(show(call))),
    v1!(PATCH "/projects/{ref}/api-keys/{key}", CHANGE, |call| Box::pin(fixed(call))),
    v1!(DELETE "/projects/{ref}/api-keys/{key}", CHANGE, |call| Box::pin(fixed(call))),
];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Query {
    reveal: Option<String>,
    enabled: Option<String>,
}

/// One key.
struct Key {
    id: String,
    name: &'static str,
    kind: &'static str,
    text: String,
    /// Whether it may do everything: then only those see it who ask for it.
    is_secret: bool,
}

/// The beginnings of opaque keys (Supabase's `utils/add-new-auth-keys.sh`), and what they are.
const OPAQUE: [(&str, &str, bool); 2] =
    [("sb_publishable_", "publishable", false), ("sb_secret_", "secret", true)];

/// The keys of the project that the path names, those that everybody knows first.
async fn keys(call: &Call, view: &View) -> Result<Vec<Key>> {
    let keys = Keys::of(call, &view.project).await?;
    let signed = [("anon", keys.anon(), false), ("service_role", keys.service(), true)];
    let mut found: Vec<Key> = signed
        .into_iter()
        .filter(|(_, text, _)| !text.is_empty())
        .map(|(name, text, is_secret)| Key {
            id: name.to_owned(),
            name,
            kind: "legacy",
            text: text.to_owned(),
            is_secret,
        })
        .collect();
    for declared in view.stack.iter().flat_map(|stack| &stack.secrets) {
        let SecretGenerator::ApiKey { prefix, .. } = &declared.generator else { continue };
        let kind = OPAQUE.iter().find(|(beginning, _, _)| beginning == prefix);
        let (Some((_, kind, is_secret)), Some(text)) = (kind, keys.secret(declared.name.as_str())) else {
            continue;
        };
        found.push(Key {
            id: declared.name.to_string(),
            name: "default",
            kind,
            text: text.expose_secret().to_owned(),
            is_secret: *is_secret,
        });
    }
    Ok(found)
}

impl Key {
    fn shown(&self, view: &View, reveal: bool) -> Value {
        let hidden = self.is_secret && !reveal;
        object!({
            "id": self.id,
            "name": self.name,
            "type": self.kind,
            "api_key": if hidden { masked(&self.text) } else { self.text.clone() },
            "description": null,
            "hash": null,
            "prefix": null,
            "secret_jwt_template": null,
            "inserted_at": view.created_at(),
            "updated_at": view.created_at(),
        })
    }
}

/// Whether the caller asks for what may do everything, too.
fn reveals(call: &Call) -> Result<bool> {
    Ok(call.query::<Query>()?.reveal.as_deref() == Some("true"))
}

async fn list(call: Call) -> Result<Response> {
    let (view, reveal) = (View::named(&call).await?, reveals(&call)?);
    let keys = keys(&call, &view).await?;
    Ok(private(StatusCode::OK, &keys.iter().map(|key| key.shown(&view, reveal)).collect::<Vec<_>>()))
}

async fn show(call: Call) -> Result<Response> {
    let (view, reveal) = (View::named(&call).await?, reveals(&call)?);
    let (keys, id) = (keys(&call, &view).await?, call.parameter("key"));
    let key = keys.iter().find(|key| key.id == id);
    let key = key.ok_or_else(|| Error::new(Kind::NotFound, "API key not found"))?;
    Ok(private(StatusCode::OK, &key.shown(&view, reveal)))
}

/// The beginning, which all such keys share, and the end, which is too short to be of use.
fn masked(key: &str) -> String {
    let (start, end) = (key.get(..6), key.get(key.len().saturating_sub(4)..));
    format!("{}...{}", start.unwrap_or_default(), end.unwrap_or_default())
}

async fn fixed(call: Call) -> Result<Response> {
    View::named(&call).await?;
    let message = "make, change or delete an API key: a project has those that its stack declares; `rotate` in \
                   POST /api/freehold/v1/projects/{ref}/reconfigure has one made anew";
    Err(Error::new(Kind::Unsupported, message))
}

async fn legacy(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let enabled = !Keys::of(&call, &view.project).await?.anon().is_empty();
    Ok(json(StatusCode::OK, &object!({ "enabled": enabled })))
}

/// What they are already is no change.
async fn switch_legacy(call: Call) -> Result<Response> {
    let view = View::named(&call).await?;
    let enabled = !Keys::of(&call, &view.project).await?.anon().is_empty();
    let wanted = match call.query::<Query>()?.enabled.as_deref() {
        Some("true") => true,
        Some("false") => false,
        _ => return Err(Error::invalid("enabled", "is neither `true` nor `false`")),
    };
    if wanted != enabled {
        let message = "switch the legacy API keys on or off: the project's services are made with them";
        return Err(Error::new(Kind::Unsupported, message));
    }
    Ok(json(StatusCode::OK, &object!({ "enabled": enabled })))
}
