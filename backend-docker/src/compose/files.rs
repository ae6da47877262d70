//! Configs and secrets: small files that a project gives to its services (Compose specification, "configs", "secrets").

use std::{collections::BTreeMap, fmt};

use super::{
    at::At,
    keys::{self, Section},
    problem::Result,
};

/// A config or secret that the file declares.
#[derive(Clone)]
pub(crate) enum Declared {
    /// A file of the stack's folder.
    File(String),
    /// What it holds.
    Content(String),
    /// A variable of the project.
    Variable(String),
}

/// A config or secret that a service is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub(crate) source: String,
    pub(crate) target: String,
    pub(crate) uid: Option<u64>,
    pub(crate) gid: Option<u64>,
    pub(crate) mode: Option<u32>,
}

/// Configs or secrets: they differ in where a service finds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    Config,
    Secret,
}

impl Sort {
    /// The key that they stand under, in the file and in a service.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Config => "configs",
            Self::Secret => "secrets",
        }
    }

    fn section(self) -> &'static Section {
        match self {
            Self::Config => &keys::CONFIG,
            Self::Secret => &keys::SECRET,
        }
    }

    /// The folder that a relative target is in.
    fn folder(self) -> &'static str {
        match self {
            Self::Config => "/",
            Self::Secret => "/run/secrets/",
        }
    }
}

/// The configs or secrets that the file declares.
pub(crate) fn read_declared(sort: Sort, at: &At<'_>) -> Result<BTreeMap<String, Declared>> {
    at.entries()?.into_iter().map(|(name, at)| Ok((name.to_owned(), read_one(sort, &at)?))).collect()
}

fn read_one(sort: Sort, at: &At<'_>) -> Result<Declared> {
    let mut sources = Vec::new();
    for (key, at) in at.entries()? {
        match key {
            "file" => sources.push(Declared::File(at.filled()?.to_owned())),
            "content" if sort == Sort::Config => sources.push(Declared::Content(at.text()?.to_owned())),
            "environment" => sources.push(Declared::Variable(at.filled()?.to_owned())),
            "name" => drop(at.text()?),
            "external" => at.only_false()?,
            "labels" => {}
            _ => at.unknown(sort.section())?,
        }
    }
    match (sources.pop(), sources.is_empty()) {
        (Some(source), true) => Ok(source),
        _ if sort == Sort::Config => Err(at.problem("write one of file, content and environment")),
        _ => Err(at.problem("write either file or environment")),
    }
}

/// The configs or secrets that a service is given: names, and mappings that say where and whose they are. Of two with one
/// target the later one counts.
pub(crate) fn read_grants(sort: Sort, at: &At<'_>) -> Result<Vec<Grant>> {
    let mut grants: Vec<Grant> = Vec::new();
    for item in at.items()? {
        let grant = read_grant(sort, &item)?;
        match grants.iter_mut().find(|other| other.target == grant.target) {
            Some(other) => *other = grant,
            None => grants.push(grant),
        }
    }
    Ok(grants)
}

fn read_grant(sort: Sort, at: &At<'_>) -> Result<Grant> {
    let in_folder = |at: &At<'_>, target: &str| match target.starts_with('/') {
        _ if target.split('/').any(|part| part == "..") => Err(at.bad("a path without ..")),
        true => Ok(target.to_owned()),
        false => Ok(format!("{}{target}", sort.folder())),
    };
    if !at.is_map() {
        let source = at.filled()?;
        let target = in_folder(at, source)?;
        return Ok(Grant { source: source.to_owned(), target, uid: None, gid: None, mode: None });
    }
    let (mut source, mut target, mut uid, mut gid, mut mode) = (None, None, None, None, None);
    for (key, at) in at.entries()? {
        match key {
            "source" => source = Some(at.filled()?.to_owned()),
            "target" => target = Some(in_folder(&at, at.filled()?)?),
            "uid" => uid = Some(at.read("the number of a user", |text| text.parse().ok())?),
            "gid" => gid = Some(at.read("the number of a group", |text| text.parse().ok())?),
            "mode" => mode = Some(at.read("permissions like 0440", permissions)?),
            _ => at.unknown(&keys::GRANT)?,
        }
    }
    let source = source.ok_or_else(|| at.problem("the key source is missing"))?;
    let target = match target {
        Some(target) => target,
        None => in_folder(at, &source)?,
    };
    Ok(Grant { source, target, uid, gid, mode })
}

/// A number in octal if it begins with `0` or `0o`, as people write permissions, else in decimal, as YAML has it.
pub(crate) fn permissions(text: &str) -> Option<u32> {
    let mode = match text.strip_prefix("0o").or_else(|| text.strip_prefix('0')) {
        Some("") => Some(0),
        Some(digits) => u32::from_str_radix(digits, 8).ok(),
        None => text.parse().ok(),
    };
    mode.filter(|mode| *mode <= 0o7777)
}

impl fmt::Debug for Declared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "File({path:?})"),
            // Variables may have put a secret into it.
            Self::Content(_) => f.write_str("Content(***)"),
            Self::Variable(name) => write!(f, "Variable({name:?})"),
        }
    }
}
