//! The clock inside a virtual meter: a fixed offset from UTC, days since it was installed, settlements.
//!
//! It has no summer time, as most meters have none, and never asks for the time: that is an argument.

use super::load::Since;
use dlt645::format;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// When the meter was installed, and how far its clock is from UTC.
#[derive(Clone, Debug)]
pub(super) struct Calendar {
    offset: Offset,
    installed: Date,
    /// How far its clock was fast when it was installed; negative where it was slow.
    fast: SignedDuration,
    /// How much faster it gets in a day.
    drift: SignedDuration,
    /// When it was set since, and how far it was fast from then on; the first first.
    set: Vec<(Timestamp, SignedDuration)>,
}

/// Nanoseconds of a day.
const DAY: i128 = 86_400_000_000_000;

impl Calendar {
    pub(super) fn new(offset: Offset, installed: Date, fast: SignedDuration, drift: SignedDuration) -> Self {
        Self { offset, installed, fast, drift, set: Vec::new() }
    }

    /// What the meter's display shows.
    pub(super) fn shown(&self, now: Timestamp) -> DateTime {
        let (from, fast) = self.set.iter().rev().find(|(at, _)| *at <= now).copied().unwrap_or(self.works());
        self.by(from, fast, now)
    }

    /// What the meter's display shows at a true time of its zone.
    pub(super) fn shown_at(&self, local: DateTime) -> DateTime {
        self.shown(self.offset.to_timestamp(local).unwrap_or(Timestamp::MAX))
    }

    /// The display is set to this.
    pub(super) fn set(&mut self, to: DateTime, now: Timestamp) {
        self.set.push((now, to.duration_since(self.offset.to_datetime(now))));
    }

    /// When the meter's display shows this: the inverse of [`Calendar::since`]. What it showed twice is meant the first
    /// time, and what it skipped is when it did.
    pub(super) fn instant(&self, since: Since) -> Timestamp {
        let shown = self.at(since);
        let (mut from, mut fast) = self.works();
        for &(at, next) in &self.set {
            if shown < self.by(from, fast, at) {
                break;
            }
            (from, fast) = (at, next);
        }
        let begun = self.by(from, fast, from);
        if shown < begun && (from, fast) != self.works() {
            return from;
        }
        let left = shown.duration_since(begun).as_nanos();
        let gone = if left < 0 { left } else { left * DAY / (DAY + self.drift.as_nanos()) };
        let gone = SignedDuration::from_nanos(i64::try_from(gone).unwrap_or(i64::MAX));
        let mut instant = from.saturating_add(gone).unwrap_or(Timestamp::MAX);
        // The division may have dropped the last nanoseconds.
        while self.by(from, fast, instant) < shown && instant < Timestamp::MAX {
            instant = instant.saturating_add(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MAX);
        }
        instant
    }

    /// Seconds since the meter was installed by a clock that nobody set and that does not drift: the house behind the
    /// meter lives by it, so that no energy falls when the meter's clock is set back.
    pub(super) fn lived(&self, now: Timestamp) -> Since {
        self.between(self.offset.to_datetime(now).saturating_add(self.fast))
    }

    /// When so many seconds were lived.
    pub(super) fn when_lived(&self, lived: Since) -> Timestamp {
        let local = self.at(lived).saturating_sub(self.fast);
        self.offset.to_timestamp(local).unwrap_or(Timestamp::MAX)
    }

    /// From its installation on, as it came from the works.
    fn works(&self) -> (Timestamp, SignedDuration) {
        let installed = self.installed.at(0, 0, 0, 0);
        (self.offset.to_timestamp(installed).unwrap_or(Timestamp::MIN), self.fast)
    }

    /// What a display shows that was so far fast at `from`.
    fn by(&self, from: Timestamp, fast: SignedDuration, now: Timestamp) -> DateTime {
        let gone = now.duration_since(from).max(SignedDuration::ZERO).as_nanos();
        let drifted = i64::try_from(gone * self.drift.as_nanos() / DAY).unwrap_or(i64::MAX);
        let fast = fast.saturating_add(SignedDuration::from_nanos(drifted));
        self.offset.to_datetime(now).saturating_add(fast)
    }

