//! What of a project is sealed, and how it is opened again.

use std::{collections::BTreeMap, sync::Arc};

use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    error::{Error, Result},
    names::{InstallationId, SecretName},
    project::Project,
    project_ref::ProjectRef,
    runtime::{FirstRunFile, HashKey, PortBlock, Runtime},
    seal::{Place, Sealer},
    secrets,
    store::{SealedItem, Store},
};

const SECRET: &str = "secret/";
const VARIABLES: &str = "variables";
const FIRST_RUN: &str = "first_run";
const HASH_KEY: &str = "hash_key";
/// The key that idempotency bodies are hashed with, one an installation.
const REQUEST_KEY: &str = "request_key";

/// Seals what projects keep secret, and opens it again.
#[derive(Clone, Debug)]
pub(crate) struct Vault {
    sealer: Arc<dyn Sealer>,
}

/// The sealed parts of a project, opened.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) secrets: BTreeMap<SecretName, SecretString>,
    pub(crate) variables: BTreeMap<String, SecretString>,
    pub(crate) first_run: Vec<FirstRunFile>,
    pub(crate) hash_key: HashKey,
}

/// A first-run file as it is sealed: the one place where its content is written out.
#[derive(Serialize, Deserialize)]
struct StoredFile {
    name: String,
    content: String,
}

impl Vault {
    pub(crate) fn new(sealer: Arc<dyn Sealer>) -> Self {
        Self { sealer }
    }

    /// Seals everything of a new project.
    pub(crate) async fn seal_new(
        &self,
        project: ProjectRef,
        secrets: &BTreeMap<SecretName, SecretString>,
        variables: &BTreeMap<String, SecretString>,
        first_run: &[FirstRunFile],
    ) -> Result<Vec<SealedItem>> {
        let mut items = self.seal_secrets(project, 1, secrets).await?;
        items.push(self.seal_variables(project, 1, variables).await?);
        let files: Vec<_> = first_run
            .iter()
            .map(|file| StoredFile {
                name: file.name.clone(),
                content: file.content.expose_secret().to_owned(),
            })
            .collect();
        items.push(self.seal(Some(project), FIRST_RUN, 1, &json(&files)?).await?);
        items.push(self.seal(Some(project), HASH_KEY, 1, &secrets::random(32)?).await?);
        Ok(items)
    }

    pub(crate) async fn seal_secrets(
        &self,
        project: ProjectRef,
        version: u64,
        secrets: &BTreeMap<SecretName, SecretString>,
    ) -> Result<Vec<SealedItem>> {
        let mut items = Vec::with_capacity(secrets.len() + 3);
        for (name, value) in secrets {
            let name = format!("{SECRET}{name}");
            items.push(self.seal(Some(project), &name, version, value.expose_secret().as_bytes()).await?);
        }
        Ok(items)
    }

    pub(crate) async fn seal_variables(
        &self,
        project: ProjectRef,
        version: u64,
        variables: &BTreeMap<String, SecretString>,
    ) -> Result<SealedItem> {
        let exposed: BTreeMap<_, _> =
            variables.iter().map(|(name, value)| (name, value.expose_secret())).collect();
        self.seal(Some(project), VARIABLES, version, &json(&exposed)?).await
    }

    async fn seal(
        &self,
        project: Option<ProjectRef>,
        name: &str,
        version: u64,
        plaintext: &[u8],
    ) -> Result<SealedItem> {
        let place = Place { project, name: name.to_owned(), version };
        let sealed = self.sealer.seal(&place, plaintext).await?;
        Ok(SealedItem { place, sealed })
    }

    /// Opens all items of a project.
    pub(crate) async fn open(&self, project: ProjectRef, items: &[SealedItem]) -> Result<Opened> {
        let mut secrets = BTreeMap::new();
        let (mut variables, mut first_run, mut hash_key) = (None, None, None);
        for item in items {
            let plain = self.sealer.open(&item.place, &item.sealed).await?;
            match item.place.name.as_str() {
                VARIABLES => variables = Some(parse::<BTreeMap<String, String>>(&plain)?),
                FIRST_RUN => first_run = Some(parse::<Vec<StoredFile>>(&plain)?),
                HASH_KEY => hash_key = Some(HashKey::new(plain.to_vec())),
                name => {
                    if let Some(name) = name.strip_prefix(SECRET) {
                        secrets.insert(SecretName::new(name)?, text(&plain)?);
                    }
                }
            }
        }
        let missing = |what: &str| Error::internal(format!("project {project} has no sealed {what}"));
        Ok(Opened {
            secrets,
            variables: variables
                .ok_or_else(|| missing(VARIABLES))?
                .into_iter()
                .map(|(name, value)| (name, value.into()))
                .collect(),
            first_run: first_run
                .ok_or_else(|| missing(FIRST_RUN))?
                .into_iter()
                .map(|file| FirstRunFile::new(file.name, file.content))
                .collect::<Result<_>>()?,
            hash_key: hash_key.ok_or_else(|| missing(HASH_KEY))?,
        })
    }

