//! The instants of a period, aligned to the wall time of a zone.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Slots every so often, counted from local midnight; the period divides a day.
#[derive(Clone, Debug)]
pub struct Slots {
    every: i64,
    zone: TimeZone,
}

impl Slots {
    /// `every` is taken to whole seconds and is at least one.
    pub fn new(every: Duration, zone: TimeZone) -> Self {
        Self { every: (every.as_secs() as i64).max(1), zone }
    }

    /// The slot that runs at `now`.
    pub fn at_or_before(&self, now: Timestamp) -> Timestamp {
        let offset = self.offset(now);
        let local = (now.as_second() + offset).div_euclid(self.every) * self.every;
        self.settle(local, offset)
    }

    /// The first slot after `now`.
    pub fn after(&self, now: Timestamp) -> Timestamp {
        let offset = self.offset(now);
        let local = ((now.as_second() + offset).div_euclid(self.every) + 1) * self.every;
        self.settle(local, offset)
    }

    /// The instant of a local second count. Where the zone's offset changes in between, a slot that
    /// is aligned in both offsets keeps its distance (short periods run through); another one moves
    /// with the wall clock (a day begins at its own midnight).
    fn settle(&self, local: i64, offset: i64) -> Timestamp {
        let instant = timestamp(local - offset);
        let there = self.offset(instant);
        if (instant.as_second() + there).rem_euclid(self.every) == 0 {
            instant
        } else {
            timestamp(local - there)
        }
    }

    fn offset(&self, at: Timestamp) -> i64 {
        i64::from(self.zone.to_offset(at).seconds())
    }
}

fn timestamp(second: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_secs(second)).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn slots(secs: u64, zone: &str) -> Slots {
        Slots::new(Duration::from_secs(secs), TimeZone::get(zone).unwrap())
    }

    #[test]
    fn a_day_begins_at_local_midnight_on_both_changes_of_daylight_saving() {
        let day = slots(86_400, "Europe/Berlin");
        assert_eq!(day.after(at("2026-03-28T12:00:00Z")), at("2026-03-28T23:00:00Z"));
        assert_eq!(day.after(at("2026-03-29T12:00:00Z")), at("2026-03-29T22:00:00Z"));
        assert_eq!(day.at_or_before(at("2026-03-29T12:00:00Z")), at("2026-03-28T23:00:00Z"));
        assert_eq!(day.after(at("2026-10-25T12:00:00Z")), at("2026-10-25T23:00:00Z"));
        assert_eq!(day.at_or_before(at("2026-10-25T12:00:00Z")), at("2026-10-24T22:00:00Z"));
    }

    #[test]
    fn a_quarter_of_an_hour_runs_through_both_changes_without_a_hole() {
        for (zone, start) in
            [("Europe/Berlin", "2026-10-25T00:00:00Z"), ("Europe/Berlin", "2026-03-29T00:00:00Z")]
        {
            let quarter = slots(900, zone);
            let mut slot = at(start);
            for _ in 0..16 {
                let next = quarter.after(slot);
                assert_eq!(next.as_second() - slot.as_second(), 900);
                assert_eq!(quarter.at_or_before(next), next);
                slot = next;
            }
        }
    }

    #[test]
    fn after_is_always_later_and_at_or_before_never() {
        for zone in ["Asia/Shanghai", "Asia/Kathmandu", "Europe/Berlin", "UTC"] {
            for every in [1, 60, 900, 3600, 7200, 21_600, 86_400] {
                let slots = slots(every, zone);
                let mut now = at("2026-10-24T20:00:01Z");
                for _ in 0..200 {
                    assert!(slots.after(now) > now && slots.at_or_before(now) <= now, "{zone} {every} {now}");
                    now = now.saturating_add(SignedDuration::from_secs(599)).unwrap();
                }
            }
        }
    }
}
