//! How Freehold grows: operations a second and how long each takes, what it costs to tell everybody, and what the watcher
//! costs, with few projects on record and with many. On the mock target, so that nothing but Freehold is measured.
//!
//! `make bench-growth`, or `scripts/bench growth --help`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot go on has nothing to say"
)]

#[path = "growth/aims.rs"]
mod aims;
#[path = "growth/fanout.rs"]
mod fanout;
#[path = "growth/figures.rs"]
mod figures;
#[path = "growth/load.rs"]
mod load;
#[path = "growth/processor.rs"]
mod processor;
#[path = "growth/watching.rs"]
mod watching;
#[path = "growth/world.rs"]
mod world;

use std::time::Instant;

use clap::{Parser, ValueEnum};

use self::world::{StoreKind, World};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Operations a second, and from command to resting status.
    Operations,
    /// One writer, many who follow the events.
    Fanout,
    /// The watcher with many active projects.
    Watcher,
}

/// Measures how Freehold grows, on the mock target.
#[derive(Debug, Parser)]
struct Arguments {
    /// What to measure.
    #[arg(long, value_delimiter = ',', default_values = ["operations", "fanout", "watcher"])]
    parts: Vec<Part>,
    /// Where projects are kept.
    #[arg(long, value_delimiter = ',', default_values = ["memory", "postgres"])]
    stores: Vec<StoreKind>,
    /// How many control planes share the store.
    #[arg(long, value_delimiter = ',', default_values = ["1", "2"])]
    hosts: Vec<usize>,
    /// How many projects are on record while it is measured.
    #[arg(long, value_delimiter = ',', default_values = ["100", "1000", "10000"])]
    projects: Vec<usize>,
    /// How many operations each figure is made of.
    #[arg(long, default_value_t = 20_000)]
    operations: usize,
    /// How many callers give commands at once, each waiting for the end of one before it gives the next.
    #[arg(long, default_value_t = 64)]
    callers: usize,
    /// How many follow the events at once.
    #[arg(long, value_delimiter = ',', default_values = ["1", "100", "1000"])]
    subscribers: Vec<usize>,
}

#[tokio::main]
async fn main() {
    let (arguments, begun) = (Arguments::parse(), Instant::now());
    println!(
        "mock target, stack without ports, {} callers, {} operations a row, {} processors; store and load beside it on them",
        arguments.callers,
        arguments.operations,
        std::thread::available_parallelism().map_or(0, usize::from),
    );
    for store in &arguments.stores {
        for hosts in &arguments.hosts {
            measure(&arguments, *store, *hosts).await;
        }
    }
    println!("\nall of it took {} s", begun.elapsed().as_secs());
}

/// One store and one number of hosts, with more and more projects.
async fn measure(arguments: &Arguments, store: StoreKind, hosts: usize) {
    let mut world = World::start(store, hosts, arguments.callers).await;
    println!("\n{store}, {hosts} host(s)");
    if arguments.parts.contains(&Part::Operations) {
        println!("  {}", figures::HEAD);
        let mut rates = vec![];
        for projects in &arguments.projects {
            world.fill(*projects, arguments.callers).await;
            let figures = load::run(&world, arguments.callers, arguments.operations).await;
            println!("  {projects:>9} {figures}");
            rates.push(figures.rate());
        }
        for aim in aims::of(store, &rates) {
            println!("  {aim}");
        }
    }
    let most = arguments.projects.iter().copied().max().unwrap_or(0);
    if arguments.parts.contains(&Part::Fanout) {
        world.fill(most.min(1_000), arguments.callers).await;
        for subscribers in &arguments.subscribers {
            let figures =
                fanout::run(&world, *subscribers, arguments.callers, arguments.operations / 5).await;
            println!("  {subscribers:>5} subscribers: {figures}");
        }
    }
    if arguments.parts.contains(&Part::Watcher) {
        world.fill(most, arguments.callers).await;
        println!("  watcher: {}", watching::run(&world).await);
    }
    world.stop().await;
}
