//! What a service mounts (Compose specification, "volumes" and "tmpfs").

use super::{at::At, problem::Result};

const SHORT: &str = "TARGET, SOURCE:TARGET or SOURCE:TARGET:OPTIONS, the target absolute, a source in the folder beginning with ./";

/// A mount as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceMount {
    pub(crate) source: Source,
    pub(crate) target: String,
    pub(crate) read_only: bool,
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A path: of the stack's folder if it is relative, else of the machine.
    Path(String),
    /// A volume that the file declares.
    Named(String),
    /// A volume without a name.
    Anonymous,
    /// Memory.
    Tmpfs,
}

/// The mounts under `volumes`.
pub(crate) fn read(at: &At<'_>) -> Result<Vec<ServiceMount>> {
    at.items()?.iter().map(|item| if item.is_map() { long(item) } else { short(item) }).collect()
}

/// The mounts under `tmpfs`: a path or a list of them.
pub(crate) fn read_tmpfs(at: &At<'_>) -> Result<Vec<ServiceMount>> {
    let items = if at.is_list() { at.items()? } else { vec![at.clone()] };
    items
        .iter()
        .map(|item| {
            let target = item.read("an absolute path without options", |text| {
                (text.starts_with('/') && !text.contains(':')).then(|| text.to_owned())
            })?;
            Ok(ServiceMount { source: Source::Tmpfs, target, read_only: false })
        })
        .collect()
}

fn short(at: &At<'_>) -> Result<ServiceMount> {
    let text = at.text()?;
    let mut parts = text.split(':');
    let (first, second, options) = (parts.next(), parts.next(), parts.next());
    let (source, target) = match (first, second) {
        (Some(target), None) => (Source::Anonymous, target),
        (Some(source), Some(target)) if !source.is_empty() => (self::source(source), target),
        _ => return Err(at.bad(SHORT)),
    };
    if !target.starts_with('/') || parts.next().is_some() {
        return Err(at.bad(SHORT));
    }
    let mut read_only = false;
    for option in options.into_iter().flat_map(|options| options.split(',')) {
        match option {
            "ro" => read_only = true,
            // Labels for SELinux, and what Docker Desktop once made of consistency: neither changes anything here.
            "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" => {}
            _ => {
                return Err(
                    at.problem(format!("the option {option:?} is not supported: ro, rw, z and Z are"))
                );
            }
        }
    }
    Ok(ServiceMount { source, target: target.to_owned(), read_only })
}

fn long(at: &At<'_>) -> Result<ServiceMount> {
    let (mut kind, mut source, mut target, mut read_only) = (None, None, None, false);
    for (key, at) in at.entries()? {
        match key {
            "type" => {
                kind = Some(at.read("bind, volume or tmpfs", |text| {
                    ["bind", "volume", "tmpfs"].into_iter().find(|kind| *kind == text)
                })?);
            }
            "source" => source = Some(at.filled()?),
            "target" => {
                target =
                    Some(at.read("an absolute path", |text| text.starts_with('/').then(|| text.to_owned()))?);
            }
            "read_only" => read_only = at.flag()?,
            "consistency" => drop(at.text()?),
            "bind" => {
                for (key, at) in at.entries()? {
                    match key {
                        "create_host_path" => drop(at.flag()?),
                        "selinux" => drop(at.text()?),
                        _ => at.unknown()?,
                    }
                }
            }
            _ => at.unknown()?,
        }
    }
    let missing = |key: &str| at.problem(format!("the key {key} is missing"));
    let source = match (kind.ok_or_else(|| missing("type"))?, source) {
        ("bind", Some(source)) => Source::Path(source.to_owned()),
        ("bind", None) => return Err(missing("source")),
        ("volume", Some(source)) => Source::Named(source.to_owned()),
        ("volume", None) => Source::Anonymous,
        (_, None) => Source::Tmpfs,
        (_, Some(_)) => return Err(at.problem("the key source means nothing for a tmpfs: take it away")),
    };
    Ok(ServiceMount { source, target: target.ok_or_else(|| missing("target"))?, read_only })
}

fn source(text: &str) -> Source {
    if text.starts_with(['.', '/', '~']) {
        Source::Path(text.to_owned())
    } else {
        Source::Named(text.to_owned())
    }
}
