//! When a task runs: every so often, at times of day, or on days of the month (抄表例日).

use super::every;
use super::findings::{At, Findings};
use super::raw::Section;
use jiff::civil::{Date, Time};
use std::fmt;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// The shortest month.
const MONTH: Duration = Duration::from_secs(28 * 86_400);

/// When a task runs, in the gateway's zone.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum When {
    /// Every so often, aligned to local midnight.
    Every(Duration),
    /// Each day at these times, ascending; at least one.
    Daily(Vec<Time>),
    /// Each month then; at least one.
    Monthly(Vec<OnDay>),
}

/// A time on a day of each month.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct OnDay {
    /// Which day.
    pub day: MonthDay,
    /// When on it.
    pub time: Time,
}

/// A day that each month has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum MonthDay {
    /// The n-th, 1 to 28.
    Nth(i8),
    /// The last one.
    Last,
}

impl When {
    /// The least time from one run to the next, about: what fits into it never piles up.
    pub fn every(&self) -> Duration {
        let least = |whole: Duration, count: usize| whole / u32::try_from(count.max(1)).unwrap_or(u32::MAX);
        match self {
            Self::Every(every) => *every,
            Self::Daily(times) => least(DAY, times.len()),
            Self::Monthly(days) => least(MONTH, days.len()),
        }
    }
}

impl MonthDay {
    /// That day of the month of `any`.
    pub fn of(self, any: Date) -> Date {
        match self {
            // Every month has it.
            Self::Nth(day) => any.with().day(day).build().unwrap_or(any),
            Self::Last => any.last_of_month(),
        }
    }
}

/// `every 15m`, `daily 00:05`, `monthly 1 00:05, last 23:30`.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |all: Vec<String>| all.join(", ");
        let of_day = |time: &Time| time.strftime("%H:%M").to_string();
        match self {
            Self::Every(every) => write!(f, "every {}", every::written(*every)),
            Self::Daily(times) => write!(f, "daily {}", join(times.iter().map(of_day).collect())),
            Self::Monthly(days) => {
                let one = |on: &OnDay| format!("{} {}", on.day, of_day(&on.time));
                write!(f, "monthly {}", join(days.iter().map(one).collect()))
            }
        }
    }
}

impl fmt::Display for MonthDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nth(day) => day.fmt(f),
            Self::Last => f.write_str("last"),
        }
    }
}

/// A text that is no time of day or no day of the month, with what to write.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum BadWhen {
    #[error("write hours and minutes, e.g. \"00:05\"")]
    Time,
    #[error("write a day and a time, e.g. \"1 00:05\" or \"last 23:30\"")]
    Form,
    #[error("not every month has a day {0}; write \"last\" for the last one")]
    Missing(i8),
    #[error("a month has no day {0}; write 1 to 28, or \"last\"")]
    Day(String),
}

/// `00:05`.
pub(super) fn time(text: &str) -> Result<Time, BadWhen> {
    let two = |digits: &str| match digits.as_bytes() {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => i8::try_from((tens - b'0') * 10 + ones - b'0').ok(),
        _ => None,
    };
    let (hour, minute) = text.split_once(':').ok_or(BadWhen::Time)?;
    let (hour, minute) = two(hour).zip(two(minute)).ok_or(BadWhen::Time)?;
    Time::new(hour, minute, 0, 0).map_err(|_| BadWhen::Time)
}

/// `1 00:05` or `last 23:30`.
pub(super) fn on_day(text: &str) -> Result<OnDay, BadWhen> {
    let (day, at) = text.split_once(' ').ok_or(BadWhen::Form)?;
    let time = time(at.trim_start())?;
    let day = match day {
        "last" => MonthDay::Last,
        _ => match day.parse::<i8>() {
            Ok(day @ 1..=28) => MonthDay::Nth(day),
            Ok(day @ 29..=31) => return Err(BadWhen::Missing(day)),
            _ => return Err(BadWhen::Day(day.to_owned())),
        },
    };
    Ok(OnDay { day, time })
}

