//! How far a meter's clock is from ours. Pure.

use dlt645::format::{Date, Time};
use jiff::civil::{self, DateTime};
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};
use jiff::{SignedDuration, Timestamp};

/// The meter's wall time and how far it is ahead of the instant at which the time came.
///
/// Date and time may come by two answers, `date_at` before `time_at`: where midnight lay between, the time belongs to
/// the day after the date. `None` if the date is none of the calendar.
pub fn offset(
    (date, date_at): (Date, Timestamp),
    (time, time_at): (Time, Timestamp),
    zone: &TimeZone,
) -> Option<(DateTime, SignedDuration)> {
    let written = shown(date, time)?;
    let since_midnight = written.duration_since(written.date().to_datetime(civil::Time::midnight()));
    let between = time_at.duration_since(date_at);
    let meter =
        if between > since_midnight { written.checked_add(jiff::Span::new().days(1)).ok()? } else { written };
    Some((meter, ahead(meter, time_at, zone)))
}

/// What a meter's display shows; `None` if it is no time of the calendar.
pub fn shown(date: Date, time: Time) -> Option<DateTime> {
    let part = |part: u8| i8::try_from(part).ok();
    let year = i16::from(date.year) + 2000;
    let second = part(time.second.unwrap_or(0))?;
    let [month, day, hour, minute] =
        [part(date.month)?, part(date.day)?, part(time.hour)?, part(time.minute)?];
    DateTime::new(year, month, day, hour, minute, second, 0).ok()
}

/// How far a clock that shows `shown` at `at` is ahead.
///
/// Where the zone's clocks show a time twice, the nearer one is meant; where they skip it, the meter did not change
/// over (夏令时), and the two displays are compared.
pub fn ahead(shown: DateTime, at: Timestamp, zone: &TimeZone) -> SignedDuration {
    let by = |offset: Offset| offset.to_timestamp(shown).map(|instant| instant.duration_since(at));
    let found = match zone.to_ambiguous_timestamp(shown).offset() {
        AmbiguousOffset::Unambiguous { offset } => by(offset),
        AmbiguousOffset::Gap { .. } => by(zone.to_offset(at)),
        AmbiguousOffset::Fold { before, after } => match (by(before), by(after)) {
            (Ok(first), Ok(second)) if second.abs() < first.abs() => Ok(second),
            (first, _) => first,
        },
    };
    // Years of two digits are within what a timestamp can be.
    found.unwrap_or(SignedDuration::MAX)
}

/// How far a change of the zone may be back that a meter did not take part in.
const CHANGES: SignedDuration = SignedDuration::from_hours(24 * 400);
/// How far a clock may be off beside that.
const BESIDE: SignedDuration = SignedDuration::from_mins(5);

