//! How far a meter's clock is from ours. Pure.

use dlt645::format::{Date, Time};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
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
    let second = time.second.unwrap_or(0);
    let [year, month, day] = [i16::from(date.year) + 2000, i16::from(date.month), i16::from(date.day)];
    let of_day = [time.hour, time.minute, second].map(|part| i8::try_from(part).ok());
    let [Some(hour), Some(minute), Some(second)] = of_day else { return None };
    let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
    let written = DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let since_midnight =
        SignedDuration::from_secs(i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second));
    let between = time_at.duration_since(date_at);
    let meter =
        if between > since_midnight { written.checked_add(jiff::Span::new().days(1)).ok()? } else { written };
    let instant = meter.to_zoned(zone.clone()).ok()?.timestamp();
    Some((meter, instant.duration_since(time_at)))
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
}
