//! Networks of the file and of its services (Compose specification, "networks").

use std::collections::BTreeMap;

use super::{at::At, environment, keys, problem::Result};

/// The network of services that name none.
pub(crate) const DEFAULT_NETWORK: &str = "default";

/// A network that the file declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Network {
    /// Whether it has no way out.
    pub(crate) internal: bool,
    /// Its own labels.
    pub(crate) labels: BTreeMap<String, String>,
}

/// The networks under the file's `networks`.
pub(crate) fn read(at: &At<'_>) -> Result<BTreeMap<String, Network>> {
    at.entries()?.into_iter().map(|(name, at)| Ok((name.to_owned(), read_network(&at)?))).collect()
}

fn read_network(at: &At<'_>) -> Result<Network> {
    let mut network = Network::default();
    for (key, at) in at.entries()? {
        match key {
            // Names come from Freehold, so that two projects never share a network.
            "name" => drop(at.text()?),
            "driver" => at.read("bridge", |text| (text == "bridge").then_some(()))?,
            "internal" => network.internal = at.flag()?,
            "labels" => network.labels = environment::read_labels(&at)?,
            "attachable" => drop(at.flag()?),
            "enable_ipv4" => at.read("true", |text| (text == "true").then_some(()))?,
            "external" => at.only_false()?,
            _ => at.unknown(&keys::NETWORK)?,
        }
    }
    Ok(network)
}

/// A service's networks with its aliases in each, the one that it is created in first: a list of names, or a mapping.
pub(crate) fn read_attachments(at: &At<'_>) -> Result<Vec<(String, Vec<String>)>> {
    if at.is_list() {
        return Ok(at.texts()?.into_iter().map(|name| (name, Vec::new())).collect());
    }
    let mut attachments = Vec::new();
    for (name, at) in at.entries()? {
        let (mut aliases, mut priority) = (Vec::new(), 0_i64);
        for (key, at) in at.entries()? {
            match key {
                "aliases" => aliases = at.texts()?,
                "priority" => priority = at.number()?,
                _ => at.unknown(&keys::ATTACHMENT)?,
            }
        }
        attachments.push((priority, (name.to_owned(), aliases)));
    }
    attachments.sort_by_key(|(priority, _)| std::cmp::Reverse(*priority));
    Ok(attachments.into_iter().map(|(_, attachment)| attachment).collect())
}
