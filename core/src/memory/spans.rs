//! Which ports and addresses of a machine are taken, and which come next.

use std::{collections::BTreeMap, ops::RangeInclusive};

use time::OffsetDateTime;

/// Spans of numbers of which no two overlap. The next one is looked for behind the last one that was given, so that what
/// was just freed is used again as late as possible.
#[derive(Debug, Default)]
pub(super) struct Spans {
    taken: BTreeMap<u64, Span>,
    next: u64,
}

#[derive(Debug)]
struct Span {
    last: u64,
    /// Set aside until then; `None` for a span that has an owner.
    until: Option<OffsetDateTime>,
}

/// Where spans are looked for.
#[derive(Clone, Debug)]
pub(super) struct Pool {
    /// All numbers.
    pub(super) numbers: RangeInclusive<u64>,
    /// Spans begin at multiples of this, counted from the pool's first number.
    pub(super) step: u64,
}

impl Spans {
    /// Takes `size` consecutive numbers of the pool, if it still has as many.
    pub(super) fn take(&mut self, pool: &Pool, size: u64, now: OffsetDateTime) -> Option<u64> {
        let start = if pool.numbers.contains(&self.next) { self.next } else { *pool.numbers.start() };
        let first = self
            .first_free(pool, start, size, now)
            .or_else(|| self.first_free(pool, *pool.numbers.start(), size, now))?;
        let last = first + size - 1;
        self.taken.insert(first, Span { last, until: None });
        self.next = last + 1;
        Some(first)
    }

    /// Gives back what an owner had.
    pub(super) fn release(&mut self, first: u64) {
        self.taken.remove(&first);
    }

    /// Takes a span from its owner and gives it to nobody until then.
    pub(super) fn set_aside(&mut self, first: u64, until: OffsetDateTime) {
        if let Some(span) = self.taken.get_mut(&first) {
            span.until = Some(until);
        }
    }

    fn first_free(&mut self, pool: &Pool, from: u64, size: u64, now: OffsetDateTime) -> Option<u64> {
        let origin = *pool.numbers.start();
        let aligned = |number: u64| origin + (number - origin).next_multiple_of(pool.step);
        let mut first = aligned(from);
        loop {
            let last = first + size - 1;
            if last > *pool.numbers.end() {
                return None;
            }
            // Spans do not overlap, so if any is in the way, the one that begins last is.
            let in_the_way = self.taken.range(..=last).next_back().filter(|(_, span)| span.last >= first);
            let Some((&start, span)) = in_the_way else { return Some(first) };
            if span.until.is_some_and(|until| until <= now) {
                self.taken.remove(&start);
            } else {
                first = aligned(span.last + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn pool(numbers: RangeInclusive<u64>, step: u64) -> Pool {
        Pool { numbers, step }
    }

    #[test]
    fn what_was_freed_is_used_again_last() {
        let (mut spans, pool) = (Spans::default(), pool(10..=18, 1));
        assert_eq!(spans.take(&pool, 3, NOW), Some(10));
        assert_eq!(spans.take(&pool, 3, NOW), Some(13));
        spans.release(10);
        assert_eq!(spans.take(&pool, 3, NOW), Some(16));
        assert_eq!(spans.take(&pool, 3, NOW), Some(10));
        assert_eq!(spans.take(&pool, 1, NOW), None);
    }

    #[test]
    fn what_was_set_aside_comes_back_when_its_time_is_over() {
        let (mut spans, pool) = (Spans::default(), pool(10..=12, 1));
        assert_eq!(spans.take(&pool, 3, NOW), Some(10));
        spans.set_aside(10, NOW + Duration::from_secs(60));
        assert_eq!(spans.take(&pool, 2, NOW), None);
        assert_eq!(spans.take(&pool, 2, NOW + Duration::from_secs(60)), Some(10));
    }

    #[derive(Clone, Debug)]
    enum Move {
        Take { size: u64 },
        Release(usize),
        SetAside(usize),
        Wait,
    }

    fn moves() -> impl Strategy<Value = Vec<Move>> {
        let one = prop_oneof![
            4 => (1u64..6).prop_map(|size| Move::Take { size }),
            2 => any::<usize>().prop_map(Move::Release),
            1 => any::<usize>().prop_map(Move::SetAside),
            1 => Just(Move::Wait),
        ];
        prop::collection::vec(one, 1..120)
    }

    proptest! {
        #[test]
        fn no_two_owners_ever_share_a_number(moves in moves(), step in 1u64..5) {
            let (mut spans, pool) = (Spans::default(), pool(20..=60, step));
            let (mut owned, mut now) = (Vec::<(u64, u64)>::new(), NOW);
            for next in moves {
                match next {
                    Move::Take { size } => match spans.take(&pool, size, now) {
                        Some(first) => {
                            let last = first + size - 1;
                            prop_assert!(20 <= first && last <= 60 && (first - 20).is_multiple_of(step));
                            for (a, b) in &owned {
                                prop_assert!(last < *a || *b < first, "{first}-{last} overlaps {a}-{b}");
                            }
                            owned.push((first, last));
                        }
                        // With nothing owned and nothing set aside any more, there must be room.
                        None => prop_assert!(!owned.is_empty() || !spans.taken.is_empty()),
                    },
                    Move::Release(index) if !owned.is_empty() => {
                        let (first, _) = owned.remove(index % owned.len());
                        spans.release(first);
                    }
                    Move::SetAside(index) if !owned.is_empty() => {
                        let (first, _) = owned.remove(index % owned.len());
                        spans.set_aside(first, now + Duration::from_secs(10));
                    }
                    Move::Wait => now += Duration::from_secs(11),
                    Move::Release(_) | Move::SetAside(_) => {}
                }
            }
        }
    }
}
