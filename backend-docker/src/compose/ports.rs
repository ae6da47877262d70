//! What a service publishes (Compose specification, "ports"). Only the container's side counts: which port it is reached
//! by on the machine, and on which address, is Freehold's to say. The rest is read so that what is wrong is found.

use freehold_core::stack::Protocol;

use super::{at::At, keys, problem::Result};

const SHORT: &str = "CONTAINER, HOST:CONTAINER or IP:HOST:CONTAINER, each a port or a range like 3000-3005, then /tcp or /udp";
const PORT: &str = "a port from 1 to 65535, or a range of them";

/// A container port that is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) container_port: u16,
    pub(crate) protocol: Protocol,
}

/// The ports of a service, each once, in the order of the file.
pub(crate) fn read(at: &At<'_>) -> Result<Vec<Port>> {
    let mut ports: Vec<Port> = Vec::new();
    for item in at.items()? {
        let published = if item.is_map() { long(&item)? } else { item.read(SHORT, short)? };
        for port in published {
            if !ports.contains(&port) {
                ports.push(port);
            }
        }
    }
    Ok(ports)
}

fn short(text: &str) -> Option<Vec<Port>> {
    let (addresses, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = self::protocol(protocol)?;
    let (outside, inside) = match addresses.rsplit_once(':') {
        Some((outside, inside)) => (Some(outside), inside),
        None => (None, addresses),
    };
    let container = range(inside)?;
    if let Some(outside) = outside {
        let (ip, host) = outside.rsplit_once(':').map_or((None, outside), |(ip, host)| (Some(ip), host));
        if let Some(ip) = ip {
            let ip = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
            ip.parse::<std::net::IpAddr>().ok()?;
        }
        let ports = container.clone().count();
        // Many host ports for one container port: Docker takes a free one of them.
        if !host.is_empty() && range(host)?.count() != ports && ports != 1 {
            return None;
        }
    }
    Some(container.map(|container_port| Port { container_port, protocol }).collect())
}

fn long(at: &At<'_>) -> Result<Vec<Port>> {
    let (mut target, mut protocol) = (None, Protocol::Tcp);
    for (key, at) in at.entries()? {
        match key {
            "target" => target = Some(at.read("a port from 1 to 65535", port)?),
            "protocol" => protocol = at.read("tcp or udp", self::protocol)?,
            "published" if at.is_null() => {}
            "published" => at.read(PORT, |text| text.is_empty().then_some(()).or(range(text).map(drop)))?,
            "host_ip" => at.read("an IP address", |text| text.parse::<std::net::IpAddr>().ok().map(drop))?,
            "mode" => at.read("host or ingress", |text| matches!(text, "host" | "ingress").then_some(()))?,
            "name" | "app_protocol" => drop(at.text()?),
            _ => at.unknown(&keys::PORT)?,
        }
    }
    let container_port =
        target.ok_or_else(|| at.problem("the key target is missing: name the container's port"))?;
    Ok(vec![Port { container_port, protocol }])
}

fn protocol(text: &str) -> Option<Protocol> {
    match text {
        "tcp" => Some(Protocol::Tcp),
        "udp" => Some(Protocol::Udp),
        _ => None,
    }
}

/// A port.
pub(crate) fn port(text: &str) -> Option<u16> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten().filter(|port| *port != 0)
}

fn range(text: &str) -> Option<std::ops::RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(text: &str) -> Option<Vec<(u16, Protocol)>> {
        Some(short(text)?.into_iter().map(|port| (port.container_port, port.protocol)).collect())
    }

    #[test]
    fn the_containers_side_of_every_short_form_is_found() {
        for text in [
            "80",
            "8080:80",
            ":80",
            "127.0.0.1:8080:80",
            "127.0.0.1::80",
            "[::1]:8080:80",
            "::1:8080:80",
            "8000-9000:80",
            "8080:80/tcp",
        ] {
            assert_eq!(ports(text), Some(vec![(80, Protocol::Tcp)]), "{text}");
        }
        assert_eq!(ports("443:443/udp"), Some(vec![(443, Protocol::Udp)]));
        assert_eq!(ports("5000-5001:6000-6001"), Some(vec![(6000, Protocol::Tcp), (6001, Protocol::Tcp)]));
        assert_eq!(ports("6000-6001").unwrap().len(), 2);
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for text in ["", "a", "0", "65536", "80:", "1-2:3-5", "5-4", "80/sctp", "x:1:80", "8080:80/", "+80"] {
            assert_eq!(ports(text), None, "{text}");
        }
    }
}
