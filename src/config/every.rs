//! How often a task runs, and short times on a line. Slots are aligned to wall time, so a period divides a day
//! evenly.

use std::time::Duration;

const DAY: u64 = 86_400;
const UNITS: [(char, u64); 4] = [('s', 1), ('m', 60), ('h', 3600), ('d', DAY)];

/// A text that is no period, with what to write.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum BadPeriod {
    #[error("a period is a number and a unit: 10s, 1m, 15m, 1h or 1d")]
    Form,
    #[error("the shortest period is 1s")]
    Short,
    #[error("the longest period is 1d")]
    Long,
    #[error("it does not divide a day evenly; the nearest that do are {below} and {above}")]
    Uneven { below: String, above: String },
}

/// `15m` to a duration.
pub(super) fn parse(text: &str) -> Result<Duration, BadPeriod> {
    let (unit, seconds) = UNITS.into_iter().find(|(unit, _)| text.ends_with(*unit)).ok_or(BadPeriod::Form)?;
    let digits = &text[..text.len() - 1];
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(BadPeriod::Form);
    }
    let count: u64 = digits.parse().map_err(|_| BadPeriod::Long)?;
    let period = count.checked_mul(seconds).filter(|p| *p <= DAY).ok_or(BadPeriod::Long)?;
    match period {
        0 => Err(BadPeriod::Short),
        _ if DAY.is_multiple_of(period) => Ok(Duration::from_secs(period)),
        _ => {
            let even = |n: &u64| DAY.is_multiple_of(n * seconds);
            let below = (1..count).rev().find(even).unwrap_or(1);
            let above = (count + 1..=DAY / seconds).find(even).unwrap_or(DAY / seconds);
            Err(BadPeriod::Uneven { below: format!("{below}{unit}"), above: format!("{above}{unit}") })
        }
    }
}

/// `15m`, as it is written.
pub(crate) fn written(every: Duration) -> String {
    let seconds = every.as_secs();
    UNITS
        .into_iter()
        .rev()
        .find(|(_, unit)| seconds >= *unit && seconds.is_multiple_of(*unit))
        .map_or_else(|| format!("{seconds}s"), |(letter, unit)| format!("{}{letter}", seconds / unit))
}

/// A text that is no short time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a time is a whole number and ms or s, e.g. 800ms")]
pub struct BadTime;

/// `800ms` or `2s` to a duration.
///
/// # Errors
/// [`BadTime`] with what to write.
pub fn short(text: &str) -> Result<Duration, BadTime> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let number: u64 = number.parse().map_err(|_| BadTime)?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        _ => Err(BadTime),
    }
}

/// A text that is no span of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("write a whole number and ms, s, m, h or d, e.g. 7d")]
pub(super) struct BadSpan;

/// `500ms`, `1s` or `7d` to a duration.
pub(super) fn span(text: &str) -> Result<Duration, BadSpan> {
    if let Ok(time) = short(text) {
        return Ok(time);
    }
    let (unit, seconds) = UNITS.into_iter().find(|(unit, _)| text.ends_with(*unit)).ok_or(BadSpan)?;
    let digits = text
        .strip_suffix(unit)
        .filter(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()));
    let count: u64 = digits.ok_or(BadSpan)?.parse().map_err(|_| BadSpan)?;
    count.checked_mul(seconds).map(Duration::from_secs).ok_or(BadSpan)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_time_has_a_unit() {
        assert_eq!(short("800ms"), Ok(Duration::from_millis(800)));
        assert_eq!(short("2s"), Ok(Duration::from_secs(2)));
        for text in ["", "800", "ms", "1.5s", "-1s", "1m", "99999999999999999999s"] {
            assert_eq!(short(text), Err(BadTime), "{text}");
        }
    }

    #[test]
    fn a_span_of_time_has_a_unit() {
        for (text, ms) in
            [("10ms", 10), ("1s", 1000), ("2m", 120_000), ("3h", 10_800_000), ("7d", 604_800_000)]
        {
            assert_eq!(span(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "d", "7", "-1d", "1.5h", "7 d", "99999999999999999999d", "9999999999999999999d"] {
            assert_eq!(span(text), Err(BadSpan), "{text}");
        }
    }

    #[test]
    fn a_period_divides_a_day_evenly() {
        for (text, seconds) in [
            ("1s", 1),
            ("10s", 10),
            ("1m", 60),
            ("15m", 900),
            ("90m", 5400),
            ("1h", 3600),
            ("24h", DAY),
            ("1d", DAY),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn an_uneven_period_is_answered_with_its_even_neighbours() {
        let uneven = |b: &str, a: &str| Err(BadPeriod::Uneven { below: b.to_owned(), above: a.to_owned() });
        assert_eq!(parse("7m"), uneven("6m", "8m"));
        assert_eq!(parse("5h"), uneven("4h", "6h"));
        assert_eq!(parse("59s"), uneven("54s", "60s"));
    }

    #[test]
    fn a_period_is_printed_as_it_is_written() {
        for text in ["1s", "1m", "90s", "15m", "1h", "1d"] {
            assert_eq!(written(parse(text).unwrap()), text);
        }
    }

    #[test]
    fn what_is_no_period_is_refused() {
        assert_eq!(parse("0s"), Err(BadPeriod::Short));
        assert_eq!(parse("25h"), Err(BadPeriod::Long));
        assert_eq!(parse("99999999999999999999m"), Err(BadPeriod::Long));
        for text in ["", "m", "15", "15 m", "-1m", "1.5h", "１m", "15min", "15分"] {
            assert_eq!(parse(text), Err(BadPeriod::Form), "{text}");
        }
    }
}
