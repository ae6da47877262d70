//! A project's API keys: the legacy ones, which are signed by its own secret and come and go with that, and the opaque
//! ones, which can be made, renamed and deleted as far as its gateway has places for them.

mod opaque;

use std::collections::BTreeSet;

use freehold_core::{
    Detail, Error, ExposeSecret, Kind, Operation, OperationState, Project, Result, Status,
    accounts::{Action, Resource},
    control_plane::{Accepted, Amendment, Command, Reconfigure},
};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json as object};
use warp::{
    http::{Method, StatusCode},
    reply::Response,
};

use self::opaque::{Note, Place, Type};
use super::v1;
use crate::{
    call::{Call, TRIES},
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
    v1!(POST "/projects/{ref}/api-keys", CHANGE, |call| Box::pin(create(call))),
    v1!(GET "/projects/{ref}/api-keys/legacy", READ, |call| Box::pin(legacy(call))),
    v1!(PUT "/projects/{ref}/api-keys/legacy", CHANGE, |call| Box::pin(switch_legacy(call))),
    v1!(GET "/projects/{ref}/api-keys/{key}", READ, |call| Box::pin(show(call))),
    v1!(PATCH "/projects/{ref}/api-keys/{key}", CHANGE, |call| Box::pin(change(call))),
    v1!(DELETE "/projects/{ref}/api-keys/{key}", CHANGE, |call| Box::pin(delete(call))),
];

/// The legacy keys by name, and whether they may do everything.
const LEGACY: [(&str, bool); 2] = [("anon", false), ("service_role", true)];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Query {
    reveal: Option<String>,
    enabled: Option<String>,
}

/// The keys of the project that the path names.
struct Found {
    view: View,
    keys: Keys,
    places: Vec<Place>,
    /// Whether the caller asks for what may do everything, too.
    reveal: bool,
}

impl Found {
    async fn of(call: &Call) -> Result<Self> {
        Self::in_view(call, View::named(call).await?).await
    }

    /// The same, looked up again.
    async fn anew(call: &Call, project: &Project) -> Result<Self> {
        let project = call.control().project(&project.reference).await?;
        Self::in_view(call, View::of(call, project).await?).await
    }

    async fn in_view(call: &Call, view: View) -> Result<Self> {
        let reveal = call.query::<Query>()?.reveal.as_deref() == Some("true");
        let keys = Keys::of(call, &view.project).await?;
        let places = opaque::places(&view, &keys);
        Ok(Self { view, keys, places, reveal })
    }

    /// The opaque key that the path names.
    fn opaque(&self, id: &str) -> Result<(&Place, &Note)> {
        let mut held = self.places.iter().filter_map(|place| Some((place, place.note.as_ref()?)));
        held.find(|(_, note)| note.id == id).ok_or_else(|| {
            if self.legacy(id).is_some() {
                let message = "change or delete a legacy API key: both go with the secret that signs them, which `rotate` \
                               in POST /api/freehold/v1/projects/{ref}/reconfigure has made anew";
                return Error::new(Kind::Unsupported, message);
            }
            absent()
        })
    }

    /// Whether the gateway knows the texts that the places have, or is to know them before it runs again.
    fn check_in_force(&self) -> Result<()> {
        let Project { reference, status, status_operation, .. } = self.view.project;
        match (status, status_operation) {
            (Status::ActiveHealthy | Status::Inactive, _) | (Status::ActiveUnhealthy, None) => Ok(()),
            (_, Some(operation)) if status.is_transitional() => {
                let message = format!(
                    "make an API key of project {reference}: it is {status}; wait for operation {operation}"
                );
                Err(Error::detailed(Detail::Busy { status, operation }, message))
            }
            _ => {
                let message = format!(
                    "make an API key of project {reference}: it is {status} since an operation gave up, and its gateway may not \
                     know the key: restart, resume or repair it first"
                );
                Err(Error::new(Kind::Conflict, message))
            }
        }
    }

