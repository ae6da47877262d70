//! Many projects at once share nothing.

use std::collections::BTreeSet;

use freehold_core::{ProjectRef, Status};
use freehold_tests::{Psql, connection_password, docker_census, docker_engine, postgresql};

use crate::host::{Host, Targets};

#[tokio::test(flavor = "multi_thread")]
async fn twenty_shell_projects_at_once_share_no_port_and_each_takes_only_its_own_password() {
    if !postgresql() {
        return;
    }
    share_nothing(Targets { shell: true, docker: false, first_port: 20_600 }, "shell", 20).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn six_docker_projects_at_once_share_no_port_or_network_and_each_takes_only_its_own_password() {
    if !docker_engine() || !postgresql() {
        return;
    }
    share_nothing(Targets { shell: false, docker: true, first_port: 20_800 }, "docker", 6).await;
}

async fn share_nothing(targets: Targets, target: &str, count: usize) {
    let host = Host::start(targets).await;
    let mut projects: Vec<ProjectRef> = vec![];
    for number in 0..count {
        projects.push(host.create(target, &format!("project {number}")).await.project.reference);
    }
    let (mut ports, mut subnets) = (BTreeSet::new(), BTreeSet::new());
    for project in &projects {
        let row = host.wait(project, Status::ActiveHealthy).await;
        for port in row.ports.unwrap().iter() {
            assert!(ports.insert(port), "port {port} is shared");
        }
        if let Some(subnet) = row.subnet {
            assert!(subnets.insert(subnet), "{subnet} is shared");
        }
    }
    for (index, project) in projects.iter().enumerate() {
        let (address, password) = connection_password(&host.control, project).await;
        let own = Psql::new(address.clone(), password);
        assert_eq!(own.run("select 1").await.unwrap(), "1");
        let neighbour = &projects[(index + 1) % projects.len()];
        let (_, others) = connection_password(&host.control, neighbour).await;
        let refused = Psql::new(address, others).run("select 1").await.unwrap_err();
        assert!(refused.contains("password authentication failed"), "{refused}");
    }
    for project in &projects {
        host.control.destroy(project).await.unwrap();
    }
    for project in &projects {
        host.wait(project, Status::Removed).await;
        if target == "docker" {
            assert_eq!(docker_census(project), [""; 0]);
        }
    }
    host.stop().await;
}
