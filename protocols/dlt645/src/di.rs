//! The data identifier (数据标识) of DL/T 645-2007, Annex A.

use core::fmt;
use core::str::FromStr;

/// A 2007 data identifier, DI3 first: `Di::new(0x00010000)` is the forward active total energy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Di(u32);

impl Di {
    /// The identifier as it is printed, DI3 in the top byte.
    pub const fn new(printed: u32) -> Self {
        Self(printed)
    }

    /// The four bytes as they stand in a frame after -33H: DI0 first.
    pub const fn from_wire(bytes: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(bytes))
    }

    /// The four bytes in the order of a frame, before +33H.
    pub const fn to_wire(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }

    /// The number as printed.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// DI0 to DI3 by number: `byte(3)` is the class.
    pub const fn byte(self, n: usize) -> u8 {
        self.0.to_le_bytes()[n]
    }

    /// The same identifier with one byte replaced, to go from a block to its items.
    pub const fn with_byte(self, n: usize, value: u8) -> Self {
        let mut bytes = self.0.to_le_bytes();
        bytes[n] = value;
        Self(u32::from_le_bytes(bytes))
    }
}

impl fmt::Display for Di {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08X}", self.0)
    }
}

impl fmt::Debug for Di {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Di({self})")
    }
}

/// A text that is not eight hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a data identifier is 8 hexadecimal digits, e.g. 00010000")]
pub struct BadDi;

impl FromStr for Di {
    type Err = BadDi;

    fn from_str(text: &str) -> Result<Self, BadDi> {
        if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BadDi);
        }
        u32::from_str_radix(text, 16).map(Self).map_err(|_| BadDi)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn di_is_printed_high_byte_first_and_sent_low_byte_first() {
        let di: Di = "0201ff00".parse().unwrap();
        assert_eq!(di.to_wire(), [0x00, 0xFF, 0x01, 0x02]);
        assert_eq!(Di::from_wire([0x00, 0xFF, 0x01, 0x02]), di);
        assert_eq!(di.byte(1), 0xFF);
        assert_eq!(di.with_byte(1, 2), Di::new(0x0201_0200));
        assert_eq!(alloc::format!("{di}"), "0201FF00");
    }

    #[test]
    fn anything_but_eight_hex_digits_is_no_di() {
        for text in ["", "0201", "0201FF0", "0201FF000", "+201FF00", "0201FG00"] {
            assert_eq!(text.parse::<Di>(), Err(BadDi), "{text}");
        }
    }
}
