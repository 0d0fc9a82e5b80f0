//! The axes of a data identifier: which of its bytes counts what, and from where to where.
//!
//! A byte of a pattern is fixed or counts one axis. It knows nothing of names or formats.

use std::fmt;

/// What a byte of a DI counts, in the order of the suffixes of a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Axis {
    /// Field of a record (分项).
    Field,
    /// Order of a harmonic (谐波次数).
    Harmonic,
    /// Place in a list: the n-th word, table, holiday, price.
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

    /// The two letters that stand for it in a pattern.
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

    pub(crate) fn from_letters(letters: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.letters() == letters)
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.letters())
    }
}

/// The bytes that an axis can have on the wire: at least one, ascending, none of them FF.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Values(Box<[u8]>);

impl Values {
    /// Reads `00-3F` or `15/29/3D`; None if it is neither, is empty, does not ascend, or has FF.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let bytes: Box<[u8]> = match text.split_once('-') {
            Some((first, last)) => (hex(first)?..=hex(last)?).collect(),
            None => text.split('/').map(hex).collect::<Option<_>>()?,
        };
        let ascends = bytes.windows(2).all(|w| w[0] < w[1]);
        (ascends && bytes.last().is_some_and(|&b| b != 0xFF)).then_some(Self(bytes))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The n-th byte in wire order; beyond the last, the last.
    pub(crate) fn byte(&self, n: usize) -> u8 {
        self.0[n.min(self.0.len() - 1)]
    }

    pub(crate) fn place(&self, byte: u8) -> Option<usize> {
        self.0.binary_search(&byte).ok()
    }

    fn meets(&self, other: &Self) -> bool {
        self.0.iter().any(|&b| other.place(b).is_some())
    }
}

/// As it is written in a table.
impl fmt::Display for Values {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            [first, .., last] if usize::from(last - first) + 1 == self.0.len() => {
                write!(f, "{first:02X}-{last:02X}")
            }
            all => all.iter().enumerate().try_for_each(|(n, byte)| {
                let slash = if n > 0 { "/" } else { "" };
                write!(f, "{slash}{byte:02X}")
            }),
        }
    }
}

/// Two hexadecimal digits.
pub(crate) fn hex(text: &str) -> Option<u8> {
    let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_hexdigit());
    digits.then(|| u8::from_str_radix(text, 16).ok()).flatten()
}

/// One byte of a pattern.
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

    /// The n-th byte in wire order.
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

    /// What the byte counts: the phase by its place (three values are A, B, C; four begin with the
    /// total), any other axis by the byte itself. None if the cell is fixed or does not hold the byte.
    pub(crate) fn number(&self, byte: u8) -> Option<u8> {
        match self {
            Self::Fixed(_) => None,
            Self::Over(Axis::Phase, values) => {
                values.place(byte).map(|n| n as u8 + u8::from(values.len() == 3))
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

    #[test]
    fn values_are_a_range_or_a_list_that_ascends() {
        assert_eq!(Values::parse("00-3F").map(|v| v.len()), Some(64));
        assert_eq!(Values::parse("15/29/3D").and_then(|v| v.place(0x3D)), Some(2));
        assert_eq!(Values::parse("07").map(|v| v.len()), Some(1));
        for wrong in ["", "3F-00", "15/15", "29/15", "00-FF", "FF", "0-3", "00-3G", "+1-05", "00-3F-4F"] {
            assert_eq!(Values::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn three_phases_begin_with_a_and_four_with_the_total() {
        let cell = |text| Cell::Over(Axis::Phase, Values::parse(text).unwrap());
        assert_eq!(cell("15/29/3D").number(0x29), Some(2));
        assert_eq!(cell("00-03").number(0), Some(0));
        assert_eq!(cell("00-03").number(3), Some(3));
        assert_eq!(cell("00-03").number(4), None);
    }
}
