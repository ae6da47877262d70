//! What the figures are, and how they are printed.

use std::{fmt, time::Duration};

/// The line above rows of [`Figures`].
pub(crate) const HEAD: &str = " projects  operations/s        p50        p99      p99.9";

/// How long things took, and how many there were in how long.
#[derive(Debug)]
pub(crate) struct Figures {
    sorted: Vec<Duration>,
    took: Duration,
}

impl Figures {
    /// Of durations in any order, all of them within `took`.
    pub(crate) fn new(mut durations: Vec<Duration>, took: Duration) -> Self {
        durations.sort_unstable();
        Self { sorted: durations, took }
    }

    /// The duration that so many of a thousand do not exceed.
    pub(crate) fn quantile(&self, per_mille: usize) -> Duration {
        let place = (self.sorted.len() * per_mille).div_ceil(1000).max(1) - 1;
        self.sorted.get(place).copied().unwrap_or_default()
    }

    /// How many there were in a second.
    pub(crate) fn rate(&self) -> f64 {
        self.sorted.len() as f64 / self.took.as_secs_f64()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, p999] = [500, 990, 999].map(|quantile| millis(self.quantile(quantile)));
        write!(f, "{:>13.0} {p50:>10} {p99:>10} {p999:>10}", self.rate())
    }
}

fn millis(duration: Duration) -> String {
    format!("{:.1} ms", duration.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_the_smallest_duration_that_so_many_do_not_exceed() {
        let figures =
            Figures::new((1..=1000).rev().map(Duration::from_millis).collect(), Duration::from_secs(2));
        assert_eq!(figures.quantile(500), Duration::from_millis(500));
        assert_eq!(figures.quantile(999), Duration::from_millis(999));
        assert!((figures.rate() - 500.0).abs() < 1e-9);
    }
}
