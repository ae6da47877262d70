//! What goes wrong, drawn from a seed.

use std::time::Duration;

use freehold_core::{
    Kind,
    faults::{Fault, Faults, Then},
};
use rand::{Rng, rngs::StdRng, seq::IndexedRandom as _};

const STORE: [&str; 14] = [
    "store commit before",
    "store commit after",
    "store claim before",
    "store claim after",
    "store renew before",
    "store renew after",
    "store settle before",
    "store settle after",
    "store sequence before",
    "store now before",
    "store sealed before",
    "store project *",
    "store reallocate *",
    "store *",
];

const STEPS: [&str; 7] = [
    "step *",
    "step create *",
    "step start service *",
    "step wait until healthy *",
    "step stop service *",
    "step remove *",
    "step apply first-run file *",
];

const CALLS: [&str; 13] = [
    "call provision before",
    "call provision after",
    "call pause *",
    "call resume before",
    "call resume after",
    "call restart *",
    "call reconfigure *",
    "call destroy before",
    "call destroy after",
    "call inventory *",
    "call plan *",
    "call health *",
    "call *",
];

/// What a backend may fail with.
const KINDS: [Kind; 6] =
    [Kind::Unavailable, Kind::Unavailable, Kind::Timeout, Kind::Internal, Kind::Conflict, Kind::InvalidInput];

/// The faults of one life of a host.
pub(super) fn faults(rng: &mut StdRng) -> Faults {
    let count = rng.random_range(2..10);
    Faults { seed: rng.random(), faults: (0..count).map(|_| fault(rng)).collect() }
}

fn pick<T: Copy>(rng: &mut StdRng, of: &[T]) -> T {
    *of.choose(rng).unwrap()
}

fn fault(rng: &mut StdRng) -> Fault {
    let delay = Then::Delay(Duration::from_millis(rng.random_range(100..45_000)));
    let kind = pick(rng, &KINDS);
    let (at, then) = match rng.random_range(0..3) {
        0 => {
            let then = match rng.random_range(0..10) {
                0..5 => Then::Fail(Kind::Unavailable),
                5 => delay,
                6 => Then::Panic,
                7 => Then::Twice,
                _ => Then::Crash,
            };
            (pick(rng, &STORE), then)
        }
        1 => {
            let then = match rng.random_range(0..8) {
                0..4 => Then::Fail(kind),
                4 => delay,
                5 => Then::Panic,
                6 => Then::Hang,
                _ => Then::Crash,
            };
            (pick(rng, &STEPS), then)
        }
        _ => {
            let then = match rng.random_range(0..10) {
                0..4 => Then::Fail(kind),
                4 => delay,
                5 => Then::Panic,
                6 => Then::Hang,
                7..9 => Then::Twice,
                _ => Then::Crash,
            };
            (pick(rng, &CALLS), then)
        }
    };
    // Only what has not happened yet can happen twice.
    let at = if then == Then::Twice { at.replace(" after", " before") } else { at.to_owned() };
    let fault = Fault::new(at, then);
    if rng.random() {
        fault.nth(rng.random_range(1..15))
    } else {
        fault.chance(rng.random_range(0.02..0.4)).times(rng.random_range(1..8))
    }
}
