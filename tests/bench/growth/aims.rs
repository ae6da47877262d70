//! What is aimed at, and whether it is reached.

use crate::world::StoreKind;

/// Operations a second on PostgreSQL, with everything on two processors.
const OPERATIONS: f64 = 1_000.0;
/// How much slower it may be with the most projects than with the fewest.
const SLOWER: f64 = 0.2;

/// What the rates, from the fewest projects to the most, come to.
pub(crate) fn of(store: StoreKind, rates: &[f64]) -> Vec<String> {
    let mut aims = vec![];
    let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
    if store == StoreKind::Postgres && least.is_finite() {
        aims.push(format!(
            "at least {OPERATIONS:.0} operations/s: {}, {least:.0} at the least",
            verdict(least >= OPERATIONS)
        ));
    }
    if let [few, .., many] = rates {
        aims.push(format!(
            "at most {:.0} % slower with the most projects than with the fewest: {}, {:.0} % of it",
            SLOWER * 100.0,
            verdict(*many >= few * (1.0 - SLOWER)),
            many / few * 100.0
        ));
    }
    aims
}

fn verdict(reached: bool) -> &'static str {
    if reached { "reached" } else { "not reached" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aim_is_reached_by_the_slowest_row_and_by_the_last_against_the_first() {
        let aims = of(StoreKind::Postgres, &[1_300.0, 999.0, 1_050.0]);
        assert_eq!(aims[0], "at least 1000 operations/s: not reached, 999 at the least");
        assert!(aims[1].contains("fewest: reached, 81 %"), "{aims:?}");
        assert_eq!(of(StoreKind::Memory, &[5.0]), [""; 0]);
    }
}
