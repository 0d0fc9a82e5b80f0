//! The runs of a task by the wall time of a zone, and the slots that they are for.

use crate::config::{OnDay, Read, When};
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use std::time::Duration;

/// The runs of a task, and the slot that each is for.
#[derive(Clone, Debug)]
pub struct Slots {
    runs: Runs,
    of: Of,
    zone: TimeZone,
}

/// When it runs.
#[derive(Clone, Debug)]
enum Runs {
    /// Seconds of a period that divides a day, counted from local midnight.
    Period(i64),
    Daily(Vec<Time>),
    Monthly(Vec<OnDay>),
}

/// Which instant a run is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Of {
    /// Its own.
    Itself,
    /// The midnight that its day began with.
    Day,
    /// The midnight that its month began with.
    Month,
}

impl Slots {
    /// Slots every so often; `every` is taken to whole seconds and is at least one.
    pub fn new(every: Duration, zone: TimeZone) -> Self {
        Self { runs: Runs::Period((every.as_secs() as i64).max(1)), of: Of::Itself, zone }
    }

    /// Those of a task that runs then and reads this.
    pub fn of(when: &When, read: Read, zone: TimeZone) -> Self {
        let of = match read {
            Read::DailyFreeze => Of::Day,
            Read::Month => Of::Month,
            Read::Live | Read::LoadProfile | Read::Events | Read::Clock | Read::Nameplate => Of::Itself,
        };
        match when {
            When::Every(every) => Self { of, ..Self::new(*every, zone) },
            When::Daily(times) => Self { runs: Runs::Daily(times.clone()), of, zone },
            When::Monthly(days) => Self { runs: Runs::Monthly(days.clone()), of, zone },
        }
    }

    /// The slot that a run is for: what was frozen at the begin of its day or month, or its own instant.
    pub fn slot(&self, run: Timestamp) -> Timestamp {
        let midnight = |date: Date| self.instant(date.at(0, 0, 0, 0));
        match self.of {
            Of::Itself => run,
            Of::Day => midnight(self.zone.to_datetime(run).date()),
            Of::Month => midnight(self.zone.to_datetime(run).date().first_of_month()),
        }
    }

    /// The slot behind another.
    pub fn next_slot(&self, slot: Timestamp) -> Timestamp {
        let mut run = self.after(slot);
        while self.slot(run) <= slot && run < Timestamp::MAX {
            run = self.after(run);
        }
        self.slot(run)
    }

    /// The day that a slot closes (数据日期); none where it is an instant like any other.
    pub fn day(&self, slot: Timestamp) -> Option<Date> {
        (self.of != Of::Itself).then(|| self.zone.to_datetime(slot).date().yesterday().ok()).flatten()
    }

    /// The run that is under way at `now`.
    pub fn at_or_before(&self, now: Timestamp) -> Timestamp {
        match &self.runs {
            Runs::Period(every) => {
                let offset = self.offset(now);
                self.settle((now.as_second() + offset).div_euclid(*every) * every, offset, *every)
            }
            // A day or a month back there is one.
            Runs::Daily(_) | Runs::Monthly(_) => {
                self.near(now).filter(|run| *run <= now).max().unwrap_or(Timestamp::MIN)
            }
        }
    }

