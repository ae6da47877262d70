//! tests/stacks/webapp on a real Docker Engine, through its whole life.

use freehold_core::{ServiceState, Status};
use freehold_tests::{Psql, containers, docker_census, docker_engine, listens, postgresql};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::host::{Host, Targets};

#[tokio::test(flavor = "multi_thread")]
async fn a_row_survives_pause_resume_and_restart_and_destroy_leaves_nothing() {
    if !docker_engine() || !postgresql() {
        return;
    }
    let host = Host::start(Targets { shell: false, docker: true, first_port: 20_400 }).await;
    let demo = host.active("docker", "demo").await;
    let connection = host.control.project(&demo).await.unwrap().connection.unwrap();
    let psql = Psql::to(&host.control, &demo).await;
    let pooler = psql.through(connection.pooler.unwrap().public.port);
    let api = connection.api.unwrap().public;
    let proxy = psql.through(proxied_database_port(&host, &demo).await);

    proxy.run("create table kept (body text); insert into kept values ('row')").await.unwrap();
    assert_eq!(pooler.run("select body from kept").await.unwrap(), "row", "through the pooler");
    assert_eq!(psql.run("select body from kept").await.unwrap(), "row", "and directly");
    assert!(get(api.port, "/health").await.starts_with("HTTP/1.1 200"));
    let health = host.control.health(&demo).await.unwrap();
    let job = health.services.iter().find(|service| service.service.as_str() == "migrate").unwrap();
    assert_eq!(job.state, ServiceState::Done);
    assert!(host.control.plan(&demo).await.unwrap().is_empty());

    host.ended(host.control.pause(&demo).await.unwrap(), Status::Inactive).await;
    assert_eq!(containers(&demo), [""; 0], "paused: no container");
    host.ended(host.control.resume(&demo).await.unwrap(), Status::ActiveHealthy).await;
    assert_eq!(proxy.run("select body from kept").await.unwrap(), "row");
    host.ended(host.control.restart(&demo, &[]).await.unwrap(), Status::ActiveHealthy).await;
    assert_eq!(proxy.run("select body from kept").await.unwrap(), "row");

    let ports = host.control.project(&demo).await.unwrap().ports.unwrap();
    host.ended(host.control.destroy(&demo).await.unwrap(), Status::Removed).await;
    assert_eq!(docker_census(&demo), [""; 0]);
    assert!(ports.iter().all(|port| !listens(port)));
    assert!(!host.folder.path().join("docker/projects").join(demo.as_str()).exists());
    host.stop().await;
}

/// The host port behind which the proxy passes SQL on to the pooler.
async fn proxied_database_port(host: &Host, project: &freehold_core::ProjectRef) -> u16 {
    let targets = host.control.targets();
    let stack = &targets[0].description.stacks[0];
    let offset = stack.port_offset(&"proxy".parse().unwrap(), 5433, Default::default()).unwrap();
    host.control.project(project).await.unwrap().ports.unwrap().port(offset).unwrap()
}

/// The beginning of the answer to a plain HTTP request.
async fn get(port: u16, path: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}
