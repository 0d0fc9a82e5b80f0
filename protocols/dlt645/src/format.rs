//! Octets of one register to its value and back (DL/T 645-2007 clause 6 and the notes of Annex A).
//!
//! Octets are those of the data field after -33H, low byte first. Nothing here allocates. A nibble
//! above 9 is never a number: all FF is [`NoValue::Missing`], anything else [`NoValue::Implausible`].

mod inline;
mod instant;
pub mod load;
mod number;
#[cfg(test)]
mod tests;

pub use inline::{Digits, Text, Word};
pub use instant::{Date, Recurring, Slot, Start, Time};

use core::fmt;
use instant::{date, is_unset, minute_wire, monthly, time, weekday, yearly};
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
    /// mm hh DD MM YY (YYMMDDhhmm).
    Minute,
    /// ss mm hh DD MM YY (YYMMDDhhmmss).
    Second,
    /// mm hh DD MM (MMDDhhmm).
    YearlyMinute,
    /// DD MM (MMDD).
    YearlyDay,
    /// hh DD (DDhh).
    MonthlyHour,
    /// mm hh (hhmm).
    DailyMinute,
    /// NN mm hh (hhmmNN): from when on which tariff.
    Period,
    /// NN DD MM (MMDDNN): from when on which day table.
    Zone,
    /// NN DD MM YY (YYMMDDNN): which day has which day table.
    Holiday,
    /// Decimal digits that are no quantity: addresses, numbers on plates. Twelve at most.
    Digits,
    /// Printable ASCII, reversed and padded. 32 octets at most.
    Text,
    /// The same of a meter that is known to send texts in the order in which they are typed.
    TextAsTyped,
    /// A bit word, low byte first, at most 12 octets. FF fill is all bits set, not a missing value: a mode word that
    /// selects all has it.
    Bits,
    /// Hexadecimal digits that are no quantity: identifiers, codes of operators. Twelve octets at most.
    Hex,
    /// A binary number, low byte first, at most 7 octets.
    Binary,
    /// Several values, or none whose layout is known: no value of its own. Whoever knows the layout reads the fields.
    Composite,
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
    /// What comes again every year or month.
    Recurring(Recurring),
    /// From when on which number is in force.
    Slot(Slot),
    /// Digits that are no quantity.
    Digits(Digits),
    /// Characters.
    Text(Text),
    /// Bits.
    Bits(Word),
    /// An identifier or a code.
    Hex(Word),
}

impl Value {
    /// The quantity, where it is one; of a demand without its instant.
    pub const fn number(&self) -> Option<Decimal> {
        match self {
            Self::Number(value) | Self::Demand { value, .. } => Some(*value),
            Self::Date(_)
            | Self::Time(_)
            | Self::DateTime(..)
            | Self::Recurring(_)
            | Self::Slot(_)
            | Self::Digits(_)
            | Self::Text(_)
            | Self::Bits(_)
            | Self::Hex(_) => None,
        }
    }

    /// When a demand occurred, where it is one and the meter has the instant.
    pub const fn at(&self) -> Option<(Date, Time)> {
        if let Self::Demand { at, .. } = self { *at } else { None }
    }

    /// The word, where it is a bit word.
    pub const fn bits(&self) -> Option<Word> {
        if let Self::Bits(word) = self { Some(*word) } else { None }
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
            Self::Recurring(recurring) => recurring.fmt(f),
            Self::Slot(slot) => slot.fmt(f),
            Self::Digits(digits) => digits.fmt(f),
            Self::Text(text) => text.fmt(f),
            Self::Bits(word) | Self::Hex(word) => word.fmt(f),
        }
    }
}

/// Why octets are no value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoValue {
    /// Every octet is FF: the meter has no value.
    #[error("FF fill: the meter has no value")]
    Missing,
    /// All nines, all zeros or only padding, where that is no day, time or text: nothing is set, it never happened.
    #[error("not set")]
    Unset,
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
const COMPOSITE: NoValue = NoValue::Implausible("several values or an unknown layout: no value of its own");

