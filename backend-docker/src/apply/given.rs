//! Files that a container is given before its very first start.

use freehold_core::{Error, ExposeSecret, FirstRunFile, Result};

use super::{Apply, Purpose};
use crate::{
    engine::at,
    graph::{ContainerNode, GivenFile, Graph},
};

impl Apply<'_> {
    /// Writes configs and secrets into a container before its very first start. It is made anew when they change.
    pub(super) async fn give_files(&self, id: &str, node: &ContainerNode) -> Result<()> {
        if node.files.is_empty() {
            return Ok(());
        }
        self.upload("write configs and secrets", id, node, archive(&node.files)).await
    }

    /// Copies the first-run files into a container before its very first start. They are in no mount, so a container
    /// that is made later, after a pause for instance, does not have them.
    pub(super) async fn give_first_run_files(
        &self,
        id: &str,
        node: &ContainerNode,
        graph: &Graph,
    ) -> Result<()> {
        let Some(place) = graph.first_run.as_ref().filter(|place| place.service == node.service) else {
            return Ok(());
        };
        if self.purpose != Purpose::First || self.runtime.first_run.is_empty() {
            return Ok(());
        }
        let given = |file: &FirstRunFile| GivenFile {
            target: format!("{}/{}", place.path.trim_end_matches('/'), file.name),
            content: file.content.clone(),
            uid: 0,
            gid: 0,
            mode: 0o644,
        };
        let files: Vec<_> = self.runtime.first_run.iter().map(given).collect();
        self.upload("copy first-run files", id, node, archive(&files)).await
    }

    async fn upload(
        &self,
        step: &'static str,
        id: &str,
        node: &ContainerNode,
        archive: std::io::Result<Vec<u8>>,
    ) -> Result<()> {
        let service = node.service.as_str();
        self.ctx.step(step, service).await?;
        let archive =
            archive.map_err(|error| Error::internal(format!("{step}: pack them")).because(error))?;
        self.watch.engine.upload(self.ctx, id, archive).await.map_err(|error| at(step, service, error))
    }
}

/// A tar archive of files, as they shall be in a container.
fn archive(files: &[GivenFile]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for file in files {
        let content = file.content.expose_secret().as_bytes();
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(file.mode);
        header.set_uid(file.uid);
        header.set_gid(file.gid);
        archive.append_data(&mut header, file.target.trim_start_matches('/'), content)?;
    }
    archive.into_inner()
}
