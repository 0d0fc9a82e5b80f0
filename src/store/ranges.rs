//! Numbers as ranges, for those who are told what is gone.

use std::ops::RangeInclusive;

/// Ranges that are named at most; the widest holes between them count, the others are closed.
const MOST: usize = 100;

/// The ranges of ascending numbers, at most 100: of more, those with the least between them are joined, and then span
/// numbers that are not in them.
pub(super) fn of(numbers: impl Iterator<Item = u64>) -> Vec<RangeInclusive<u64>> {
    let mut ranges: Vec<RangeInclusive<u64>> = Vec::new();
    for number in numbers {
        match ranges.last_mut() {
            Some(last) if number <= last.end().saturating_add(1) => {
                *last = *last.start()..=number.max(*last.end());
            }
            Some(_) | None => ranges.push(number..=number),
        }
    }
    if ranges.len() <= MOST {
        return ranges;
    }
    let mut holes: Vec<u64> = ranges.windows(2).map(|pair| pair[1].start() - pair[0].end()).collect();
    let (_, widest, _) = holes.select_nth_unstable_by(MOST - 2, |a, b| b.cmp(a));
    let widest = *widest;
    let mut joined: Vec<RangeInclusive<u64>> = Vec::new();
    for range in ranges {
        let full = joined.len() == MOST;
        match joined.last_mut() {
            Some(last) if full || range.start() - last.end() < widest => {
                *last = *last.start()..=*range.end();
            }
            Some(_) | None => joined.push(range),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_are_one_range() {
        assert_eq!(of([1, 2, 3, 7, 9, 10].into_iter()), [1..=3, 7..=7, 9..=10]);
        assert_eq!(of(std::iter::empty()), []);
        assert_eq!(of([u64::MAX].into_iter()), [u64::MAX..=u64::MAX]);
    }

    proptest! {
        #[test]
        fn every_number_is_in_a_range_and_there_are_few_ranges(
            numbers in prop::collection::btree_set(0_u64..2000, 0..800),
        ) {
            let ranges = of(numbers.iter().copied());
            prop_assert!(ranges.len() <= MOST);
            prop_assert!(numbers.iter().all(|n| ranges.iter().filter(|range| range.contains(n)).count() == 1));
            prop_assert!(ranges.iter().all(|range| numbers.contains(range.start()) && numbers.contains(range.end())));
        }
    }
}
