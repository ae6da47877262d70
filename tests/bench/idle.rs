//! What the `freehold` program holds and does while nothing happens: memory and processor time with many projects on
//! record and few of them live. Of the program alone: its PostgreSQL is not counted.
//!
//! `scripts/bench idle`, or with `--help`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot go on has nothing to say"
)]

#[path = "idle/client.rs"]
mod client;
#[expect(dead_code, reason = "growth measures more with it")]
#[path = "growth/processor.rs"]
mod processor;

use std::{fs, path::Path, time::Duration};

use clap::Parser;
use freehold_tests::{HostProcess, passable_folder};

use self::client::Client;

/// Measures what the program holds and does while nothing happens.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many projects are on record.
    #[arg(long, default_value_t = 10_000)]
    projects: usize,
    /// How many of them are live; the others are paused.
    #[arg(long, default_value_t = 10)]
    live: usize,
    /// How many are made at once.
    #[arg(long, default_value_t = 32)]
    callers: usize,
    /// For how many seconds the program is watched.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// The mock, with room for 10,000 projects.
const CONFIG: &str = r#"
[targets.mock]
kind = "mock"
[targets.mock.settings]
max_operations = 32
port_pool = { first = 10000, last = 32767 }
subnet_pool = { network = "10.0.0.0/8", prefix = 28 }
"#;

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    let folder = passable_folder();
    let config = folder.path().join("freehold.toml");
    fs::write(&config, CONFIG).unwrap();
    let state = folder.path().join("state");
    let start = || {
        HostProcess::start_with(&state, &["--config".to_owned(), config.display().to_string()])
            .unwrap_or_else(|said| panic!("{said}"))
    };

    let host = start();
    let client = Client::of(&state);
    client.make("paused", arguments.projects.saturating_sub(arguments.live), arguments.callers, true).await;
    println!("{} projects were made and paused: {}", arguments.projects - arguments.live, memory(host.id()));
    host.stop();

    // The mock keeps its projects in the program's own memory: one that has begun anew has none of them.
    let host = start();
    let client = Client::of(&state);
    client.make("live", arguments.live, arguments.callers, false).await;
    println!("begun anew, with {} live ones:   {}", arguments.live, memory(host.id()));
    // What follows a start is over after a look of the watcher.
    tokio::time::sleep(Duration::from_secs(15)).await;
    let before = used(host.id());
    tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
    let share = (used(host.id()) - before).as_secs_f64() / arguments.seconds as f64;
    println!("after {} s of rest:              {}", arguments.seconds, memory(host.id()));
    println!("processor time at rest:          {:.2} % of one processor", 100.0 * share);
    let listed = client.list().await;
    println!("after {listed} were listed:       {}", memory(host.id()));
    println!("with its PostgreSQL beside it, of which nothing is counted");
    host.stop();
    drop(folder);
}

fn used(id: u32) -> Duration {
    processor::process(&id.to_string()).expect("the program runs").used
}

/// What is resident, now and at most: `VmRSS` and `VmHWM` of proc(5).
fn memory(id: u32) -> String {
    let status = fs::read_to_string(Path::new("/proc").join(id.to_string()).join("status")).unwrap();
    let mib = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("the kernel tells");
        line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    };
    format!("{:.1} MiB resident, {:.1} MiB at most until then", mib("VmRSS"), mib("VmHWM"))
}
