//! What calls cost the engine, counted instead of timed: requests, by a socket that everything goes through.

use std::{collections::BTreeMap, time::Instant};

use freehold_core::{Destroyer as _, Provisioner as _, Runtime, Scope, Wish};

use crate::{
    counter::{Counter, Counts},
    fixture::{Fixture, ctx, host},
};

/// The most requests that each call may make of a stack with eight services, one network, one volume and two images.
/// Whoever adds one says here what for.
const REQUESTS: [(&str, usize); 11] = [
    // What is there (three lists); the images; network, volume and containers; their starts.
    ("provision", 23),
    ("provision again", 5),
    ("plan", 3),
    ("health", 3),
    ("holding", 3),
    // What is there, before anything stops and after; the images; signals and starts.
    ("restart one", 10),
    ("restart", 24),
    // What is there, before and after; signals; removals; which Freehold in a container is still in the network.
    ("pause", 24),
    ("resume", 22),
    ("destroy", 17),
    ("holding nothing", 3),
];

/// How many times one container may be looked at closely in one call: before it is stopped or started, before it is asked,
/// and once for each of the engine's events about it.
const LOOKS_AT_ONE: usize = 6;

/// A container that nothing happens to is looked at again after so many seconds.
const LOOK_AGAIN: u64 = 2;

#[tokio::test(flavor = "multi_thread")]
async fn no_call_makes_more_requests_to_the_engine_than_it_may() {
    let folder = tempfile::tempdir().unwrap();
    let engine = host().unwrap_or_else(|| "unix:///var/run/docker.sock".into());
    if !engine.starts_with("unix://") {
        eprintln!("skipped: the engine is at {engine}, and only a socket can be put before another");
        return;
    }
    let counter = Counter::before(&engine, folder.path());
    let stack = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/stacks/eight");
    let Some(fixture) = Fixture::at(&stack, Some(counter.address())).await else { return };
    let mut cheapest = BTreeMap::new();
    for _ in 0..2 {
        // The engine may ask for patience, for instance while it still removes something: the cheaper life tells.
        for (call, cost) in life(&fixture, &counter).await {
            let least = cheapest.entry(call).or_insert_with(|| cost.clone());
            if cost.all() < least.all() {
                *least = cost;
            }
        }
    }
    for (call, most) in REQUESTS {
        let cost = &cheapest[call];
        let all = cost.all();
        println!("{call}: {all} requests, {} looks: {:?}", cost.looks, cost.requests);
        assert!(all <= most, "{call} makes {all} requests, and may make {most}: {:#?}", cost.requests);
        assert!(cost.looks <= cost.most_looks, "{call} looks too often at containers: {cost:?}");
    }
}

/// What one call cost.
#[derive(Clone, Debug)]
struct Cost {
    requests: Counts,
    looks: usize,
    most_looks: usize,
}

impl Cost {
    fn all(&self) -> usize {
        self.requests.values().sum()
    }
}

/// Everything that can be done to one project, and what it cost.
async fn life(fixture: &Fixture, counter: &Counter) -> Vec<(&'static str, Cost)> {
    let runtime = fixture.runtime();
    counter.take();
    let mut costs = Vec::new();
    for (call, _) in REQUESTS {
        let began = Instant::now();
        make(fixture, &runtime, call).await;
        let mut requests = counter.take();
        // The stream of events is subscribed to anew whenever it breaks, and is nobody's.
        requests.remove("GET /events");
        // How often the database is asked inside whether it takes its password depends on how long its start takes.
        requests.retain(|request, _| !request.contains("exec"));
        let looks = requests.remove("GET /containers/_/json").unwrap_or_default();
        let waits = usize::try_from(began.elapsed().as_secs() / LOOK_AGAIN).unwrap();
        let most_looks = fixture.spec.services.len() * (LOOKS_AT_ONE + waits);
        costs.push((call, Cost { requests, looks, most_looks }));
    }
    assert_eq!(fixture.census(&runtime.project).await, [""; 0]);
    costs
}

async fn make(fixture: &Fixture, runtime: &Runtime, call: &str) {
    let (backend, ctx) = (&fixture.backend, ctx());
    let one = || Scope::Services(vec!["gateway".parse().unwrap()]);
    match call {
        "provision" | "provision again" => drop(backend.provision(&ctx, runtime).await.unwrap()),
        "plan" => assert!(backend.plan(&ctx, runtime, Wish::Active).await.unwrap().is_empty()),
        "health" => assert!(backend.health(&ctx, runtime).await.unwrap().is_healthy()),
        "holding" => assert!(backend.holding(&ctx, &runtime.project).await.unwrap().is_some()),
        "holding nothing" => assert_eq!(backend.holding(&ctx, &runtime.project).await.unwrap(), None),
        "restart one" => drop(backend.restart(&ctx, runtime, &one()).await.unwrap()),
        "restart" => drop(backend.restart(&ctx, runtime, &Scope::All).await.unwrap()),
        "pause" => drop(backend.pause(&ctx, runtime).await.unwrap()),
        "resume" => drop(backend.resume(&ctx, runtime).await.unwrap()),
        "destroy" => drop(backend.destroy(&ctx, &runtime.project).await.unwrap()),
        other => panic!("{other} is no call"),
    }
}
