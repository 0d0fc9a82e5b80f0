//! The error word (错误信息字) of an abnormal reply, DL/T 645-2007 Annex C.

use core::fmt;

/// One octet of flags; the octet may be absent in replies of careless meters, which counts as 00.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ErrorWord(pub u8);

/// Annex C, bit 0 first; bit 7 is reserved.
const MEANINGS: [&str; 8] = [
    "other error",
    "no requested data",
    "wrong password or not authorised",
    "baud rate cannot be changed",
    "too many year time zones",
    "too many day periods",
    "too many tariffs",
    "reserved bit 7",
];

impl ErrorWord {
    /// The meter has no such data (无请求数据), bit 1.
    pub const NO_REQUESTED_DATA: Self = Self(0x02);
    /// Other error (其他错误), bit 0.
    pub const OTHER: Self = Self(0x01);

    /// True if bit 1 is set.
    pub fn no_requested_data(self) -> bool {
        self.0 & 0x02 != 0
    }

    /// What each set bit means, lowest bit first; empty for 00.
    pub fn meanings(self) -> impl Iterator<Item = &'static str> {
        (0..8).filter(move |bit| self.0 & (1 << bit) != 0).map(|bit| MEANINGS[bit])
    }
}

/// The meanings joined, e.g. `no requested data`; a word without bits says so.
impl fmt::Display for ErrorWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut first = true;
        for meaning in self.meanings() {
            if !first {
                f.write_str(", ")?;
            }
            f.write_str(meaning)?;
            first = false;
        }
        if first {
            write!(f, "error word {:02X}", self.0)?;
        }
        Ok(())
    }
}
