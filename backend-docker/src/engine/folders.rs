//! Opening folders of a project that its containers own, so that a process that is not root can remove them.
//!
//! The engine may do what this process may not, and it needs no program for it: an archive that is put into a container
//! that was never started changes the modes of folders that are mounted there (Engine API, `PUT /containers/{id}/archive`).
//! The container's image is an empty one that is made on the spot, so that no registry and no image of the stack is needed.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

use bollard::{
    models::{ContainerCreateBody, HostConfig, Mount, MountType},
    query_parameters::{
        CreateContainerOptions, CreateImageOptionsBuilder, RemoveImageOptionsBuilder,
        UploadToContainerOptionsBuilder,
    },
};
use freehold_core::{Context, Error, ProjectRef};
use futures_util::TryStreamExt as _;

use super::Engine;
use crate::{error::EngineError, labels};

/// Where the project's folder is in the container.
const INSIDE: &str = "/project";

/// An archive that holds nothing: two blocks of zeros.
const EMPTY: [u8; 1024] = [0; 1024];

impl Engine {
    /// Lets everybody who can reach them change folders of a project, which are named by their paths in its own.
    pub(crate) async fn open_folders(
        &self,
        ctx: &Context,
        project: &ProjectRef,
        own: &Path,
        folders: &[PathBuf],
    ) -> Result<(), EngineError> {
        let archive = archive(folders).map_err(|error| Error::internal("pack folders").because(error))?;
        let image = self.empty_image(ctx, project).await?;
        let id = self.never_started(ctx, project, own, &image).await;
        // The container keeps what it needs of it, and nothing else does.
        let removed = self.remove_empty_image(ctx, &image).await;
        let id = id?;
        let options = UploadToContainerOptionsBuilder::default().path(INSIDE).build();
        let body = bollard::body_full(archive.into());
        let sent = self.client().upload_to_container(&id, Some(options), body);
        let opened = self.call(ctx, "open folders through", &id, sent).await;
        self.remove_container(ctx, &id).await?;
        removed.and(opened)
    }

    async fn empty_image(&self, ctx: &Context, project: &ProjectRef) -> Result<String, EngineError> {
        let options = CreateImageOptionsBuilder::default()
            .from_src("-")
            .changes(vec![format!("LABEL {}={project}", labels::REF)])
            .build();
        let body = bollard::body_full(EMPTY.to_vec().into());
        let made = self.client().create_image(Some(options), Some(body), None).try_collect::<Vec<_>>();
        let said = self.call(ctx, "import", "an empty image", made).await?;
        let id = said.into_iter().filter_map(|news| news.status).find(|status| status.starts_with("sha256:"));
        id.ok_or_else(|| Error::internal("import an empty image: the engine does not say its id").into())
    }

    async fn never_started(
        &self,
        ctx: &Context,
        project: &ProjectRef,
        own: &Path,
        image: &str,
    ) -> Result<String, EngineError> {
        let mount = Mount {
            typ: Some(MountType::BIND),
            source: Some(own.display().to_string()),
            target: Some(INSIDE.to_owned()),
            ..Mount::default()
        };
        let body = ContainerCreateBody {
            image: Some(image.to_owned()),
            cmd: Some(vec!["never-started".to_owned()]),
            labels: Some(HashMap::from([(labels::REF.to_owned(), project.to_string())])),
            host_config: Some(HostConfig {
                mounts: Some(vec![mount]),
                network_mode: Some("none".to_owned()),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let made = self.client().create_container(None::<CreateContainerOptions>, body);
        Ok(self.call(ctx, "create container", "to open folders", made).await?.id)
    }

    async fn remove_empty_image(&self, ctx: &Context, image: &str) -> Result<(), EngineError> {
        let options = RemoveImageOptionsBuilder::default().force(true).build();
        let removed = self.client().remove_image(image, Some(options), None);
        match self.call(ctx, "remove image", image, removed).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }
}

/// The folders, each with a mode that leaves nobody out.
fn archive(folders: &[PathBuf]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for folder in folders {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_size(0);
        header.set_mode(0o777);
        archive.append_data(&mut header, folder.join(""), std::io::empty())?;
    }
    archive.into_inner()
}
