//! Names and labels of what a project has on the engine. Names follow from the ref alone.

use std::collections::BTreeMap;

use freehold_core::{Runtime, ServiceName};

use crate::{graph::Surroundings, labels, stack::Stack};

/// Whose plan it is.
#[derive(Clone, Copy)]
pub(super) struct Identity<'a> {
    pub(super) stack: &'a Stack,
    pub(super) runtime: &'a Runtime,
    pub(super) surroundings: &'a Surroundings,
}

impl Identity<'_> {
    /// What Compose calls a project.
    fn compose_project(&self) -> String {
        format!("fh-{}", self.runtime.project)
    }

    /// The name of a service's container.
    pub(super) fn container(&self, service: &ServiceName) -> String {
        format!("fh-{}-{service}", self.runtime.project)
    }

    /// The name of a network or volume.
    pub(super) fn shared(&self, name: &str) -> String {
        format!("fh-{}_{name}", self.runtime.project)
    }

    /// The name in the project of a volume that the stack gives none, by where it is mounted.
    pub(super) fn nameless_volume(&self, service: &ServiceName, target: &str) -> String {
        format!("{service}-{}", &self.runtime.hash_key.hash(target.as_bytes())[..8])
    }

    /// The labels of a network or volume, over its `own`, by `kind`, the label that Compose puts its name under.
    pub(super) fn labels_of_shared(
        &self,
        kind: &str,
        name: &str,
        config_hash: &str,
        own: BTreeMap<String, String>,
    ) -> BTreeMap<String, String> {
        let mut labels = own;
        labels.extend(self.labels(config_hash));
        labels.insert(kind.to_owned(), name.to_owned());
        labels
    }

    /// The labels of a container, over those that the stack gives it.
    pub(super) fn labels_of_container(
        &self,
        service: &ServiceName,
        own: &BTreeMap<String, String>,
        config_hash: &str,
    ) -> BTreeMap<String, String> {
        let folder = &self.surroundings.folder;
        let config_files: Vec<_> =
            self.stack.compose_files().map(|file| folder.join(file).display().to_string()).collect();
        let mut labels = own.clone();
        labels.extend(self.labels(config_hash));
        labels.extend(
            [
                (labels::SERVICE, service.to_string()),
                (labels::compose::SERVICE, service.to_string()),
                (labels::compose::CONTAINER_NUMBER, "1".to_owned()),
                (labels::compose::ONE_OFF, "False".to_owned()),
                (labels::compose::CONFIG_HASH, config_hash.to_owned()),
                (labels::compose::WORKING_DIR, folder.display().to_string()),
                (labels::compose::CONFIG_FILES, config_files.join(",")),
            ]
            .map(|(label, value)| (label.to_owned(), value)),
        );
        labels
    }

    fn labels(&self, config_hash: &str) -> BTreeMap<String, String> {
        BTreeMap::from(
            [
                (labels::REF, self.runtime.project.to_string()),
                (labels::INSTALLATION, self.runtime.installation.to_string()),
                (labels::STACK, self.runtime.stack.to_string()),
                (labels::GENERATION, self.runtime.generation.to_string()),
                (labels::EPOCH, self.surroundings.epoch.to_string()),
                (labels::CONFIG_HASH, config_hash.to_owned()),
                (labels::compose::PROJECT, self.compose_project()),
            ]
            .map(|(label, value)| (label.to_owned(), value)),
        )
    }
}
