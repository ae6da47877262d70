//! No two live projects of one machine share a port or an address.

use std::{collections::BTreeSet, time::Duration};

use ipnet::Ipv4Net;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::{
    Stage,
    changes::{HOUR, at_once, claim, create, creation, destroy, events, finish, new_project, reread},
};
use crate::{
    contract::failure::{Failure, Verified, refused, there},
    error::Detail,
    event::Fact,
    lifecycle::Status,
    operation::OperationKind,
    project::Project,
    store::{NewProject, PortPool, Store, SubnetPool},
};

/// Fails if two of these projects share a port or an address.
fn apart(projects: &[Project]) -> Verified {
    let mut ports = BTreeSet::new();
    for port in projects.iter().filter_map(|project| project.ports).flat_map(|ports| ports.iter()) {
        ensure!(ports.insert(port), "two projects have port {port}");
    }
    let mut networks: Vec<Ipv4Net> = projects.iter().filter_map(|project| project.subnet).collect();
    networks.sort_unstable();
    for pair in networks.windows(2) {
        ensure!(
            !pair[0].contains(&pair[1]) && !pair[1].contains(&pair[0]),
            "the networks {} and {} overlap",
            pair[0],
            pair[1]
        );
    }
    Ok(())
}

pub(super) async fn a_hundred_creates_at_once_share_no_port_and_no_network(
    Stage { store, .. }: Stage,
) -> Verified {
    let creates = (0..100).map(|n| {
        let store = store.clone();
        async move { create(&*store, &format!("p{n}")).await }
    });
    let mut projects = Vec::new();
    for answer in at_once(creates).await? {
        projects.push(answer?.project);
    }
    ensure!(
        projects.iter().all(|project| project.ports.is_some() && project.subnet.is_some()),
        "a project went without ports or network"
    );
    apart(&projects)
}

pub(super) async fn however_projects_come_and_go_no_two_share_a_port_or_an_address(
    Stage { store, .. }: Stage,
) -> Verified {
    let seed = rand::random::<u64>();
    come_and_go(&*store, seed).await.map_err(|failure| failure.of(format_args!("seed {seed}")))
}

async fn come_and_go(store: &dyn Store, seed: u64) -> Verified {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut live: Vec<Project> = Vec::new();
    for n in 0..80 {
        if live.is_empty() || rng.random_ratio(3, 5) {
            let new = NewProject {
                ports: rng.random_range(0..7),
                port_pool: PortPool { first: 20_000, last: 20_029 },
                subnet_pool: Some(SubnetPool {
                    network: Ipv4Net::new_assert([10, 0, 0, 0].into(), 24),
                    prefix: rng.random_range(25..30),
                }),
                ..new_project(&format!("p{n}"))?
            };
            match store.commit(creation(new)).await {
                Ok(_) => live.push(finish(store, Status::ActiveHealthy).await?),
                Err(error) => ensure!(
                    matches!(error.detail(), Some(Detail::Bound { .. })),
                    "a create was refused with {error:?}"
                ),
            }
            apart(&live)?;
        } else {
            let gone = live.swap_remove(rng.random_range(0..live.len()));
            destroy(store, &gone).await?;
        }
    }
    Ok(())
}

pub(super) async fn networks_stay_apart_though_the_pool_is_cut_differently(
    Stage { store, .. }: Stage,
) -> Verified {
    let network = Ipv4Net::new_assert([10, 0, 0, 0].into(), 24);
    let of_prefix = |n: usize, prefix| -> crate::Result<NewProject> {
        Ok(NewProject { subnet_pool: Some(SubnetPool { network, prefix }), ..new_project(&format!("p{n}"))? })
    };
    let mut projects = Vec::new();
    for (n, prefix) in [29, 26, 29, 27, 26].into_iter().enumerate() {
        let project = store.commit(creation(of_prefix(n, prefix)?)).await?.project;
        let subnet = there(project.subnet, "the network")?;
        ensure_eq!((subnet.prefix_len(), subnet.trunc()), (prefix, subnet), "the network");
        ensure!(network.contains(&subnet), "{subnet} is not of the pool {network}");
        projects.push(project);
        apart(&projects)?;
    }
    let error = loop {
        match store.commit(creation(of_prefix(projects.len(), 26)?)).await {
            Ok(committed) => projects.push(committed.project),
            Err(error) => break error,
        }
        apart(&projects)?;
    };
    ensure_eq!(error.detail(), Some(&bound("subnet_pool", 4)), "the refusal");
    Ok(())
}

fn bound(setting: &str, limit: u64) -> Detail {
    Detail::Bound { setting: setting.to_owned(), limit }
}

