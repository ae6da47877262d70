//! Medians and ratios.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::{Action, Who};

/// What each action took whom.
#[derive(Debug, Default)]
pub(crate) struct Figures(BTreeMap<Action, BTreeMap<Who, Vec<Duration>>>);

impl Figures {
    pub(crate) fn add(&mut self, action: Action, who: Who, took: Duration) {
        self.0.entry(action).or_default().entry(who).or_default().push(took);
    }

    /// What was measured.
    pub(crate) fn actions(&self) -> impl Iterator<Item = Action> {
        self.0.keys().copied()
    }

    /// How many times as long as the other one somebody took, by the medians.
    pub(crate) fn ratio(&self, action: Action, one: Who, other: Who) -> Option<f64> {
        let took = self.0.get(&action)?;
        Some(median(took.get(&one)?) / median(took.get(&other)?))
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  {:8} medians (least to most), seconds; how many times as long as Freehold took", "")?;
        for (action, took) in &self.0 {
            write!(f, "  {:8}", action.name())?;
            let freehold = took.get(&Who::Freehold).map(|times| median(times));
            for (who, times) in took {
                let name = format!("{who:?}").to_lowercase();
                let (least, most) = (times.iter().min().unwrap(), times.iter().max().unwrap());
                write!(
                    f,
                    "  {name} {:.2} ({:.2} to {:.2})",
                    median(times),
                    least.as_secs_f64(),
                    most.as_secs_f64()
                )?;
                if let (Some(freehold), true) = (freehold, *who != Who::Freehold) {
                    write!(f, ", {:.2} times", median(times) / freehold)?;
                }
                f.write_str(";")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// In seconds.
pub(crate) fn median(times: &[Duration]) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    let middle = times.len() / 2;
    let median = if times.len() % 2 == 1 { times[middle] } else { (times[middle - 1] + times[middle]) / 2 };
    median.as_secs_f64()
}