impl Format {
    /// Reads the octets of one register, low byte first, after -33H.
    ///
    /// # Errors
    /// [`NoValue::Missing`] for FF fill, [`NoValue::Unset`] for a date, time or text that is not set,
    /// [`NoValue::Implausible`] for octets that are no value.
    pub fn decode(self, octets: &[u8]) -> Result<Value, NoValue> {
        if octets.is_empty() {
            return Err(BAD_LENGTH);
        }
        let ff_is_a_value = matches!(self, Self::Bits | Self::Binary | Self::Composite);
        if !ff_is_a_value && octets.iter().all(|&o| o == 0xFF) {
            return Err(NoValue::Missing);
        }
        match self {
            Self::Bits => Word::from_wire(octets).map(Value::Bits).ok_or(BAD_LENGTH),
            Self::Binary => number::decode_binary(octets).map(Value::Number),
            Self::Composite => Err(COMPOSITE),
            Self::Number { decimals, signed } => number::decode(octets, decimals, signed).map(Value::Number),
            Self::Demand { decimals, signed } => demand(octets, decimals, signed),
            Self::Digits => inline::digits(octets).map(Value::Digits),
            Self::Text => Text::from_wire(octets).map(Value::Text),
            Self::TextAsTyped => Text::as_typed(octets).map(Value::Text),
            Self::Hex => Word::from_wire(octets).map(Value::Hex).ok_or(BAD_LENGTH),
            Self::Date
            | Self::Time
            | Self::DateTime
            | Self::Minute
            | Self::Second
            | Self::YearlyMinute
            | Self::YearlyDay
            | Self::MonthlyHour
            | Self::DailyMinute
            | Self::Period
            | Self::Zone
            | Self::Holiday => self.instant(octets),
        }
    }

    /// How many octets the format has, where it has only one length.
    pub const fn fixed_octets(self) -> Option<usize> {
        match self {
            Self::YearlyDay | Self::MonthlyHour | Self::DailyMinute => Some(2),
            Self::Time | Self::Period | Self::Zone => Some(3),
            Self::Date | Self::YearlyMinute | Self::Holiday => Some(4),
            Self::Minute => Some(5),
            Self::Second => Some(6),
            Self::DateTime => Some(7),
            Self::Number { .. }
            | Self::Demand { .. }
            | Self::Digits
            | Self::Text
            | Self::TextAsTyped
            | Self::Bits
            | Self::Hex
            | Self::Binary
            | Self::Composite => None,
        }
    }

    fn instant(self, octets: &[u8]) -> Result<Value, NoValue> {
        if self.fixed_octets() != Some(octets.len()) {
            return Err(BAD_LENGTH);
        }
        let zeros_are_midnight = matches!(self, Self::Time | Self::DailyMinute);
        if is_unset(octets, !zeros_are_midnight) {
            return Err(NoValue::Unset);
        }
        let slot = |start, number| Ok(Value::Slot(Slot { start, number: instant::digits2(number)? }));
        match (self, octets) {
            (Self::Date, &[_, day, month, year]) => date(year, month, day).map(Value::Date),
            (Self::Time, &[second, minute, hour]) => time(hour, minute, Some(second)).map(Value::Time),
            (Self::DateTime, &[second, minute, hour, _, day, month, year])
            | (Self::Second, &[second, minute, hour, day, month, year]) => {
                Ok(Value::DateTime(date(year, month, day)?, time(hour, minute, Some(second))?))
            }
            (Self::Minute, &[minute, hour, day, month, year]) => {
                Ok(Value::DateTime(date(year, month, day)?, time(hour, minute, None)?))
            }
            (Self::YearlyMinute, &[minute, hour, day, month]) => {
                let (month, day) = yearly(month, day)?;
                let time = Some(time(hour, minute, None)?);
                Ok(Value::Recurring(Recurring { month: Some(month), day, time }))
            }
            (Self::YearlyDay, &[day, month]) => {
                let (month, day) = yearly(month, day)?;
                Ok(Value::Recurring(Recurring { month: Some(month), day, time: None }))
            }
            (Self::MonthlyHour, &[hour, day]) => monthly(day, hour).map(Value::Recurring),
            (Self::DailyMinute, &[minute, hour]) => time(hour, minute, None).map(Value::Time),
            (Self::Period, &[number, minute, hour]) => slot(Start::Time(time(hour, minute, None)?), number),
            (Self::Zone, &[number, day, month]) => {
                let (month, day) = yearly(month, day)?;
                slot(Start::Day { month, day }, number)
            }
            (Self::Holiday, &[number, day, month, year]) => {
                slot(Start::Date(date(year, month, day)?), number)
            }
            (_, _) => Err(BAD_LENGTH),
        }
    }

