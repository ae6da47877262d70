//! The folders behind a project: the stack as it was when the project was created, kept once per digest, and the
//! project's own copy of it, which its containers mount.
//!
//! ```text
//! data_root/
//!   stacks/             only we may enter
//!     <digest>/         never changed once it is there
//!   projects/           only we may enter
//!     <ref>/            what containers mount
//!     <ref>.installation  whose project it is: no container reaches it
//! ```
//!
//! A container of any user can read what it mounts, since a mount leads past the folders above it; other users of the
//! machine cannot, since they would have to pass `projects`.

mod closed;
mod copy;
mod drift;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use freehold_core::{Error, InstallationId, Kind, ProjectRef, Result, StackSpec};
use time::OffsetDateTime;
use tokio::{fs, sync::Mutex};

pub(crate) use self::drift::{Difference, Drift};
use crate::{
    graph::{Graph, MountSource},
    manifest,
    stack::Stack,
};

/// The folders under one data root.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    root: PathBuf,
    /// Held while a stack is being kept: projects of one stack that come at once all need it first.
    keeping: Arc<Mutex<()>>,
}

/// What there is of a project's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Remains {
    /// Since when.
    pub(crate) since: OffsetDateTime,
    /// Whose it is, if that is noted.
    pub(crate) installation: Option<InstallationId>,
}

/// What a copy under way has after the project's ref.
const PART: &str = "part";
/// What the note of whose project it is has after the ref.
const LABEL: &str = "installation";

impl Files {
    /// The folders under `root`, made if they are not there.
    ///
    /// # Errors
    /// `InvalidInput` if the root is no absolute path or cannot be written.
    pub(crate) async fn open(root: &Path) -> Result<Self> {
        if !root.is_absolute() {
            return Err(Error::invalid("data_root", format_args!("{} is no absolute path", root.display())));
        }
        let files = Self { root: root.to_owned(), keeping: Arc::default() };
        for folder in [root.join("stacks"), root.join("projects")] {
            copy::private_folder(&folder)
                .await
                .map_err(|error| Error::invalid("data_root", "cannot be used").because(error))?;
        }
        Ok(files)
    }

    /// Where the stack of that digest is kept.
    pub(crate) fn kept_stack(&self, digest: &str) -> PathBuf {
        self.root.join("stacks").join(digest.replace([':', '/'], "-"))
    }

    /// The project's own folder.
    pub(crate) fn project(&self, project: &ProjectRef) -> PathBuf {
        self.root.join("projects").join(project.as_str())
    }

    /// Keeps a stack, unless it is kept already, with the manifest that it was read with. Whatever an earlier use of the
    /// folder left in the folders that become volumes is not part of the stack.
    ///
    /// # Errors
    /// `InvalidInput` for a link that leads out of the folder, `Internal` if the copy fails.
    pub(crate) async fn keep_stack(&self, folder: &Path, stack: &Stack) -> Result<PathBuf> {
        let StackSpec { digest, data, .. } = stack.spec();
        let kept = self.kept_stack(digest);
        let _keeping = self.keeping.lock().await;
        if exists(&kept).await? {
            return Ok(kept);
        }
        // Whole or not at all: a copy that was cut off keeps its other name and is written over.
        let part = kept.with_extension(format!("{}.part", std::process::id()));
        remove_all(&part).await.map_err(|error| failed("clear", &part, error))?;
        let skipped = data.iter().map(|path| folder.join(path.trim_start_matches("./"))).collect();
        copy::tree(folder, &part, skipped).await?;
        let manifest = part.join(manifest::FILE);
        let written = fs::write(&manifest, stack.manifest_text()).await;
        written.map_err(|error| failed("write", &manifest, error))?;
        match fs::rename(&part, &kept).await {
            Ok(()) => Ok(kept),
            Err(_) if exists(&kept).await? => Ok(kept),
            Err(error) => Err(failed("keep stack in", &kept, error)),
        }
    }

    /// Gives the project its copy of the kept stack, or mends what [`Files::drift`] finds in the copy that it has.
    ///
    /// # Errors
    /// `Internal` if the copy fails.
    pub(crate) async fn place(
        &self,
        project: &ProjectRef,
        installation: &InstallationId,
        kept: &Path,
        graph: &Graph,
    ) -> Result<()> {
        let folder = self.project(project);
        self.label(&folder, installation).await?;
        if !exists(&folder).await? {
            let part = folder.with_extension(PART);
            remove_all(&part).await.map_err(|error| failed("clear", &part, error))?;
            copy::tree(kept, &part, Vec::new()).await?;
            fs::rename(&part, &folder).await.map_err(|error| failed("make", &folder, error))?;
        }
        // The engine follows links when it mounts, and a container may have left some.
        for path in mounted(graph).chain(graph.origins.iter().map(|origin| origin.path.as_path())) {
            copy::stays_inside(&folder, &folder.join(path)).await?;
        }
        for drift in self.drift(project, kept, graph).await? {
            copy::replace(&kept.join(&drift.path), &folder.join(&drift.path)).await?;
        }
        Ok(())
    }