    /// The legacy key of that name as it is shown.
    fn legacy(&self, name: &str) -> Option<Value> {
        let (name, is_secret) = LEGACY.into_iter().find(|(known, _)| *known == name)?;
        let text = if is_secret { self.keys.service() } else { self.keys.anon() };
        let shown = if is_secret && !self.reveal { masked(text) } else { text.to_owned() };
        (!text.is_empty()).then(|| {
            object!({
                "id": name,
                "name": name,
                "type": "legacy",
                "api_key": shown,
                "description": null,
                "hash": null,
                "prefix": null,
                "secret_jwt_template": null,
                "inserted_at": self.view.created_at(),
                "updated_at": self.view.created_at(),
            })
        })
    }

    /// An opaque key as it is shown.
    fn shown(&self, place: &Place, note: &Note) -> Value {
        let is_secret = place.kind == Type::Secret;
        let text = if is_secret && !self.reveal {
            // Studio shows the same fifteen characters of either form.
            format!("{}{}", place.beginning(), "·".repeat(15))
        } else {
            place.text.expose_secret().to_owned()
        };
        object!({
            "id": note.id,
            "name": note.name,
            "type": place.kind.as_str(),
            "api_key": text,
            "description": note.description,
            "hash": null,
            "prefix": place.beginning(),
            "secret_jwt_template": is_secret.then(|| object!({ "role": "service_role" })),
            "inserted_at": note.inserted_at,
            "updated_at": note.updated_at,
        })
    }
}

fn absent() -> Error {
    Error::new(Kind::NotFound, "API key not found")
}

/// The beginning, which all such keys share, and the end, which is too short to be of use.
fn masked(key: &str) -> String {
    let (start, end) = (key.get(..6), key.get(key.len().saturating_sub(4)..));
    format!("{}...{}", start.unwrap_or_default(), end.unwrap_or_default())
}

async fn list(call: Call) -> Result<Response> {
    let found = Found::of(&call).await?;
    let legacy = LEGACY.into_iter().filter_map(|(name, _)| found.legacy(name));
    let opaque = found.places.iter().filter_map(|place| Some(found.shown(place, place.note.as_ref()?)));
    Ok(private(StatusCode::OK, &legacy.chain(opaque).collect::<Vec<_>>()))
}

async fn show(call: Call) -> Result<Response> {
    let (found, id) = (Found::of(&call).await?, call.parameter("key"));
    let shown = match found.legacy(id) {
        Some(shown) => shown,
        None => {
            let opaque = found.opaque(id);
            let (place, note) = opaque.map_err(|_| absent())?;
            found.shown(place, note)
        }
    };
    Ok(private(StatusCode::OK, &shown))
}

#[derive(Deserialize)]
struct Create {
    #[serde(rename = "type")]
    kind: Type,
    name: String,
    description: Option<String>,
    secret_jwt_template: Option<Value>,
}

async fn create(call: Call) -> Result<Response> {
    let sent = call.json::<Create>()?;
    opaque::check_template(sent.kind, sent.secret_jwt_template.as_ref())?;
    let note = Note::new(sent.name, sent.description)?;
    let made = decide(&call, |found| {
        found.check_in_force()?;
        let place = opaque::free(found.places.clone(), sent.kind)?;
        Ok(Decided { command: tell(found, &place, &note)?, place, note: note.clone() })
    });
    let (shown, _) = made.await?;
    Ok(private(StatusCode::CREATED, &shown))
}

/// What a change comes to.
struct Decided {
    command: Command,
    /// The key that it is about.
    place: Place,
    note: Note,
}

/// Changes a key of the project that the path names, and shows it. What is decided on is what is changed: if the project
/// changed meanwhile, its keys are looked at and decided on again.
async fn decide(call: &Call, change: impl Fn(&Found) -> Result<Decided>) -> Result<(Value, Accepted)> {
    let (mut found, mut tries) = (Found::of(call).await?, 1);
    loop {
        let Decided { command, place, note } = change(&found)?;
        match call.control().execute(command, None).await {
            Err(error) if error.is_lost_race() && tries < TRIES => tries += 1,
            accepted => return Ok((found.shown(&place, &note), accepted?)),
        }
        found = Found::anew(call, &found.view.project).await?;
    }
}

