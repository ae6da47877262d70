//! How a project is: each service asked, and each published port tried from outside.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use freehold_core::{Context, Health, Redactor, Result, ServiceHealth, ServiceState, stack::Protocol};
use futures_util::future::try_join_all;

use crate::{
    ending,
    engine::State,
    graph::{ContainerNode, Graph, PublishedPort},
    observed::Observed,
    probe::{self, Question},
    watch::Watch,
};

/// Looks at every service of the graph, all at once.
///
/// # Errors
/// `Unavailable` if the engine does not answer.
pub(crate) async fn health(
    watch: &Watch,
    ctx: &Context,
    graph: &Graph,
    redactor: &Redactor,
) -> Result<Health> {
    let observed = Observed::of(&watch.engine, ctx, Some(&graph.project)).await?;
    watch.vantage.join_again(&watch.engine, ctx, &observed).await?;
    let services = graph.containers.iter().map(|node| async {
        let mut health = service(watch, ctx, node, &observed, redactor).await?;
        health.last_error = health.last_error.map(|text| redactor.redact(&text));
        Ok::<_, freehold_core::Error>(health)
    });
    Ok(Health { services: try_join_all(services).await? })
}

async fn service(
    watch: &Watch,
    ctx: &Context,
    node: &ContainerNode,
    observed: &Observed,
    redactor: &Redactor,
) -> Result<ServiceHealth> {
    let found = match observed.container(node.service.as_str()) {
        Some(container) => watch.engine.state(ctx, &container.id).await?.map(|state| (container, state)),
        None => None,
    };
    let Some((container, state)) = found else {
        return Ok(entry(node, ServiceState::Unhealthy, "container").failed("it has no container"));
    };
    let health = if state.paused {
        let problem = "its container is paused (docker pause): a restart lets it go on";
        entry(node, ServiceState::Unhealthy, "container").failed(problem)
    } else if state.running && !state.restarting {
        running(watch, ctx, &container.id, node, &state).await?
    } else {
        let health = at_rest(node, &state);
        let ended = state.started && !health.state.is_well();
        match if ended { watch.engine.last_line(ctx, &container.id, redactor).await } else { None } {
            Some(line) => {
                let problem = health.last_error.as_deref().unwrap_or_default();
                let problem = format!("{problem}; last line: {line}");
                health.failed(problem)
            }
            None => health,
        }
    };
    Ok(ServiceHealth { since: state.since, ..health })
}

fn at_rest(node: &ContainerNode, state: &State) -> ServiceHealth {
    let probe = format!("exited {}", state.exit_code);
    if !state.started {
        return entry(node, ServiceState::Unhealthy, "container").failed("its container was never started");
    }
    if state.restarting {
        return entry(node, ServiceState::Unhealthy, &probe).failed("the engine is starting it again");
    }
    if ending::is_done(node, state) {
        return entry(node, ServiceState::Done, &probe);
    }
    entry(node, ServiceState::Unhealthy, &probe).failed(ending::complaint(state))
}

async fn running(
    watch: &Watch,
    ctx: &Context,
    id: &str,
    node: &ContainerNode,
    state: &State,
) -> Result<ServiceHealth> {
    if node.job {
        return Ok(entry(node, ServiceState::Starting, "still at work"));
    }
    let mut health = match &state.health {
        // The engine runs the same test, so its word is taken; before its first word we run the test ourselves.
        Some(engine) if node.probe.is_none() && engine.status == "healthy" => {
            entry(node, ServiceState::Healthy, "the engine's health check")
        }
        Some(engine) if node.probe.is_none() && engine.status == "unhealthy" => {
            entry(node, ServiceState::Unhealthy, "the engine's health check").failed(&engine.output)
        }
        _ => match watch.prober.ask(ctx, id, node, state, Question::Ready).await? {
            None => return unasked(watch, node, state).await,
            Some(answer) => {
                let latency_ms = Some(milliseconds(answer.latency));
                let health = match answer.problem {
                    None => entry(node, ServiceState::Healthy, &answer.probe),
                    Some(problem) => entry(node, ServiceState::Unhealthy, &answer.probe).failed(&problem),
                };
                ServiceHealth { latency_ms, ..health }
            }
        },
    };
    if health.state == ServiceState::Healthy && published(node).next().is_some() {
        match outside_answer(watch, node).await {
            None => health.probe.push_str("; published ports: not probed"),
            Some(Ok(())) => {}
            Some(Err(problem)) => {
                return Ok(entry(node, ServiceState::Unhealthy, "published port").failed(&problem));
            }
        }
    }
    Ok(health)
}

/// A service that has neither probe nor health check: its published ports are tried, and beyond them all that is known is
/// how long it has run. The evidence says so.
async fn unasked(watch: &Watch, node: &ContainerNode, state: &State) -> Result<ServiceHealth> {
    let up = state.running_for().as_secs();
    let restarts = match state.restarts {
        0 => "no restarts".to_owned(),
        1 => "1 restart".to_owned(),
        count => format!("{count} restarts"),
    };
    let evidence = format!("running for {up} s, {restarts}");
    if !state.is_settled() {
        let problem = format!("it keeps ending, and the engine starts it again: {evidence}");
        return Ok(entry(node, ServiceState::Unhealthy, &evidence).failed(problem));
    }
    let not_asked =
        if node.probe.is_some() { "its probe cannot be asked from here" } else { "nothing to ask" };
    Ok(match outside_answer(watch, node).await {
        _ if published(node).next().is_none() => {
            entry(node, ServiceState::Healthy, &format!("{evidence}, {not_asked}"))
        }
        None => entry(
            node,
            ServiceState::Healthy,
            &format!("{evidence}, {not_asked}; published ports: not probed"),
        ),
        Some(Ok(())) => entry(node, ServiceState::Healthy, "published port"),
        Some(Err(problem)) => entry(node, ServiceState::Unhealthy, "published port").failed(&problem),
    })
}

/// Tries the published ports from outside; `None` if this process reaches none.
async fn outside_answer(watch: &Watch, node: &ContainerNode) -> Option<Result<(), String>> {
    if !watch.vantage.reaches_ports() {
        return None;
    }
    let asked = published(node)
        .map(|port| probe::published_port(node.probe.as_ref(), port.container_port, outside(port)));
    Some(try_join_all(asked).await.map(drop))
}

fn published(node: &ContainerNode) -> impl Iterator<Item = &PublishedPort> {
    node.ports.iter().filter(|port| port.protocol == Protocol::Tcp)
}

/// Where a published port is reached from this machine.
pub(crate) fn outside(port: &PublishedPort) -> SocketAddr {
    let ip = match port.host_ip {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, port.host_port)
}

fn entry(node: &ContainerNode, state: ServiceState, probe: &str) -> ServiceHealth {
    ServiceHealth::new(node.service.clone(), state, probe)
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