    /// What differs between the project's copy and the kept stack: anything that is gone, and whatever no container may
    /// write to. What a container may write to is the project's own.
    ///
    /// # Errors
    /// `Internal` if the folders cannot be read.
    pub(crate) async fn drift(&self, project: &ProjectRef, kept: &Path, graph: &Graph) -> Result<Vec<Drift>> {
        drift::find(kept, &self.project(project), graph).await
    }

    /// Notes whose project it is beside its folder, before there is one. What is noted stays.
    async fn label(&self, folder: &Path, installation: &InstallationId) -> Result<()> {
        let label = folder.with_extension(LABEL);
        if self.labelled(folder).await.is_some() {
            return Ok(());
        }
        fs::write(&label, installation.as_str()).await.map_err(|error| failed("write", &label, error))
    }

    async fn labelled(&self, folder: &Path) -> Option<InstallationId> {
        fs::read_to_string(folder.with_extension(LABEL)).await.ok()?.parse().ok()
    }

    /// Whether the project has a folder.
    ///
    /// # Errors
    /// `Internal` if that cannot be told.
    pub(crate) async fn has_project(&self, project: &ProjectRef) -> Result<bool> {
        exists(&self.project(project)).await
    }

    /// What is left of the project's folder, if anything.
    ///
    /// # Errors
    /// `Internal` if that cannot be told.
    pub(crate) async fn remains(&self, project: &ProjectRef) -> Result<Option<Remains>> {
        let folder = self.project(project);
        let mut since: Option<OffsetDateTime> = None;
        for part in [folder.clone(), folder.with_extension(PART), folder.with_extension(LABEL)] {
            let made = match fs::symlink_metadata(&part).await {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                data => data.and_then(|data| made(&data)).map_err(|error| failed("look at", &part, error))?,
            };
            since = Some(since.map_or(made, |since| since.min(made)));
        }
        let Some(since) = since else { return Ok(None) };
        Ok(Some(Remains { since, installation: self.labelled(&folder).await }))
    }

    /// Removes the project's folder, what a copy that was cut off left of it, and last whose it was.
    ///
    /// # Errors
    /// What the system says, for instance that a container left files of another user.
    pub(crate) async fn remove_project(&self, project: &ProjectRef) -> io::Result<()> {
        let folder = self.project(project);
        remove_all(&folder.with_extension(PART)).await?;
        remove_all(&folder).await?;
        match fs::remove_file(folder.with_extension(LABEL)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The folders of the project that this process cannot empty, by their paths in the project's own, as far as they can
    /// be seen.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) async fn closed_folders(&self, project: &ProjectRef) -> io::Result<Vec<PathBuf>> {
        let (projects, folder) = (self.root.join("projects"), self.project(project));
        let look = move || closed::folders(&folder, std::fs::metadata(projects)?.uid());
        tokio::task::spawn_blocking(look).await.map_err(io::Error::other)?
    }

    /// Every project that has anything left of a folder.
    ///
    /// # Errors
    /// `Internal` if the folder of projects cannot be read.
    pub(crate) async fn projects(&self) -> Result<BTreeMap<ProjectRef, Remains>> {
        let folder = self.root.join("projects");
        let mut projects = BTreeMap::new();
        let mut entries = fs::read_dir(&folder).await.map_err(|error| failed("read", &folder, error))?;
        while let Some(entry) = entries.next_entry().await.map_err(|error| failed("read", &folder, error))? {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let Ok(project) = name.split('.').next().unwrap_or_default().parse() else { continue };
            if let Entry::Vacant(new) = projects.entry(project)
                // One that is gone by now was destroyed meanwhile.
                && let Some(remains) = self.remains(&project).await?
            {
                new.insert(remains);
            }
        }
        Ok(projects)
    }
}

/// When something was made, or changed last where the file system does not tell.
fn made(data: &std::fs::Metadata) -> io::Result<OffsetDateTime> {
    data.created().or_else(|_| data.modified()).map(OffsetDateTime::from)
}

/// The paths of the stack's folder that containers mount.
fn mounted(graph: &Graph) -> impl Iterator<Item = &Path> {
    graph.containers.iter().flat_map(|node| &node.mounts).filter_map(|mount| match &mount.source {
        MountSource::Folder(path) => Some(path.as_path()),
        MountSource::Host(_) | MountSource::Volume(_) | MountSource::Tmpfs(_) => None,
    })
}

async fn exists(path: &Path) -> Result<bool> {
    fs::try_exists(path).await.map_err(|error| failed("look at", path, error))
}

/// Removes a folder with all that is in it. One that is gone is removed.
async fn remove_all(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn failed(verb: &str, path: &Path, error: io::Error) -> Error {
    let kind = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Kind::Exhausted,
        _ => Kind::Internal,
    };
    Error::new(kind, format!("{verb} {}", path.display())).because(error)
}
