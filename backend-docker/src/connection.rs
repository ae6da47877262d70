//! How a project that is up is reached.

use freehold_core::{
    Address, Connection, Context, DatabaseConnection, Endpoint, Error, Kind, Result, Runtime, StackSpec,
    stack::{DatabaseSpec, PortTarget, Protocol},
};

use crate::{
    graph::{Graph, PublishedPort},
    health::outside,
    observed::Observed,
    probe,
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
        published(graph, target).map(|port| {
            let outside = outside(port);
            Endpoint {
                internal: Address { host: outside.ip().to_string(), port: port.host_port },
                public: Address { host: public_host.to_owned(), port: port.host_port },
            }
        })
    };
    let database = match &spec.database {
        None => None,
        Some(declared) => {
            let target = PortTarget { service: declared.service.clone(), port: declared.port };
            match (published(graph, &target), endpoint(&target)) {
                (Some(port), Some(endpoint)) => Some(DatabaseConnection {
                    endpoint,
                    user: declared.user.clone(),
                    name: declared.name.clone(),
                    password: declared.password.clone(),
                    version: version(watch, ctx, graph, declared, runtime, port).await?,
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

fn published<'a>(graph: &'a Graph, target: &PortTarget) -> Option<&'a PublishedPort> {
    let node = graph.container(target.service.as_str())?;
    node.ports.iter().find(|port| port.container_port == target.port && port.protocol == Protocol::Tcp)
}

/// The database's version: as the server tells whoever logs in, or, where this process cannot connect, as its program
/// tells inside the container.
async fn version(
    watch: &Watch,
    ctx: &Context,
    graph: &Graph,
    declared: &DatabaseSpec,
    runtime: &Runtime,
    port: &PublishedPort,
) -> Result<String> {
    let service = declared.service.as_str();
    let failed = |problem: String| {
        Error::new(Kind::Unavailable, format!("ask the database for its version: {problem}"))
            .with("service", service)
    };
    if watch.prober.is_direct() {
        let password = runtime.secret(&declared.password)?;
        let asked = probe::server_version(outside(port), &declared.user, &declared.name, password);
        return asked.await.map_err(|refusal| refusal.into_error(service));
    }
    let observed = Observed::of(&watch.engine, ctx, Some(&graph.project)).await?;
    let container = observed.container(service).ok_or_else(|| failed("it has no container".into()))?;
    let exit = watch.engine.exec(ctx, &container.id, &["postgres".into(), "--version".into()]).await?;
    // `postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)`
    let told = exit.output.split(' ').find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    told.map(str::to_owned).ok_or_else(|| failed(exit.output.clone()))
}
