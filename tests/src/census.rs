//! What there is of a project on the machine, counted without asking Freehold.

use std::{collections::BTreeMap, net::TcpStream, process::Command};

use freehold_core::ProjectRef;

/// Everything on the engine whose name or labels hold the ref: `container …`, `volume …`, `network …`.
///
/// # Panics
/// If the `docker` program cannot be run.
#[must_use]
pub fn docker_census(project: &ProjectRef) -> Vec<String> {
    let kinds = BTreeMap::from([
        ("container", vec!["container", "ls", "--all", "--format", "{{.Names}} {{.Labels}}"]),
        ("network", vec!["network", "ls", "--format", "{{.Name}} {{.Labels}}"]),
        ("volume", vec!["volume", "ls", "--format", "{{.Name}} {{.Labels}}"]),
    ]);
    kinds
        .into_iter()
        .flat_map(|(kind, arguments)| {
            let output = Command::new("docker").args(arguments).output().expect("docker can be run");
            assert!(output.status.success(), "docker: {}", String::from_utf8_lossy(&output.stderr));
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            let ours = move |line: &&str| line.contains(project.as_str());
            let named = |line: &str| format!("{kind} {}", line.split(' ').next().unwrap_or(line));
            text.lines().filter(ours).map(named).collect::<Vec<_>>()
        })
        .collect()
}

/// The project's containers.
///
/// # Panics
/// As [`docker_census`].
#[must_use]
pub fn containers(project: &ProjectRef) -> Vec<String> {
    docker_census(project).into_iter().filter(|thing| thing.starts_with("container ")).collect()
}

/// Whether anybody listens on a port of this machine.
#[must_use]
pub fn listens(port: u16) -> bool {
    TcpStream::connect(("127.0.0.1", port)).is_ok()
}
