//! What of a project's copy of its stack is not as the kept stack has it.

use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use freehold_core::Result;

use super::{copy::blocking, failed};
use crate::{
    compose::dotenv::DotEnv,
    graph::{Graph, MountSource, Origin},
};

/// Something of a project's folder that is not as its stack has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Drift {
    /// Its path in the stack's folder.
    pub(crate) path: PathBuf,
    /// The service that reads it; empty for what the whole project is made from.
    pub(crate) service: String,
    /// What is the matter.
    pub(crate) what: Difference,
}

/// What is the matter with a file or folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Difference {
    /// It is gone, and the stack has it.
    Missing,
    /// It is gone, and a service wrote to it: nobody has what it held.
    DataGone,
    /// It is not what the stack has.
    Other,
    /// These variables of it are not what the stack has.
    Variables(Vec<String>),
}

/// What a graph is made from and what its containers mount.
struct Read {
    path: PathBuf,
    service: String,
    sort: Sort,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    /// Nobody writes to it.
    Fixed,
    /// Nobody writes to it, and it holds variables.
    Variables,
    /// Some container may write to it.
    Own,
}

/// Everything that differs, each for each service that reads it. What a container may write to is the project's own, and
/// so is what lies beside the stack's files: neither is compared.
///
/// # Errors
/// `Internal` if the folders cannot be read.
pub(super) async fn find(kept: &Path, folder: &Path, graph: &Graph) -> Result<Vec<Drift>> {
    let (kept, folder, reads) = (kept.to_owned(), folder.to_owned(), reads(graph));
    blocking(move || {
        let mut drifts = BTreeSet::new();
        for read in reads {
            let (is, was) = (folder.join(&read.path), kept.join(&read.path));
            let found = differences(&read, &was, &is).map_err(|error| failed("compare", &is, error))?;
            drifts.extend(found.into_iter().map(|(path, what)| Drift {
                path,
                service: read.service.clone(),
                what,
            }));
        }
        Ok(drifts.into_iter().collect())
    })
    .await
}

fn reads(graph: &Graph) -> Vec<Read> {
    let sort = |origin: &Origin| if origin.variables { Sort::Variables } else { Sort::Fixed };
    let mut reads: Vec<_> = graph
        .origins
        .iter()
        .map(|origin| Read { path: origin.path.clone(), service: origin.service.clone(), sort: sort(origin) })
        .collect();
    let mounts =
        || graph.containers.iter().flat_map(|node| node.mounts.iter().map(move |mount| (node, mount)));
    for (node, mount) in mounts() {
        let MountSource::Folder(path) = &mount.source else { continue };
        let is_written = mounts().any(|(_, other)| other.source == mount.source && !other.read_only);
        let sort = if is_written { Sort::Own } else { Sort::Fixed };
        reads.push(Read { path: path.clone(), service: node.service.to_string(), sort });
    }
    reads
}

fn differences(read: &Read, was: &Path, is: &Path) -> io::Result<Vec<(PathBuf, Difference)>> {
    let one = |what| vec![(read.path.clone(), what)];
    if fs::symlink_metadata(is).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Ok(match read.sort {
            // A file that the stack has is a setting, whoever may write to it.
            Sort::Own if !was.is_file() => one(Difference::DataGone),
            Sort::Variables if !was.exists() => Vec::new(),
            Sort::Fixed | Sort::Variables | Sort::Own => one(Difference::Missing),
        });
    }
    let mut found = Vec::new();
    match read.sort {
        Sort::Own => {}
        Sort::Fixed => compare(was, is, &read.path, &mut found)?,
        Sort::Variables => {
            compare(was, is, &read.path, &mut found)?;
            let told = found.iter_mut().filter(|(_, what)| *what == Difference::Other);
            told.for_each(|(_, what)| {
                if let Some(names) = variables(was, is) {
                    *what = Difference::Variables(names);
                }
            });
        }
    }
    Ok(found)
}

/// Adds the files at and below a path that differ. What is there beyond the stack's files does not matter.
fn compare(was: &Path, is: &Path, path: &Path, found: &mut Vec<(PathBuf, Difference)>) -> io::Result<()> {
    let Ok(kept) = fs::metadata(was) else {
        return Ok(()); // What the stack does not have cannot differ from it.
    };
    let copy = match fs::symlink_metadata(is) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            found.push((path.to_owned(), Difference::Missing));
            return Ok(());
        }
        copy => copy?,
    };
    if kept.is_dir() && copy.is_dir() {
        for entry in fs::read_dir(was)? {
            let name = entry?.file_name();
            compare(&was.join(&name), &is.join(&name), &path.join(&name), found)?;
        }
        return Ok(());
    }
    // A copy holds no links, and each file is as open as it was made.
    let same = kept.is_file()
        && copy.is_file()
        && copy.permissions().mode() & 0o777 == super::copy::mode(&kept)
        && kept.len() == copy.len()
        && fs::read(was)? == fs::read(is)?;
    if !same {
        found.push((path.to_owned(), Difference::Other));
    }
    Ok(())
}

/// The names of the variables that differ, and never their values; `None` if the files cannot be read as such.
fn variables(was: &Path, is: &Path) -> Option<Vec<String>> {
    if !fs::symlink_metadata(is).ok()?.is_file() {
        return None; // A link may lead anywhere.
    }
    let read = |path: &Path| DotEnv::parse("", &fs::read_to_string(path).ok()?).ok();
    let names = read(was)?.differing(&read(is)?);
    (!names.is_empty()).then_some(names)
}
