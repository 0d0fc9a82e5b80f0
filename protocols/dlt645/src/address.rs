//! The address of a meter on the line (通信地址), DL/T 645-2007 clause 5.2.2.

use crate::Edition;
use core::fmt;
use core::str::FromStr;

/// Six octets, lowest two digits first as on the wire. A nibble of A stands for any digit.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address([u8; 6]);

impl Address {
    /// AA in every octet: whoever is there. Of use only where one meter is on the line.
    pub const ANY: Self = Self([0xAA; 6]);
    /// 999999999999: all meters listen, none answers (广播地址).
    pub const BROADCAST: Self = Self([0x99; 6]);

    /// Takes the octets as they stand in a frame, A0 first. Any octets: a frame may hold any.
    pub const fn from_wire(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// The octets in the order of a frame.
    pub const fn to_wire(self) -> [u8; 6] {
        self.0
    }

    /// True if at least one nibble is the wildcard A.
    pub fn has_wildcard(self) -> bool {
        self.nibbles().any(|n| n == 0xA)
    }

    /// True if every nibble is a decimal digit, as the address of one meter must be.
    pub fn is_one_meter(self) -> bool {
        self.nibbles().all(|n| n < 0xA) && self != Self::BROADCAST
    }

    /// True if `self`, perhaps with wildcard nibbles, means the meter `other`.
    pub fn matches(self, other: Self) -> bool {
        // All but a few requests name one meter, and all but a few frames are its own.
        self == other
            || self.nibbles().zip(other.nibbles()).all(|(mine, theirs)| mine == 0xA || mine == theirs)
    }

    /// True if a reply from `from` can answer a request to `self`.
    ///
    /// In 2007 the reply carries the real address, or the requested wildcards unchanged. In 1997 a
    /// number of fewer digits is filled up with 00 or with AA, and a meter may answer in the other form;
    /// a read of all meters (99…99) is answered by the one on the line. The lowest octet is never fill.
    pub fn is_answered_by(self, from: Self, edition: Edition) -> bool {
        match edition {
            Edition::E2007 => self.matches(from),
            Edition::E1997 => {
                let fill = |at: usize| [self.0[at], from.0[at]].iter().all(|octet| matches!(octet, 0 | 0xAA));
                let filled = (1..6).rev().take_while(|at| fill(*at)).count();
                let mask = |mut address: Self| {
                    address.0[6 - filled..].fill(0);
                    address
                };
                self == Self::BROADCAST || mask(self).matches(mask(from))
            }
        }
    }

    fn nibbles(self) -> impl Iterator<Item = u8> {
        self.0.into_iter().rev().flat_map(|octet| [octet >> 4, octet & 0x0F])
    }
}

/// Twelve digits, the highest first, as on the meter's plate.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.nibbles().try_for_each(|n| write!(f, "{n:X}"))
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}

/// A text that is no address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("an address is up to 12 decimal digits, e.g. 000012345678 (A stands for any digit)")]
pub struct BadAddress;

/// One to twelve digits; missing high digits are 0 (clause 5.2.2), A is the wildcard.
impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        if text.is_empty() || text.len() > 12 {
            return Err(BadAddress);
        }
        let mut octets = [0u8; 6];
        for (place, c) in text.bytes().rev().enumerate() {
            let nibble = match c {
                b'0'..=b'9' => c - b'0',
                b'A' | b'a' => 0xA,
                _ => return Err(BadAddress),
            };
            octets[place / 2] |= if place % 2 == 0 { nibble } else { nibble << 4 };
        }
        Ok(Self(octets))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn address_is_printed_as_on_the_plate_and_sent_low_digits_first() {
        let address: Address = "12345678".parse().unwrap();
        assert_eq!(address.to_wire(), [0x78, 0x56, 0x34, 0x12, 0, 0]);
        assert_eq!(address.to_string(), "000012345678");
    }

    #[test]
    fn wildcard_nibbles_match_any_digit_and_no_other_nibble_does() {
        let real: Address = "000012345678".parse().unwrap();
        assert!(Address::ANY.matches(real));
        let short: Address = "AAAAAAAA5678".parse().unwrap();
        assert!(short.matches(real) && short.has_wildcard());
        assert!(!real.matches(short));
        let other: Address = "000012345679".parse().unwrap();
        assert!(!short.matches(other) && !real.matches(other));
        assert!(real.is_one_meter() && !short.is_one_meter() && !Address::BROADCAST.is_one_meter());
    }

    #[test]
    fn fill_of_1997_is_answered_in_either_form_and_no_digit_is_forgiven() {
        let answered = |to: &str, from: &str, edition| {
            to.parse::<Address>().unwrap().is_answered_by(from.parse().unwrap(), edition)
        };
        for (to, from) in [
            ("1234", "AAAAAAAA1234"),
            ("AAAAAAAA1234", "000000001234"),
            ("AAAAAAAA1234", "AAAAAAAA1234"),
            ("AAAAAAAAAAAA", "360621121120"),
            ("999999999999", "360621121120"),
            ("1234", "000000001234"),
            // A fill that begins inside: the nibbles are wildcards.
            ("AAAAAAA01234", "000000001234"),
            // 0012 with 00 and with AA before it.
            ("0012", "AAAAAAAAAA12"),
        ] {
            assert!(answered(to, from, Edition::E1997), "{to} {from}");
        }
        for (to, from) in [
            ("1234", "1235"),
            ("1234", "AAAAAAAA1235"),
            ("1234", "AAAAAAAAAAAA"),
            ("000000000000", "AAAAAAAAAAAA"),
            ("1234", "990000001234"),
            ("120000001234", "AA0000001234"),
            ("AAAAAAAA1234", "AAAAAAAA1134"),
        ] {
            assert!(!answered(to, from, Edition::E1997), "{to} {from}");
        }
        assert!(!answered("1234", "AAAAAAAA1234", Edition::E2007));
        assert!(!answered("999999999999", "1234", Edition::E2007));
        assert!(answered("AAAAAAAA1234", "560000001234", Edition::E2007));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "1234567890123", "12 34", "0x12", "１２", "12B4"] {
            assert_eq!(text.parse::<Address>(), Err(BadAddress), "{text}");
        }
    }
}
