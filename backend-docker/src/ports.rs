//! Finding a port that somebody else holds before anything is made on the engine.

use freehold_core::{Detail, Error, Result, stack::Protocol};
use tokio::net::{TcpListener, UdpSocket};

use crate::{graph::Graph, health::outside, observed::Observed};

/// Fails with [`Detail::PortTaken`] if a port of a service that has no container yet is held already. A port that is
/// taken only later is found by the engine when it binds it.
pub(crate) async fn refuse_taken(graph: &Graph, observed: &Observed) -> Result<()> {
    let without_container =
        graph.containers.iter().filter(|node| observed.container(node.service.as_str()).is_none());
    for node in without_container {
        for port in &node.ports {
            let address = (port.host_ip, port.host_port);
            let bound = match port.protocol {
                Protocol::Tcp => TcpListener::bind(address).await.map(drop),
                Protocol::Udp => UdpSocket::bind(address).await.map(drop),
            };
            // Anything but that the port is taken is for the engine to say.
            if let Err(error) = bound
                && error.kind() == std::io::ErrorKind::AddrInUse
            {
                let message = format!(
                    "publish {} of service {}: somebody else holds the port",
                    outside(port),
                    node.service
                );
                return Err(
                    Error::detailed(Detail::PortTaken { port: port.host_port }, message).because(error)
                );
            }
        }
    }
    Ok(())
}
