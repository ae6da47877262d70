//! Folders that an image declares as volumes and the stack does not mount. Left to the engine they would become nameless
//! volumes that are lost with their container; so they become named, labelled ones of the project, which outlive a pause.

use std::collections::{BTreeMap, HashMap};

use freehold_core::HashKey;

use crate::{
    engine::Image,
    graph::{Graph, Mount, MountSource, VolumeNode},
    labels,
};

/// Adds the volumes that the images declare to the graph. They are data: nobody said what they hold.
pub(crate) fn add(graph: &mut Graph, images: &HashMap<String, Image>, key: &HashKey) {
    for node in &mut graph.containers {
        let Some(image) = images.get(&node.image) else { continue };
        for target in &image.volumes {
            if node
                .mounts
                .iter()
                .any(|mount| mount.target.trim_end_matches('/') == target.trim_end_matches('/'))
            {
                continue;
            }
            let short = format!("{}-{}", node.service, &key.hash(target.as_bytes())[..8]);
            let name = format!("{}-{short}", graph.project);
            let mut labels: BTreeMap<_, _> = node
                .labels
                .iter()
                .filter(|(label, _)| {
                    matches!(
                        label.as_str(),
                        labels::REF
                            | labels::INSTALLATION
                            | labels::STACK
                            | labels::SERVICE
                            | labels::GENERATION
                            | labels::EPOCH
                            | labels::compose::PROJECT
                    )
                })
                .map(|(label, value)| (label.clone(), value.clone()))
                .collect();
            labels.insert(labels::compose::VOLUME.to_owned(), short);
            labels.insert(labels::CONFIG_HASH.to_owned(), key.hash(name.as_bytes()));
            graph.volumes.push(VolumeNode { name: name.clone(), labels, data: true });
            let source = MountSource::Volume(name);
            node.mounts.push(Mount { source, target: target.clone(), read_only: false, nocopy: false });
        }
    }
}