/// Keeps what is told of a key.
fn tell(found: &Found, place: &Place, note: &Note) -> Result<Command> {
    let project = &found.view.project;
    let amendment = Amendment {
        annotations: Some(opaque::noted(project, &place.secret, Some(note))?),
        expected: Some(project.version),
        ..Amendment::default()
    };
    Ok(Command::Amend(project.reference, Box::new(amendment)))
}

#[derive(Deserialize)]
struct Change {
    name: Option<String>,
    #[serde(default, deserialize_with = "present")]
    description: Option<Option<String>>,
    secret_jwt_template: Option<Value>,
}

/// A field that is there, be it `null`.
fn present<'de, D: Deserializer<'de>>(field: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(field).map(Some)
}

async fn change(call: Call) -> Result<Response> {
    let sent = call.json::<Change>()?;
    let changed = decide(&call, |found| {
        let (place, note) = found.opaque(call.parameter("key"))?;
        opaque::check_template(place.kind, sent.secret_jwt_template.as_ref())?;
        let note = note.clone().changed(sent.name.clone(), sent.description.clone())?;
        Ok(Decided { command: tell(found, place, &note)?, place: place.clone(), note })
    });
    let (shown, _) = changed.await?;
    Ok(private(StatusCode::OK, &shown))
}

/// Deletes a key: the project's gateway is made anew with a text that nobody was told. That the key is deleted is said once
/// it opens nothing any more.
async fn delete(call: Call) -> Result<Response> {
    let deleted = decide(&call, |found| {
        let (place, note) = found.opaque(call.parameter("key"))?;
        let project = &found.view.project;
        let settings = Reconfigure {
            rotate: BTreeSet::from([place.secret.clone()]),
            annotations: Some(opaque::noted(project, &place.secret, None)?),
            expected: Some(project.version),
            ..Reconfigure::default()
        };
        let command = Command::Reconfigure(project.reference, Box::new(settings));
        Ok(Decided { command, place: place.clone(), note: note.clone() })
    });
    let (shown, accepted) = deleted.await?;
    if let Some(operation) = accepted.operation {
        out_of_force(&call, &operation).await?;
    }
    Ok(private(StatusCode::OK, &shown))
}

/// Waits until the gateway was made anew.
///
/// # Errors
/// `Timeout` if that is still on its way, `Conflict` with the cause if it gave up: the deleted key may open the project then.
async fn out_of_force(call: &Call, operation: &Operation) -> Result<()> {
    let Operation { id, project, .. } = operation;
    let ended = match call.control().wait_operation(*id, call.patience(None)).await {
        Err(error) if error.kind() == Kind::Timeout => {
            let message = format!(
                "see the deleted API key go out of force: it is in no list any more, and opens project {project} until \
                 operation {id} has succeeded, which is on its way"
            );
            return Err(Error::new(Kind::Timeout, message).because(error));
        }
        ended => ended?,
    };
    if ended.state == OperationState::Succeeded {
        return Ok(());
    }
    let cause = ended.error.map(|error| format!(": {}", error.message)).unwrap_or_default();
    let message = format!(
        "put the deleted API key out of force: it is in no list any more, and may open project {project} until \
         POST /api/freehold/v1/projects/{project}/repair has succeeded, since operation {id} {}{cause}",
        ended.state
    );
    Err(Error::new(Kind::Conflict, message))
}

async fn legacy(call: Call) -> Result<Response> {
    let found = Found::of(&call).await?;
    Ok(json(StatusCode::OK, &object!({ "enabled": !found.keys.anon().is_empty() })))
}

/// What they are already is no change.
async fn switch_legacy(call: Call) -> Result<Response> {
    let enabled = !Found::of(&call).await?.keys.anon().is_empty();
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
