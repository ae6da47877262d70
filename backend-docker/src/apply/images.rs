//! The images of a project: looked at, and fetched where the engine does not have them.

use std::collections::{HashMap, HashSet};

use freehold_core::{Error, Kind, Result};
use futures_util::future::try_join_all;

use super::{Apply, Purpose};
use crate::{
    engine::{Image, at},
    graph::{ContainerNode, Graph, Pull},
};

impl Apply<'_> {
    /// Looks at every image, and fetches those that the engine does not have. What is missing and may not be fetched is
    /// named first, all of it.
    ///
    /// # Errors
    /// An image that is not there and may not or cannot be fetched.
    pub(crate) async fn images(&self, graph: &Graph) -> Result<HashMap<String, Image>> {
        let mut seen = HashSet::new();
        let nodes: Vec<_> = graph.containers.iter().filter(|node| seen.insert(node.image.as_str())).collect();
        let found = try_join_all(nodes.iter().map(|node| self.image(node))).await?;
        let missing = || nodes.iter().zip(&found).filter(|(_, image)| image.is_none()).map(|(node, _)| *node);
        self.refuse_missing(missing())?;
        let refreshed = |node: &ContainerNode| {
            node.pull == Pull::Always && self.purpose == Purpose::First && !self.watch.engine.is_offline()
        };
        let images = nodes.iter().zip(&found).map(|(node, image)| async {
            let image = match image {
                Some(image) if !refreshed(node) => image.clone(),
                _ => self.pull(node).await?,
            };
            Ok::<_, Error>((node.image.clone(), image))
        });
        Ok(try_join_all(images).await?.into_iter().collect())
    }

    async fn image(&self, node: &ContainerNode) -> Result<Option<Image>> {
        let image = self.watch.engine.image(self.ctx, &node.image).await;
        image.map_err(|error| at("find image", node.service.as_str(), error))
    }

    fn refuse_missing<'a>(&self, missing: impl Iterator<Item = &'a ContainerNode>) -> Result<()> {
        let offline = self.watch.engine.is_offline();
        let refused: Vec<_> = missing
            .filter(|node| offline || node.pull == Pull::Never)
            .map(|node| node.image.as_str())
            .collect();
        if refused.is_empty() {
            return Ok(());
        }
        let why = if offline { "this target is offline" } else { "pull_policy is never" };
        let message = format!(
            "find image {}: the engine does not have it, and {why}: load or build it there",
            refused.join(", ")
        );
        Err(Error::new(Kind::NotFound, message))
    }

    async fn pull(&self, node: &ContainerNode) -> Result<Image> {
        let (engine, service) = (&self.watch.engine, node.service.as_str());
        self.ctx.step("pull image", service).await?;
        let pulled = engine.pull_image(self.ctx, &node.image).await;
        pulled.map_err(|error| at("pull image", service, error))?;
        let image = self.image(node).await?;
        image.ok_or_else(|| Error::internal(format!("find image {} after it was pulled", node.image)))
    }
}
