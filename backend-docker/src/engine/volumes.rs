//! Volumes on the engine.

use std::collections::{BTreeMap, HashMap};

use bollard::{
    models::VolumeCreateRequest,
    query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions},
};
use freehold_core::{Context, Error, Kind, ProjectRef};
use time::OffsetDateTime;

use super::{Engine, gone_is_fine, ours};
use crate::{error::EngineError, labels};

/// A volume of ours, as the engine has it.
#[derive(Clone, Debug)]
pub(crate) struct Volume {
    pub(crate) name: String,
    pub(crate) labels: HashMap<String, String>,
    pub(crate) created: Option<OffsetDateTime>,
}

impl Engine {
    /// The volumes of one project, or of all.
    pub(crate) async fn volumes(
        &self,
        ctx: &Context,
        project: Option<&ProjectRef>,
    ) -> Result<Vec<Volume>, EngineError> {
        let options = ListVolumesOptionsBuilder::default().filters(&ours(project)).build();
        let found = self.call(ctx, "list", "volumes", self.client().list_volumes(Some(options))).await?;
        Ok(found
            .volumes
            .unwrap_or_default()
            .into_iter()
            .map(|volume| Volume { name: volume.name, labels: volume.labels, created: volume.created_at })
            .collect())
    }

    /// Makes a volume. The engine answers with the volume of that name if there is one, so whose it is is looked at.
    pub(crate) async fn create_volume(
        &self,
        ctx: &Context,
        name: &str,
        labels: &BTreeMap<String, String>,
    ) -> Result<(), EngineError> {
        let request = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels.clone().into_iter().collect()),
            ..VolumeCreateRequest::default()
        };
        let made = self.call(ctx, "create volume", name, self.client().create_volume(request)).await?;
        if made.labels.get(labels::REF) == labels.get(labels::REF) {
            Ok(())
        } else {
            Err(Error::new(
                Kind::Conflict,
                format!("create volume {name}: a volume of that name is there and is not this project's"),
            )
            .into())
        }
    }

    /// Removes a volume, which has no id but its name. One that is gone is removed.
    pub(crate) async fn remove_volume(&self, ctx: &Context, volume: &Volume) -> Result<(), EngineError> {
        let removed = self
            .call(
                ctx,
                "remove volume",
                &volume.name,
                self.client().remove_volume(&volume.name, None::<RemoveVolumeOptions>),
            )
            .await;
        gone_is_fine(removed)
    }
}
