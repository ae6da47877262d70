//! Opaque keys. A project has as many as its stack declares: its gateway is made with their texts, one variable each. So
//! there are places, each of which holds a key or none, and what is told of a key besides its text is an annotation of the
//! project's.
//!
//! Who deletes a key has its text made anew and told to nobody: the old one is worth nothing from then on, and the gateway,
//! which knows no key of a kind only together with one of the other, goes on to know both. Who makes one is told that text.

use std::collections::BTreeMap;

use freehold_core::{
    Error, ExposeSecret, Kind, Project, Result, SecretName, SecretString, project::Annotations,
    stack::SecretGenerator,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{
    annotations,
    studio::{keys::Keys, moment, view::View},
};

/// What a key may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Type {
    /// What anybody may: the role `anon`.
    Publishable,
    /// Everything: the role `service_role`.
    Secret,
}

impl Type {
    /// As it stands in replies.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Publishable => "publishable",
            Self::Secret => "secret",
        }
    }

    /// By the beginning of its text (Supabase's `utils/add-new-auth-keys.sh`).
    fn of(prefix: &str) -> Option<Self> {
        match prefix {
            "sb_publishable_" => Some(Self::Publishable),
            "sb_secret_" => Some(Self::Secret),
            _ => None,
        }
    }
}

/// A place for a key.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The stack's secret that is its text.
    pub(super) secret: SecretName,
    pub(super) kind: Type,
    /// The text that the gateway knows.
    pub(super) text: SecretString,
    /// What is told of the key; `None` if there is none.
    pub(super) note: Option<Note>,
}

/// What is told of a key besides its text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) inserted_at: String,
    pub(super) updated_at: String,
}

impl Note {
    /// Of a key that is made now.
    ///
    /// # Errors
    /// `InvalidInput` naming the field.
    pub(super) fn new(name: String, description: Option<String>) -> Result<Self> {
        let now = moment(OffsetDateTime::now_utc());
        let id = Uuid::now_v7().to_string();
        Self { id, name, description, inserted_at: now.clone(), updated_at: now }.checked()
    }

    /// The same with another name or description.
    ///
    /// # Errors
    /// As [`Note::new`].
    pub(super) fn changed(self, name: Option<String>, description: Option<Option<String>>) -> Result<Self> {
        let updated_at = moment(OffsetDateTime::now_utc());
        let (name, description) = (name.unwrap_or(self.name), description.unwrap_or(self.description));
        Self { name, description, updated_at, ..self }.checked()
    }

    /// Names are as Studio's own form has them.
    fn checked(self) -> Result<Self> {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        let begins_well = !self.name.starts_with(|c: char| c.is_ascii_digit());
        if !(4..=64).contains(&self.name.len()) || !self.name.chars().all(legal) || !begins_well {
            let problem = "is not 4 to 64 small letters, digits and underscores, the first no digit";
            return Err(Error::invalid("name", problem));
        }
        if ["anon", "service_role"].contains(&self.name.as_str()) {
            return Err(Error::invalid("name", "is that of a legacy key"));
        }
        match &self.description {
            Some(text) if text.chars().count() > 256 || text.chars().any(char::is_control) => {
                Err(Error::invalid("description", "is not at most 256 characters of text"))
            }
            Some(text) if text.trim().is_empty() => Ok(Self { description: None, ..self }),
            _ => Ok(self),
        }
    }
}

/// The places that the project's stack has, in its order.
pub(super) fn places(view: &View, keys: &Keys) -> Vec<Place> {
    let declared = view.stack.iter().flat_map(|stack| &stack.secrets);
    declared
        .filter_map(|declared| {
            let SecretGenerator::ApiKey { prefix, .. } = &declared.generator else { return None };
            let kind = Type::of(prefix)?;
            let text = keys.secret(declared.name.as_str())?.clone();
            let note = note(&view.project, &declared.name);
            Some(Place { secret: declared.name.clone(), kind, text, note })
        })
        .collect()
}

/// What is told of the key in a place: that it is the one that the project was made with, unless somebody said otherwise.
fn note(project: &Project, secret: &SecretName) -> Option<Note> {
    let said = project.annotations.value(&annotations::api_key(secret));
    let said = said.and_then(|text| serde_json::from_str::<Option<Note>>(text).ok());
    said.unwrap_or_else(|| {
        let made = moment(project.created_at);
        Some(Note {
            id: secret.to_string(),
            name: "default".to_owned(),
            description: None,
            inserted_at: made.clone(),
            updated_at: made,
        })
    })
}

/// The project's annotations with another note on the key in a place.
///
/// # Errors
/// `InvalidInput` if the project has as many annotations as it may have.
pub(super) fn noted(project: &Project, secret: &SecretName, note: Option<&Note>) -> Result<Annotations> {
    let text = serde_json::to_string(&note)
        .map_err(|error| Error::internal("write down what is told of an API key").because(error))?;
    let mut entries = BTreeMap::from(project.annotations.clone());
    entries.insert(annotations::api_key(secret), text);
    Annotations::new(entries)
}

/// A place of that kind which holds no key.
///
/// # Errors
/// `Unsupported` if the stack has no such place; `Conflict` naming the keys that are in all of them.
pub(super) fn free(places: Vec<Place>, kind: Type) -> Result<Place> {
    let (name, mut held) = (kind.as_str(), Vec::new());
    for place in places.into_iter().filter(|place| place.kind == kind) {
        match place.note {
            None => return Ok(place),
            Some(note) => held.push(note.name),
        }
    }
    if held.is_empty() {
        let message = format!("make a {name} API key: the project's gateway knows no keys of that kind");
        return Err(Error::new(Kind::Unsupported, message));
    }
    let (count, held) = (held.len(), held.join(", "));
    let message = format!(
        "the project's gateway takes no more than {count} {name} API key(s), and has {held}: delete one first, which puts \
         it out of force, then make another"
    );
    Err(Error::new(Kind::Conflict, message))
}

/// What a key's token says, which the gateway puts in its place: the only one that it has for the kind.
///
/// # Errors
/// `InvalidInput` for any other.
pub(super) fn check_template(kind: Type, template: Option<&Value>) -> Result<()> {
    let Some(template) = template.filter(|template| !template.is_null()) else { return Ok(()) };
    let known = serde_json::json!({ "role": "service_role" });
    if kind == Type::Secret && *template == known {
        return Ok(());
    }
    let problem =
        "is not what the project's gateway has for such keys: the role `service_role` of secret ones, alone";
    Err(Error::invalid("secret_jwt_template", problem))
}

impl Place {
    /// The text as it is shown to whoever does not ask for all of it: by its beginning, a secret one is known by people.
    pub(super) fn beginning(&self) -> &str {
        let text = self.text.expose_secret();
        text.get(..15).unwrap_or_default()
    }
}