    /// Seconds since the meter was installed; 0 before, when it stood in its box.
    pub(super) fn since(&self, now: Timestamp) -> Since {
        self.between(self.shown(now))
    }

    /// What the meter's display showed then.
    pub(super) fn at(&self, since: Since) -> DateTime {
        let gone = SignedDuration::from_secs(i64::try_from(since).unwrap_or(i64::MAX));
        self.installed.at(0, 0, 0, 0).checked_add(gone).unwrap_or(DateTime::MAX)
    }

    /// The last settlement (上n结算日, the 1st at 00:00) and the one before it; `back` 0 is the present, whose
    /// end is `now`. `None` where the meter was not yet installed.
    pub(super) fn period(&self, back: u8, now: Timestamp) -> Option<(Since, Since)> {
        let shown = self.shown(now);
        let month = |back: u8| {
            let first = shown.date().first_of_month();
            let first = first.saturating_sub(jiff::Span::new().months(i64::from(back)));
            self.between(first.at(0, 0, 0, 0))
        };
        match back {
            0 => Some((month(0), self.between(shown))),
            _ => Some((month(back), month(back - 1))).filter(|(_, end)| *end > 0),
        }
    }

    /// Seconds since the meter was installed when its display shows this; 0 before.
    pub(super) fn between(&self, shown: DateTime) -> Since {
        u64::try_from(shown.duration_since(self.installed.at(0, 0, 0, 0)).as_secs()).unwrap_or(0)
    }
}

/// A text that is no offset from UTC.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("write hours and minutes with a sign, e.g. +08:00; a meter's clock has no zone and no summer time")]
pub struct BadOffset;

/// Reads a UTC offset: `+08:00`, `-03:30`, or `Z`; up to 14 hours.
///
/// # Errors
/// [`BadOffset`] with what to write.
pub fn utc_offset(text: &str) -> Result<Offset, BadOffset> {
    if text == "Z" {
        return Ok(Offset::UTC);
    }
    let number = |digits: &str| match *digits.as_bytes() {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Ok(i32::from(tens - b'0') * 10 + i32::from(ones - b'0')),
        _ => Err(BadOffset),
    };
    let (sign, rest) = text.split_at_checked(1).ok_or(BadOffset)?;
    let (hours, minutes) = rest.split_once(':').ok_or(BadOffset)?;
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    let seconds = (hours * 60 + minutes) * 60;
    if hours > 14 || minutes > 59 {
        return Err(BadOffset);
    }
    let seconds = match sign {
        "+" => seconds,
        "-" => -seconds,
        _ => return Err(BadOffset),
    };
    Offset::from_seconds(seconds).map_err(|_| BadOffset)
}

/// A day as a meter holds it: two digits of the year.
pub(super) fn date(shown: DateTime) -> format::Date {
    let two = |n: i16| u8::try_from(n.rem_euclid(100)).unwrap_or(0);
    format::Date { year: two(shown.year()), month: two(shown.month().into()), day: two(shown.day().into()) }
}

/// A time of day; `seconds` says whether the register has them.
pub(super) fn time(shown: DateTime, seconds: bool) -> format::Time {
    let two = |n: i8| u8::try_from(n).unwrap_or(0);
    format::Time {
        hour: two(shown.hour()),
        minute: two(shown.minute()),
        second: seconds.then(|| two(shown.second())),
    }
}

#[cfg(test)]
mod tests {
    use super::super::load::DAY;
    use super::*;
    use jiff::civil;

    /// Faster by so many seconds a day.
    fn drifting(seconds: i64) -> Calendar {
        let drift = SignedDuration::from_secs(seconds);
        Calendar::new(utc_offset("+08:00").unwrap(), civil::date(2026, 1, 1), SignedDuration::ZERO, drift)
    }