/// The day of the change-over (夏令时) that a clock missed that is so far ahead, and how far it is ahead beside it;
/// `None` if that is not why.
pub fn missed_change(
    ahead: SignedDuration,
    at: Timestamp,
    zone: &TimeZone,
) -> Option<(civil::Date, SignedDuration)> {
    let last = zone.preceding(at).next().filter(|change| at.duration_since(change.timestamp()) <= CHANGES)?;
    let before = zone.to_offset(last.timestamp().saturating_sub(SignedDuration::from_nanos(1)).ok()?);
    let shift = SignedDuration::from_secs(i64::from(before.seconds() - last.offset().seconds()));
    let beside = ahead - shift;
    let is_it = shift.abs() > 2 * BESIDE && beside.abs() <= BESIDE;
    is_it.then(|| (last.offset().to_datetime(last.timestamp()).date(), beside))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn date(day: u8) -> Date {
        Date { year: 26, month: 11, day }
    }

    const fn time(hour: u8, minute: u8, second: u8) -> Time {
        Time { hour, minute, second: Some(second) }
    }

    fn ahead(date: (Date, &str), time: (Time, &str)) -> i64 {
        let zone = TimeZone::fixed(jiff::tz::offset(8));
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        offset((date.0, at(date.1)), (time.0, at(time.1)), &zone).unwrap().1.as_secs()
    }

    #[test]
    fn a_clock_is_ahead_by_what_it_says_less_what_is_so() {
        let at = "2026-11-21T10:15:30+08:00";
        assert_eq!(ahead((date(21), at), (time(10, 15, 30), at)), 0);
        assert_eq!(ahead((date(21), at), (time(10, 20, 0), at)), 270);
        assert_eq!(ahead((date(20), at), (time(10, 15, 30), at)), -86_400, "a day behind");
    }

    #[test]
    fn midnight_between_date_and_time_is_no_day_behind() {
        let (before, after) = ("2026-11-21T23:59:59.9+08:00", "2026-11-22T00:00:00.1+08:00");
        assert_eq!(ahead((date(21), before), (time(0, 0, 0), after)), 0);
        assert_eq!(ahead((date(22), after), (time(0, 0, 0), after)), 0);
    }

    #[test]
    fn a_day_that_is_in_no_calendar_is_no_time() {
        let at = "2026-11-21T10:15:30Z".parse().unwrap();
        let odd = Date { year: 26, month: 2, day: 30 };
        assert_eq!(offset((odd, at), (time(0, 0, 0), at), &TimeZone::UTC), None);
    }

    fn berlin(shown: &str, at: &str) -> i64 {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        super::ahead(shown.parse().unwrap(), at.parse().unwrap(), &zone).as_secs()
    }

    #[test]
    fn at_a_change_over_a_clock_is_ahead_by_what_it_is_off_and_not_by_an_hour_more() {
        // Clocks go back from 03:00 to 02:00 at 01:00Z: 02:30 is shown twice.
        for (shown, at, ahead) in [
            ("2026-10-25T02:30:00", "2026-10-25T00:30:00Z", 0),
            ("2026-10-25T02:30:00", "2026-10-25T01:30:00Z", 0),
            ("2026-10-25T02:59:55", "2026-10-25T01:00:05Z", -10),
            ("2026-10-25T02:00:05", "2026-10-25T00:59:55Z", 10),
            ("2026-10-25T03:30:00", "2026-10-25T01:30:00Z", 3600),
            // And forward from 02:00 to 03:00: 02:30 is never shown by a clock that takes part.
            ("2026-03-29T03:30:00", "2026-03-29T01:30:00Z", 0),
            ("2026-03-29T02:30:00", "2026-03-29T01:30:00Z", -3600),
            ("2026-03-29T02:00:05", "2026-03-29T00:59:55Z", 10),
            ("2026-03-29T03:00:05", "2026-03-29T00:59:55Z", 10),
            ("2026-07-01T11:00:00", "2026-07-01T10:00:00Z", -3600),
        ] {
            assert_eq!(berlin(shown, at), ahead, "{shown} at {at}");
        }
    }

    #[test]
    fn a_missed_change_over_is_told_with_its_day_and_what_is_off_beside_it() {
        let missed = |zone: &str, ahead: i64, at: &str| {
            let zone = TimeZone::get(zone).unwrap();
            missed_change(SignedDuration::from_secs(ahead), at.parse().unwrap(), &zone)
                .map(|(day, beside)| (day.to_string(), beside.as_secs()))
        };
        let (summer, winter) = ("2026-07-01T10:00:00Z", "2026-12-01T10:00:00Z");
        let told = |day: &str, beside| Some((day.to_owned(), beside));
        assert_eq!(missed("Europe/Berlin", -3590, summer), told("2026-03-29", 10));
        assert_eq!(missed("Europe/Berlin", 3600, winter), told("2026-10-25", 0));
        for (zone, ahead, at) in [
            ("Europe/Berlin", 3600, summer),
            ("Europe/Berlin", 0, summer),
            ("Europe/Berlin", -3200, summer),
            ("Asia/Shanghai", 3600, summer),
        ] {
            assert_eq!(missed(zone, ahead, at), None, "{zone} {ahead}");
        }
    }
}
