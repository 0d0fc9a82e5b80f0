//! Times of commands, and their BCD digits. As sent, whatever the octets are.

use core::fmt;

/// A binary number below 100 as two BCD digits.
pub(super) const fn bcd(number: u8) -> u8 {
    ((number / 10) << 4) | (number % 10)
}

/// Two BCD digits as a number.
pub(super) const fn number(octet: u8) -> Option<u8> {
    if octet >> 4 > 9 || octet & 0x0F > 9 { None } else { Some((octet >> 4) * 10 + (octet & 0x0F)) }
}

/// Date and time to the second, `ss mm hh DD MM YY` in a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockTime([u8; 6]);

impl ClockTime {
    /// Of year (two digits, 20YY), month, day, hour, minute, second; `None` if one is out of range. The
    /// length of a month is not looked at.
    pub const fn new([year, month, day, hour, minute, second]: [u8; 6]) -> Option<Self> {
        let in_range = year < 100
            && month >= 1
            && month <= 12
            && day >= 1
            && day <= 31
            && hour < 24
            && minute < 60
            && second < 60;
        if !in_range {
            return None;
        }
        Some(Self([bcd(second), bcd(minute), bcd(hour), bcd(day), bcd(month), bcd(year)]))
    }

    /// Any octets: a frame may hold any.
    pub const fn from_wire(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// The octets as sent, before +33H.
    pub const fn to_wire(self) -> [u8; 6] {
        self.0
    }

    /// Year (20YY), month, day, hour, minute, second; `None` if the octets are no such time.
    pub fn parts(self) -> Option<[u8; 6]> {
        let mut parts = [0; 6];
        for (part, octet) in parts.iter_mut().zip(self.0.iter().rev()) {
            *part = number(*octet)?;
        }
        Self::new(parts).map(|_| parts)
    }
}

/// The digits as they are sent, e.g. `2026-11-21 22:45:00`.
impl fmt::Display for ClockTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [second, minute, hour, day, month, year] = self.0;
        write!(f, "20{year:02X}-{month:02X}-{day:02X} {hour:02X}:{minute:02X}:{second:02X}")
    }
}

/// Date and time to the minute from which load records are read, `mm hh DD MM YY` in a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecordTime([u8; 5]);

impl RecordTime {
    /// Of year (two digits, 20YY), month, day, hour, minute; `None` if one is out of range.
    pub const fn new([year, month, day, hour, minute]: [u8; 5]) -> Option<Self> {
        match ClockTime::new([year, month, day, hour, minute, 0]) {
            Some(ClockTime([_, minute, hour, day, month, year])) => {
                Some(Self([minute, hour, day, month, year]))
            }
            None => None,
        }
    }

    /// Any octets: a frame may hold any.
    pub const fn from_wire(octets: [u8; 5]) -> Self {
        Self(octets)
    }

    /// The octets as sent, before +33H.
    pub const fn to_wire(self) -> [u8; 5] {
        self.0
    }

    /// Year (20YY), month, day, hour, minute; `None` if the octets are no such time.
    pub fn parts(self) -> Option<[u8; 5]> {
        let [minute, hour, day, month, year] = self.0;
        let [year, month, day, hour, minute, _] =
            ClockTime::from_wire([0, minute, hour, day, month, year]).parts()?;
        Some([year, month, day, hour, minute])
    }
}

/// The digits as they are sent, e.g. `2026-11-21 10:00`.
impl fmt::Display for RecordTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [minute, hour, day, month, year] = self.0;
        write!(f, "20{year:02X}-{month:02X}-{day:02X} {hour:02X}:{minute:02X}")
    }
}

/// When to freeze (冻结时间), `mm hh DD MM` in a frame; 99 stands for every month, day, hour or minute.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FreezeAt([u8; 4]);

const EVERY: u8 = 0x99;

impl FreezeAt {
    /// Now (99999999).
    pub const INSTANT: Self = Self([EVERY; 4]);

    /// Each hour at this minute (999999mm).
    pub const fn hourly(minute: u8) -> Option<Self> {
        if minute < 60 { Some(Self([bcd(minute), EVERY, EVERY, EVERY])) } else { None }
    }

    /// Each day at this hour and minute (9999hhmm).
    pub const fn daily(hour: u8, minute: u8) -> Option<Self> {
        if hour < 24 && minute < 60 { Some(Self([bcd(minute), bcd(hour), EVERY, EVERY])) } else { None }
    }

    /// Each month on this day at this hour and minute (99DDhhmm).
    pub const fn monthly(day: u8, hour: u8, minute: u8) -> Option<Self> {
        if day >= 1 && day <= 31 && hour < 24 && minute < 60 {
            Some(Self([bcd(minute), bcd(hour), bcd(day), EVERY]))
        } else {
            None
        }
    }

    /// Any octets: a frame may hold any.
    pub const fn from_wire(octets: [u8; 4]) -> Self {
        Self(octets)
    }

    /// The octets as sent, before +33H.
    pub const fn to_wire(self) -> [u8; 4] {
        self.0
    }
}

impl fmt::Display for FreezeAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [EVERY, EVERY, EVERY, EVERY] => f.write_str("now"),
            [minute, EVERY, EVERY, EVERY] => write!(f, "hourly at minute {minute:02X}"),
            [minute, hour, EVERY, EVERY] => write!(f, "daily at {hour:02X}:{minute:02X}"),
            [minute, hour, day, EVERY] => {
                write!(f, "monthly on day {day:02X} at {hour:02X}:{minute:02X}")
            }
            [minute, hour, day, month] => write!(f, "at {month:02X}-{day:02X} {hour:02X}:{minute:02X}"),
        }
    }
}
