//! Which files a stack is made of.

use std::{
    fs,
    path::{Path, PathBuf},
};

use freehold_core::Result;

use super::{Place, Stack, digest, optional, place, unreadable};
use crate::{
    compose::{ComposeFile, Declared, Service, Source},
    graph::Origin,
    manifest,
};

impl Stack {
    /// Whether a folder, which has a manifest of its own, still holds what the stack was read from.
    ///
    /// # Errors
    /// `InvalidInput` for what cannot be read.
    pub(crate) fn is_in(&self, folder: &Path) -> Result<bool> {
        let folder = fs::canonicalize(folder).map_err(|error| unreadable(folder, error))?;
        let Some(manifest) = optional(&folder, manifest::FILE)? else { return Ok(false) };
        Ok(digest::of(&folder, &manifest, &self.files, &self.spec.data)? == self.spec.digest)
    }

    /// The files and folders that the stack is made of.
    pub(super) fn made_of(&self, compose: &ComposeFile) -> Result<Vec<PathBuf>> {
        let mut files = vec![PathBuf::from(&self.env_name)];
        files.extend(self.compose_files().map(PathBuf::from));
        files.extend(self.env_files.keys().cloned());
        let mounted = compose.services.iter().flat_map(|service| &service.mounts);
        let mounted = mounted.filter_map(|mount| match &mount.source {
            Source::Path(path) => Some(path),
            Source::Named(_) | Source::Anonymous | Source::Tmpfs(_) => None,
        });
        let granted = compose.files.values().filter_map(|declared| match declared {
            Declared::File(path) => Some(path),
            Declared::Content(_) | Declared::Variable(_) => None,
        });
        for path in mounted.chain(granted) {
            if let Place::Inside(path) = place(path) {
                files.push(path);
            }
        }
        files.sort();
        files.dedup();
        Ok(files)
    }

    /// The files that say what a project of these services is.
    pub(crate) fn origins(&self, services: &[&Service]) -> Vec<Origin> {
        let whole = |path: &str, variables| Origin { path: path.into(), service: String::new(), variables };
        let mut origins = vec![whole(&self.env_name, true)];
        origins.extend(self.compose_files().map(|file| whole(file, false)));
        for service in services {
            let files = service.env_files.iter().filter_map(|file| match place(&file.path) {
                Place::Inside(path) => Some(path),
                Place::Outside(_) => None,
            });
            let service = service.name.to_string();
            origins.extend(files.map(|path| Origin { path, service: service.clone(), variables: true }));
        }
        origins
    }
}