    /// The first run after `now`.
    pub fn after(&self, now: Timestamp) -> Timestamp {
        match &self.runs {
            Runs::Period(every) => {
                let offset = self.offset(now);
                self.settle(((now.as_second() + offset).div_euclid(*every) + 1) * every, offset, *every)
            }
            Runs::Daily(_) | Runs::Monthly(_) => {
                self.near(now).filter(|run| *run > now).min().unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// The runs of the days or months around `now`.
    fn near(&self, now: Timestamp) -> impl Iterator<Item = Timestamp> + '_ {
        let today = self.zone.to_datetime(now).date();
        let around = |unit: fn(i64) -> Span| [-1, 0, 1].map(|n| today.saturating_add(unit(n)));
        let local: Vec<DateTime> = match &self.runs {
            Runs::Period(_) => Vec::new(),
            Runs::Daily(times) => around(|n| Span::new().days(n))
                .into_iter()
                .flat_map(|date| times.iter().map(move |time| date.to_datetime(*time)))
                .collect(),
            Runs::Monthly(days) => around(|n| Span::new().months(n))
                .into_iter()
                .flat_map(|date| days.iter().map(move |on| on.day.of(date).to_datetime(on.time)))
                .collect(),
        };
        local.into_iter().map(|local| self.instant(local))
    }

    /// The instant of a local time: of two the earlier one, and for one that the clock leaps over the first after it.
    fn instant(&self, local: DateTime) -> Timestamp {
        self.zone.to_ambiguous_timestamp(local).compatible().unwrap_or(Timestamp::MAX)
    }

    /// The instant of a local second count. Where the zone's offset changes in between, a slot that
    /// is aligned in both offsets keeps its distance (short periods run through); another one moves
    /// with the wall clock (a day begins at its own midnight).
    fn settle(&self, local: i64, offset: i64, every: i64) -> Timestamp {
        let instant = timestamp(local - offset);
        let there = self.offset(instant);
        if (instant.as_second() + there).rem_euclid(every) == 0 { instant } else { timestamp(local - there) }
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
    use crate::config::MonthDay;

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

    fn daily(times: &[&str], read: Read, zone: &str) -> Slots {
        let times = times.iter().map(|text| format!("{text}:00").parse().unwrap()).collect();
        Slots::of(&When::Daily(times), read, TimeZone::get(zone).unwrap())
    }

    #[test]
    fn a_freeze_that_is_read_at_five_past_midnight_is_of_midnight_and_closes_the_day_before() {
        for (zone, now, run, slot, day) in [
            (
                "Asia/Shanghai",
                "2026-11-20T12:00:00Z",
                "2026-11-20T16:05:00Z",
                "2026-11-20T16:00:00Z",
                "2026-11-20",
            ),
            // Year's end, and a leap day.
            ("UTC", "2026-12-31T12:00:00Z", "2027-01-01T00:05:00Z", "2027-01-01T00:00:00Z", "2026-12-31"),
            ("UTC", "2028-02-29T12:00:00Z", "2028-03-01T00:05:00Z", "2028-03-01T00:00:00Z", "2028-02-29"),
            // Both changes of the clock, at 2 and at 3 local time; the day is an hour shorter and longer.
            (
                "Europe/Berlin",
                "2026-03-29T12:00:00Z",
                "2026-03-29T22:05:00Z",
                "2026-03-29T22:00:00Z",
                "2026-03-29",
            ),
            (
                "Europe/Berlin",
                "2026-10-25T12:00:00Z",
                "2026-10-25T23:05:00Z",
                "2026-10-25T23:00:00Z",
                "2026-10-25",
            ),
            // Midnight itself does not exist: the day begins at one.
            (
                "Africa/Cairo",
                "2026-04-23T12:00:00Z",
                "2026-04-23T22:05:00Z",
                "2026-04-23T22:00:00Z",
                "2026-04-23",
            ),
        ] {
            let slots = daily(&["00:05"], Read::DailyFreeze, zone);
            assert_eq!(slots.after(at(now)), at(run), "{zone}");
            assert_eq!(slots.at_or_before(at(run)), at(run));
            assert_eq!(slots.slot(at(run)), at(slot), "{zone}");
            assert_eq!(slots.day(at(slot)), Some(day.parse().unwrap()));
        }
    }

    #[test]
    fn a_time_that_the_clock_leaps_over_or_shows_twice_runs_once() {
        let slots = daily(&["02:30"], Read::Live, "Europe/Berlin");
        let mut run = at("2026-03-27T12:00:00Z");
        let runs: Vec<_> = std::iter::repeat_with(|| {
            run = slots.after(run);
            run
        })
        .take(3)
        .collect();
        assert_eq!(runs, ["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"].map(at));
        assert_eq!(slots.after(at("2026-10-24T12:00:00Z")), at("2026-10-25T00:30:00Z"));
        assert_eq!(slots.after(at("2026-10-25T00:30:00Z")), at("2026-10-26T01:30:00Z"));
    }

    #[test]
    fn a_month_is_read_on_its_days_and_last_is_its_last() {
        let of = |text: &str| {
            let (day, time) = text.split_once(' ').unwrap();
            let day = if day == "last" { MonthDay::Last } else { MonthDay::Nth(day.parse().unwrap()) };
            OnDay { day, time: format!("{time}:00").parse().unwrap() }
        };
        let days = ["1 00:05", "11 00:05", "last 23:30"].map(of).to_vec();
        let slots = Slots::of(&When::Monthly(days.clone()), Read::Month, TimeZone::UTC);
        let mut run = at("2028-02-01T00:05:00Z");
        for next in
            ["2028-02-11T00:05:00Z", "2028-02-29T23:30:00Z", "2028-03-01T00:05:00Z", "2028-03-11T00:05:00Z"]
        {
            assert_eq!(slots.at_or_before(slots.after(run) - SignedDuration::from_secs(1)), run);
            run = slots.after(run);
            assert_eq!(run, at(next));
        }
        assert_eq!(slots.slot(run), at("2028-03-01T00:00:00Z"));
        assert_eq!(slots.day(slots.slot(run)), Some("2028-02-29".parse().unwrap()));
        let by_ten_days = Slots::of(&When::Monthly(days), Read::DailyFreeze, TimeZone::UTC);
        assert_eq!(by_ten_days.slot(run), at("2028-03-11T00:00:00Z"), "按旬抄表");
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
