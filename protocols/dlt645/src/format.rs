//! Octets of one register to its value and back (DL/T 645-2007 clause 6 and the notes of Annex A).
//!
//! Octets are those of the data field after -33H, low byte first. Nothing here allocates. A nibble
//! above 9 is never a number: all FF is [`NoValue::Missing`], anything else [`NoValue::Implausible`].

use core::fmt;
use rust_decimal::Decimal;

/// How the octets of a register are to be read. Its length is a matter of the register's row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Compressed BCD with an implied point; if signed, the top bit of the last octet is the sign.
    Number {
        /// Digits behind the implied point.
        decimals: u8,
        /// Whether the top bit is a sign; of an unsigned register it is a digit's (8 or 9).
        signed: bool,
    },
    /// A maximum demand: three octets as `Number`, then mm hh DD MM YY (最大需量及发生时间).
    Demand {
        /// Digits behind the implied point.
        decimals: u8,
        /// As of `Number`.
        signed: bool,
    },
    /// WW DD MM YY, WW 00 = Sunday.
    Date,
    /// ss mm hh.
    Time,
    /// ss mm hh WW DD MM YY (0400010C: YYMMDDWWhhmmss as printed).
    DateTime,
    /// Decimal digits that are no quantity: addresses, numbers on plates. Twelve at most.
    Digits,
    /// A bit word, low byte first, at most 12 octets. FF fill is all bits set, not a missing value.
    Bits,
}

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

/// Up to twelve decimal digits, kept as digits: leading zeros count.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Digits {
    octets: [u8; 6],
    len: u8,
}

impl Digits {
    /// Takes BCD octets, low byte first. None if there are more than six or one is not BCD.
    pub fn from_wire(octets: &[u8]) -> Option<Self> {
        if octets.len() > 6 || !octets.iter().all(|&o| is_bcd(o)) {
            return None;
        }
        let mut own = [0; 6];
        own[..octets.len()].copy_from_slice(octets);
        Some(Self { octets: own, len: octets.len() as u8 })
    }

    /// The octets, low byte first.
    pub fn to_wire(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }
}

/// Up to twelve octets whose bits are meant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Word {
    octets: [u8; 12],
    len: u8,
}

impl Word {
    /// Takes octets, low byte first. None if there are none or more than twelve.
    pub fn from_wire(octets: &[u8]) -> Option<Self> {
        if octets.is_empty() || octets.len() > 12 {
            return None;
        }
        let mut own = [0; 12];
        own[..octets.len()].copy_from_slice(octets);
        Some(Self { octets: own, len: octets.len() as u8 })
    }

    /// The octets, low byte first.
    pub fn to_wire(&self) -> &[u8] {
        &self.octets[..usize::from(self.len)]
    }
}

/// Two hexadecimal digits an octet, the high byte first, as words are printed.
impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_wire().iter().rev().try_for_each(|o| write!(f, "{o:02X}"))
    }
}

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_wire().iter().rev().try_for_each(|o| write!(f, "{o:02X}"))
    }
}

/// What a register holds, with the digits that the meter sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value {
    /// A quantity; its scale is the number of digits behind the point that were sent.
    Number(Decimal),
    /// A maximum demand and when it occurred; `None` where the meter has zeros for the instant.
    Demand {
        /// The demand.
        value: Decimal,
        /// Day and minute.
        at: Option<(Date, Time)>,
    },
    /// A day.
    Date(Date),
    /// A time of day.
    Time(Time),
    /// Both.
    DateTime(Date, Time),
    /// Digits that are no quantity.
    Digits(Digits),
    /// Bits.
    Bits(Word),
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

/// The value alone: a demand without its instant, `2026-11-20T18:30:00` for both.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(value) | Self::Demand { value, .. } => value.fmt(f),
            Self::Date(date) => date.fmt(f),
            Self::Time(time) => time.fmt(f),
            Self::DateTime(date, time) => write!(f, "{date}T{time}"),
            Self::Digits(digits) => digits.fmt(f),
            Self::Bits(word) => word.fmt(f),
        }
    }
}

/// Why octets are no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoValue {
    /// Every octet is FF: the meter has no value.
    #[error("FF fill: the meter has no value")]
    Missing,
    /// Octets that no meter in order sends; the text says what is wrong.
    #[error("{0}")]
    Implausible(&'static str),
}

/// A value that the format cannot hold: the other kind, too many digits, a minus where none can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the value does not fit the register's format")]
pub struct DoesNotFit;

