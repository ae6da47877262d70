//! Where things lie on disk.
//!
//! ```text
//! <data>/
//!   machine-id            only where the machine has none of its own
//!   stacks/<digest>/      the stacks, each kept once
//!   tmp/<pid>-<random>/   one for each call, gone with it
//!   projects/<ref>/       one for each project; it is what a call locks
//!     record.json         what destroy has to know
//!     group.json          the process group of the hook that runs
//!     root/               the hooks' own
//! ```
//!
//! Folders can be passed through by everybody (0711), so that what runs with fewer rights reaches its own part of
//! `root/`, and be listed by nobody else.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use freehold_core::{Error, InstallationId, ProjectRef, Result};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;
use time::OffsetDateTime;

use crate::error::Failure;

/// The folder of a target.
#[derive(Clone, Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
}

impl DataFolder {
    /// Makes the folder and what it is divided into.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if !path.is_absolute() {
            return Err(Error::invalid("data", format_args!("{} is not an absolute path", path.display())));
        }
        make_passable(path)?;
        let path = path.canonicalize().map_err(Failure::touch("find", path))?;
        if path.to_str().is_none_or(|text| text.contains([':', '\n', '\t'])) {
            let problem = format!("{} is not UTF-8, or holds a colon, tab or line feed", path.display());
            return Err(Error::invalid("data", problem));
        }
        let folder = Self { path };
        for part in [folder.stacks(), folder.projects(), folder.tmp()] {
            make_passable(&part)?;
        }
        folder.sweep_tmp()?;
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn stacks(&self) -> PathBuf {
        self.path.join("stacks")
    }

    pub(crate) fn projects(&self) -> PathBuf {
        self.path.join("projects")
    }

    fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }

    /// The folder of a project, which may not be there.
    pub(crate) fn project(&self, project: &ProjectRef) -> ProjectFolder {
        ProjectFolder { path: self.projects().join(project.as_str()) }
    }

    /// A folder for one call, removed when it is dropped.
    pub(crate) fn call(&self) -> Result<TempDir, Failure> {
        let prefix = format!("{}-", std::process::id());
        let folder = tempfile::Builder::new()
            .prefix(&prefix)
            .tempdir_in(self.tmp())
            .map_err(Failure::touch("make a folder in", self.tmp()))?;
        let passable = fs::Permissions::from_mode(0o711);
        fs::set_permissions(folder.path(), passable).map_err(Failure::touch("open", folder.path()))?;
        Ok(folder)
    }

    /// Removes what calls of hosts that are no more left behind: it may hold secrets.
    fn sweep_tmp(&self) -> Result<(), Failure> {
        let tmp = self.tmp();
        for entry in fs::read_dir(&tmp).map_err(Failure::touch("read", &tmp))? {
            let path = entry.map_err(Failure::touch("read", &tmp))?.path();
            let owner =
                path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split('-').next());
            let alive = owner.is_some_and(|pid| Path::new("/proc").join(pid).exists());
            if !alive {
                remove(&path)?;
            }
        }
        Ok(())
    }

    /// The projects that have a folder.
    pub(crate) fn list(&self) -> Result<Vec<ProjectRef>, Failure> {
        let projects = self.projects();
        let mut refs = Vec::new();
        for entry in fs::read_dir(&projects).map_err(Failure::touch("read", &projects))? {
            let name = entry.map_err(Failure::touch("read", &projects))?.file_name();
            refs.extend(name.to_str().and_then(|name| name.parse::<ProjectRef>().ok()));
        }
        refs.sort_unstable();
        Ok(refs)
    }
}

/// The folder of one project.
#[derive(Clone, Debug)]
pub(crate) struct ProjectFolder {
    path: PathBuf,
}

/// What destroy has to know of a project, and what people who look into its folder may want to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(rename = "ref")]
    pub(crate) project: ProjectRef,
    #[serde(default)]
    pub(crate) installation: Option<InstallationId>,
    pub(crate) stack: String,
    pub(crate) digest: String,
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) created: OffsetDateTime,
}

