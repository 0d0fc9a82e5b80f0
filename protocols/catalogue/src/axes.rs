//! The axes of a data identifier: which of its bytes counts what, and from where to where.
//!
//! A byte of a pattern is fixed or counts one axis. It knows nothing of names or formats.

use std::fmt;

/// What a byte of a DI counts, in the order of the suffixes of a name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Axis {
    /// Order of a harmonic (谐波次数).
    Harmonic,
    /// Phase (相别); 0 is the total of all.
    Phase,
    /// Tariff (费率); 0 is the total of all.
    Tariff,
    /// Settlement days back (上 n 结算日); 0 is the present value.
    Settlement,
}

impl Axis {
    /// In the order of the suffixes of a name.
    pub(crate) const ALL: [Self; 4] = [Self::Harmonic, Self::Phase, Self::Tariff, Self::Settlement];

    /// The two letters that stand for it in a pattern.
    pub(crate) const fn letters(self) -> &'static str {
        match self {
            Self::Harmonic => "hh",
            Self::Phase => "pp",
            Self::Tariff => "tt",
            Self::Settlement => "ss",
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
            Self::Over(Axis::Harmonic | Axis::Tariff | Axis::Settlement, values) => {
                values.place(byte).map(|_| byte)
            }
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