    /// What a backend needs to run a project.
    pub(crate) async fn runtime(
        &self,
        installation: &InstallationId,
        project: &Project,
        items: &[SealedItem],
    ) -> Result<Runtime> {
        let opened = self.open(project.reference, items).await?;
        Ok(Runtime {
            project: project.reference,
            installation: installation.clone(),
            name: project.name.clone(),
            organization: project.organization.clone(),
            annotations: project.annotations.clone(),
            stack: project.stack.clone(),
            digest: project.digest.clone(),
            generation: project.generation,
            ports: project.ports.unwrap_or(PortBlock { first: 0, count: 0 }),
            subnet: project.subnet,
            secrets: opened.secrets,
            hash_key: opened.hash_key,
            excluded: project.excluded.clone(),
            variables: opened.variables,
            first_run: opened.first_run,
            limits: project.limits,
            accept_data_loss: vec![],
        })
    }

    /// The key that requests are hashed with, made when it is first needed; the same for all hosts of a store.
    ///
    /// # Errors
    /// `Internal` if it was sealed under a key that the sealer has not: nothing of the installation can be opened then.
    pub(crate) async fn request_key(&self, store: &dyn Store) -> Result<HashKey> {
        if let Some(key) = self.stored_request_key(store).await? {
            return Ok(key);
        }
        let item = self.seal(None, REQUEST_KEY, 1, &secrets::random(32)?).await?;
        store.reseal(&[item]).await?;
        self.stored_request_key(store)
            .await?
            .ok_or_else(|| Error::internal("keep the installation's request key: the store forgot it"))
    }

    async fn stored_request_key(&self, store: &dyn Store) -> Result<Option<HashKey>> {
        for item in store.sealed(None).await? {
            if item.place.name == REQUEST_KEY {
                return Ok(Some(HashKey::new(self.sealer.open(&item.place, &item.sealed).await?.to_vec())));
            }
        }
        Ok(None)
    }

    /// Refuses to go on if the store holds what no key of ours opens.
    pub(crate) async fn check_keys(&self, store: &dyn Store) -> Result<()> {
        for (key, items) in store.keys_in_use().await? {
            if !self.sealer.knows(&key) {
                return Err(Error::invalid(
                    "keys",
                    format_args!(
                        "the store holds {items} secrets sealed under key {key}, which is not among the keys given: \
                         put the key file back that this store was made with (no new key is made for it)"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Seals under the active key whatever is under another one, in batches: it can be stopped and run again.
    pub(crate) async fn reseal_all(&self, store: &dyn Store) -> Result<u64> {
        const BATCH: u32 = 100;
        let active = self.sealer.active_key();
        let mut resealed = 0;
        loop {
            let items = store.sealed_under_other_keys(&active, BATCH).await?;
            let mut fresh = Vec::with_capacity(items.len());
            for item in &items {
                let plain = self.sealer.open(&item.place, &item.sealed).await?;
                let sealed = self.sealer.seal(&item.place, &plain).await?;
                fresh.push(SealedItem { place: item.place.clone(), sealed });
            }
            if fresh.is_empty() {
                return Ok(resealed);
            }
            resealed += store.reseal(&fresh).await?;
        }
    }
}

fn json(value: &impl Serialize) -> Result<Zeroizing<Vec<u8>>> {
    serde_json::to_vec(value)
        .map(Zeroizing::new)
        .map_err(|error| Error::internal("write what is to be sealed").because(error))
}

fn parse<T: for<'de> Deserialize<'de>>(plain: &[u8]) -> Result<T> {
    // serde_json's errors may quote what they read, so the cause is left out.
    serde_json::from_slice(plain).map_err(|_| Error::internal("read what was sealed"))
}

fn text(plain: &[u8]) -> Result<SecretString> {
    std::str::from_utf8(plain)
        .map(SecretString::from)
        .map_err(|_| Error::internal("read a secret: it is no text"))
}
