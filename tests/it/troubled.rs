//! What goes wrong on a real Docker Engine, and how it is told.

use std::{net::TcpListener, process::Command};

use freehold_core::{CreateProject, OperationState, Status};
use freehold_tests::{Psql, docker_census, docker_engine, postgresql};

use crate::host::{Host, Targets};

/// A tag of the database's image that at first ends at once and later is the good one. Dropping it removes the tag.
struct FlakyImage {
    tag: String,
}

impl FlakyImage {
    const NAME: &str = "freehold-test/postgres";

    fn broken() -> Self {
        let image = Self { tag: format!("broken-{}", std::process::id()) };
        let container = docker(&["container", "create", &format!("{}:1", Self::NAME)]);
        let broken = r#"ENTRYPOINT ["sh", "-c", "echo the disk is on fire >&2; exit 3"]"#;
        docker(&["container", "commit", "--change", broken, &container, &image.name()]);
        docker(&["container", "rm", &container]);
        image
    }

    fn name(&self) -> String {
        format!("{}:{}", Self::NAME, self.tag)
    }

    fn mend(&self) {
        docker(&["image", "tag", &format!("{}:1", Self::NAME), &self.name()]);
    }
}

impl Drop for FlakyImage {
    fn drop(&mut self) {
        // A tag that stays harms nobody; the test has said what it had to say.
        let _ = Command::new("docker").args(["image", "rm", &self.name()]).output();
    }
}

fn docker(arguments: &[&str]) -> String {
    let output = Command::new("docker").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_fails_in_the_middle_is_told_with_its_last_output_and_leaves_nothing_and_retry_succeeds()
 {
    if !docker_engine() || !postgresql() {
        return;
    }
    let host = Host::start(Targets { shell: false, docker: true, first_port: 21_000 }).await;
    let image = FlakyImage::broken();
    let create = CreateProject::new("acme".parse().unwrap(), "demo".parse().unwrap());
    let create = create.variable("POSTGRES_IMAGE_TAG", image.tag.as_str());
    let accepted = host.control.create(create, None).await.unwrap();
    let demo = accepted.project.reference;
    host.wait(&demo, Status::InitFailed).await;

    let operation = host.control.operation(accepted.operation.unwrap().id).await.unwrap();
    let error = operation.error.unwrap();
    assert_eq!(operation.state, OperationState::Failed);
    assert_eq!(error.service.as_deref(), Some("db"), "{error:#?}");
    assert!(error.step.is_some() && error.chain.contains("exited with code 3"), "{error:#?}");
    let report = operation.report.unwrap();
    assert!(format!("{}{}", report.stdout, report.stderr).contains("the disk is on fire"), "{report:#?}");
    assert!(error.leftovers.is_empty());
    assert_eq!(docker_census(&demo), [""; 0]);

    image.mend();
    host.ended(host.control.retry(&demo).await.unwrap(), Status::ActiveHealthy).await;
    assert_eq!(Psql::to(&host.control, &demo).await.run("select 1").await.unwrap(), "1");
    host.ended(host.control.destroy(&demo).await.unwrap(), Status::Removed).await;
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_a_stranger_holds_moves_a_new_project_to_the_next_block() {
    if !docker_engine() || !postgresql() {
        return;
    }
    let _stranger = TcpListener::bind("127.0.0.1:21201").unwrap();
    let host = Host::start(Targets { shell: false, docker: true, first_port: 21_200 }).await;
    let demo = host.active("docker", "demo").await;
    let ports = host.control.project(&demo).await.unwrap().ports.unwrap();
    assert!(!ports.contains(21_201), "{ports:?}");
    assert_eq!(Psql::to(&host.control, &demo).await.run("select 1").await.unwrap(), "1");
    host.ended(host.control.destroy(&demo).await.unwrap(), Status::Removed).await;
    assert_eq!(docker_census(&demo), [""; 0]);
    host.stop().await;
}
