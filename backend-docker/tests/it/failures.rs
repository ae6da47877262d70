//! What goes wrong on a real engine, and what is told of it.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use freehold_core::{Context, Destroyer, Detail, Kind, Provisioner, stack::Protocol};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
};

use crate::fixture::{self, Fixture, ctx, password, stack};

const FAILING: &str = "
services:
  db:
    image: freehold-test/sql-job:1
    entrypoint: [sleep, infinity]
    init: true
    volumes: [data:/data]
  broken:
    image: freehold-test/sql-job:1
    entrypoint: [sh, -c, 'echo \"cannot go on with $$PASSWORD\" >&2; exit 3']
    environment:
      PASSWORD: ${PASSWORD}
    depends_on: [db]
  behind:
    image: freehold-test/sql-job:1
    entrypoint: [sleep, infinity]
    depends_on:
      broken:
        condition: service_completed_successfully
volumes:
  data:
";

const FAILING_MANIFEST: &str = "
name = \"failing\"

[[secrets]]
name = \"password\"
variable = \"PASSWORD\"
generate = { kind = \"token\", length = 32 }
";

const SLEEPER: &str = "
services:
  sleeper:
    image: freehold-test/sql-job:1
    entrypoint: [sleep, infinity]
    init: true
    ports: ['8080:8080']
";

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_is_named_with_its_code_and_its_last_words() {
    let folder = stack(FAILING, FAILING_MANIFEST);
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let runtime = fixture.runtime();
    let (backend, ctx) = (&fixture.backend, ctx());
    let error = backend.provision(&ctx, &runtime).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (Kind::Internal, Some("provision")));
    assert_eq!(error.context("service"), Some("broken"));
    assert_eq!(error.context("step"), Some("wait until ready"));
    assert!(error.to_string().contains("exited with code 3"), "{error}");
    let report = error.report().unwrap();
    assert_eq!(report.stderr, "cannot go on with ***\n");
    assert_eq!(error.context("last line"), Some("cannot go on with ***"));
    let health = fixture.backend.health(&ctx, &runtime).await.unwrap();
    let told = health.services.iter().find(|entry| entry.service.as_str() == "broken").unwrap();
    assert_eq!(told.probe, "exited 3");
    assert!(told.last_error.as_ref().unwrap().ends_with("last line: cannot go on with ***"), "{told:?}");
    assert!(!format!("{error:?}").contains(password(&runtime)));
    backend.destroy(&ctx, &runtime.project).await.unwrap();
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_never_becomes_healthy_is_told_with_the_last_answer() {
    let compose = "
services:
  never:
    image: freehold-test/sql-job:1
    entrypoint: [sleep, infinity]
    init: true
    healthcheck:
      test: [CMD-SHELL, 'echo not yet; exit 1']
";
    let folder = stack(compose, "name = \"never\"\n");
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let runtime = fixture.runtime();
    let short = Context::new(Duration::from_secs(6));
    let error = fixture.backend.provision(&short, &runtime).await.unwrap_err();
    assert_eq!((error.kind(), error.context("service")), (Kind::Timeout, Some("never")));
    assert_eq!(error.context("last answer"), Some("health check: exited 1: not yet"));
    fixture.backend.destroy(&ctx(), &runtime.project).await.unwrap();
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_a_stranger_holds_is_named_before_anything_is_made() {
    let folder = stack(SLEEPER, "name = \"sleeper\"\n");
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let runtime = fixture.runtime();
    let port = runtime.ports.port(0).unwrap();
    let stranger = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    let error = fixture.backend.provision(&ctx(), &runtime).await.unwrap_err();
    assert_eq!(error.detail(), Some(&Detail::PortTaken { port }));
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
    drop(stranger);

    // Nothing listens behind the port that is published: that is told as what it is.
    fixture.backend.provision(&ctx(), &runtime).await.unwrap();
    let health = fixture.backend.health(&ctx(), &runtime).await.unwrap();
    assert_eq!(health.services[0].probe, "published port");
    assert!(!health.is_healthy());
    fixture.backend.destroy(&ctx(), &runtime.project).await.unwrap();
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_provision_returns_at_once_and_leaves_what_destroy_removes() {
    let folder = stack(FAILING, FAILING_MANIFEST);
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let runtime = fixture.runtime();
    let context = ctx();
    let watcher = async {
        while fixture.containers(&runtime.project).await.is_empty() {
            tokio::task::yield_now().await;
        }
        context.cancellation().cancel();
        Instant::now()
    };
    let (provisioned, cancelled) = tokio::join!(fixture.backend.provision(&context, &runtime), watcher);
    assert_eq!(provisioned.unwrap_err().kind(), Kind::Cancelled);
    assert!(cancelled.elapsed() < Duration::from_secs(50), "it waited for its deadline");
    fixture.backend.destroy(&ctx(), &runtime.project).await.unwrap();
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
}

#[tokio::test]
async fn destroying_what_was_never_there_succeeds() {
    let folder = stack(SLEEPER, "name = \"sleeper\"\n");
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let never = fixture.runtime().project;
    fixture.backend.destroy(&ctx(), &never).await.unwrap();
}

#[tokio::test]
async fn an_image_that_nobody_has_is_named() {
    let compose = "services:\n  app:\n    image: localhost:9/freehold/no-such-image:1\n";
    let folder = stack(compose, "name = \"imageless\"\n");
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    let runtime = fixture.runtime();
    let error = fixture.backend.provision(&ctx(), &runtime).await.unwrap_err();
    assert_eq!(error.context("step"), Some("pull image"));
    assert!(error.to_string().contains("localhost:9/freehold/no-such-image:1"), "{error}");
    fixture.backend.destroy(&ctx(), &runtime.project).await.unwrap();
}

/// Passes requests on to the engine, one a connection as our client makes them, but loses the first answer to the
/// creation of a container.
async fn lossy_engine(path: PathBuf, engine: String) {
    let listener = UnixListener::bind(path).unwrap();
    let lost = Arc::new(AtomicBool::new(false));
    loop {
        let (mut client, _) = listener.accept().await.unwrap();
        let (engine, lost) = (engine.clone(), Arc::clone(&lost));
        tokio::spawn(async move {
            let mut server = UnixStream::connect(engine).await.unwrap();
            let mut head = [0; 64];
            let read = client.read(&mut head).await.unwrap();
            server.write_all(&head[..read]).await.unwrap();
            let creates = head.starts_with(b"POST /containers/create")
                || head.starts_with(b"POST /v1.41/containers/create");
            if creates && !lost.swap(true, Ordering::SeqCst) {
                let (mut from, mut to) = client.split();
                let (mut answer, mut request) = server.split();
                let mut said = [0];
                tokio::select! {
                    _ = tokio::io::copy(&mut from, &mut request) => {}
                    _ = answer.read(&mut said) => {} // The engine has done it and says so; nobody hears it.
                }
                let _ = to.shutdown().await;
            } else {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_whose_answer_was_lost_is_taken_up_by_the_next_call() {
    let folder = stack(SLEEPER, "name = \"sleeper\"\n");
    let engine = fixture::host().unwrap_or_else(|| "unix:///var/run/docker.sock".into());
    let Some(path) = engine.strip_prefix("unix://") else { return };
    let sockets = tempfile::tempdir().unwrap();
    let lossy = sockets.path().join("engine.sock");
    tokio::spawn(lossy_engine(lossy.clone(), path.to_owned()));
    tokio::task::yield_now().await;
    let address = format!("unix://{}", lossy.display());
    let Some(fixture) = Fixture::at(folder.path(), Some(&address)).await else { return };
    let runtime = fixture.runtime();
    assert!(fixture.spec.port_offset(&"sleeper".parse().unwrap(), 8080, Protocol::Tcp).is_some());

    let error = fixture.backend.provision(&ctx(), &runtime).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.context("step")),
        (Kind::Unavailable, Some("create container")),
        "{error:?}"
    );
    fixture.backend.provision(&ctx(), &runtime).await.unwrap();
    assert_eq!(fixture.containers(&runtime.project).await.len(), 1);
    fixture.backend.destroy(&ctx(), &runtime.project).await.unwrap();
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
}

/// An interface of this machine, until it is dropped.
struct Bridge(&'static str);

impl Bridge {
    fn new(name: &'static str, address: &str) -> Self {
        let bridge = Self(name);
        ip(&["link", "add", name, "type", "bridge"]);
        ip(&["address", "add", address, "dev", name]);
        bridge
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        ip(&["link", "delete", self.0]);
    }
}

fn ip(arguments: &[&str]) {
    let status = std::process::Command::new("ip").args(arguments).status().unwrap();
    assert!(status.success(), "ip {arguments:?}: {status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subnet_that_an_interface_of_the_machine_has_is_refused_with_its_name() {
    let folder = stack(SLEEPER, "name = \"held\"\n");
    let Some(fixture) = Fixture::new(folder.path()).await else { return };
    if !std::fs::metadata("/proc/self").is_ok_and(|own| std::os::linux::fs::MetadataExt::st_uid(&own) == 0) {
        eprintln!("skipped: only root can give the machine an interface");
        return;
    }
    let runtime = fixture.runtime();
    let (backend, ctx) = (&fixture.backend, ctx());
    let subnet = runtime.subnet.unwrap();

    let bridge =
        Bridge::new("fh-test-held", &format!("{}/{}", subnet.hosts().next().unwrap(), subnet.prefix_len()));
    let error = backend.provision(&ctx, &runtime).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Conflict, "{error}");
    let told = error.to_string();
    assert!(told.contains(&subnet.to_string()) && told.contains("ip link delete fh-test-held"), "{told}");

    drop(bridge);
    backend.provision(&ctx, &runtime).await.unwrap();
    backend.destroy(&ctx, &runtime.project).await.unwrap();
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
}
