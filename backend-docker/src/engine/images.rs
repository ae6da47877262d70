//! Images on the engine.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use bollard::{
    models::CreateImageInfo,
    query_parameters::{CreateImageOptionsBuilder, TagImageOptionsBuilder},
};
use freehold_core::Context;
use futures_util::StreamExt;

use super::Engine;
use crate::{error::EngineError, registry::Source};

/// How often a pull says how far it is.
const PULL_NEWS: Duration = Duration::from_secs(5);

/// What an image declares that matters to us.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// Folders that it wants to keep beyond a container's life.
    pub(crate) volumes: Vec<String>,
}

impl Engine {
    /// The image of that name, if the engine has it.
    pub(crate) async fn image(&self, ctx: &Context, name: &str) -> Result<Option<Image>, EngineError> {
        match self.call(ctx, "inspect image", name, self.client().inspect_image(name)).await {
            Ok(image) => {
                let mut volumes = image.config.and_then(|config| config.volumes).unwrap_or_default();
                volumes.sort_unstable();
                Ok(Some(Image { volumes }))
            }
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Fetches an image from its registry or the mirror of it, saying now and then how far it is. It touches no project, so
    /// it is bounded by the deadline alone.
    pub(crate) async fn pull_image(&self, ctx: &Context, name: &str) -> Result<(), EngineError> {
        let verb = "pull image";
        let failed = |source| EngineError::Call { verb, thing: name.to_owned(), source };
        let Source { name: source, known_as } = self.registry.source(name);
        let credentials = self.registry.credentials(ctx, &source).await?;
        let options = CreateImageOptionsBuilder::default().from_image(&source).build();
        let pull = async {
            let mut news = std::pin::pin!(self.client().create_image(Some(options), None, credentials));
            let (mut far, mut told) = (Far::default(), Instant::now());
            while let Some(news) = news.next().await {
                match news {
                    Ok(news) => far.take(news),
                    Err(source) => return Ok(Err(source)),
                }
                if told.elapsed() >= PULL_NEWS {
                    told = Instant::now();
                    ctx.log(format!("pull image {source}: {far}")).await;
                }
            }
            Ok(Ok(()))
        };
        ctx.bounded(verb, pull).await?.map_err(failed)?;
        if let Some((repository, tag)) = known_as {
            let options = TagImageOptionsBuilder::default().repo(&repository).tag(&tag).build();
            self.call(ctx, "name image", name, self.client().tag_image(&source, Some(options))).await?;
        }
        Ok(())
    }
}

/// How far a pull is, by layers.
#[derive(Debug, Default)]
struct Far {
    layers: BTreeMap<String, Layer>,
}

#[derive(Debug, Default)]
struct Layer {
    bytes: i64,
    size: i64,
    is_there: bool,
}

impl Far {
    fn take(&mut self, news: CreateImageInfo) {
        // The first line has the tag for its id, and is about no layer.
        let (Some(id), Some(status)) = (news.id, news.status) else { return };
        let layer = match status.as_str() {
            "Pulling fs layer" | "Already exists" => self.layers.entry(id).or_default(),
            _ => match self.layers.get_mut(&id) {
                Some(layer) => layer,
                None => return,
            },
        };
        match (status.as_str(), news.progress_detail) {
            ("Downloading", Some(detail)) => {
                layer.bytes = detail.current.unwrap_or(layer.bytes);
                layer.size = detail.total.unwrap_or(layer.size);
            }
            ("Download complete", _) => layer.bytes = layer.size,
            ("Already exists" | "Pull complete", _) => layer.is_there = true,
            _ => {}
        }
    }
}

impl fmt::Display for Far {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let there = self.layers.values().filter(|layer| layer.is_there).count();
        let (bytes, size) = self
            .layers
            .values()
            .fold((0, 0), |(bytes, size), layer| (bytes + layer.bytes, size + layer.size));
        write!(f, "{there} of {} layers, {} of {} MB", self.layers.len(), bytes / 1_000_000, size / 1_000_000)
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::ProgressDetail;

    use super::*;

    #[test]
    fn a_pull_is_told_by_layers_and_bytes() {
        let mut far = Far::default();
        let mut news = |id: &str, status: &str, bytes: Option<i64>| {
            far.take(CreateImageInfo {
                id: Some(id.into()),
                status: Some(status.into()),
                progress_detail: bytes
                    .map(|bytes| ProgressDetail { current: Some(bytes), total: Some(9_000_000) }),
                ..CreateImageInfo::default()
            });
            far.to_string()
        };
        assert_eq!(news("1.2", "Pulling from supabase/studio", None), "0 of 0 layers, 0 of 0 MB");
        news("a", "Already exists", None);
        news("b", "Pulling fs layer", None);
        assert_eq!(news("b", "Downloading", Some(4_000_000)), "1 of 2 layers, 4 of 9 MB");
        news("b", "Download complete", None);
        news("b", "Extracting", Some(1_000_000));
        assert_eq!(news("b", "Pull complete", None), "2 of 2 layers, 9 of 9 MB");
    }
}
