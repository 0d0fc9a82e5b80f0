//! Which load records (负荷记录) a virtual meter has: an interval for each of the six classes, from the
//! installation on, none while it had no power.
//!
//! It knows when, not what: the fields of a record are the meter's.

use super::load::Since;
use super::supply::Supply;

/// Classes of load records (DL/T 645-2007 Annex B).
pub const CLASSES: usize = 6;

/// Minutes between the records of classes 1 to 6; `None` for a class that is not recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Intervals(pub [Option<u16>; CLASSES]);

/// Which of the records of a class are asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Which {
    Earliest,
    From(Since),
    Latest,
}

impl Intervals {
    /// A meter without load records.
    pub const NONE: Self = Self([None; CLASSES]);

    /// All classes at this interval.
    pub const fn all(minutes: u16) -> Self {
        Self([Some(minutes); CLASSES])
    }

    /// Whether it has load records at all.
    pub(super) fn any(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }

    /// 04000901: a bit for each class that is recorded.
    pub(super) fn mode_word(&self) -> u8 {
        self.0.iter().rev().fold(0, |word, minutes| word << 1 | u8::from(minutes.is_some()))
    }

    /// Whether a record of this instant has the class.
    pub(super) fn is_due(&self, class: u8, at: Since) -> bool {
        self.seconds(class).any(|step| at.is_multiple_of(step))
    }

    /// The times of at most `count` records up to `now`, the oldest first; of class 0 those of any class.
    pub(super) fn times(
        &self,
        class: u8,
        which: Which,
        count: usize,
        now: Since,
        supply: &Supply,
    ) -> Vec<Since> {
        match which {
            Which::Earliest => self.forward(class, 0, now, supply).take(count).collect(),
            Which::From(from) => self.forward(class, from, now, supply).take(count).collect(),
            Which::Latest => {
                let mut times: Vec<_> = self.back(class, now, supply).take(count).collect();
                times.reverse();
                times
            }
        }
    }

    fn forward(&self, class: u8, from: Since, now: Since, supply: &Supply) -> impl Iterator<Item = Since> {
        let mut from = from;
        std::iter::from_fn(move || {
            loop {
                let at = self.seconds(class).map(|step| from.next_multiple_of(step)).min()?;
                if at > now {
                    return None;
                }
                match supply.cut_at(at) {
                    Some((_, power_up)) => from = power_up,
                    None => {
                        from = at + 1;
                        return Some(at);
                    }
                }
            }
        })
    }

    fn back(&self, class: u8, now: Since, supply: &Supply) -> impl Iterator<Item = Since> {
        let mut last = Some(now);
        std::iter::from_fn(move || {
            loop {
                let until = last?;
                let at = self.seconds(class).map(|step| until - until % step).max()?;
                match supply.cut_at(at) {
                    Some((begun, _)) => last = begun.checked_sub(1),
                    None => {
                        last = at.checked_sub(1);
                        return Some(at);
                    }
                }
            }
        })
    }

    /// The interval of a class in seconds, those of all for class 0.
    fn seconds(&self, class: u8) -> impl Iterator<Item = Since> + '_ {
        let own = move |n: &u8| class == 0 || class == *n;
        let minutes = (1u8..).zip(&self.0).filter(move |(n, _)| own(n)).filter_map(|(_, minutes)| *minutes);
        minutes.filter(|minutes| *minutes > 0).map(|minutes| Since::from(minutes) * 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Since = 3600;

    fn times(intervals: Intervals, class: u8, which: Which, count: usize) -> Vec<Since> {
        // Dark from 01:50 to 02:20; now it is 03:10.
        let supply = Supply::new(vec![(HOUR + 3000, 2 * HOUR + 1200)]);
        intervals.times(class, which, count, 3 * HOUR + 600, &supply).iter().map(|t| t / 60).collect()
    }

    #[test]
    fn records_stand_at_every_interval_from_the_installation_on_and_not_without_power() {
        let all = Intervals::all(30);
        assert_eq!(times(all, 0, Which::Earliest, 99), [0, 30, 60, 90, 150, 180]);
        assert_eq!(times(all, 1, Which::From(31 * 60), 2), [60, 90]);
        assert_eq!(times(all, 1, Which::From(110 * 60), 9), [150, 180]);
        assert_eq!(times(all, 1, Which::Latest, 3), [90, 150, 180]);
        assert_eq!(times(all, 1, Which::Latest, 99).len(), 6);
        assert!(times(all, 1, Which::From(4 * HOUR), 9).is_empty());
    }

    #[test]
    fn each_class_has_its_own_interval_and_all_together_those_of_any() {
        let mut intervals = Intervals::NONE;
        intervals.0[0] = Some(60);
        intervals.0[3] = Some(90);
        assert_eq!(intervals.mode_word(), 0b00_1001);
        assert_eq!(times(intervals, 1, Which::Earliest, 99), [0, 60, 180]);
        assert_eq!(times(intervals, 4, Which::Earliest, 99), [0, 90, 180]);
        assert_eq!(times(intervals, 0, Which::Earliest, 99), [0, 60, 90, 180]);
        assert_eq!(times(intervals, 0, Which::Latest, 2), [90, 180]);
        assert!(times(intervals, 2, Which::Latest, 2).is_empty());
        assert!(intervals.is_due(4, 5400) && !intervals.is_due(1, 5400) && !intervals.is_due(2, 0));
        assert!(intervals.any() && !Intervals::NONE.any());
    }
}
