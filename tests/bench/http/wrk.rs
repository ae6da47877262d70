//! Asking by wrk, and reading what it says.

use std::fmt;

use tokio::process::Command;

/// What one run came to.
#[derive(Clone, Debug)]
pub(crate) struct Wrk {
    /// Requests a second.
    pub(crate) rate: f64,
    p50: String,
    p99: String,
}

impl Wrk {
    pub(crate) async fn run(url: &str, token: &str, connections: usize, seconds: u32) -> Self {
        let output = Command::new("wrk")
            .args(["--threads", "1", "--latency", "--connections", &connections.to_string()])
            .args([
                "--duration",
                &format!("{seconds}s"),
                "--header",
                &format!("Authorization: Bearer {token}"),
                url,
            ])
            .output()
            .await
            .expect("there is wrk: apt-get install wrk");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains("Non-2xx") && !said.contains("Socket errors"), "{url}: {said}");
        let after = |name: &str| {
            let line = said.lines().map(str::trim).find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("wrk says no {name}: {said}")).trim().to_owned()
        };
        Self { rate: after("Requests/sec:").parse().unwrap(), p50: after("50%"), p99: after("99%") }
    }

    /// The one in the middle.
    pub(crate) fn median(rounds: &[Self]) -> Self {
        let mut rounds = rounds.to_vec();
        rounds.sort_by(|one, two| one.rate.total_cmp(&two.rate));
        rounds[rounds.len() / 2].clone()
    }
}

impl fmt::Display for Wrk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:8.0} requests/s, p50 {}, p99 {}", self.rate, self.p50, self.p99)
    }
}
