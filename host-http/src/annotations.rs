//! A project's annotations: its callers' own facts, and beside them what the host keeps of its API keys.

use std::collections::BTreeMap;

use freehold_core::{Error, Result, SecretName, project::Annotations};

/// How the keys of the host's own begin. Callers neither see nor change them.
const RESERVED: &str = "api_key.";
/// How many a project's callers may have: the rest is for the host's own.
const MOST: usize = Annotations::MAX_ENTRIES - 16;

/// The key of what is told of the API key that a secret is the text of.
pub(crate) fn api_key(secret: &SecretName) -> String {
    format!("{RESERVED}{secret}")
}

/// What a caller sent.
///
/// # Errors
/// `InvalidInput` naming the key that is the host's own, or the bound.
pub(crate) fn sent(entries: BTreeMap<String, String>) -> Result<Annotations> {
    if let Some(key) = entries.keys().find(|key| key.starts_with(RESERVED)) {
        let problem = format_args!("keys that begin with `{RESERVED}` are the host's own");
        return Err(Error::invalid(&format!("annotations.{key}"), problem));
    }
    if entries.len() > MOST {
        let problem = format_args!("{} entries, and {MOST} are allowed", entries.len());
        return Err(Error::invalid("annotations", problem));
    }
    Annotations::new(entries)
}

/// What a caller sent in place of what callers had, with the host's own as they are.
///
/// # Errors
/// `InvalidInput` if that is too much together.
pub(crate) fn replaced(kept: &Annotations, sent: &Annotations) -> Result<Annotations> {
    let own = kept.iter().filter(|(key, _)| key.starts_with(RESERVED));
    Annotations::new(own.chain(sent.iter()).map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
}

/// Those that callers see.
pub(crate) fn shown(annotations: Annotations) -> BTreeMap<String, String> {
    let mut entries = BTreeMap::from(annotations);
    entries.retain(|key, _| !key.starts_with(RESERVED));
    entries
}
