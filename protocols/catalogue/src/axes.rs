//! The axes of a data identifier: which of its places counts what, and from where to where.
//!
//! A place is a byte of a 2007 identifier and a nibble of a 1997 one; both have four. A place of a pattern
//! is fixed or counts one axis. It knows nothing of names or formats.

use dlt645::{Di, Edition};
use std::fmt;

/// What a byte of a DI counts, in the order of the suffixes of a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Axis {
    /// Field of a record (分项).
    Field,
    /// Order of a harmonic (谐波次数).
    Harmonic,
    /// Place in a list: the n-th word, table, zone, holiday, price (第 n 时区).
    Number,
    /// Phase (相别); 0 is the total of all.
    Phase,
    /// Tariff (费率); 0 is the total of all.
    Tariff,
    /// Settlement days back (上 n 结算日); 0 is the present value.
    Settlement,
    /// Months back (上 n 月); 0 is this month.
    Month,
    /// Daily freezes back (日冻结).
    Day,
    /// Hourly freezes back (整点冻结).
    Hour,
    /// Timed freezes back (定时冻结).
    Timed,
    /// Instant freezes back (瞬时冻结).
    Instant,
    /// Records back (上 n 次), 1 the newest.
    Record,
}

impl Axis {
    /// In the order of the suffixes of a name.
    pub(crate) const ALL: [Self; 12] = [
        Self::Field,
        Self::Harmonic,
        Self::Number,
        Self::Phase,
        Self::Tariff,
        Self::Settlement,
        Self::Month,
        Self::Day,
        Self::Hour,
        Self::Timed,
        Self::Instant,
        Self::Record,
    ];

    /// Those that count backwards in time; a register has one at most.
    pub(crate) const BACK: [Self; 7] =
        [Self::Settlement, Self::Month, Self::Day, Self::Hour, Self::Timed, Self::Instant, Self::Record];

    /// The two letters that stand for it in a pattern; in a pattern of 1997 it is one of them.
    pub(crate) const fn letters(self) -> &'static str {
        match self {
            Self::Field => "fi",
            Self::Harmonic => "hh",
            Self::Number => "nn",
            Self::Phase => "pp",
            Self::Tariff => "tt",
            Self::Settlement => "ss",
            Self::Month => "mo",
            Self::Day => "dy",
            Self::Hour => "hr",
            Self::Timed => "tm",
            Self::Instant => "in",
            Self::Record => "rc",
        }
    }

    /// What stands before its number at the end of a name.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Field | Self::Harmonic | Self::Number => "",
            Self::Phase => "l",
            Self::Tariff => "t",
            Self::Settlement => "s",
            Self::Month => "month",
            Self::Day => "day",
            Self::Hour => "hour",
            Self::Timed => "timed",
            Self::Instant => "instant",
            Self::Record => "record",
        }
    }

    /// Those that a table of this edition can have.
    pub(crate) const fn of(edition: Edition) -> &'static [Self] {
        match edition {
            Edition::E1997 => &[Self::Harmonic, Self::Number, Self::Phase, Self::Tariff, Self::Settlement],
            Edition::E2007 => &Self::ALL,
        }
    }

    /// As it stands in a pattern of this edition.
    pub(crate) fn letters_of(self, edition: Edition) -> &'static str {
        &self.letters()[..digits(edition)]
    }

    pub(crate) fn from_letters(edition: Edition, letters: &str) -> Option<Self> {
        Self::of(edition).iter().copied().find(|a| a.letters_of(edition) == letters)
    }
}

/// Hexadecimal digits of one place.
pub(crate) const fn digits(edition: Edition) -> usize {
    match edition {
        Edition::E1997 => 1,
        Edition::E2007 => 2,
    }
}

/// What stands in a place where a request asks for a block.
pub(crate) const fn wild(edition: Edition) -> u8 {
    match edition {
        Edition::E1997 => 0x0F,
        Edition::E2007 => 0xFF,
    }
}

/// The identifier with zeros in all places.
pub(crate) const fn zero(edition: Edition) -> Di {
    match edition {
        Edition::E1997 => Di::new_1997(0),
        Edition::E2007 => Di::new(0),
    }
}

/// The n-th place of an identifier, the lowest first.
pub(crate) const fn place(di: Di, n: usize) -> u8 {
    match di.edition() {
        Edition::E1997 => di.byte(n / 2) >> (4 * (n % 2)) & 0x0F,
        Edition::E2007 => di.byte(n),
    }
}

/// The same identifier with another value in one place.
pub(crate) const fn with_place(di: Di, n: usize, value: u8) -> Di {
    match di.edition() {
        Edition::E1997 => {
            let shift = 4 * (n % 2);
            let rest = di.byte(n / 2) & !(0x0F << shift);
            di.with_byte(n / 2, rest | (value & 0x0F) << shift)
        }
        Edition::E2007 => di.with_byte(n, value),
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.letters())
    }
}

/// The values that a place can have on the wire: at least one, ascending, none of them wild.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Values {
    edition: Edition,
    bytes: Box<[u8]>,
}

