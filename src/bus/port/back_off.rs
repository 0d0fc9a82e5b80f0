//! When a port that failed is tried again: later each time, and not all at the same instant.

use std::time::Duration;

/// The longest wait after the first failure.
const FIRST: Duration = Duration::from_secs(1);
/// The longest wait at all.
const LONGEST: Duration = Duration::from_secs(30);

/// The wait doubles from 1 s to 30 s with each failure, and between half of it and all of it is taken:
/// lines behind one serial server, which failed together, do not all come back together. Pure; the
/// same seed gives the same waits.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BackOff {
    seed: u64,
    /// Zero while the port works.
    bound: Duration,
    until: Duration,
}

impl BackOff {
    /// One that has seen no failure; `seed` differs from line to line.
    pub const fn new(seed: u64) -> Self {
        Self { seed, bound: Duration::ZERO, until: Duration::ZERO }
    }

    /// The port failed at `now`, monotonic time: how long it is left alone.
    pub fn failed(&mut self, now: Duration) -> Duration {
        self.bound = (self.bound * 2).clamp(FIRST, LONGEST);
        let half = self.bound / 2;
        // Thousandths are fine enough, and exact.
        let wait = half + half * u32::try_from(self.draw() % 1001).unwrap_or(0) / 1000;
        self.until = now + wait;
        wait
    }

    /// The port works: the next failure is a first one.
    pub const fn works(&mut self) {
        self.bound = Duration::ZERO;
        self.until = Duration::ZERO;
    }

    /// True if the last thing heard is a failure.
    pub const fn has_failed(&self) -> bool {
        !self.bound.is_zero()
    }

    /// True while the port is to be left alone.
    pub fn rests(&self, now: Duration) -> bool {
        now < self.until
    }

    /// SplitMix64: the state moves by a constant, and its scrambled value is drawn.
    const fn draw(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn waits(seed: u64, count: usize) -> Vec<Duration> {
        let mut back_off = BackOff::new(seed);
        (0..count).map(|_| back_off.failed(Duration::ZERO)).collect()
    }

    #[test]
    fn a_port_that_works_again_begins_anew() {
        let mut back_off = BackOff::new(7);
        for second in 0..6 {
            back_off.failed(Duration::from_secs(second * 60));
        }
        assert!(back_off.has_failed());
        back_off.works();
        assert!(!back_off.has_failed() && !back_off.rests(Duration::from_secs(301)));
        assert!(back_off.failed(Duration::from_secs(400)) <= FIRST);
    }

    #[test]
    fn it_rests_for_the_wait_and_not_longer() {
        let (mut back_off, now) = (BackOff::new(1), Duration::from_secs(100));
        let wait = back_off.failed(now);
        assert!(back_off.rests(now) && back_off.rests(now + wait - Duration::from_millis(1)));
        assert!(!back_off.rests(now + wait));
    }

    #[test]
    fn lines_that_failed_together_come_back_apart() {
        let mut fifth: Vec<_> = (0..16).map(|line| waits(line, 5)[4]).collect();
        fifth.sort_unstable();
        fifth.dedup();
        assert!(fifth.len() >= 14, "{fifth:?}");
    }

    proptest! {
        #[test]
        fn a_wait_is_within_half_of_its_bound_and_all_of_it(seed: u64) {
            let bounds = [1, 2, 4, 8, 16, 30, 30, 30].map(Duration::from_secs);
            let waits = waits(seed, bounds.len());
            for (wait, bound) in waits.iter().zip(bounds) {
                prop_assert!((bound / 2..=bound).contains(wait), "{wait:?} of {bound:?}");
            }
            prop_assert_eq!(waits, self::waits(seed, bounds.len()), "the same seed, the same waits");
        }
    }
}
