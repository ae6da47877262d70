//! The stack by `docker compose`.

use std::{collections::BTreeMap, path::Path, process::Stdio, sync::Mutex};

use async_trait::async_trait;
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::{
    Action, Runner,
    stack::{Stack, docker_compose, port_variables, ports},
};

/// Copies of one stack, each in a folder of its own, where it may keep data.
pub(crate) struct Compose {
    name: String,
    source: TempDir,
    copies: Mutex<BTreeMap<usize, Copy>>,
}

/// One copy: where it lies, and what it is called.
struct Copy {
    folder: TempDir,
    name: String,
    number: usize,
}

impl Compose {
    pub(crate) fn new(stack: &Stack) -> Self {
        Self { name: stack.name.clone(), source: stack.copy(), copies: Mutex::default() }
    }

    fn taken(&self, number: usize) -> Copy {
        self.copies.lock().unwrap().remove(&number).expect("it was created")
    }
}

#[async_trait]
impl Runner for Compose {
    async fn act(&self, action: Action, number: usize) {
        let copy = match action {
            Action::Create => Copy {
                folder: crate::stack::copied(self.source.path()),
                name: format!("bench-{}-{number}", self.name),
                number,
            },
            Action::Restart | Action::Pause | Action::Resume | Action::Destroy => self.taken(number),
        };
        match action {
            Action::Create | Action::Resume => copy.run(&["up", "--detach", "--wait"]).await,
            Action::Restart => {
                copy.run(&["restart"]).await;
                copy.run(&["up", "--detach", "--wait", "--no-recreate"]).await;
            }
            Action::Pause => copy.run(&["down"]).await,
            // As quick as it can: nobody needs the data any more.
            Action::Destroy => return copy.run(&["down", "--volumes", "--timeout", "0"]).await,
        }
        self.copies.lock().unwrap().insert(number, copy);
    }

    async fn close(&self) {}
}

impl Copy {
    async fn run(&self, arguments: &[&str]) {
        run(self.folder.path(), &self.name, self.number, arguments).await;
    }
}

/// Runs it in a folder as one project, with ports that are this copy's.
pub(crate) async fn run(folder: &Path, project: &str, number: usize, arguments: &[&str]) -> Vec<u8> {
    let variables = port_variables(folder);
    let output = Command::new(docker_compose())
        .args(["--project-name", project])
        .args(arguments)
        .current_dir(folder)
        .envs(variables.iter().zip(ports(number)).map(|(name, port)| (name, port.to_string())))
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker compose {arguments:?} in {}: {said}", folder.display());
    output.stdout
}

/// What it makes of the file in a folder.
pub(crate) async fn config(folder: &Path) -> Value {
    serde_json::from_slice(&run(folder, "bench", 0, &["config", "--format", "json"]).await).unwrap()
}

pub(crate) async fn version() -> String {
    let output = Command::new(docker_compose()).args(["version", "--short"]).output().await;
    let output = output.expect("docker compose is there: scripts/fetch-docker-compose");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