const NOT_BCD: NoValue = NoValue::Implausible("a nibble above 9");
const BAD_LENGTH: NoValue = NoValue::Implausible("a length that does not fit the format");
const NO_DATE: NoValue = NoValue::Implausible("no date of the calendar");
const NO_TIME: NoValue = NoValue::Implausible("no time of the day");

/// The longest BCD number: 7 octets, 14 digits, fit an i64 with room.
const MAX_NUMBER: usize = 7;

impl Format {
    /// Reads the octets of one register, low byte first, after -33H.
    ///
    /// # Errors
    /// [`NoValue::Missing`] for FF fill, [`NoValue::Implausible`] for octets that are no value.
    pub fn decode(self, octets: &[u8]) -> Result<Value, NoValue> {
        if octets.is_empty() {
            return Err(BAD_LENGTH);
        }
        if !matches!(self, Self::Bits) && octets.iter().all(|&o| o == 0xFF) {
            return Err(NoValue::Missing);
        }
        match self {
            Self::Number { decimals, signed } => number(octets, decimals, signed).map(Value::Number),
            Self::Demand { decimals, signed } => {
                let (value, instant) =
                    octets.split_at_checked(octets.len().saturating_sub(5)).ok_or(BAD_LENGTH)?;
                if value.is_empty() || instant.len() != 5 {
                    return Err(BAD_LENGTH);
                }
                if value.iter().all(|&o| o == 0xFF) {
                    return Err(NoValue::Missing);
                }
                let value = number(value, decimals, signed)?;
                let at = if instant.iter().all(|&o| o == 0) || instant.iter().all(|&o| o == 0xFF) {
                    None
                } else {
                    Some((date(instant[4], instant[3], instant[2])?, time(instant[1], instant[0], None)?))
                };
                Ok(Value::Demand { value, at })
            }
            Self::Date => match *octets {
                [_, day, month, year] => date(year, month, day).map(Value::Date),
                _ => Err(BAD_LENGTH),
            },
            Self::Time => match *octets {
                [second, minute, hour] => time(hour, minute, Some(second)).map(Value::Time),
                _ => Err(BAD_LENGTH),
            },
            Self::DateTime => match *octets {
                [second, minute, hour, _, day, month, year] => {
                    Ok(Value::DateTime(date(year, month, day)?, time(hour, minute, Some(second))?))
                }
                _ => Err(BAD_LENGTH),
            },
            Self::Digits => Digits::from_wire(octets).map(Value::Digits).ok_or(NOT_BCD),
            Self::Bits => Word::from_wire(octets).map(Value::Bits).ok_or(BAD_LENGTH),
        }
    }

    /// Writes a value over `octets`, whose length is the register's: what a meter would send.
    ///
    /// # Errors
    /// [`DoesNotFit`] if the value is of another kind or has more digits than the octets hold.
    pub fn encode(self, value: Value, octets: &mut [u8]) -> Result<(), DoesNotFit> {
        match (self, value) {
            (Self::Number { decimals, signed }, Value::Number(value)) => {
                put_number(value, decimals, signed, octets)
            }
            (Self::Demand { decimals, signed }, Value::Demand { value, at }) => {
                let split = octets.len().checked_sub(5).ok_or(DoesNotFit)?;
                let (number, instant) = octets.split_at_mut(split);
                put_number(value, decimals, signed, number)?;
                let wire = at.map_or([0; 5], |(d, t)| [t.minute, t.hour, d.day, d.month, d.year].map(bcd));
                instant.copy_from_slice(&wire);
                Ok(())
            }
            (Self::Date, Value::Date(d)) => put(octets, &[weekday(d), d.day, d.month, d.year].map(bcd)),
            (Self::Time, Value::Time(t)) => put(octets, &[t.second.unwrap_or(0), t.minute, t.hour].map(bcd)),
            (Self::DateTime, Value::DateTime(d, t)) => put(
                octets,
                &[t.second.unwrap_or(0), t.minute, t.hour, weekday(d), d.day, d.month, d.year].map(bcd),
            ),
            (Self::Digits, Value::Digits(digits)) => put(octets, digits.to_wire()),
            (Self::Bits, Value::Bits(word)) => put(octets, word.to_wire()),
            (
                Self::Number { .. }
                | Self::Demand { .. }
                | Self::Date
                | Self::Time
                | Self::DateTime
                | Self::Digits
                | Self::Bits,
                _,
            ) => Err(DoesNotFit),
        }
    }
}

