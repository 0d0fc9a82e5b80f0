//! What a character costs on a line.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Parity of a character.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Parity {
    /// No parity bit: damaged octets go unnoticed but for the checksum.
    None,
    /// Even, as DL/T 645 asks.
    Even,
    /// Odd.
    Odd,
}

/// Bits of one character, written `8E1` (帧格式).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct CharFormat {
    /// 7 or 8.
    pub data_bits: u8,
    /// Parity.
    pub parity: Parity,
    /// 1 or 2.
    pub stop_bits: u8,
}

/// Rate and character of a line (波特率, 帧格式).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Line {
    /// Bits per second.
    pub baud: u32,
    /// Bits of a character.
    pub frame: CharFormat,
}

/// Rates of DL/T 645-2007 clause 4.3 and those that serial servers offer beside them.
pub const RATES: [u32; 10] = [300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115_200];

impl CharFormat {
    /// 8 data bits, even parity, 1 stop bit (DL/T 645-2007 clause 4.2).
    pub const EVEN: Self = Self { data_bits: 8, parity: Parity::Even, stop_bits: 1 };

    /// Bits on the wire for one character, the start bit included.
    pub const fn bits(self) -> u32 {
        let parity = match self.parity {
            Parity::None => 0,
            Parity::Even | Parity::Odd => 1,
        };
        1 + self.data_bits as u32 + parity + self.stop_bits as u32
    }
}

impl Line {
    /// 2400 baud 8E1, the standard's default on RS-485 (DL/T 645-2007 clause 4.3).
    pub const DEFAULT: Self = Self { baud: 2400, frame: CharFormat::EVEN };

    /// The time that `count` characters take.
    pub fn octets(self, count: usize) -> Duration {
        let bits = u64::from(self.frame.bits()) * count as u64;
        Duration::from_nanos(bits * 1_000_000_000 / u64::from(self.baud.max(1)))
    }
}

impl fmt::Display for CharFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parity = match self.parity {
            Parity::None => 'N',
            Parity::Even => 'E',
            Parity::Odd => 'O',
        };
        write!(f, "{}{}{}", self.data_bits, parity, self.stop_bits)
    }
}

/// `2400 8E1`.
impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.baud, self.frame)
    }
}

/// A text that is no character format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a frame is data bits, parity and stop bits: 8E1, 8N1, 8O1, 7E1, 8E2 …")]
pub struct BadCharFormat;

impl FromStr for CharFormat {
    type Err = BadCharFormat;

    fn from_str(text: &str) -> Result<Self, BadCharFormat> {
        let [data @ (b'7' | b'8'), parity, stop @ (b'1' | b'2')] = *text.as_bytes() else {
            return Err(BadCharFormat);
        };
        let parity = match parity.to_ascii_uppercase() {
            b'N' => Parity::None,
            b'E' => Parity::Even,
            b'O' => Parity::Odd,
            _ => return Err(BadCharFormat),
        };
        Ok(Self { data_bits: data - b'0', parity, stop_bits: stop - b'0' })
    }
}

/// The silence that parts two frames of Modbus: 3.5 characters, and 1.75 ms above 19200 Bd (Modbus over serial line 1.02,
/// section 2.5.1.1).
pub fn frame_gap(line: Line) -> Duration {
    const FAST: Duration = Duration::from_micros(1750);
    if line.baud > 19200 { FAST } else { line.octets(7) / 2 }
}

/// A text that is no rate and character.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("a line is its rate and its frame, as 9600 8N1")]
pub struct BadLine;

/// `9600 8N1`.
impl FromStr for Line {
    type Err = BadLine;

    fn from_str(text: &str) -> Result<Self, BadLine> {
        let (baud, frame) = text.trim().split_once(' ').ok_or(BadLine)?;
        let baud = baud.parse().ok().filter(|baud| RATES.contains(baud)).ok_or(BadLine)?;
        Ok(Self { baud, frame: frame.trim().parse().map_err(|_| BadLine)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_of_8e1_is_eleven_bits() {
        assert_eq!(CharFormat::EVEN.bits(), 11);
        assert_eq!("8N1".parse::<CharFormat>().unwrap().bits(), 10);
        // 20 characters at 2400: the request of a read with four FE.
        assert_eq!(Line::DEFAULT.octets(20).as_micros(), 91_666);
    }

    #[test]
    fn a_line_is_read_back_from_its_text() {
        for text in ["9600 8N1", "2400 8E1", "115200 8O2"] {
            assert_eq!(text.parse::<Line>().unwrap().to_string(), text);
        }
        for text in ["", "9600", "9601 8N1", "8N1 9600", "9600 8N1 x"] {
            assert_eq!(text.parse::<Line>(), Err(BadLine), "{text}");
        }
    }

    #[test]
    fn a_frame_is_three_characters_or_an_error() {
        assert_eq!("8e1".parse::<CharFormat>(), Ok(CharFormat::EVEN));
        for text in ["", "8E", "9E1", "8X1", "8E3", "8E11"] {
            assert_eq!(text.parse::<CharFormat>(), Err(BadCharFormat), "{text}");
        }
    }
}
