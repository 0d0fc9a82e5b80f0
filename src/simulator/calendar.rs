//! The clock inside a virtual meter: a fixed offset from UTC, days since it was installed, settlements.
//!
//! It has no summer time, as most meters have none, and never asks for the time: that is an argument.

use super::load::Since;
use dlt645::format;
use jiff::civil::{Date, DateTime};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// When the meter was installed, and how far its clock is from UTC.
#[derive(Clone, Copy, Debug)]
pub(super) struct Calendar {
    offset: Offset,
    installed: Date,
    /// How far its clock is fast; negative where it is slow.
    fast: SignedDuration,
}

impl Calendar {
    pub(super) fn new(offset: Offset, installed: Date, fast: SignedDuration) -> Self {
        Self { offset, installed, fast }
    }

    /// What the meter's display shows.
    pub(super) fn shown(self, now: Timestamp) -> DateTime {
        self.shown_at(self.offset.to_datetime(now))
    }

    /// What the meter's display shows at a true time of its zone.
    pub(super) fn shown_at(self, local: DateTime) -> DateTime {
        local.saturating_add(self.fast)
    }

    /// When the meter's display shows this: the inverse of [`Calendar::since`].
    pub(super) fn instant(self, since: Since) -> Timestamp {
        let local = self.at(since).saturating_sub(self.fast);
        self.offset.to_timestamp(local).unwrap_or(Timestamp::MAX)
    }

    /// Seconds since the meter was installed; 0 before, when it stood in its box.
    pub(super) fn since(self, now: Timestamp) -> Since {
        self.between(self.shown(now))
    }

    /// What the meter's display showed then.
    pub(super) fn at(self, since: Since) -> DateTime {
        let gone = SignedDuration::from_secs(i64::try_from(since).unwrap_or(i64::MAX));
        self.installed.at(0, 0, 0, 0).checked_add(gone).unwrap_or(DateTime::MAX)
    }

    /// The last settlement (上n结算日, the 1st at 00:00) and the one before it; `back` 0 is the present, whose
    /// end is `now`. `None` where the meter was not yet installed.
    pub(super) fn period(self, back: u8, now: Timestamp) -> Option<(Since, Since)> {
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
    pub(super) fn between(self, shown: DateTime) -> Since {
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

    fn shanghai() -> Calendar {
        Calendar::new(utc_offset("+08:00").unwrap(), civil::date(2026, 1, 1), SignedDuration::ZERO)
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