fn put(octets: &mut [u8], wire: &[u8]) -> Result<(), DoesNotFit> {
    if octets.len() != wire.len() {
        return Err(DoesNotFit);
    }
    octets.copy_from_slice(wire);
    Ok(())
}

fn number(octets: &[u8], decimals: u8, signed: bool) -> Result<Decimal, NoValue> {
    if octets.len() > MAX_NUMBER {
        return Err(BAD_LENGTH);
    }
    let mut magnitude = 0i64;
    let mut negative = false;
    for (place, &octet) in octets.iter().rev().enumerate() {
        let mut octet = octet;
        if place == 0 && signed {
            negative = octet & 0x80 != 0;
            octet &= 0x7F;
        }
        if !is_bcd(octet) {
            return Err(NOT_BCD);
        }
        magnitude = magnitude * 100 + i64::from(octet >> 4) * 10 + i64::from(octet & 0x0F);
    }
    // Zero has no sign: -0 would be another text for the same value.
    Ok(Decimal::new(if negative { -magnitude } else { magnitude }, u32::from(decimals)))
}

fn put_number(value: Decimal, decimals: u8, signed: bool, octets: &mut [u8]) -> Result<(), DoesNotFit> {
    let mut scaled = value;
    scaled.rescale(u32::from(decimals));
    if scaled != value || octets.is_empty() || octets.len() > MAX_NUMBER {
        return Err(DoesNotFit);
    }
    let mut rest = scaled.mantissa().unsigned_abs();
    for octet in octets.iter_mut() {
        *octet = bcd((rest % 100) as u8);
        rest /= 100;
    }
    let last = octets.last_mut().ok_or(DoesNotFit)?;
    if rest != 0
        || (signed && *last & 0x80 != 0)
        || (scaled.is_sign_negative() && !scaled.is_zero() && !signed)
    {
        return Err(DoesNotFit);
    }
    if signed && scaled.is_sign_negative() && !scaled.is_zero() {
        *last |= 0x80;
    }
    Ok(())
}

fn date(year: u8, month: u8, day: u8) -> Result<Date, NoValue> {
    let date = Date { year: digits2(year)?, month: digits2(month)?, day: digits2(day)? };
    if (1..=12).contains(&date.month) && (1..=days_in(date.month, date.year)).contains(&date.day) {
        Ok(date)
    } else {
        Err(NO_DATE)
    }
}

