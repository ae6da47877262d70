//! The `freehold` program as people run it.

use std::{
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;

use crate::freehold_program;

/// A host in a process of its own, on a state folder that outlives it. Dropping it kills it.
#[derive(Debug)]
pub struct HostProcess {
    child: Child,
    state: PathBuf,
    log: Arc<Mutex<String>>,
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
        let kept = Arc::new(Mutex::new(said));
        let reader = Arc::clone(&kept);
        std::thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                let mut kept = reader.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        Self { child, state: state.to_owned(), log: kept }
    }

    /// Kills it as `kill -9` does.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub fn kill(mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be waited for");
    }

    /// Ends it as a service manager does, its own PostgreSQL with it.
    ///
    /// # Panics
    /// If it does not end well.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().expect("it can be told");
        assert!(told.success() && self.child.wait().expect("it can be waited for").success());
    }

    /// What it logged until now.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Runs a command against it.
    ///
    /// # Panics
    /// If the program cannot be started.
    #[must_use]
    pub fn run(&self, arguments: &[&str]) -> Output {
        Command::new(freehold_program())
            .arg("--client-file")
            .arg(self.state.join("client.toml"))
            .args(arguments)
            .output()
            .expect("the program can be started")
    }

    /// Runs a command against it, and gives the JSON that it prints.
    ///
    /// # Panics
    /// If the command fails, with what it said.
    #[must_use]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run(&[&["--json"], arguments].concat());
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
