//! The error words (错误信息字) of abnormal replies, each with the meanings of its edition.

use crate::Edition;
use core::fmt;

/// What an abnormal reply says, as flags. The octets may be absent in replies of careless meters, which
/// counts as no flag set.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorWord {
    /// ERR of DL/T 645-2007, Annex C.
    Of2007(u8),
    /// ERR of DL/T 645-1997, where bit 0 is *illegal data* and bit 3 is reserved.
    Of1997(u8),
    /// SERR, two octets, which State Grid meters answer to a security authentication (C3H).
    Security(u16),
}

/// DL/T 645-2007 Annex C, bit 0 first.
const OF_2007: [&str; 8] = [
    "other error",
    "no requested data",
    "wrong password or not authorised",
    "baud rate cannot be changed",
    "too many year time zones",
    "too many day periods",
    "too many tariffs",
    "reserved bit 7",
];

/// The same of 1997.
const OF_1997: [&str; 8] = [
    "illegal data",
    "identifier error",
    "wrong password",
    "reserved bit 3",
    "too many year time zones",
    "too many day periods",
    "too many tariffs",
    "reserved bit 7",
];

/// SERR; the bits above are reserved.
const SECURITY: [&str; 7] = [
    "other error",
    "repeated recharge",
    "ESAM verification failed",
    "identity authentication failed",
    "customer number does not match",
    "recharge count is wrong",
    "purchase above the hoarding limit",
];

impl ErrorWord {
    /// The meter has no such data (无请求数据), bit 1 of 2007.
    pub const NO_REQUESTED_DATA: Self = Self::Of2007(0x02);
    /// Other error (其他错误), bit 0 of 2007.
    pub const OTHER: Self = Self::Of2007(0x01);
    /// Wrong password or not authorised (密码错/未授权), bit 2 of 2007.
    pub const WRONG_PASSWORD: Self = Self::Of2007(0x04);

    /// The flags as a number.
    pub const fn bits(self) -> u16 {
        match self {
            Self::Of2007(bits) | Self::Of1997(bits) => bits as u16,
            Self::Security(bits) => bits,
        }
    }

    /// True if the meter says that it has no such register: bit 1, in 1997 the identifier error.
    pub const fn no_requested_data(self) -> bool {
        match self {
            Self::Of2007(bits) | Self::Of1997(bits) => bits & 0x02 != 0,
            Self::Security(_) => false,
        }
    }

    /// The same refusal in the words of an edition: bits 0 to 2 and 4 to 6 stand for the same reasons
    /// in both, where an edition has no such reason it is the other error.
    pub const fn of(self, edition: Edition) -> Self {
        match (self, edition) {
            (Self::Of2007(bits), Edition::E1997) => {
                Self::Of1997(if bits == 0x08 { 0x01 } else { bits & !0x08 })
            }
            (Self::Of1997(bits), Edition::E2007) => Self::Of2007(bits),
            (Self::Security(_), Edition::E1997) => Self::Of1997(0x01),
            (Self::Security(_), Edition::E2007) => Self::OTHER,
            (word, _) => word,
        }
    }

    /// The same refusal as an answer to a security authentication.
    pub const fn of_security(self) -> Self {
        match self {
            Self::Security(_) => self,
            Self::Of2007(_) | Self::Of1997(_) => Self::Security(0x01),
        }
    }

    /// What each set bit means, lowest bit first; empty if none is set.
    pub fn meanings(self) -> impl Iterator<Item = &'static str> {
        let table: &[&str] = match self {
            Self::Of2007(_) => &OF_2007,
            Self::Of1997(_) => &OF_1997,
            Self::Security(_) => &SECURITY,
        };
        (0..16)
            .filter(move |bit| self.bits() & (1 << bit) != 0)
            .map(|bit: usize| table.get(bit).copied().unwrap_or("a reserved bit"))
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
            write!(f, "error word {:02X}", self.bits())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn same_bit_is_read_as_its_edition_means_it() {
        assert_eq!(ErrorWord::Of2007(0x01).to_string(), "other error");
        assert_eq!(ErrorWord::Of1997(0x01).to_string(), "illegal data");
        assert_eq!(ErrorWord::Of2007(0x0A).to_string(), "no requested data, baud rate cannot be changed");
        assert_eq!(ErrorWord::Of1997(0x0A).to_string(), "identifier error, reserved bit 3");
        assert_eq!(
            ErrorWord::Security(0x0044).to_string(),
            "ESAM verification failed, purchase above the hoarding limit"
        );
        assert_eq!(ErrorWord::Security(0x8000).to_string(), "a reserved bit");
        assert_eq!(ErrorWord::Of1997(0).to_string(), "error word 00");
    }

    #[test]
    fn refusal_is_said_in_the_words_of_the_edition_asked() {
        assert_eq!(ErrorWord::NO_REQUESTED_DATA.of(Edition::E1997), ErrorWord::Of1997(0x02));
        assert_eq!(ErrorWord::Of2007(0x08).of(Edition::E1997), ErrorWord::Of1997(0x01));
        assert_eq!(ErrorWord::WRONG_PASSWORD.of_security(), ErrorWord::Security(0x01));
        assert!(
            ErrorWord::Of1997(0x02).no_requested_data() && !ErrorWord::Security(0x02).no_requested_data()
        );
    }
}