fn time(hour: u8, minute: u8, second: Option<u8>) -> Result<Time, NoValue> {
    let time =
        Time { hour: digits2(hour)?, minute: digits2(minute)?, second: second.map(digits2).transpose()? };
    if time.hour < 24 && time.minute < 60 && time.second.unwrap_or(0) < 60 { Ok(time) } else { Err(NO_TIME) }
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
fn weekday(date: Date) -> u8 {
    // Sakamoto's method, for years from 2000.
    const SHIFT: [u32; 12] = [0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4];
    let year = 2000 + u32::from(date.year) - u32::from(date.month < 3);
    let shift = SHIFT[usize::from(date.month.clamp(1, 12)) - 1];
    ((year + year / 4 - year / 100 + year / 400 + shift + u32::from(date.day)) % 7) as u8
}

const fn is_bcd(octet: u8) -> bool {
    octet >> 4 <= 9 && octet & 0x0F <= 9
}

fn digits2(octet: u8) -> Result<u8, NoValue> {
    if is_bcd(octet) { Ok((octet >> 4) * 10 + (octet & 0x0F)) } else { Err(NOT_BCD) }
}

/// Two digits as one octet; callers hold the number below 100.
const fn bcd(number: u8) -> u8 {
    (number / 10) << 4 | (number % 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    const ENERGY: Format = Format::Number { decimals: 2, signed: false };
    const POWER: Format = Format::Number { decimals: 4, signed: true };
    const DEMAND: Format = Format::Demand { decimals: 4, signed: false };

    fn text(format: Format, octets: &[u8]) -> alloc::string::String {
        format.decode(octets).map_or_else(|e| e.to_string(), |v| v.to_string())
    }

    #[test]
    fn unsigned_energy_of_999999_99_stays_999999_99() {
        assert_eq!(text(ENERGY, &[0x99, 0x99, 0x99, 0x99]), "999999.99");
    }

    #[test]
    fn top_bit_of_a_signed_register_is_a_minus_and_digits_stay() {
        assert_eq!(text(POWER, &[0x56, 0x34, 0x92]), "-12.3456");
        assert_eq!(text(POWER, &[0x00, 0x00, 0x01]), "1.0000");
        assert_eq!(text(POWER, &[0x00, 0x00, 0x80]), "0.0000");
        assert_eq!(text(Format::Number { decimals: 1, signed: false }, &[0x00, 0x22]), "220.0");
    }

    #[test]
    fn ff_fill_is_missing_and_any_other_nibble_above_9_is_implausible() {
        assert_eq!(ENERGY.decode(&[0xFF; 4]), Err(NoValue::Missing));
        assert_eq!(ENERGY.decode(&[0xFF, 0xFF, 0xFF, 0x00]), Err(NOT_BCD));
        assert_eq!(POWER.decode(&[0x00, 0x00, 0xA0]), Ok(Value::Number(Decimal::new(-200_000, 4))));
        assert_eq!(POWER.decode(&[0x0A, 0x00, 0x00]), Err(NOT_BCD));
        assert_eq!(DEMAND.decode(&[0xFF, 0xFF, 0xFF, 0, 0, 0, 0, 0]), Err(NoValue::Missing));
    }

    #[test]
    fn demand_has_its_instant_and_zeros_are_none() {
        let octets = [0x56, 0x34, 0x12, 0x30, 0x18, 0x20, 0x11, 0x26];
        let Ok(Value::Demand { value, at: Some((date, time)) }) = DEMAND.decode(&octets) else { panic!() };
        assert_eq!(value.to_string(), "12.3456");
        assert_eq!(alloc::format!("{date}T{time}"), "2026-11-20T18:30");
        assert!(matches!(DEMAND.decode(&[0, 0, 0, 0, 0, 0, 0, 0]), Ok(Value::Demand { at: None, .. })));
        assert_eq!(DEMAND.decode(&[0, 0, 0, 0x60, 0x18, 0x20, 0x11, 0x26]), Err(NO_TIME));
    }

    #[test]
    fn dates_and_times_are_of_the_calendar_or_implausible() {
        assert_eq!(text(Format::Date, &[0x06, 0x21, 0x11, 0x26]), "2026-11-21");
        assert_eq!(Format::Date.decode(&[0x00, 0x29, 0x02, 0x26]), Err(NO_DATE));
        assert_eq!(text(Format::Date, &[0x04, 0x29, 0x02, 0x24]), "2024-02-29");
        assert_eq!(text(Format::Time, &[0x15, 0x30, 0x22]), "22:30:15");
        assert_eq!(Format::Time.decode(&[0x15, 0x30, 0x24]), Err(NO_TIME));
        assert_eq!(
            text(Format::DateTime, &[0x15, 0x30, 0x22, 0x06, 0x21, 0x11, 0x26]),
            "2026-11-21T22:30:15"
        );
    }

    #[test]
    fn a_length_that_fits_nothing_is_implausible() {
        assert_eq!(ENERGY.decode(&[]), Err(BAD_LENGTH));
        assert_eq!(ENERGY.decode(&[0; 8]), Err(BAD_LENGTH));
        assert_eq!(Format::Date.decode(&[0x21, 0x11, 0x26]), Err(BAD_LENGTH));
        assert_eq!(DEMAND.decode(&[0; 5]), Err(BAD_LENGTH));
    }

    #[test]
    fn what_is_encoded_decodes_to_itself() {
        let mut octets = [0; 3];
        POWER.encode(Value::Number(Decimal::new(-123_456, 4)), &mut octets).unwrap();
        assert_eq!(octets, [0x56, 0x34, 0x92]);
        let mut octets = [0; 4];
        let day = Date { year: 26, month: 11, day: 21 };
        Format::Date.encode(Value::Date(day), &mut octets).unwrap();
        assert_eq!(octets, [0x06, 0x21, 0x11, 0x26]);
        assert_eq!(ENERGY.encode(Value::Number(Decimal::new(-1, 2)), &mut octets), Err(DoesNotFit));
        assert_eq!(ENERGY.encode(Value::Number(Decimal::new(100_000_000, 2)), &mut octets), Err(DoesNotFit));
        assert_eq!(ENERGY.encode(Value::Number(Decimal::new(1, 3)), &mut octets), Err(DoesNotFit));
    }
}
