//! A life on an engine that gets into trouble: at the first and at the last request of each kind that each of its steps
//! makes, in every way. The engine is a fake, so that it can be made to.
//!
//! `FREEHOLD_TROUBLES` says how many of the cases are tried (0: all), `FREEHOLD_SEED` which.

mod alone;
mod controlled;
mod stage;

use std::collections::BTreeMap;

use futures_util::{FutureExt as _, StreamExt as _, stream};
use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

pub(crate) use self::stage::Stage;
use crate::fake_engine::{Call, Trouble};

/// How many lives are lived at once: most of the time of each is waiting.
const AT_ONCE: usize = 8;

/// How many cases are tried where nobody says.
const USUAL: u64 = 120;

/// What can be asked of a project, in the order of its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Provision,
    Pause,
    Resume,
    Restart,
    Reconfigure,
    Destroy,
}

impl Step {
    const ALL: [Self; 6] =
        [Self::Provision, Self::Pause, Self::Resume, Self::Restart, Self::Reconfigure, Self::Destroy];

    /// What comes before it, itself, and the end.
    fn life(self) -> &'static [Self] {
        use Step::*;
        match self {
            Provision | Destroy => &[Provision, Destroy],
            Pause => &[Provision, Pause, Destroy],
            Resume => &[Provision, Pause, Resume, Destroy],
            Restart => &[Provision, Restart, Destroy],
            Reconfigure => &[Provision, Reconfigure, Destroy],
        }
    }

    /// The services that run behind it.
    fn running(self) -> &'static [&'static str] {
        match self {
            Self::Provision | Self::Resume | Self::Restart | Self::Reconfigure => &["api", "db"],
            Self::Pause | Self::Destroy => &[],
        }
    }
}

/// One way in which a life can go wrong.
#[derive(Clone, Copy, Debug)]
struct Case {
    step: Step,
    call: Call,
    /// Which request of that kind in that step.
    n: usize,
    trouble: Trouble,
}

/// The cases at the requests that the steps of an untroubled life make: all, or as many as are wanted of them.
async fn cases(wanted: impl Fn(Call, Trouble) -> bool) -> Vec<Case> {
    let mut cases = Vec::new();
    for (step, asked) in untroubled().await {
        let mut counts = BTreeMap::<Call, usize>::new();
        asked.iter().for_each(|call| *counts.entry(*call).or_default() += 1);
        for (call, count) in counts {
            assert_ne!(call, Call::Unknown, "the fake engine does not know what {step:?} asks");
            // A look is like another.
            let mut places = if call.mutates() { vec![1, count] } else { vec![1] };
            places.dedup();
            for n in places {
                let troubles = call.troubles().into_iter().filter(|trouble| wanted(call, *trouble));
                cases.extend(troubles.map(|trouble| Case { step, call, n, trouble }));
            }
        }
    }
    let (seed, most) = (chosen("FREEHOLD_SEED", 1), chosen("FREEHOLD_TROUBLES", USUAL));
    if most > 0 {
        println!("{most} of {} cases, seed {seed}", cases.len());
        cases.shuffle(&mut StdRng::seed_from_u64(seed));
        cases.truncate(usize::try_from(most).unwrap());
    }
    cases
}

/// What each step asks.
async fn untroubled() -> Vec<(Step, Vec<Call>)> {
    let stage = Stage::new().await;
    let mut life = Vec::new();
    for step in Step::ALL {
        let before = stage.engine.asked().len();
        stage.call(&stage.ctx(), step).await.unwrap();
        life.push((step, stage.engine.asked().split_off(before)));
    }
    life
}

fn chosen(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// Lives through all cases; gives how many there were. Those that fail are told of together.
async fn survive<F: Future<Output = Result<(), String>>>(
    cases: Vec<Case>,
    live: impl Fn(Case) -> F,
) -> usize {
    let count = cases.len();
    let lives = cases.into_iter().map(|case| {
        // Each names what it is about, also where an assertion of its own ends it.
        std::panic::AssertUnwindSafe(live(case)).catch_unwind().map(move |lived| match lived {
            Ok(Ok(())) => None,
            Ok(Err(problem)) => Some(format!("{case:?}: {problem}")),
            Err(_) => Some(format!("{case:?}: panicked")),
        })
    });
    let failed: Vec<_> =
        stream::iter(lives).buffer_unordered(AT_ONCE).filter_map(std::future::ready).collect().await;
    assert!(failed.is_empty(), "{} of {count}:\n{}", failed.len(), failed.join("\n"));
    count
}