pub(super) async fn an_exhausted_pool_names_its_setting_and_takes_back_what_is_destroyed(
    Stage { store, .. }: Stage,
) -> Verified {
    let port_pool = PortPool { first: 20_000, last: 20_004 };
    let small = |name: &str| Ok::<_, Failure>(creation(NewProject { port_pool, ..new_project(name)? }));
    store.commit(small("one")?).await?;
    let one = finish(&*store, Status::ActiveHealthy).await?;
    let error = refused(store.commit(small("two")?).await, "a project of three ports where two are left")?;
    ensure_eq!(error.detail(), Some(&bound("port_pool", 5)), "the refusal");
    destroy(&*store, &one).await?;
    store.commit(small("two")?).await?;
    Ok(())
}

pub(super) async fn a_create_that_gets_no_network_keeps_no_ports(Stage { store, .. }: Stage) -> Verified {
    let subnet_pool = Some(SubnetPool { network: Ipv4Net::new_assert([10, 0, 0, 0].into(), 27), prefix: 28 });
    let port_pool = PortPool { first: 20_000, last: 20_008 };
    let small = |name: &str| Ok::<_, Failure>(NewProject { subnet_pool, port_pool, ..new_project(name)? });
    for name in ["one", "two"] {
        store.commit(creation(small(name)?)).await?;
    }
    let error = refused(store.commit(creation(small("three")?)).await, "a third of two networks")?;
    ensure_eq!(error.detail(), Some(&bound("subnet_pool", 2)), "the refusal");
    store.commit(creation(NewProject { subnet_pool: None, ..small("three")? })).await?;
    Ok(())
}

pub(super) async fn two_machines_have_the_same_ports_each_for_themselves(
    Stage { store, .. }: Stage,
) -> Verified {
    let here = create(&*store, "here").await?.project;
    let there = NewProject { machine: "machine-2".to_owned(), ..new_project("there")? };
    let there = store.commit(creation(there)).await?.project;
    ensure_eq!(
        (there.ports, there.subnet),
        (here.ports, here.subnet),
        "the first project of another machine"
    );
    Ok(())
}

pub(super) async fn a_stack_without_ports_or_network_gets_none(Stage { store, .. }: Stage) -> Verified {
    let bare = NewProject { ports: 0, subnet_pool: None, ..new_project("bare")? };
    let project = store.commit(creation(bare)).await?.project;
    ensure_eq!((project.ports, project.subnet), (None, None), "ports and network");
    Ok(())
}

pub(super) async fn a_block_with_a_taken_port_is_set_aside_and_replaced_once(
    Stage { store, .. }: Stage,
) -> Verified {
    let pool = PortPool { first: 20_000, last: 20_006 };
    store.commit(creation(NewProject { port_pool: pool, ..new_project("demo")? })).await?;
    let claimed = claim(&*store).await?;
    let moved = store.reallocate(&claimed.lease, 20_001, &pool, HOUR).await?;
    ensure_eq!(moved.ports.map(|ports| (ports.first, ports.count)), Some((20_003, 3)), "the new block");
    ensure_eq!(moved.version, claimed.project.version + 1, "the version");
    let again = store.reallocate(&claimed.lease, 20_001, &pool, HOUR).await?;
    ensure_eq!(again, moved, "the answer to the same question once more");
    let full = store.reallocate(&claimed.lease, 20_003, &pool, HOUR).await;
    let full = refused(full, "a block where none is left")?;
    ensure_eq!(full.detail(), Some(&bound("port_pool", 7)), "the refusal");
    ensure_eq!(reread(&*store, &moved.reference).await?, moved, "the project after a refusal");

    let facts: Vec<_> = events(&*store).await?.into_iter().map(|event| event.fact).collect();
    let moves: Vec<_> = facts.iter().filter(|fact| matches!(fact, Fact::PortsMoved { .. })).collect();
    ensure_eq!(moves, [&Fact::PortsMoved { taken: 20_001, first: 20_003 }], "what is told of it");
    ensure_eq!(claimed.operation.kind, OperationKind::Create, "the operation");
    Ok(())
}

pub(super) async fn what_was_set_aside_comes_back_when_its_time_is_over(
    Stage { store, .. }: Stage,
) -> Verified {
    let pool = PortPool { first: 20_000, last: 20_005 };
    store.commit(creation(NewProject { port_pool: pool, ..new_project("demo")? })).await?;
    let claimed = claim(&*store).await?;
    for taken in [20_000, 20_003, 20_000] {
        let moved = store.reallocate(&claimed.lease, taken, &pool, Duration::ZERO).await?;
        let ports = there(moved.ports, "the ports")?;
        ensure!(!ports.contains(taken), "the project was given port {taken} again");
    }
    Ok(())
}
