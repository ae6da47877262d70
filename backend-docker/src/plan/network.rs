//! The networks of a project. The project's addresses are divided among all networks of its stack, whether or not the
//! project uses them, so that an exclusion moves no address.

use std::collections::BTreeMap;

use freehold_core::{Error, Result};
use ipnet::Ipv4Net;

use super::Planner;
use crate::{
    compose::{Network, Service},
    graph::{Attachment, NetworkNode},
    labels,
};

impl Planner<'_> {
    pub(super) fn networks(&self) -> Result<Vec<NetworkNode>> {
        let subnets = self.subnets()?;
        let used = |name: &str| {
            self.services.iter().any(|service| service.networks.iter().any(|(own, _)| own == name))
        };
        let networks = subnets.into_iter().filter(|(name, _)| used(name));
        Ok(networks
            .map(|(name, subnet)| {
                let Network { internal, labels: own } =
                    self.compose.networks.get(name).cloned().unwrap_or_default();
                let mut settings =
                    format!("network\0{}\0{internal}", subnet.map(|net| net.to_string()).unwrap_or_default());
                settings.extend(own.iter().map(|(name, value)| format!("\0{name}\0{value}")));
                let config_hash = self.identity.runtime.hash_key.hash(settings.as_bytes());
                let labels =
                    self.identity.labels_of_shared(labels::compose::NETWORK, name, &config_hash, own);
                NetworkNode { name: self.identity.shared(name), labels, config_hash, subnet, internal }
            })
            .collect())
    }

    /// The project's addresses, by network: all for one, else equal shares.
    fn subnets(&self) -> Result<BTreeMap<&str, Option<Ipv4Net>>> {
        let mut names: Vec<&str> = self
            .compose
            .services
            .iter()
            .flat_map(|service| &service.networks)
            .map(|(name, _)| name.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        let Some(whole) = self.identity.runtime.subnet else {
            return Ok(names.into_iter().map(|name| (name, None)).collect());
        };
        let bits = u8::try_from(names.len().next_power_of_two().trailing_zeros()).unwrap_or(u8::MAX);
        // Fewer than eight addresses leave no room for the bridge and two containers.
        let prefix = whole.prefix_len().saturating_add(bits);
        if prefix > 29 {
            let message = format!("{whole} is too small for the {} networks of the stack", names.len());
            return Err(Error::invalid("subnet", message));
        }
        let shares =
            whole.subnets(prefix).map_err(|error| Error::internal("divide a subnet").because(error))?;
        Ok(names.into_iter().zip(shares.map(Some)).collect())
    }

    /// A service's places in networks. Others find it by its name, its container's name in the file, and its aliases.
    pub(super) fn attachments(&self, service: &Service) -> Vec<Attachment> {
        let attach = |(network, own): &(String, Vec<String>)| {
            let mut aliases = vec![service.name.to_string()];
            for alias in service.container_name.iter().chain(own) {
                if !aliases.contains(alias) {
                    aliases.push(alias.clone());
                }
            }
            Attachment { network: self.identity.shared(network), aliases }
        };
        service.networks.iter().map(attach).collect()
    }
}
