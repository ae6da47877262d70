//! Images on the engine.

use std::time::{Duration, Instant};

use bollard::query_parameters::CreateImageOptionsBuilder;
use freehold_core::Context;
use futures_util::StreamExt;

use super::Engine;
use crate::error::EngineError;

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

    /// Fetches an image from its registry, saying now and then how far it is. It touches no project, so it is bounded
    /// by the deadline alone.
    pub(crate) async fn pull_image(&self, ctx: &Context, name: &str) -> Result<(), EngineError> {
        let verb = "pull image";
        // Without a tag the engine would fetch all of them.
        let tagged = name.contains('@') || name.rsplit('/').next().is_some_and(|last| last.contains(':'));
        let reference = if tagged { name.to_owned() } else { format!("{name}:latest") };
        let options = CreateImageOptionsBuilder::default().from_image(&reference).build();
        let pull = async {
            let mut progress = std::pin::pin!(self.client().create_image(Some(options), None, None));
            let mut told = Instant::now();
            while let Some(news) = progress.next().await {
                let news = match news {
                    Ok(news) => news,
                    Err(source) => return Ok(Err(source)),
                };
                if let (Some(status), true) = (news.status, told.elapsed() >= PULL_NEWS) {
                    told = Instant::now();
                    ctx.log(format!("pull image {reference}: {status}")).await;
                }
            }
            Ok(Ok(()))
        };
        ctx.bounded(verb, pull).await?.map_err(|source| EngineError::Call {
            verb,
            thing: name.to_owned(),
            source,
        })
    }
}
