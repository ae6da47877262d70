//! Networks of the file and of its services (Compose specification, "networks").

use std::collections::BTreeMap;

use super::{at::At, problem::Result};

/// The network of services that name none.
pub(crate) const DEFAULT_NETWORK: &str = "default";

/// A network that the file declares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Network {
    /// Whether it has no way out.
    pub(crate) internal: bool,
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
            _ => at.unknown()?,
        }
    }
    Ok(network)
}

/// A service's networks with its aliases in each: a list of names, or a mapping.
pub(crate) fn read_attachments(at: &At<'_>) -> Result<Vec<(String, Vec<String>)>> {
    if at.is_list() {
        return Ok(at.texts()?.into_iter().map(|name| (name, Vec::new())).collect());
    }
    let mut attachments = Vec::new();
    for (name, at) in at.entries()? {
        let mut aliases = Vec::new();
        for (key, at) in at.entries()? {
            match key {
                "aliases" => aliases = at.texts()?,
                _ => at.unknown()?,
            }
        }
        attachments.push((name.to_owned(), aliases));
    }
    Ok(attachments)
}
