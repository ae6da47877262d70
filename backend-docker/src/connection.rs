//! How a project that is up is reached.

use std::net::SocketAddr;

use freehold_core::{
    Address, Connection, Context, DatabaseConnection, Endpoint, Error, Kind, Result, Runtime, StackSpec,
    stack::{DatabaseSpec, PortTarget, Protocol},
};

use crate::{
    graph::{ContainerNode, Graph, PublishedPort},
    health::outside,
    observed::Observed,
    probe,
    vantage::Vantage,
    watch::Watch,
};

/// The addresses of a project's database, pooler and gateway, and what the database says of itself. A service that does
/// not run, or does not publish its port, cannot be reached and has none.
pub(crate) async fn connection(
    watch: &Watch,
    ctx: &Context,
    graph: &Graph,
    spec: &StackSpec,
    runtime: &Runtime,
    public_host: &str,
) -> Result<Connection> {
    let endpoint = |target: &PortTarget| {
        published(graph, target).map(|(node, port)| Endpoint {
            internal: internal(&watch.vantage, node, port),
            public: Address { host: public_host.to_owned(), port: port.host_port },
        })
    };
    let database = match &spec.database {
        None => None,
        Some(declared) => {
            let target = PortTarget { service: declared.service.clone(), port: declared.port };
            match (published(graph, &target), endpoint(&target)) {
                (Some((node, port)), Some(endpoint)) => Some(DatabaseConnection {
                    endpoint,
                    user: declared.user.clone(),
                    name: declared.name.clone(),
                    password: declared.password.clone(),
                    version: version(watch, ctx, declared, runtime, node, port).await?,
                }),
                _ => None,
            }
        }
    };
    Ok(Connection {
        database,
        pooler: spec.pooler.as_ref().and_then(endpoint),
        api: spec.gateway.as_ref().and_then(endpoint),
        secrets: runtime.secrets.keys().cloned().collect(),
    })
}

fn published<'a>(graph: &'a Graph, target: &PortTarget) -> Option<(&'a ContainerNode, &'a PublishedPort)> {
    let node = graph.container(target.service.as_str())?;
    let mut ports = node.ports.iter();
    Some((node, ports.find(|port| port.container_port == target.port && port.protocol == Protocol::Tcp)?))
}

/// How this process reaches a port. From a container it is by the name of the other, which the engine's own name server
/// knows in the networks that both are in: the address changes whenever that one is started.
fn internal(vantage: &Vantage, node: &ContainerNode, port: &PublishedPort) -> Address {
    match vantage {
        Vantage::Container(_) => Address { host: node.name.clone(), port: port.container_port },
        Vantage::Machine | Vantage::Beside | Vantage::Elsewhere => {
            let outside = outside(port);
            Address { host: outside.ip().to_string(), port: outside.port() }
        }
    }
}

/// The database's version: as the server tells whoever logs in, or, where this process cannot connect, as its program
/// tells inside the container.
async fn version(
    watch: &Watch,
    ctx: &Context,
    declared: &DatabaseSpec,
    runtime: &Runtime,
    node: &ContainerNode,
    port: &PublishedPort,
) -> Result<String> {
    let service = declared.service.as_str();
    let failed = |problem: String| {
        Error::new(Kind::Unavailable, format!("ask the database for its version: {problem}"))
            .with("service", service)
    };
    if watch.vantage.reaches_ports() {
        let password = runtime.secret(&declared.password)?;
        let asked = probe::server_version(outside(port), &declared.user, &declared.name, password);
        return asked.await.map_err(|refusal| refusal.into_error(service));
    }
    let observed = Observed::of(&watch.engine, ctx, Some(&runtime.project)).await?;
    let container = observed.container(service).ok_or_else(|| failed("it has no container".into()))?;
    if watch.vantage.reaches_containers() {
        let state = watch.engine.state(ctx, &container.id).await?;
        let ip = state.as_ref().and_then(|state| probe::address(node, state));
        let address =
            SocketAddr::new(ip.ok_or_else(|| failed("it has no address".into()))?, port.container_port);
        let password = runtime.secret(&declared.password)?;
        let asked = probe::server_version(address, &declared.user, &declared.name, password);
        return asked.await.map_err(|refusal| refusal.into_error(service));
    }
    let exit = watch.engine.exec(ctx, &container.id, &["postgres".into(), "--version".into()]).await?;
    // `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
    let told = exit.output.split(' ').find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    told.map(str::to_owned).ok_or_else(|| failed(exit.output.clone()))
}
