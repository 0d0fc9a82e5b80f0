//! Days and times of the meter's clock in all forms of the tables; the smallest part comes first on the wire.

use super::{NOT_BCD, NoValue, bcd, is_bcd};
use core::fmt;

/// A day of the meter's calendar; the year is of the century that begins in 2000.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Date {
    /// 0 to 99.
    pub year: u8,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

/// A time of day on the meter's clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Time {
    /// 0 to 23.
    pub hour: u8,
    /// 0 to 59.
    pub minute: u8,
    /// 0 to 59; `None` where the format has no seconds.
    pub second: Option<u8>,
}

/// What comes again every year or every month: MMDDhhmm, MMDD, DDhh.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Recurring {
    /// 1 to 12; `None` for every month.
    pub month: Option<u8>,
    /// 1 to 31.
    pub day: u8,
    /// `None` where only the day is meant. A DDhh has no minutes: they are 0.
    pub time: Option<Time>,
}

/// From when on which table, tariff or other number is in force: hhmmNN, MMDDNN, YYMMDDNN.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot {
    /// From when.
    pub start: Start,
    /// Tariff of a period (费率号), day table of a zone or a holiday (日时段表号).
    pub number: u8,
}

/// When a slot begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Start {
    /// Each day at this time: a period (时段).
    Time(Time),
    /// Each year on this day: a zone (时区).
    Day {
        /// 1 to 12.
        month: u8,
        /// 1 to 31.
        day: u8,
    },
    /// On this day: a public holiday (公共假日).
    Date(Date),
}

/// `20YY-MM-DD`.
impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "20{:02}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

/// `hh:mm:ss`, or `hh:mm` where the format has no seconds.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.hour, self.minute)?;
        self.second.map_or(Ok(()), |s| write!(f, ":{s:02}"))
    }
}

/// `--11-20T18:30`, `--11-20`, `---01T00:00`: as ISO 8601 leaves out the year and the month.
impl fmt::Display for Recurring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.month {
            Some(month) => write!(f, "--{month:02}-{:02}", self.day)?,
            None => write!(f, "---{:02}", self.day)?,
        }
        self.time.map_or(Ok(()), |time| write!(f, "T{time}"))
    }
}

/// The start, a space, the number: `08:00 2`, `--03-01 1`, `2026-10-01 3`.
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.start {
            Start::Time(time) => write!(f, "{time}")?,
            Start::Day { month, day } => write!(f, "--{month:02}-{day:02}")?,
            Start::Date(date) => write!(f, "{date}")?,
        }
        write!(f, " {}", self.number)
    }
}

pub(super) const NO_DATE: NoValue = NoValue::Implausible("no date of the calendar");
pub(super) const NO_TIME: NoValue = NoValue::Implausible("no time of the day");

/// All nines, or all zeros where zeros are no day of the calendar: how meters write that nothing is set.
pub(super) fn is_unset(octets: &[u8], zeros_too: bool) -> bool {
    octets.iter().all(|&o| o == 0x99) || (zeros_too && octets.iter().all(|&o| o == 0))
}

pub(super) fn date(year: u8, month: u8, day: u8) -> Result<Date, NoValue> {
    let date = Date { year: digits2(year)?, month: digits2(month)?, day: digits2(day)? };
    if (1..=12).contains(&date.month) && (1..=days_in(date.month, date.year)).contains(&date.day) {
        Ok(date)
    } else {
        Err(NO_DATE)
    }
}

/// A day of every year: 29 February is one.
pub(super) fn yearly(month: u8, day: u8) -> Result<(u8, u8), NoValue> {
    date(0, month, day).map(|date| (date.month, date.day))
}

pub(super) fn time(hour: u8, minute: u8, second: Option<u8>) -> Result<Time, NoValue> {
    let time =
        Time { hour: digits2(hour)?, minute: digits2(minute)?, second: second.map(digits2).transpose()? };
    if time.hour < 24 && time.minute < 60 && time.second.unwrap_or(0) < 60 { Ok(time) } else { Err(NO_TIME) }
}

/// A day of any month and an hour.
pub(super) fn monthly(day: u8, hour: u8) -> Result<Recurring, NoValue> {
    let day = digits2(day)?;
    let time = time(hour, 0, None)?;
    if (1..=31).contains(&day) { Ok(Recurring { month: None, day, time: Some(time) }) } else { Err(NO_DATE) }
}

fn days_in(month: u8, year: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        // 2000 to 2099: every fourth year is a leap year.
        2 if year.is_multiple_of(4) => 29,
        2 => 28,
        _ => 31,
    }
}

/// 0 = Sunday, as WW counts (Annex A.4, 04000101).
pub(super) fn weekday(date: Date) -> u8 {
    // Sakamoto's method, for years from 2000.
    const SHIFT: [u32; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
    let year = 2000 + u32::from(date.year) - u32::from(date.month < 3);
    let shift = SHIFT[usize::from(date.month.clamp(1, 12)) - 1];
    ((year + year / 4 - year / 100 + year / 400 + shift + u32::from(date.day)) % 7) as u8
}

pub(super) fn digits2(octet: u8) -> Result<u8, NoValue> {
    if is_bcd(octet) { Ok((octet >> 4) * 10 + (octet & 0x0F)) } else { Err(NOT_BCD) }
}

/// mm hh DD MM YY.
pub(super) fn minute_wire(date: Date, time: Time) -> [u8; 5] {
    [time.minute, time.hour, date.day, date.month, date.year].map(bcd)
}
