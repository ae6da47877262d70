//! What a service mounts (Compose specification, "volumes" and "tmpfs").

use super::{
    at::At,
    files::permissions,
    keys,
    problem::Result,
    quantity::{BYTES, bytes},
};

const SHORT: &str = "TARGET, SOURCE:TARGET or SOURCE:TARGET:OPTIONS, the target absolute, a source in the folder beginning with ./";

/// A mount as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServiceMount {
    pub(crate) source: Source,
    pub(crate) target: String,
    pub(crate) read_only: bool,
    /// Whether a new volume stays empty, whatever the image has there.
    pub(crate) nocopy: bool,
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
    /// Memory, with the options of a tmpfs.
    Tmpfs(Vec<String>),
}

/// The mounts under `volumes`.
pub(crate) fn read(at: &At<'_>) -> Result<Vec<ServiceMount>> {
    at.items()?.iter().map(|item| if item.is_map() { long(item) } else { short(item) }).collect()
}

/// The mounts under `tmpfs`: a path, with options behind a colon, or a list of them.
pub(crate) fn read_tmpfs(at: &At<'_>) -> Result<Vec<ServiceMount>> {
    let mount = |item: &At<'_>| {
        item.read("an absolute path, or one with options like /run:size=64m,mode=1777", |text| {
            let (target, options) = text.split_once(':').unwrap_or((text, ""));
            let options: Vec<_> = options.split(',').filter(|option| !option.is_empty()).collect();
            let read_only = options.contains(&"ro");
            let options = options.into_iter().map(str::to_owned).collect();
            let target = target.starts_with('/').then(|| target.to_owned())?;
            Some(ServiceMount { source: Source::Tmpfs(options), target, read_only, nocopy: false })
        })
    };
    at.one_or_more()?.iter().map(mount).collect()
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
    let mut mount = ServiceMount { source, target: target.to_owned(), read_only: false, nocopy: false };
    for option in options.into_iter().flat_map(|options| options.split(',')) {
        match option {
            "ro" => mount.read_only = true,
            "nocopy" => mount.nocopy = true,
            // Labels for SELinux, and what Docker Desktop once made of consistency: neither changes anything here.
            "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" => {}
            _ => {
                let message = format!("the option {option:?} is not supported: ro, rw, nocopy, z and Z are");
                return Err(at.problem(message));
            }
        }
    }
    Ok(mount)
}

fn long(at: &At<'_>) -> Result<ServiceMount> {
    let (mut kind, mut source, mut target, mut read_only, mut nocopy) = (None, None, None, false, false);
    let mut options = Vec::new();
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
            "bind" => read_bind(&at)?,
            "volume" => nocopy = read_volume(&at)?,
            "tmpfs" => options = read_tmpfs_options(&at)?,
            _ => at.unknown(&keys::MOUNT)?,
        }
    }
    let missing = |key: &str| at.problem(format!("the key {key} is missing"));
    let source = match (kind.ok_or_else(|| missing("type"))?, source) {
        ("bind", Some(source)) => Source::Path(source.to_owned()),
        ("bind", None) => return Err(missing("source")),
        ("volume", Some(source)) => Source::Named(source.to_owned()),
        ("volume", None) => Source::Anonymous,
        (_, None) => Source::Tmpfs(options),
        (_, Some(_)) => return Err(at.problem("the key source means nothing for a tmpfs: take it away")),
    };
    Ok(ServiceMount { source, target: target.ok_or_else(|| missing("target"))?, read_only, nocopy })
}

fn read_bind(at: &At<'_>) -> Result<()> {
    for (key, at) in at.entries()? {
        match key {
            "create_host_path" => drop(at.flag()?),
            "selinux" => drop(at.text()?),
            _ => at.unknown(&keys::MOUNT_BIND)?,
        }
    }
    Ok(())
}

fn read_volume(at: &At<'_>) -> Result<bool> {
    let mut nocopy = false;
    for (key, at) in at.entries()? {
        match key {
            "nocopy" => nocopy = at.flag()?,
            _ => at.unknown(&keys::MOUNT_VOLUME)?,
        }
    }
    Ok(nocopy)
}

fn read_tmpfs_options(at: &At<'_>) -> Result<Vec<String>> {
    let mut options = Vec::new();
    for (key, at) in at.entries()? {
        match key {
            "size" => options.push(format!("size={}", at.read(BYTES, bytes)?)),
            "mode" => options.push(format!("mode={:o}", at.read("permissions like 01777", permissions)?)),
            _ => at.unknown(&keys::MOUNT_TMPFS)?,
        }
    }
    Ok(options)
}

fn source(text: &str) -> Source {
    if text.starts_with(['.', '/', '~']) {
        Source::Path(text.to_owned())
    } else {
        Source::Named(text.to_owned())
    }
}
