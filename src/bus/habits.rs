//! What meters were found to keep and in what, so that it is not found out in every visit. Pure.

use super::freeze;
use super::profile::{self, Settings};
use super::renumber::renumbered;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A meter that froze nothing is looked at anew after so long: it may be exchanged, or set otherwise.
const ANEW: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What one meter was found to freeze by.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Freezes {
    /// By what.
    pub kind: freeze::Kind,
    /// When that was found out, in seconds since 1970.
    pub since: i64,
}

/// What one meter was found to record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Records {
    /// Where its values by the hour are.
    pub kind: Option<profile::Kind>,
    /// What it is set to record.
    pub settings: Settings,
}

/// The memory of one bus.
#[derive(Debug, Default)]
pub struct Habits {
    freezes: BTreeMap<usize, Freezes>,
    records: BTreeMap<usize, Records>,
    /// Of the maps of its profile, which a Modbus meter has. Not kept: another meter may hang there by then.
    maps: BTreeMap<usize, u8>,
}

impl Habits {
    /// What a meter is known to freeze by now; nothing where that is to be found out anew.
    pub fn freezes(&self, meter: usize, now: Timestamp) -> Option<freeze::Kind> {
        let Freezes { kind, since } = *self.freezes.get(&meter)?;
        let is_old = now.as_second().saturating_sub(since) > ANEW.as_secs();
        (!matches!(kind, freeze::Kind::NotFrozen | freeze::Kind::Instant) || !is_old).then_some(kind)
    }

    /// Whether a meter was last found to freeze nothing by itself.
    pub fn has_no_freeze(&self, meter: usize) -> bool {
        let has_none =
            |known: &Freezes| matches!(known.kind, freeze::Kind::NotFrozen | freeze::Kind::Instant);
        self.freezes.get(&meter).is_some_and(has_none)
    }

    /// What a meter is known to record.
    pub fn records(&self, meter: usize) -> Records {
        self.records.get(&meter).copied().unwrap_or_default()
    }

    /// Which of its profile's maps a Modbus meter was found to have.
    pub fn map(&self, meter: usize) -> Option<u8> {
        self.maps.get(&meter).copied()
    }

    /// A round found the map of a meter.
    pub fn found_map(&mut self, meter: usize, map: u8) {
        self.maps.insert(meter, map);
    }

    /// A meter was silent for so long that another may hang there.
    pub fn forget_map(&mut self, meter: usize) {
        self.maps.remove(&meter);
    }

    /// A visit found this at `now`; gives what is to be kept, if it is news.
    pub fn found_freeze(&mut self, meter: usize, kind: freeze::Kind, now: Timestamp) -> Option<Freezes> {
        if self.freezes(meter, now) == Some(kind) {
            return None;
        }
        let freezes = Freezes { kind, since: now.as_second() };
        self.freezes.insert(meter, freezes);
        Some(freezes)
    }

    /// The same for records.
    pub fn found_records(&mut self, meter: usize, records: Records) -> Option<Records> {
        let before = self.records.insert(meter, records);
        (before != Some(records) && records != Records::default()).then_some(records)
    }

    /// Takes over what an earlier run learned.
    pub fn recall_freeze(&mut self, meter: usize, freezes: Freezes) {
        self.freezes.insert(meter, freezes);
    }

    /// The same for records.
    pub fn recall_records(&mut self, meter: usize, records: Records) {
        self.records.insert(meter, records);
    }

    /// Meters have other indices now; what has none is forgotten.
    pub fn renumber(&mut self, to: impl Fn(usize) -> Option<usize>) {
        renumbered(&mut self.freezes, |meter| to(*meter));
        renumbered(&mut self.records, |meter| to(*meter));
        renumbered(&mut self.maps, |meter| to(*meter));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_meter_that_froze_nothing_is_looked_at_anew_after_a_week() {
        let at = |hours: i64| Timestamp::from_second(1_800_000_000 + hours * 3600).unwrap();
        let mut habits = Habits::default();
        let found = habits.found_freeze(0, freeze::Kind::NotFrozen, at(0)).unwrap();
        assert_eq!(habits.found_freeze(0, freeze::Kind::NotFrozen, at(24)), None, "it is no news");
        assert_eq!(habits.freezes(0, at(7 * 24)), Some(freeze::Kind::NotFrozen));
        assert_eq!((habits.freezes(0, at(7 * 24 + 1)), habits.has_no_freeze(0)), (None, true));
        let anew = habits.found_freeze(0, freeze::Kind::NotFrozen, at(7 * 24 + 1)).unwrap();
        assert!(anew.since > found.since);
        habits.found_freeze(0, freeze::Kind::Hourly, at(400)).unwrap();
        assert_eq!(habits.freezes(0, at(10_000)), Some(freeze::Kind::Hourly), "what is there stays there");
    }
}
