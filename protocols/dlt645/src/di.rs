//! The data identifier (数据标识): four octets in 2007 (Annex A), two in 1997.

use core::fmt;
use core::str::FromStr;

/// Edition of the standard: it decides functions, length of identifiers and error words.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Edition {
    /// DL/T 645-1997: identifiers of two octets.
    E1997,
    /// DL/T 645-2007: identifiers of four octets.
    E2007,
}

/// A data identifier of either edition, the high byte first: `Di::new(0x00010000)` and
/// `Di::new_1997(0x9010)` are both the forward active total energy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Di {
    edition: Edition,
    code: u32,
}

/// The octets of an identifier as they stand in a frame before +33H: DI0 first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wire {
    octets: [u8; 4],
    len: usize,
}

impl core::ops::Deref for Wire {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.octets[..self.len]
    }
}

impl Edition {
    /// Octets of an identifier in a frame.
    pub const fn di_octets(self) -> usize {
        match self {
            Self::E1997 => 2,
            Self::E2007 => 4,
        }
    }
}

impl Di {
    /// An identifier of 2007 as it is printed, DI3 in the top byte.
    pub const fn new(printed: u32) -> Self {
        Self { edition: Edition::E2007, code: printed }
    }

    /// An identifier of 1997 as it is printed, DI1 in the top byte.
    pub const fn new_1997(printed: u16) -> Self {
        Self { edition: Edition::E1997, code: printed as u32 }
    }

    /// The octets as they stand in a frame after -33H, DI0 first: two or four, as the edition has them.
    pub fn from_wire(edition: Edition, octets: &[u8]) -> Option<Self> {
        match edition {
            Edition::E1997 => octets.try_into().ok().map(u16::from_le_bytes).map(Self::new_1997),
            Edition::E2007 => octets.try_into().ok().map(u32::from_le_bytes).map(Self::new),
        }
    }

    /// The octets in the order of a frame, before +33H.
    pub const fn to_wire(self) -> Wire {
        Wire { octets: self.code.to_le_bytes(), len: self.edition.di_octets() }
    }

    /// Which edition it is of.
    pub const fn edition(self) -> Edition {
        self.edition
    }

    /// The number as printed.
    pub const fn get(self) -> u32 {
        self.code
    }

    /// DI0 to DI3 by number: `byte(3)` is the class of a 2007 identifier.
    pub const fn byte(self, n: usize) -> u8 {
        self.code.to_le_bytes()[n]
    }

    /// The same identifier with one byte replaced, to go from a block to its items.
    pub const fn with_byte(self, n: usize, value: u8) -> Self {
        let mut bytes = self.code.to_le_bytes();
        bytes[n] = value;
        Self { edition: self.edition, code: u32::from_le_bytes(bytes) }
    }
}

impl fmt::Display for Di {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.edition {
            Edition::E1997 => write!(f, "{:04X}", self.code),
            Edition::E2007 => write!(f, "{:08X}", self.code),
        }
    }
}

impl fmt::Debug for Di {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Di({self})")
    }
}

/// A text that is neither four nor eight hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a data identifier is 8 hexadecimal digits, e.g. 00010000, or 4 of the 1997 edition, e.g. 9010")]
pub struct BadDi;

impl FromStr for Di {
    type Err = BadDi;

    fn from_str(text: &str) -> Result<Self, BadDi> {
        if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(BadDi);
        }
        match text.len() {
            4 => u16::from_str_radix(text, 16).map(Self::new_1997).map_err(|_| BadDi),
            8 => u32::from_str_radix(text, 16).map(Self::new).map_err(|_| BadDi),
            _ => Err(BadDi),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn di_is_printed_high_byte_first_and_sent_low_byte_first() {
        let di: Di = "0201ff00".parse().unwrap();
        assert_eq!(*di.to_wire(), [0x00, 0xFF, 0x01, 0x02]);
        assert_eq!(Di::from_wire(Edition::E2007, &[0x00, 0xFF, 0x01, 0x02]), Some(di));
        assert_eq!(Di::from_wire(Edition::E2007, &[0x00, 0xFF]), None);
        assert_eq!(di.byte(1), 0xFF);
        assert_eq!(di.with_byte(1, 2), Di::new(0x0201_0200));
        assert_eq!(alloc::format!("{di}"), "0201FF00");
        let old: Di = "901f".parse().unwrap();
        assert_eq!(*old.to_wire(), [0x1F, 0x90]);
        assert_eq!(alloc::format!("{old}"), "901F");
        assert_eq!(Di::from_wire(old.edition(), &[0x1F, 0x90]), Some(old));
        assert_ne!(old, Di::new(0x901F), "0000901F is another identifier");
    }

    #[test]
    fn anything_but_four_or_eight_hex_digits_is_no_di() {
        for text in ["", "020", "0201F", "0201FF0", "0201FF000", "+201FF00", "0201FG00"] {
            assert_eq!(text.parse::<Di>(), Err(BadDi), "{text}");
        }
    }
}