    /// Writes a value over `octets`, whose length is the register's: what a meter would send.
    ///
    /// # Errors
    /// [`DoesNotFit`] if the value is of another kind or has more digits than the octets hold.
    pub fn encode(self, value: Value, octets: &mut [u8]) -> Result<(), DoesNotFit> {
        match (self, value) {
            (Self::Number { decimals, signed }, Value::Number(value)) => {
                number::encode(value, decimals, signed, octets)
            }
            (Self::Demand { decimals, signed }, Value::Demand { value, at }) => {
                let split = octets.len().checked_sub(5).ok_or(DoesNotFit)?;
                let (number, instant) = octets.split_at_mut(split);
                number::encode(value, decimals, signed, number)?;
                instant.copy_from_slice(&at.map_or([0; 5], |(d, t)| minute_wire(d, t)));
                Ok(())
            }
            (Self::Date, Value::Date(d)) => put(octets, &[weekday(d), d.day, d.month, d.year].map(bcd)),
            (Self::Time, Value::Time(t)) => put(octets, &[t.second.unwrap_or(0), t.minute, t.hour].map(bcd)),
            (Self::DateTime, Value::DateTime(d, t)) => put(
                octets,
                &[t.second.unwrap_or(0), t.minute, t.hour, weekday(d), d.day, d.month, d.year].map(bcd),
            ),
            (Self::Minute, Value::DateTime(d, t)) => put(octets, &minute_wire(d, t)),
            (Self::Second, Value::DateTime(d, t)) => {
                put(octets, &[t.second.unwrap_or(0), t.minute, t.hour, d.day, d.month, d.year].map(bcd))
            }
            (Self::YearlyMinute, Value::Recurring(Recurring { month: Some(month), day, time: Some(t) })) => {
                put(octets, &[t.minute, t.hour, day, month].map(bcd))
            }
            (Self::YearlyDay, Value::Recurring(Recurring { month: Some(month), day, time: None })) => {
                put(octets, &[day, month].map(bcd))
            }
            (Self::MonthlyHour, Value::Recurring(Recurring { month: None, day, time: Some(t) })) => {
                put(octets, &[t.hour, day].map(bcd))
            }
            (Self::DailyMinute, Value::Time(t)) => put(octets, &[t.minute, t.hour].map(bcd)),
            (Self::Period, Value::Slot(Slot { start: Start::Time(t), number })) if number < 100 => {
                put(octets, &[number, t.minute, t.hour].map(bcd))
            }
            (Self::Zone, Value::Slot(Slot { start: Start::Day { month, day }, number })) if number < 100 => {
                put(octets, &[number, day, month].map(bcd))
            }
            (Self::Holiday, Value::Slot(Slot { start: Start::Date(d), number })) if number < 100 => {
                put(octets, &[number, d.day, d.month, d.year].map(bcd))
            }
            (Self::Digits, Value::Digits(digits)) => put(octets, digits.to_wire()),
            (Self::Text, Value::Text(text)) => text.put(octets).ok_or(DoesNotFit),
            (Self::TextAsTyped, Value::Text(text)) => text.put_as_typed(octets).ok_or(DoesNotFit),
            (Self::Bits, Value::Bits(word)) | (Self::Hex, Value::Hex(word)) => put(octets, word.to_wire()),
            (Self::Binary, Value::Number(number)) => number::encode_binary(number, octets),
            (_, _) => Err(DoesNotFit),
        }
    }
}

fn demand(octets: &[u8], decimals: u8, signed: bool) -> Result<Value, NoValue> {
    let (value, instant) = octets.split_at_checked(octets.len().saturating_sub(5)).ok_or(BAD_LENGTH)?;
    let &[minute, hour, day, month, year] = instant else { return Err(BAD_LENGTH) };
    if value.is_empty() {
        return Err(BAD_LENGTH);
    }
    if value.iter().all(|&o| o == 0xFF) {
        return Err(NoValue::Missing);
    }
    let value = number::decode(value, decimals, signed)?;
    let at = if is_unset(instant, true) || instant.iter().all(|&o| o == 0xFF) {
        None
    } else {
        Some((date(year, month, day)?, time(hour, minute, None)?))
    };
    Ok(Value::Demand { value, at })
}

fn put(octets: &mut [u8], wire: &[u8]) -> Result<(), DoesNotFit> {
    if octets.len() != wire.len() {
        return Err(DoesNotFit);
    }
    octets.copy_from_slice(wire);
    Ok(())
}

const fn is_bcd(octet: u8) -> bool {
    octet >> 4 <= 9 && octet & 0x0F <= 9
}

/// Two digits as one octet; callers hold the number below 100.
const fn bcd(number: u8) -> u8 {
    (number / 10) << 4 | (number % 10)
}
