//! How fast stacks come up and go: with Freehold, with `docker compose`, and with a program that was written for the one
//! stack by hand, the *floor*. All on the same engine, taking turns.
//!
//! `make bench`, or `scripts/bench stacks --help`.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot go on has nothing to say"
)]

#[path = "stacks/blueprint.rs"]
mod blueprint;
#[path = "stacks/compose.rs"]
mod compose;
#[path = "stacks/figures.rs"]
mod figures;
#[path = "stacks/floor.rs"]
mod floor;
#[path = "stacks/freehold.rs"]
mod freehold;
#[path = "stacks/picture.rs"]
mod picture;
#[path = "stacks/probe.rs"]
mod probe;
#[path = "stacks/stack.rs"]
mod stack;
#[path = "stacks/targets.rs"]
mod targets;
#[path = "stacks/timeline.rs"]
mod timeline;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use clap::{Parser, ValueEnum};
use tokio::task::JoinSet;

use self::{
    figures::Figures,
    stack::{Stack, StackKind},
    targets::Target,
    timeline::{Observer, Timeline},
};

/// Who brings stacks up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Who {
    /// A control plane on PostgreSQL, and the Docker backend.
    Freehold,
    /// `docker compose up --detach --wait`, and the other commands.
    Compose,
    /// A program that knows the order and asks as fast as it can.
    Floor,
}

/// What is measured, in this order: a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
enum Action {
    /// From nothing to ready.
    Create,
    /// All services stopped and started again.
    Restart,
    /// Stopped; containers and network gone, data kept.
    Pause,
    /// From there to ready, on the volumes that are there.
    Resume,
    /// All gone.
    Destroy,
}

impl Action {
    fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }
}

/// One way of running stacks. `number` tells copies of a stack apart.
#[async_trait]
trait Runner: Send + Sync {
    /// Does it, and returns once it is done: for what comes up, once every service is ready.
    async fn act(&self, action: Action, number: usize);

    /// Forgets what only it has to forget, once all copies are gone.
    async fn close(&self);
}

/// Measures how fast stacks come up and go.
#[derive(Debug, Parser)]
struct Arguments {
    /// Which stacks.
    #[arg(long, value_delimiter = ',', default_values = ["one", "webapp", "eight", "chain"])]
    stacks: Vec<StackKind>,
    /// By whom, in turn.
    #[arg(long, value_delimiter = ',', default_values = ["freehold", "compose", "floor"])]
    who: Vec<Who>,
    /// How many lives each median is made of.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// How many copies are brought up at once, against as many one after the other; 0 leaves that out.
    #[arg(long, default_value_t = 10)]
    many: usize,
    /// Of which stacks.
    #[arg(long, value_delimiter = ',', default_values = ["one", "webapp"])]
    many_stacks: Vec<StackKind>,
    /// Of which stacks the creation is measured again with health checks that run every ten minutes.
    #[arg(long, value_delimiter = ',', default_values = ["eight"])]
    rarely_checked: Vec<StackKind>,
    /// A folder for the pictures of where the time went, one a stack, from a first life that is not counted.
    #[arg(long)]
    pictures: Option<PathBuf>,
    /// How many containers Freehold starts at once, unless it decides.
    #[arg(long)]
    starts: Option<usize>,
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    println!(
        "{} rounds a figure, medians; {} processors; docker compose is {}",
        arguments.rounds,
        std::thread::available_parallelism().map_or(0, usize::from),
        compose::version().await,
    );
    let mut targets = Vec::new();
    for kind in &arguments.stacks {
        targets.extend(lives(&arguments, *kind).await);
    }
    for kind in &arguments.rarely_checked {
        targets.push(rarely_checked(&arguments, *kind).await);
    }
    if arguments.many > 0 {
        for kind in &arguments.many_stacks {
            targets.extend(many(&arguments, *kind).await);
        }
    }
    println!("\nTargets, for two processors that do nothing else:");
    targets.iter().for_each(|target| println!("  {target}"));
}

async fn runner(arguments: &Arguments, who: Who, stack: &Stack) -> Box<dyn Runner> {
    match who {
        Who::Freehold => Box::new(freehold::Freehold::start(stack, arguments.starts).await),
        Who::Compose => Box::new(compose::Compose::new(stack)),
        Who::Floor => Box::new(floor::Floor::new(stack).await),
    }
}

