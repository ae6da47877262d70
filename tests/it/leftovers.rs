//! What has no owner on a real engine, and two installations on one.

use std::{path::Path, process::Command, time::Duration};

use freehold_core::{
    ProjectRef,
    control_plane::{Diagnosis, Removal, Trouble},
};
use freehold_tests::{docker_census, docker_engine, postgresql};

use crate::host::{Host, Targets};

const AT_ONCE: Removal = Removal::OlderThan(Duration::ZERO);

fn stray(letter: char) -> ProjectRef {
    // Others may use the engine too, and their strays are not ours.
    let text = format!("{}{letter}", "stray".repeat(4));
    text[1..].parse().unwrap()
}

fn trouble(diagnosis: &Diagnosis, target: &str, project: &ProjectRef) -> Option<Trouble> {
    let findings = diagnosis.targets[&target.parse().unwrap()].as_ref().unwrap();
    findings.iter().find(|finding| finding.project == *project).map(|finding| finding.trouble)
}

fn volume(project: &ProjectRef, installation: Option<&str>) {
    let installation = installation.map(|id| format!("--label=freehold.installation={id}"));
    let status = Command::new("docker")
        .args(["volume", "create", &format!("--label=freehold.ref={project}")])
        .args(installation)
        .arg(format!("fh-{project}_stray"))
        .stdout(std::process::Stdio::null())
        .status();
    assert!(status.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_installations_on_one_docker_engine_remove_what_is_their_own_alone() {
    if !docker_engine() || !postgresql() {
        return;
    }
    let targets = |first_port| Targets { shell: false, docker: true, first_port };
    let (one, other) = tokio::join!(Host::start(targets(22_000)), Host::start(targets(22_200)));
    let demo = one.active("docker", "demo").await;
    let whole = docker_census(&demo);
    let ours = other.control.doctor(Removal::Never).await.installation;
    let (unknown, silent) = (stray('x'), stray('y'));
    volume(&unknown, Some(ours.as_str()));
    volume(&silent, None);

    let diagnosis = other.control.doctor(AT_ONCE).await;
    assert_eq!(trouble(&diagnosis, "docker", &demo), Some(Trouble::Foreign));
    assert_eq!(trouble(&diagnosis, "docker", &unknown), Some(Trouble::Unknown));
    assert_eq!(trouble(&diagnosis, "docker", &silent), Some(Trouble::Unlabelled));
    assert_eq!(docker_census(&demo), whole, "another installation's project was left alone");
    assert_eq!(docker_census(&unknown), [""; 0]);
    assert_eq!(docker_census(&silent).len(), 1, "nobody can tell whose it is");
    assert_eq!(trouble(&one.control.doctor(Removal::Never).await, "docker", &demo), None);

    // What lands after the end, as the late request of a worker that lost its lease would.
    let destroyed = one.control.destroy(&demo).await.unwrap();
    one.ended(destroyed, freehold_core::Status::Removed).await;
    let id = one.control.doctor(Removal::Never).await.installation;
    volume(&demo, Some(id.as_str()));
    let diagnosis = one.control.doctor(AT_ONCE).await;
    assert_eq!(trouble(&diagnosis, "docker", &demo), Some(Trouble::Removed));
    assert_eq!(docker_census(&demo), [""; 0]);
    let removed = Command::new("docker").args(["volume", "rm", &format!("fh-{silent}_stray")]).output();
    assert!(removed.unwrap().status.success());
    one.stop().await;
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_the_shell_target_that_no_project_owns_goes_only_if_it_says_that_it_is_ours() {
    if !postgresql() {
        return;
    }
    let host = Host::start(Targets { shell: true, docker: false, first_port: 22_400 }).await;
    let demo = host.active("shell", "demo").await;
    let projects = host.folder.path().join("shell/projects");
    let record = std::fs::read_to_string(projects.join(demo.as_str()).join("record.json")).unwrap();
    let ours = host.control.doctor(Removal::Never).await.installation;
    let (unknown, silent) = (stray('x'), stray('y'));
    let place = |project: &ProjectRef, text: String| {
        let folder: &Path = &projects.join(project.as_str());
        std::fs::create_dir_all(folder.join("root")).unwrap();
        std::fs::write(folder.join("record.json"), text.replace(demo.as_str(), project.as_str())).unwrap();
    };
    place(&unknown, record.clone());
    place(&silent, record.replace(&format!("\"{ours}\""), "null"));

    let diagnosis = host.control.doctor(AT_ONCE).await;
    assert_eq!(trouble(&diagnosis, "shell", &demo), None);
    assert_eq!(trouble(&diagnosis, "shell", &unknown), Some(Trouble::Unknown));
    assert_eq!(trouble(&diagnosis, "shell", &silent), Some(Trouble::Unlabelled));
    assert!(!projects.join(unknown.as_str()).exists() && projects.join(silent.as_str()).exists());
    assert!(host.control.health(&demo).await.unwrap().is_healthy());
    let destroyed = host.control.destroy(&demo).await.unwrap();
    host.ended(destroyed, freehold_core::Status::Removed).await;
    host.stop().await;
}
