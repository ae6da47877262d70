//! Variables of a container, and the files that they come from (Compose specification, "environment", "env_file",
//! "labels").

use std::collections::BTreeMap;

use super::{at::At, keys, problem::Result};

/// A file of variables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct EnvFile {
    /// Its path as written, relative to the stack's folder.
    pub(crate) path: String,
    /// Whether it is an error if it is not there.
    pub(crate) required: bool,
}

/// `environment`: a mapping or a list of `NAME=value`. `None` is a name without a value.
pub(crate) fn read(at: &At<'_>) -> Result<BTreeMap<String, Option<String>>> {
    let mut variables = BTreeMap::new();
    if at.is_list() {
        for item in at.items()? {
            let (name, value) = match item.text()?.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (item.text()?, None),
            };
            if name.is_empty() {
                return Err(item.bad("NAME=value"));
            }
            variables.insert(name.to_owned(), value);
        }
    } else {
        for (name, at) in at.entries()? {
            let value = if at.is_null() { None } else { Some(at.text()?.to_owned()) };
            variables.insert(name.to_owned(), value);
        }
    }
    Ok(variables)
}

/// `labels`: a mapping or a list of `name=value`.
pub(crate) fn read_labels(at: &At<'_>) -> Result<BTreeMap<String, String>> {
    let labels = read(at)?;
    if let Some(name) =
        labels.keys().find(|name| ["freehold.", "com.docker."].iter().any(|ours| name.starts_with(ours)))
    {
        return Err(at.problem(format!(
            "the label {name} is reserved: choose a name outside freehold. and com.docker."
        )));
    }
    Ok(labels.into_iter().map(|(name, value)| (name, value.unwrap_or_default())).collect())
}

/// `env_file`: a path, or a list of paths and of mappings with `path` and `required`. One that is named twice counts where
/// it was named last.
pub(crate) fn read_files(at: &At<'_>) -> Result<Vec<EnvFile>> {
    let mut files: Vec<EnvFile> = Vec::new();
    for item in at.one_or_more()? {
        let file = read_file(&item)?;
        files.retain(|earlier| earlier.path != file.path);
        files.push(file);
    }
    Ok(files)
}

fn read_file(at: &At<'_>) -> Result<EnvFile> {
    if !at.is_map() {
        return Ok(EnvFile { path: at.filled()?.to_owned(), required: true });
    }
    let mut file = EnvFile { path: String::new(), required: true };
    for (key, at) in at.entries()? {
        match key {
            "path" => file.path = at.filled()?.to_owned(),
            "required" => file.required = at.flag()?,
            _ => at.unknown(&keys::ENV_FILE)?,
        }
    }
    if file.path.is_empty() { Err(at.problem("the key path is missing")) } else { Ok(file) }
}
