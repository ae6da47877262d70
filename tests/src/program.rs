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
    listen: String,
    log: Arc<Mutex<String>>,
}

impl HostProcess {
    /// Starts `freehold serve` on a folder and waits until it listens.
    ///
    /// # Panics
    /// If it ends before that, with what it said.
    #[must_use]
    pub fn start(state: &Path) -> Self {
        Self::start_with(state, &["--target".to_owned(), "shell".to_owned()])
            .unwrap_or_else(|said| panic!("the host ended before it listened:\n{said}"))
    }

    /// The same with other arguments.
    ///
    /// # Errors
    /// What it said, if it ends before it listens.
    ///
    /// # Panics
    /// If it cannot be started at all.
    pub fn start_with(state: &Path, arguments: &[String]) -> Result<Self, String> {
        let listen = format!("127.0.0.1:{}", free_port());
        let mut child = Command::new(freehold_program())
            .args(["serve", "--listen", &listen, "--state"])
            .arg(state)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program can be started");
        let mut log = BufReader::new(child.stderr.take().expect("its log is piped"));
        let mut said = String::new();
        while !said.contains("listening") {
            if log.read_line(&mut said).expect("its log can be read") == 0 {
                child.wait().expect("it can be waited for");
                return Err(said);
            }
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
        Ok(Self { child, state: state.to_owned(), listen, log: kept })
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

    /// Where it listens: address and port.
    #[must_use]
    pub fn listen(&self) -> &str {
        &self.listen
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    ///
    /// # Panics
    /// If that cannot be told.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("it can be looked at").is_some()
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
        self.try_json(arguments).unwrap_or_else(|said| panic!("{said}"))
    }

    /// The same where the command may fail.
    ///
    /// # Errors
    /// What it said when it failed.
    ///
    /// # Panics
    /// If the program cannot be started.
    pub fn try_json(&self, arguments: &[&str]) -> Result<Value, String> {
        let output = self.run(&[&["--json"], arguments].concat());
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if !output.status.success() {
            return Err(format!("{arguments:?} ended with {}:\n{out}\n{err}", output.status));
        }
        let lines = out.lines().map(|line| serde_json::from_str(line).ok());
        // Some commands print one document, others one a line.
        Ok(serde_json::from_str(&out).unwrap_or_else(|_| Value::Array(lines.flatten().collect())))
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