    fn shanghai() -> Calendar {
        drifting(0)
    }

    #[test]
    fn a_meter_counts_from_midnight_of_its_own_clock() {
        let now = "2026-01-01T16:00:00Z".parse().unwrap();
        assert_eq!(shanghai().since(now), DAY);
        assert_eq!(shanghai().at(DAY), civil::date(2026, 1, 2).at(0, 0, 0, 0));
        assert_eq!(shanghai().since("2025-06-01T00:00:00Z".parse().unwrap()), 0);
    }

    #[test]
    fn a_fast_clock_shows_midnight_too_early() {
        let fast = Calendar { fast: SignedDuration::from_secs(90), ..shanghai() };
        let now = "2026-01-01T15:58:30Z".parse().unwrap();
        assert_eq!(fast.shown(now), civil::date(2026, 1, 2).at(0, 0, 0, 0));
        assert_eq!(fast.since(now), DAY);
        assert_eq!(fast.instant(DAY), now);
    }

    #[test]
    fn a_clock_drifts_from_its_installation_on_and_from_when_it_was_set() {
        let mut calendar = drifting(3);
        let day = |n: i64| {
            "2025-12-31T16:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(24 * n)
        };
        let ahead = |calendar: &Calendar, now: Timestamp| {
            let true_time = calendar.offset.to_datetime(now);
            calendar.shown(now).duration_since(true_time).as_secs()
        };
        assert_eq!([0, 1, 10, 100].map(|n| ahead(&calendar, day(n))), [0, 3, 30, 300]);
        let now = day(100);
        calendar.set(calendar.offset.to_datetime(now), now);
        assert_eq!([99, 100, 101, 110].map(|n| ahead(&calendar, day(n))), [297, 0, 3, 30]);
        assert_eq!(calendar.lived(now), 100 * DAY, "the house lives on");
    }

    #[test]
    fn what_a_display_showed_is_found_again_whenever_the_clock_was_set() {
        for (drift, steps) in [(0, [200, -200]), (7, [-250, 250]), (-7, [300, -1]), (86, [-300, -300])] {
            let mut calendar = drifting(drift);
            for (n, step) in steps.into_iter().enumerate() {
                let now: Timestamp = ["2026-02-01T02:17:00.4Z", "2026-02-02T02:17:00.4Z"][n].parse().unwrap();
                let to = calendar.shown(now).saturating_add(SignedDuration::from_secs(step));
                calendar.set(to, now);
            }
            let mut before = Timestamp::MIN;
            for minute in 30 * 24 * 60..35 * 24 * 60 {
                let since = minute * 60;
                let instant = calendar.instant(since);
                assert!(instant >= before, "time goes on");
                before = instant;
                let skipped = calendar.set.iter().any(|(at, _)| *at == instant);
                assert!(skipped || calendar.since(instant) == since, "{drift} {minute}");
            }
        }
    }

    #[test]
    fn settlements_are_the_firsts_of_months_and_none_is_before_the_meter() {
        let now = "2026-03-15T00:00:00Z".parse().unwrap();
        let day = |n: u64| n * DAY;
        assert_eq!(shanghai().period(0, now), Some((day(59), day(73) + 8 * 3600)));
        assert_eq!(shanghai().period(1, now), Some((day(31), day(59))));
        assert_eq!(shanghai().period(2, now), Some((0, day(31))));
        assert_eq!(shanghai().period(3, now), None);
    }

    #[test]
    fn an_offset_is_hours_and_minutes_with_a_sign() {
        assert_eq!(utc_offset("-03:30").map(Offset::seconds), Ok(-12_600));
        for text in ["", "8", "08:00", "+8:00", "+08:60", "+25:00", "Asia/Shanghai", "+08:0é"] {
            assert_eq!(utc_offset(text), Err(BadOffset), "{text}");
        }
    }
}
