//! Values of octets that stay octets: digits, texts, bit words, codes. All are kept in place, without allocation.

use super::{NOT_BCD, NoValue, is_bcd};
use core::fmt;

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

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_wire().iter().rev().try_for_each(|o| write!(f, "{o:02X}"))
    }
}

/// Up to twelve octets whose bits or hexadecimal digits are meant.
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

    /// Whether bit n is set; bit 0 is the lowest of the first octet. False beyond the last.
    pub fn bit(&self, n: u8) -> bool {
        self.to_wire().get(usize::from(n / 8)).is_some_and(|octet| octet >> (n % 8) & 1 == 1)
    }

    /// Bits `first` to `last` as a number, eight at most.
    pub fn bits(&self, first: u8, last: u8) -> u8 {
        (first..=last).rev().take(8).fold(0, |number, n| number << 1 | u8::from(self.bit(n)))
    }

    /// How many bits there are.
    pub fn len(&self) -> u8 {
        self.len * 8
    }

    /// Never: a word has an octet at least.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Two hexadecimal digits an octet, the high byte first, as words and identifiers are printed.
impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_wire().iter().rev().try_for_each(|o| write!(f, "{o:02X}"))
    }
}

/// The longest text of the tables.
const MAX_TEXT: usize = 32;

/// Up to 32 printable ASCII characters, without the padding.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Text {
    octets: [u8; MAX_TEXT],
    len: u8,
}

impl Text {
    /// None if it is empty, too long, has a character that is not printable ASCII, or begins or ends with a space:
    /// those are padding.
    pub fn new(text: &str) -> Option<Self> {
        let octets = text.as_bytes();
        let fits = !octets.is_empty() && octets.len() <= MAX_TEXT && text.trim() == text;
        (fits && octets.iter().all(|o| (b' '..=b'~').contains(o))).then(|| {
            let mut own = [0; MAX_TEXT];
            own[..octets.len()].copy_from_slice(octets);
            Self { octets: own, len: octets.len() as u8 }
        })
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        // Only printable ASCII is ever kept.
        core::str::from_utf8(&self.octets[..usize::from(self.len)]).unwrap_or("")
    }

    /// Reads a padded field. The low byte comes first (clause 6.1), so a text is reversed on the wire and its first
    /// character stands in the last octet. Some meters send it as it is typed: where the last octet is padding and
    /// the first is a character, the octets are taken in the order in which they came. Padding is 00 or a space, on
    /// either end.
    pub(super) fn from_wire(octets: &[u8]) -> Result<Self, NoValue> {
        let (first, last) = ends(octets)?;
        let as_typed = first == 0 && last + 1 < octets.len();
        Self::kept(&octets[first..=last], as_typed)
    }

    /// Reads a field that is sent as it is typed, wherever its padding is.
    pub(super) fn as_typed(octets: &[u8]) -> Result<Self, NoValue> {
        let (first, last) = ends(octets)?;
        Self::kept(&octets[first..=last], true)
    }

    fn kept(kept: &[u8], as_typed: bool) -> Result<Self, NoValue> {
        let mut own = [0; MAX_TEXT];
        own[..kept.len()].copy_from_slice(kept);
        let text = &mut own[..kept.len()];
        if !as_typed {
            text.reverse();
        }
        if !text.iter().all(|o| (b' '..=b'~').contains(o)) {
            return Err(NoValue::Implausible("a character that is not printable ASCII"));
        }
        Ok(Self { octets: own, len: kept.len() as u8 })
    }

    /// Reversed, and padded with 00 behind the text, which is in front on the wire.
    pub(super) fn put(&self, octets: &mut [u8]) -> Option<()> {
        let text = self.as_str().as_bytes();
        let padding = octets.len().checked_sub(text.len())?;
        let (front, behind) = octets.split_at_mut(padding);
        front.fill(0);
        behind.iter_mut().zip(text.iter().rev()).for_each(|(octet, character)| *octet = *character);
        Some(())
    }

    /// As it is typed, and padded with 00 behind.
    pub(super) fn put_as_typed(&self, octets: &mut [u8]) -> Option<()> {
        let text = self.as_str().as_bytes();
        let (front, behind) = octets.split_at_mut_checked(text.len())?;
        front.copy_from_slice(text);
        behind.fill(0);
        Some(())
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Text({:?})", self.as_str())
    }
}

/// Where the first and the last character are that is no padding.
fn ends(octets: &[u8]) -> Result<(usize, usize), NoValue> {
    if octets.len() > MAX_TEXT {
        return Err(super::BAD_LENGTH);
    }
    let is_text = |o: &u8| !matches!(*o, 0 | b' ');
    octets.iter().position(is_text).zip(octets.iter().rposition(is_text)).ok_or(NoValue::Unset)
}

pub(super) fn digits(octets: &[u8]) -> Result<Digits, NoValue> {
    Digits::from_wire(octets).ok_or(NOT_BCD)
}