/// Reads `every`, `daily` or `monthly` of a task: one of them.
pub(super) fn read(section: &Section, findings: &mut Findings) -> Option<When> {
    let keys = ["every", "daily", "monthly"].map(|key| (key, section.has(key)));
    let mut written = keys.into_iter().filter(|(_, has)| *has).map(|(key, _)| key);
    match (written.next(), written.next()) {
        (Some("daily"), None) => {
            let times = all(section, "daily", time, findings)?;
            Some(When::Daily(times))
        }
        (Some("monthly"), None) => {
            let days = all(section, "monthly", on_day, findings)?;
            Some(When::Monthly(days))
        }
        (Some(first), Some(second)) => {
            let here = section.here(second);
            findings.fault(&here, format!("{first} is written too; write one of every, daily and monthly"));
            None
        }
        (Some(_) | None, None) | (None, Some(_)) => {
            let text = section.required("every", "\"15m\", or daily = \"00:05\"", findings)?;
            match every::parse(&text.value) {
                Ok(every) => Some(When::Every(every)),
                Err(bad) => {
                    findings.fault(&text.here, format!("every \"{}\" cannot be used: {bad}", text.value));
                    None
                }
            }
        }
    }
}

/// One text or a list of them, each once, in the order of the clock; `None` after a fault.
fn all<T: PartialEq + Clone>(
    section: &Section,
    key: &str,
    parse: impl Fn(&str) -> Result<T, BadWhen>,
    findings: &mut Findings,
) -> Option<Vec<T>> {
    let At { value: texts, here } = section.one_or_more(key, findings)?;
    let mut found: Vec<T> = Vec::with_capacity(texts.len());
    let mut sound = true;
    for text in &texts {
        match parse(&text.value) {
            Ok(one) if found.contains(&one) => {}
            Ok(one) => found.push(one),
            Err(bad) => {
                findings.fault(&text.here, format!("{key} \"{}\" cannot be used: {bad}", text.value));
                sound = false;
            }
        }
    }
    if sound && found.is_empty() {
        findings.fault(&here, format!("{key} is empty; write at least one"));
    }
    (sound && !found.is_empty()).then_some(found)
}

/// Reads `window`: `00:00-06:00`; `Some(None)` if it is not written.
pub(super) fn window(section: &Section, findings: &mut Findings) -> Option<Option<(Time, Time)>> {
    if !section.has("window") {
        return Some(None);
    }
    let text = section.text("window", findings)?;
    let parts = text.value.split_once('-');
    let window = parts.and_then(|(from, to)| time(from.trim()).ok().zip(time(to.trim()).ok()));
    match window.filter(|(from, to)| from != to) {
        Some(window) => Some(Some(window)),
        None => {
            let said =
                format!("window \"{}\" is none; write from when to when, e.g. \"00:00-06:00\"", text.value);
            findings.fault(&text.here, said);
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_that_not_every_month_has_is_refused_with_the_word_last() {
        let at = |day, hour, minute| OnDay { day, time: Time::constant(hour, minute, 0, 0) };
        assert_eq!(on_day("1 00:05"), Ok(at(MonthDay::Nth(1), 0, 5)));
        assert_eq!(on_day("last 23:30"), Ok(at(MonthDay::Last, 23, 30)));
        for day in [29, 30, 31] {
            let refused = on_day(&format!("{day} 00:05")).unwrap_err();
            assert!(refused.to_string().contains("\"last\""), "{refused}");
        }
        for text in ["", "1", "00:05", "0 00:05", "32 00:05", "1 24:00", "1 0:05", "1 00:60", "first 00:05"] {
            assert!(on_day(text).is_err(), "{text}");
        }
    }

    #[test]
    fn last_is_the_last_day_of_each_month() {
        let last = |year, month| MonthDay::Last.of(Date::constant(year, month, 5)).day();
        assert_eq!([last(2028, 2), last(2027, 2), last(2026, 11), last(2026, 12)], [29, 28, 30, 31]);
    }

    #[test]
    fn it_reads_as_it_is_written() {
        let times = ["00:05", "12:00"].map(|text| time(text).unwrap()).to_vec();
        assert_eq!(When::Daily(times).to_string(), "daily 00:05, 12:00");
        let days = ["1 00:05", "last 23:30"].map(|text| on_day(text).unwrap()).to_vec();
        assert_eq!(When::Monthly(days).to_string(), "monthly 1 00:05, last 23:30");
        assert_eq!(When::Every(Duration::from_secs(900)).to_string(), "every 15m");
    }
}
