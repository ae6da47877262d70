//! The control plane, simulated: several hosts on one store and one engine, on paused time, with commands and faults drawn
//! from a seed. Hosts crash and come back, stores and engines fail, hang, answer late or not at all; whatever happens, the
//! promises of the design hold at each moment and once all is calm again.
//!
//! `FREEHOLD_SEEDS` sets how many seeds are run (1,000 unless set); `FREEHOLD_SEED` runs one of them alone.

mod chaos;
mod invariants;
mod world;

use std::{
    num::NonZero,
    panic,
    sync::{
        Mutex, Once,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use self::world::{Outcome, simulate};

const SEEDS: u64 = 1000;
/// How many seeds are run twice to compare their traces.
const TWICE: u64 = 20;

fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?} and no number")))
}

/// Keeps planned panics, which are caught and counted, from filling the output.
fn silence_planned_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let planned = info.payload_as_str().is_some_and(|text| text.contains("as the fault plan says"));
            if !planned {
                usual(info);
            }
        }));
    });
}

/// Runs one seed. A broken promise comes back as text.
fn run(seed: u64, recorded: bool) -> Result<Outcome, String> {
    silence_planned_panics();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let outcome = runtime.block_on(Box::pin(simulate(seed, recorded)));
    // What a crashed host left under way waits for ever.
    runtime.shutdown_background();
    outcome
}

/// Runs seeds on all processors, and gives what the broken ones said.
fn run_all(
    seeds: impl Iterator<Item = u64> + Send,
    each: impl Fn(u64) -> Result<(), String> + Sync,
) -> Vec<String> {
    let (seeds, broken) = (Mutex::new(seeds), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, NonZero::get) {
            scope.spawn(|| {
                loop {
                    let Some(seed) = seeds.lock().unwrap().next() else { return };
                    if let Err(problem) = each(seed) {
                        let again = "cargo test -p freehold-core --test it simulation::every_seed";
                        let problem = format!("seed {seed}: {problem}\nagain: FREEHOLD_SEED={seed} {again}");
                        broken.lock().unwrap().push(problem);
                    }
                }
            });
        }
    });
    broken.into_inner().unwrap()
}

#[test]
fn every_seed_keeps_every_promise() {
    let seeds = match variable("FREEHOLD_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..variable("FREEHOLD_SEEDS").unwrap_or(SEEDS),
    };
    let (count, faults, crashes) = (seeds.end - seeds.start, AtomicU64::new(0), AtomicU64::new(0));
    let broken = run_all(seeds, |seed| {
        let outcome = run(seed, false)?;
        faults.fetch_add(outcome.faults, Ordering::Relaxed);
        crashes.fetch_add(outcome.crashes, Ordering::Relaxed);
        Ok(())
    });
    let (faults, crashes) = (faults.into_inner(), crashes.into_inner());
    assert!(broken.is_empty(), "{} of {count} seeds broke a promise:\n{}", broken.len(), broken.join("\n\n"));
    println!("count: {count} seeds simulated");
    println!("count: {faults} faults injected in simulations");
    println!("count: {crashes} hosts crashed in simulations");
    assert!(count == 1 || (faults > count && crashes > 0), "a simulation without faults shows nothing");
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let broken = run_all(0..TWICE, |seed| {
        let (first, second) = (run(seed, true)?.trace, run(seed, true)?.trace);
        let differs = first.iter().zip(&second).position(|(one, other)| one != other);
        match differs {
            None if first.len() == second.len() && first.len() > 100 => Ok(()),
            None => Err(format!("the traces have {} and {} lines", first.len(), second.len())),
            Some(line) => {
                let around = line.saturating_sub(3)..=line;
                Err(format!("line {line}: {:#?}\nand then {:#?}", &first[around.clone()], &second[around]))
            }
        }
    });
    assert!(broken.is_empty(), "{}", broken.join("\n\n"));
}
