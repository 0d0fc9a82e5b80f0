//! When a virtual meter froze its registers (冻结): which instants, newest first, and what a night without
//! power leaves of them.
//!
//! It knows no register: an entry is a stamp and the instant whose values it holds.

use super::load::{DAY, Since};
use super::supply::{Cut, Supply};

/// Seconds of an hour.
const HOUR: u64 = 3600;

/// What a meter does at power-up about the daily freezes that it missed (补冻结).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Refreeze {
    /// Each missed day is frozen at power-up, with the stamp of its own day.
    #[default]
    Each,
    /// There is one freeze, with the stamp of the power-up.
    Once,
    /// There is none: the days are missing, and the n-th last freeze is not the n-th last day's.
    None,
}

/// One freeze.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Entry {
    /// The time that it bears.
    pub(super) stamp: Since,
    /// Whose values it has.
    pub(super) taken: Since,
}

impl Entry {
    pub(super) const fn at(at: Since) -> Self {
        Self { stamp: at, taken: at }
    }
}

/// What comes again each hour or day, so many seconds after it began.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Schedule {
    step: Since,
    offset: Since,
}

impl Schedule {
    pub(super) const fn hourly(minute: u8) -> Self {
        Self { step: HOUR, offset: minute as u64 * 60 }
    }

    pub(super) const fn daily(hour: u8, minute: u8) -> Self {
        Self { step: DAY, offset: hour as u64 * HOUR + minute as u64 * 60 }
    }

    /// Its instants up to `now`, the last first. The instant of the installation is none.
    fn back_from(self, now: Since) -> impl Iterator<Item = Since> {
        let last = now.checked_sub(self.offset).map(|gone| gone - gone % self.step + self.offset);
        std::iter::successors(last, move |at| at.checked_sub(self.step)).filter(|at| *at > 0)
    }

    fn is_due(self, at: Since) -> bool {
        at > 0 && at >= self.offset && (at - self.offset).is_multiple_of(self.step)
    }

    /// The freezes up to `now`, the newest first.
    pub(super) fn entries(
        self,
        now: Since,
        supply: &Supply,
        refreeze: Refreeze,
    ) -> impl Iterator<Item = Entry> {
        let mut told: Option<Cut> = None;
        self.back_from(now).filter_map(move |due| {
            let Some(cut) = supply.cut_at(due) else { return Some(Entry::at(due)) };
            let first = told.replace(cut) != Some(cut);
            let (_, power_up) = cut;
            match refreeze {
                _ if power_up > now => None,
                Refreeze::Each => Some(Entry { stamp: due, taken: power_up }),
                // Power that comes back when a freeze is due makes that one alone.
                Refreeze::Once => (first && !self.is_due(power_up)).then_some(Entry::at(power_up)),
                Refreeze::None => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamps(cuts: &[Cut], refreeze: Refreeze, now: Since) -> Vec<(Since, Since)> {
        let supply = Supply::new(cuts.to_vec());
        Schedule::daily(0, 0).entries(now, &supply, refreeze).map(|e| (e.stamp, e.taken)).collect()
    }

    #[test]
    fn freezes_are_counted_back_to_the_installation_and_not_beyond() {
        let now = 3 * DAY + 5;
        let all = [3, 2, 1].map(|n| (n * DAY, n * DAY));
        assert_eq!(stamps(&[], Refreeze::Each, now), all);
        assert_eq!(stamps(&[], Refreeze::Each, 3 * DAY), all, "at its own second it is there");
        assert_eq!(stamps(&[], Refreeze::Each, DAY - 1), []);
        let supply = Supply::default();
        let hours = Schedule::hourly(30).entries(2 * HOUR, &supply, Refreeze::None);
        assert_eq!(hours.map(|e| e.stamp).collect::<Vec<_>>(), [HOUR + 1800, 1800]);
    }

    #[test]
    fn nights_without_power_are_frozen_each_once_or_not_at_all() {
        // Two midnights are missed.
        let (power_up, now) = (3 * DAY + 7200, 4 * DAY + 60);
        let cut = [(2 * DAY - 1800, power_up)];
        let [fourth, first] = [4, 1].map(|n| (n * DAY, n * DAY));
        let missed = [3, 2].map(|n| (n * DAY, power_up));
        assert_eq!(stamps(&cut, Refreeze::Each, now), [fourth, missed[0], missed[1], first]);
        assert_eq!(stamps(&cut, Refreeze::Once, now), [fourth, (power_up, power_up), first]);
        assert_eq!(stamps(&cut, Refreeze::None, now), [fourth, first]);
    }

    #[test]
    fn a_cut_that_misses_no_midnight_changes_nothing() {
        for refreeze in [Refreeze::Each, Refreeze::Once, Refreeze::None] {
            let days = [2, 1].map(|n| (n * DAY, n * DAY));
            assert_eq!(stamps(&[(DAY + 60, DAY + 7200)], refreeze, 2 * DAY), days);
            // Power back at midnight itself.
            assert_eq!(stamps(&[(DAY + 60, 2 * DAY)], refreeze, 2 * DAY), days);
        }
    }
}
