//! What HTTP costs: requests a second and how long each takes, with many projects on record, beside a bare warp route
//! with one `SELECT` on the same server; and events to many who follow them as a stream.
//!
//! `scripts/bench http`, or with `--help`. The load comes from wrk, on the same processors.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a benchmark that cannot go on has nothing to say"
)]

#[path = "http/bare.rs"]
mod bare;
#[expect(dead_code, reason = "growth measures more with it")]
#[path = "growth/processor.rs"]
mod processor;
#[path = "http/streams.rs"]
mod streams;
#[expect(dead_code, reason = "growth does more with it")]
#[path = "growth/world.rs"]
mod world;
#[path = "http/wrk.rs"]
mod wrk;

use std::{net::SocketAddr, time::Duration};

use clap::Parser;
use freehold_host::{Api, Auth, Token, server};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::{
    world::{StoreKind, World},
    wrk::Wrk,
};

/// Measures what HTTP costs.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many projects are on record.
    #[arg(long, default_value_t = 10_000)]
    projects: usize,
    /// How many connections ask at once.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// For how many seconds each route is asked, in each round.
    #[arg(long, default_value_t = 5)]
    seconds: u32,
    /// How often each route has its turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How many follow the events.
    #[arg(long, default_value_t = 1_000)]
    followers: usize,
}

#[tokio::main]
async fn main() {
    let arguments = Arguments::parse();
    // As the program logs: each request has a span, whose fields are written down.
    tracing_subscriber::fmt().with_env_filter("info").with_writer(std::io::sink).init();
    let callers = 32;
    let mut world = World::start(StoreKind::Postgres, 1, callers).await;
    world.fill(arguments.projects, callers).await;
    println!(
        "{} projects on record, {} connections, {} processors; PostgreSQL and the load are on them too",
        world.projects.len(),
        arguments.connections,
        std::thread::available_parallelism().map_or(0, usize::from),
    );
    let token = Token::random().unwrap();
    let api = Api::new(world.hosts[0].clone(), Auth::Superuser(token.digest()));
    let address = serve(api.filter()).await;
    let (server, _) = world.server.as_ref().expect("it is on PostgreSQL");
    let bare = serve(bare::route(&server.url()).await).await;
    let project = world.projects[world.projects.len() / 2];
    let freehold = format!("http://{address}/api/freehold/v1/projects");
    let asked = [
        ("bare route, one row", format!("http://{bare}/{project}")),
        ("project", format!("{freehold}/{project}")),
        ("bare route, 100 rows", format!("http://{bare}/page")),
        ("page of 100", format!("{freehold}?limit=100")),
    ];
    let mut figures = vec![Vec::new(); asked.len()];
    for _ in 0..arguments.rounds {
        for ((_, url), figures) in asked.iter().zip(&mut figures) {
            figures.push(Wrk::run(url, token.expose(), arguments.connections, arguments.seconds).await);
        }
    }
    let medians: Vec<_> = figures.iter().map(|rounds| Wrk::median(rounds)).collect();
    for ((name, _), median) in asked.iter().zip(&medians) {
        println!("  {name:22} {median}");
    }
    for pair in [0, 2] {
        let ratio = medians[pair + 1].rate / medians[pair].rate;
        println!("  {} is {ratio:.2} of {}", asked[pair + 1].0, asked[pair].0);
    }
    if arguments.followers > 0 {
        println!("  {}", streams::run(&world, address, token.expose(), arguments.followers).await);
    }
    world.stop().await;
}

/// Serves for as long as this runs.
async fn serve(filter: warp::filters::BoxedFilter<(warp::reply::Response,)>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(server::serve(listener, filter, CancellationToken::new(), Duration::ZERO));
    address
}
