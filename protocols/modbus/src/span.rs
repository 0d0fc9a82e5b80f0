//! Registers of one request.

use core::fmt;
use core::str::FromStr;

/// By which function registers are read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Function {
    /// Read Holding Registers (03).
    Holding = 3,
    /// Read Input Registers (04).
    Input = 4,
}

/// Neighbouring registers that one request reads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Span {
    /// By which function.
    pub function: Function,
    /// The address in the request, counted from 0: what manuals print as 30001 or 40001 is 0.
    pub address: u16,
    /// How many registers of 16 bits.
    pub count: u16,
}

/// A text that is no span.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("registers are written as function, address and count, e.g. 04 0034+2")]
pub struct BadSpan;

impl Function {
    /// The function of this code, where it reads registers.
    pub const fn of(code: u8) -> Option<Self> {
        match code {
            3 => Some(Self::Holding),
            4 => Some(Self::Input),
            _ => None,
        }
    }

    /// Its code in a frame.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

impl Span {
    /// The address behind the last register.
    pub const fn end(&self) -> u32 {
        self.address as u32 + self.count as u32
    }

    /// Whether all of the other's registers are among these.
    pub fn contains(&self, other: &Self) -> bool {
        self.function == other.function && self.address <= other.address && other.end() <= self.end()
    }
}

/// `04 0034+2`.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X} {:04X}+{}", self.function.code(), self.address, self.count)
    }
}

impl FromStr for Span {
    type Err = BadSpan;

    fn from_str(text: &str) -> Result<Self, BadSpan> {
        let (function, rest) = text.split_once(' ').ok_or(BadSpan)?;
        let (address, count) = rest.split_once('+').ok_or(BadSpan)?;
        let hex = |text: &str, digits: usize| {
            let fits = text.len() == digits && text.bytes().all(|octet| octet.is_ascii_hexdigit());
            fits.then(|| u16::from_str_radix(text, 16).ok()).flatten().ok_or(BadSpan)
        };
        let code = u8::try_from(hex(function, 2)?).map_err(|_| BadSpan)?;
        let plain = count.bytes().all(|octet| octet.is_ascii_digit());
        let count = count.parse().ok().filter(|count| plain && *count > 0).ok_or(BadSpan)?;
        Ok(Self { function: Function::of(code).ok_or(BadSpan)?, address: hex(address, 4)?, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_span_is_read_back_from_its_text() {
        for text in ["04 0034+2", "03 0BD3+125", "03 FFFF+1"] {
            assert_eq!(text.parse::<Span>().map(|span| span.to_string()).as_deref(), Ok(text));
        }
        for text in
            ["", "04", "04 0034", "05 0034+2", "04 34+2", "04 0034+0", "04 0034+-1", "0034+2", "00010000"]
        {
            assert_eq!(text.parse::<Span>(), Err(BadSpan), "{text}");
        }
    }

    #[test]
    fn a_span_contains_what_lies_in_it_whole() {
        let span = |text: &str| text.parse::<Span>().unwrap();
        let all = span("04 0010+8");
        assert!(all.contains(&span("04 0010+2")) && all.contains(&span("04 0016+2")) && all.contains(&all));
        assert!(!all.contains(&span("04 0017+2")) && !all.contains(&span("03 0010+2")));
        assert!(!all.contains(&span("04 000F+2")));
    }
}
