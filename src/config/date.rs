//! Dates as they are written in a configuration and as a spreadsheet leaves them.

use jiff::civil::{Date, Time};

/// A text that is no date.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum BadDate {
    #[error("write a date, such as 2026-11-01")]
    Date,
    #[error("write a date, or a date and a time of day, such as 2026-11-01 10:30")]
    Moment,
}

/// `2026-11-01`; or `2026/11/1` and `2026年11月1日`, as a spreadsheet has it.
pub(super) fn date(text: &str) -> Result<Date, BadDate> {
    let (year, rest) = text.split_once(['-', '/', '年']).ok_or(BadDate::Date)?;
    let (month, day) = rest.split_once(['-', '/', '月']).ok_or(BadDate::Date)?;
    let day = day.strip_suffix('日').unwrap_or(day);
    let whole = |part: &str, most: usize| {
        let is_whole = (1..=most).contains(&part.len()) && part.bytes().all(|c| c.is_ascii_digit());
        is_whole.then(|| part.parse::<i16>().ok()).flatten().ok_or(BadDate::Date)
    };
    if year.len() != 4 {
        return Err(BadDate::Date);
    }
    let small = |part: &str| i8::try_from(whole(part, 2)?).map_err(|_| BadDate::Date);
    Date::new(whole(year, 4)?, small(month)?, small(day)?).map_err(|_| BadDate::Date)
}

/// A date, and the time of day where one stands behind it: `2026-11-01 10:30`, with seconds or not, with a T or not.
pub(super) fn moment(text: &str) -> Result<(Date, Option<Time>), BadDate> {
    let bad = |_| BadDate::Moment;
    match text.split_once([' ', 'T']) {
        None => Ok((date(text).map_err(bad)?, None)),
        Some((day, time)) => {
            let time = time.trim();
            // A spreadsheet leaves 9:30.
            let padded = if time.find(':') == Some(1) { format!("0{time}") } else { time.to_owned() };
            let time = padded.parse::<Time>().map_err(|_| BadDate::Moment)?;
            Ok((date(day).map_err(bad)?, Some(time)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_read_as_a_person_or_a_spreadsheet_writes_it() {
        for text in ["2026-11-01", "2026-11-1", "2026/11/1", "2026年11月1日"] {
            assert_eq!(date(text).map(|date| date.to_string()).as_deref(), Ok("2026-11-01"), "{text}");
        }
        for text in ["", "2026", "2026-11", "26-11-1", "2026-13-01", "2026-02-29", "1/11/2026", "2026-11-01x"]
        {
            assert_eq!(date(text), Err(BadDate::Date), "{text}");
        }
    }

    #[test]
    fn a_moment_is_a_date_with_or_without_a_time_of_day() {
        let read =
            |text| moment(text).map(|(date, time)| (date.to_string(), time.map(|time| time.to_string())));
        let at = |time: &str| Ok(("2026-11-01".to_owned(), Some(time.to_owned())));
        assert_eq!(read("2026-11-01"), Ok(("2026-11-01".to_owned(), None)));
        assert_eq!(read("2026-11-01T10:30"), at("10:30:00"));
        assert_eq!(read("2026/11/1 9:30"), at("09:30:00"));
        assert_eq!(read("2026-11-01 10:30:15"), at("10:30:15"));
        assert_eq!(moment("2026-11-01 soon"), Err(BadDate::Moment));
        assert_eq!(moment("soon"), Err(BadDate::Moment));
    }
}