impl ProjectFolder {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The hooks' own part.
    pub(crate) fn root(&self) -> PathBuf {
        self.path.join("root")
    }

    pub(crate) fn group(&self) -> PathBuf {
        self.path.join("group.json")
    }

    fn record_file(&self) -> PathBuf {
        self.path.join("record.json")
    }

    /// Makes the folder without anything in it.
    pub(crate) fn make(&self) -> Result<(), Failure> {
        make_passable(&self.path)
    }

    /// Makes the hooks' part and writes the record, unless there is one.
    pub(crate) fn begin(&self, record: &Record) -> Result<(), Failure> {
        make_passable(&self.root())?;
        if self.record_file().exists() {
            return Ok(());
        }
        let text = serde_json::to_vec(record).map_err(|error| Failure::Touch {
            verb: "write",
            path: self.record_file(),
            source: error.into(),
        })?;
        write_whole(&self.record_file(), &text)
    }

    /// The record, where there is one that can be read.
    pub(crate) fn record(&self) -> Option<Record> {
        serde_json::from_slice(&fs::read(self.record_file()).ok()?).ok()
    }

    /// When the folder was made, or last had something put into it.
    pub(crate) fn age(&self) -> Result<OffsetDateTime, Failure> {
        if let Some(record) = self.record() {
            return Ok(record.created);
        }
        let modified = fs::metadata(&self.path).and_then(|metadata| metadata.modified());
        Ok(modified.map_err(Failure::touch("look at", &self.path))?.into())
    }

    /// Removes everything, the record last.
    pub(crate) fn remove(&self) -> Result<(), Failure> {
        remove(&self.root())?;
        remove(&self.path)
    }
}

/// Makes a folder, and the ones above it, that can be passed through whatever the umask is.
fn make_passable(path: &Path) -> Result<(), Failure> {
    if path.is_dir() {
        let mode = fs::metadata(path).map_err(Failure::touch("look at", path))?.permissions().mode();
        if mode & 0o011 == 0o011 {
            return Ok(());
        }
    } else {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o711)
            .create(path)
            .map_err(Failure::touch("make", path))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o711)).map_err(Failure::touch("open", path))
}

/// Writes a file that is there whole or not at all.
pub(crate) fn write_whole(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let new = path.with_extension("new");
    fs::write(&new, content).map_err(Failure::touch("write", &new))?;
    fs::rename(&new, path).map_err(Failure::touch("write", path))
}

/// Removes a folder, whether or not it is there.
fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::touch("remove", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_hosts_calls_left_is_removed() {
        let data = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(data.path()).unwrap();
        let call = folder.call().unwrap();
        let stale = folder.tmp().join("4194305-abc"); // above the kernel's highest process id (2^22)
        fs::create_dir(&stale).unwrap();
        DataFolder::open(data.path()).unwrap();
        assert!(call.path().is_dir() && !stale.exists());
    }

    #[test]
    fn a_relative_data_folder_is_refused() {
        assert!(DataFolder::open(Path::new("data")).unwrap_err().to_string().contains("absolute"));
    }

    #[test]
    fn a_record_is_written_once_and_read_back() {
        let data = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(data.path()).unwrap();
        let record = Record {
            project: "abcdefghijklmnopqrst".parse().unwrap(),
            installation: Some("here".parse().unwrap()),
            stack: "postgres".into(),
            digest: "sha256:0".into(),
            created: OffsetDateTime::UNIX_EPOCH,
        };
        let project = folder.project(&record.project);
        project.begin(&record).unwrap();
        project.begin(&Record { digest: "sha256:1".into(), ..record.clone() }).unwrap();
        assert_eq!(project.record(), Some(record.clone()));
        assert_eq!(folder.list().unwrap(), [record.project]);
        project.remove().unwrap();
        project.remove().unwrap();
        assert!(!project.path().exists());
    }
}