/// Whole lives of one stack, everybody in turn.
async fn lives(arguments: &Arguments, kind: StackKind) -> Vec<Target> {
    let stack = Stack::of(kind).await;
    let mut runners = Vec::new();
    for who in &arguments.who {
        runners.push((*who, runner(arguments, *who, &stack).await));
    }
    let mut timelines = Vec::new();
    for (who, runner) in &runners {
        timelines.push((*who, first_life(runner.as_ref(), &stack).await));
    }
    let mut figures = Figures::default();
    for round in 0..arguments.rounds {
        for turn in 0..runners.len() {
            let (who, runner) = &runners[(round + turn) % runners.len()];
            for action in Action::value_variants() {
                let took = timed(runner.act(*action, 0)).await;
                eprintln!("{} round {round}: {who:?} {action:?} {:.2} s", stack.name, took.as_secs_f64());
                figures.add(*action, *who, took);
            }
        }
    }
    println!("\n{}, {}\n{figures}", stack.name, stack.description());
    for (who, timeline) in &timelines {
        println!("  {who:?}, where the time went:\n{timeline}");
    }
    if let Some(folder) = &arguments.pictures {
        let file = folder.join(format!("timeline-{}.svg", stack.name));
        std::fs::write(&file, picture::picture(&stack.name, &timelines)).unwrap();
        println!("  drawn in {}", file.display());
    }
    for (_, runner) in runners {
        runner.close().await;
    }
    Target::of(kind, &stack.name, &figures)
}

/// What it costs that a stack's health checks run rarely: nothing, if nobody waits for them.
async fn rarely_checked(arguments: &Arguments, kind: StackKind) -> Target {
    let stacks = [Stack::of(kind).await, Stack::rarely_checked(kind).await];
    let name = &stacks[0].name;
    let mut runners = Vec::new();
    for stack in &stacks {
        runners.push(freehold::Freehold::start(stack, arguments.starts).await);
    }
    let mut took = [vec![], vec![]];
    // The first round is not counted.
    for round in 0..=arguments.rounds {
        for (runner, took) in runners.iter().zip(&mut took) {
            let creation = timed(runner.act(Action::Create, 0)).await;
            runner.act(Action::Destroy, 0).await;
            took.extend((round > 0).then_some(creation));
        }
    }
    for runner in runners {
        runner.close().await;
    }
    let [own, rarely] = took.map(|times| figures::median(&times));
    println!(
        "\n{name}, created with its own health checks in {own:.2} s, with checks every ten minutes in {rarely:.2} s"
    );
    Target::checked_rarely(name, rarely / own)
}

/// A life that is watched closely, and therefore not counted; it also warms everybody's caches.
async fn first_life(runner: &dyn Runner, stack: &Stack) -> Timeline {
    let observer = Observer::start(stack).await;
    runner.act(Action::Create, 0).await;
    let timeline = observer.stop().await;
    runner.act(Action::Destroy, 0).await;
    timeline
}

/// Copies of one stack at once, against as many one after the other.
async fn many(arguments: &Arguments, kind: StackKind) -> Option<Target> {
    let mut target = None;
    let stack = Stack::of(kind).await;
    println!("\n{} at once, against {} one after the other: {}", arguments.many, arguments.many, stack.name);
    for who in &arguments.who {
        if *who == Who::Compose && stack.has_fixed_names {
            println!("  {who:?}: its containers have fixed names, so that there can be only one");
            continue;
        }
        let runner: Arc<dyn Runner> = Arc::from(runner(arguments, *who, &stack).await);
        let mut alone = Duration::ZERO;
        for number in 0..arguments.many {
            alone += timed(runner.act(Action::Create, number)).await;
            runner.act(Action::Destroy, number).await;
        }
        let all = |action| {
            let mut all = JoinSet::new();
            for number in 0..arguments.many {
                let runner = Arc::clone(&runner);
                all.spawn(async move { runner.act(action, number).await });
            }
            all.join_all()
        };
        let together = timed(all(Action::Create)).await;
        let gone = timed(all(Action::Destroy)).await;
        let ratio = together.as_secs_f64() / alone.as_secs_f64();
        println!(
            "  {who:?}: {:.2} s at once, {:.2} s one after the other: {ratio:.2} times; destroyed at once in {:.2} s",
            together.as_secs_f64(),
            alone.as_secs_f64(),
            gone.as_secs_f64(),
        );
        if *who == Who::Freehold {
            target = Some(Target::at_once(&stack.name, arguments.many, ratio));
        }
        runner.close().await;
    }
    target
}

async fn timed<T>(work: impl Future<Output = T>) -> Duration {
    let began = Instant::now();
    work.await;
    began.elapsed()
}