impl Values {
    /// Reads `00-3F` or `15/29/3D`, `0-E` or `0/4/8` in 1997; None if it is neither, is empty, does not ascend,
    /// or has the wild value.
    pub(crate) fn parse(edition: Edition, text: &str) -> Option<Self> {
        let hex = |text| hex(edition, text);
        let bytes: Box<[u8]> = match text.split_once('-') {
            Some((first, last)) => (hex(first)?..=hex(last)?).collect(),
            None => text.split('/').map(hex).collect::<Option<_>>()?,
        };
        let ascends = bytes.windows(2).all(|w| w[0] < w[1]);
        (ascends && bytes.last().is_some_and(|&b| b != wild(edition))).then_some(Self { edition, bytes })
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The n-th value in wire order; beyond the last, the last.
    pub(crate) fn byte(&self, n: usize) -> u8 {
        self.bytes[n.min(self.bytes.len() - 1)]
    }

    pub(crate) fn place(&self, byte: u8) -> Option<usize> {
        self.bytes.binary_search(&byte).ok()
    }

    fn meets(&self, other: &Self) -> bool {
        self.bytes.iter().any(|&b| other.place(b).is_some())
    }
}

/// As it is written in a table.
impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = digits(self.edition);
        match &*self.bytes {
            [first, .., last] if usize::from(last - first) + 1 == self.bytes.len() => {
                write!(f, "{first:0width$X}-{last:0width$X}")
            }
            all => all.iter().enumerate().try_for_each(|(n, byte)| {
                let slash = if n > 0 { "/" } else { "" };
                write!(f, "{slash}{byte:0width$X}")
            }),
        }
    }
}

/// The hexadecimal digits of one place.
pub(crate) fn hex(edition: Edition, text: &str) -> Option<u8> {
    let good = text.len() == digits(edition) && text.bytes().all(|b| b.is_ascii_hexdigit());
    good.then(|| u8::from_str_radix(text, 16).ok()).flatten()
}

/// One place of a pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Cell {
    Fixed(u8),
    Over(Axis, Values),
}

impl Cell {
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Fixed(_) => 1,
            Self::Over(_, values) => values.len(),
        }
    }

    /// The n-th value in wire order.
    pub(crate) fn byte(&self, n: usize) -> u8 {
        match self {
            Self::Fixed(byte) => *byte,
            Self::Over(_, values) => values.byte(n),
        }
    }

    pub(crate) fn holds(&self, byte: u8) -> bool {
        match self {
            Self::Fixed(own) => *own == byte,
            Self::Over(_, values) => values.place(byte).is_some(),
        }
    }

    /// What the value counts: the phase by its position (three values are A, B, C; four begin with the
    /// total), the month in 1997 by bits 3 and 2 of DI1, any other axis by the value itself. None if the cell is
    /// fixed or does not hold the value.
    pub(crate) fn number(&self, byte: u8) -> Option<u8> {
        match self {
            Self::Fixed(_) => None,
            Self::Over(Axis::Phase, values) => {
                values.place(byte).map(|n| n as u8 + u8::from(values.len() == 3))
            }
            Self::Over(Axis::Settlement, values) if values.edition == Edition::E1997 => {
                values.place(byte).map(|_| byte >> 2)
            }
            Self::Over(
                Axis::Field
                | Axis::Harmonic
                | Axis::Number
                | Axis::Tariff
                | Axis::Settlement
                | Axis::Month
                | Axis::Day
                | Axis::Hour
                | Axis::Timed
                | Axis::Instant
                | Axis::Record,
                values,
            ) => values.place(byte).map(|_| byte),
        }
    }

    /// Whether one byte is in both.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Fixed(byte), cell) | (cell, Self::Fixed(byte)) => cell.holds(*byte),
            (Self::Over(_, mine), Self::Over(_, theirs)) => mine.meets(theirs),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Option<Values> {
        Values::parse(Edition::E2007, text)
    }

    #[test]
    fn values_are_a_range_or_a_list_that_ascends() {
        assert_eq!(values("00-3F").map(|v| v.len()), Some(64));
        assert_eq!(values("15/29/3D").and_then(|v| v.place(0x3D)), Some(2));
        assert_eq!(values("07").map(|v| v.len()), Some(1));
        for wrong in ["", "3F-00", "15/15", "29/15", "00-FF", "FF", "0-3", "00-3G", "+1-05", "00-3F-4F"] {
            assert_eq!(values(wrong), None, "{wrong}");
        }
        let values = |text| Values::parse(Edition::E1997, text).map(|v| v.len());
        assert_eq!([values("0-E"), values("1/5/9"), values("7")], [Some(15), Some(3), Some(1)]);
        for wrong in ["", "00-0E", "0-F", "F", "8/4", "0-E-E"] {
            assert_eq!(values(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn places_are_bytes_in_2007_and_nibbles_in_1997() {
        let di = Di::new(0x0102_0304);
        assert_eq!([0, 1, 2, 3].map(|n| place(di, n)), [4, 3, 2, 1]);
        assert_eq!(with_place(di, 1, 0xFF), Di::new(0x0102_FF04));
        let di = Di::new_1997(0x9A1C);
        assert_eq!([0, 1, 2, 3].map(|n| place(di, n)), [0xC, 1, 0xA, 9]);
        assert_eq!([0, 1, 2, 3].map(|n| with_place(di, n, 0xF).get()), [0x9A1F, 0x9AFC, 0x9F1C, 0xFA1C]);
    }

    #[test]
    fn months_of_1997_are_bits_3_and_2() {
        let months = |text| {
            let cell = Cell::Over(Axis::Settlement, Values::parse(Edition::E1997, text).unwrap());
            [0, 1, 2].map(|n| cell.number(cell.byte(n)))
        };
        assert_eq!(months("0/4/8"), [Some(0), Some(1), Some(2)]);
        assert_eq!(months("1/5/9"), [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn three_phases_begin_with_a_and_four_with_the_total() {
        let cell = |text| Cell::Over(Axis::Phase, values(text).unwrap());
        assert_eq!(cell("15/29/3D").number(0x29), Some(2));
        assert_eq!(cell("00-03").number(0), Some(0));
        assert_eq!(cell("00-03").number(3), Some(3));
        assert_eq!(cell("00-03").number(4), None);
    }
}
