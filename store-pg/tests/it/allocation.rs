//! No two live projects of one machine share a port or an address.

use std::collections::BTreeSet;

use freehold_core::{
    Detail, OperationKind, Status,
    store::{PortPool, SubnetPool},
};
use futures_util::{StreamExt, stream};

use crate::fixture::*;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_creates_at_once_share_no_port_and_no_network() {
    let Some(store) = any_store().await else { return };
    let projects: Vec<_> = stream::iter(0..200)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { create(&*store, &format!("p{n}")).await.project })
        })
        .buffer_unordered(200)
        .map(Result::unwrap)
        .collect()
        .await;
    let ports: BTreeSet<u16> = projects.iter().flat_map(|project| project.ports.unwrap().iter()).collect();
    let networks: BTreeSet<_> = projects.iter().map(|project| project.subnet.unwrap()).collect();
    assert_eq!((ports.len(), networks.len()), (600, 200));
}

#[tokio::test]
async fn an_exhausted_pool_names_its_setting_and_takes_back_what_is_destroyed() {
    let Some(store) = any_store().await else { return };
    let small = |name: &str| {
        let mut project = new_project(name);
        project.port_pool = PortPool { first: 20_000, last: 20_009 };
        project
    };
    let mut first = None;
    for n in 0..3 {
        let project = store.commit(create_change(small(&format!("p{n}")))).await.unwrap().project;
        first.get_or_insert(project);
    }
    let error = store.commit(create_change(small("one more"))).await.unwrap_err();
    let bound = Detail::Bound { setting: "port_pool".into(), limit: 10 };
    assert_eq!(error.detail(), Some(&bound), "{error:?}");

    let first = first.unwrap();
    store.commit(command(&first, OperationKind::Destroy, Status::GoingDown)).await.unwrap();
    while let Some(claimed) = claim(&*store).await {
        let to = match claimed.operation.kind {
            OperationKind::Destroy => Status::Removed,
            _ => Status::ActiveHealthy,
        };
        store.settle(succeeded(&claimed.lease, to)).await.unwrap();
    }
    let next = store.commit(create_change(small("one more"))).await.unwrap().project;
    assert_eq!(next.ports, first.ports);
}

#[tokio::test]
async fn networks_stay_apart_though_the_pool_is_cut_differently() {
    let Some(store) = any_store().await else { return };
    let network = "10.0.0.0/24".parse().unwrap();
    let of_prefix = |name: &str, prefix| {
        let mut project = new_project(name);
        project.subnet_pool = Some(SubnetPool { network, prefix });
        project
    };
    let mut networks: Vec<ipnet::Ipv4Net> = Vec::new();
    for (n, prefix) in [29, 26, 29, 27, 26].into_iter().enumerate() {
        let project = store.commit(create_change(of_prefix(&format!("p{n}"), prefix))).await.unwrap().project;
        let subnet = project.subnet.unwrap();
        assert_eq!((subnet.prefix_len(), subnet.trunc()), (prefix, subnet));
        assert!(networks.iter().all(|other| !other.contains(&subnet) && !subnet.contains(other)), "{subnet}");
        networks.push(subnet);
    }
    let error = loop {
        match store.commit(create_change(of_prefix(&format!("p{}", networks.len()), 26))).await {
            Ok(committed) => networks.push(committed.project.subnet.unwrap()),
            Err(error) => break error,
        }
    };
    assert_eq!(error.detail(), Some(&Detail::Bound { setting: "subnet_pool".into(), limit: 4 }), "{error:?}");
}

#[tokio::test]
async fn two_machines_have_the_same_ports_each_for_themselves() {
    let Some(store) = any_store().await else { return };
    let on = |name: &str, machine: &str| {
        let mut project = new_project(name);
        project.machine = machine.into();
        create_change(project)
    };
    let here = store.commit(on("here", "one")).await.unwrap().project;
    let there = store.commit(on("there", "two")).await.unwrap().project;
    assert_eq!((here.ports, here.subnet), (there.ports, there.subnet));
}

#[tokio::test]
async fn a_stack_without_ports_or_network_gets_none() {
    let Some(store) = any_store().await else { return };
    let mut project = new_project("bare");
    (project.ports, project.subnet_pool) = (0, None);
    let project = store.commit(create_change(project)).await.unwrap().project;
    assert_eq!((project.ports, project.subnet), (None, None));
}
