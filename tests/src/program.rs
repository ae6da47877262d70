//! The `freehold` program as people run it.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::freehold_program;

/// A host in a process of its own, on a state folder that outlives it. Dropping it kills it.
#[derive(Debug)]
pub struct HostProcess {
    child: Child,
    state: PathBuf,
}

impl HostProcess {
    /// Starts `freehold serve` on a folder and waits until it listens.
    ///
    /// # Panics
    /// If it ends before that, with what it said.
    #[must_use]
    pub fn start(state: &Path) -> Self {
        let listen = format!("127.0.0.1:{}", free_port());
        let mut child = Command::new(freehold_program())
            .args(["serve", "--target", "shell", "--listen", &listen, "--state"])
            .arg(state)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let mut log = BufReader::new(child.stderr.take().expect("its log is piped"));
        let mut said = String::new();
        while !said.contains("listening") {
            let read = log.read_line(&mut said).expect("its log can be read");
            assert_ne!(read, 0, "the host ended before it listened:\n{said}");
        }
        // Somebody has to read on, or the host would stand still once the pipe is full.
        std::thread::spawn(move || log.read_to_end(&mut Vec::new()));
        Self { child, state: state.to_owned() }
    }

    /// Kills it as `kill -9` does.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Runs a command against it, and gives the JSON that it prints.
    ///
    /// # Panics
    /// If the command fails, with what it said.
    #[must_use]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = Command::new(freehold_program())
            .arg("--client-file")
            .arg(self.state.join("client.toml"))
            .arg("--json")
            .args(arguments)
            .output()
            .expect("the program can be started");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{arguments:?} ended with {}:\n{out}\n{err}", output.status);
        let lines = out.lines().map(|line| serde_json::from_str(line).ok());
        // Some commands print one document, others one a line.
        serde_json::from_str(&out).unwrap_or_else(|_| Value::Array(lines.flatten().collect()))
    }
}

impl Drop for HostProcess {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port that nobody listens on now.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("there is a free port");
    listener.local_addr().expect("it has an address").port()
}
