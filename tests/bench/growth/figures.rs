//! What the figures are, and how they are printed.

use std::{fmt, time::Duration};

use crate::processor::Processor;

/// The line above rows of [`Figures`].
pub(crate) const HEAD: &str =
    " projects  operations/s        p50        p99      p99.9  processor time for one: host, server";

/// How long things took, and how many there were in how long.
#[derive(Debug)]
pub(crate) struct Figures {
    sorted: Vec<Duration>,
    took: Duration,
    processor: Processor,
}

impl Figures {
    /// Of durations in any order, all of them within `took`, on so much processor time together.
    pub(crate) fn new(mut durations: Vec<Duration>, took: Duration, processor: Processor) -> Self {
        durations.sort_unstable();
        Self { sorted: durations, took, processor }
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
        let each = |used: Duration| used.div_f64(self.sorted.len().max(1) as f64).as_micros();
        let (host, server) = (each(self.processor.host), each(self.processor.server));
        write!(f, "{:>13.0} {p50:>10} {p99:>10} {p999:>10} {host:>20} µs {server:>6} µs", self.rate())
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
        let figures = Figures::new(
            (1..=1000).rev().map(Duration::from_millis).collect(),
            Duration::from_secs(2),
            Processor::default(),
        );
        assert_eq!(figures.quantile(500), Duration::from_millis(500));
        assert_eq!(figures.quantile(999), Duration::from_millis(999));
        assert!((figures.rate() - 500.0).abs() < 1e-9);
    }
}
