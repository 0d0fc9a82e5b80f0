//! Why a meter refuses (异常码).

use core::fmt;

/// The code of an exception (Modbus application protocol 1.1b3, section 7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Exception {
    /// It does not know the function (01).
    IllegalFunction,
    /// It has no such registers (02).
    IllegalDataAddress,
    /// It does not give so many, or not these together (03).
    IllegalDataValue,
    /// It failed while it answered (04).
    DeviceFailure,
    /// It needs longer than an answer may take (05).
    Acknowledge,
    /// It is busy (06).
    Busy,
    /// It cannot do it (07).
    NegativeAcknowledge,
    /// Its memory is damaged (08).
    MemoryParity,
    /// The gateway between has no way to it (0A).
    GatewayPath,
    /// The gateway between got no answer of it (0B).
    GatewayTarget,
    /// A code that the standard does not have.
    Other(u8),
}

impl Exception {
    /// The exception of this code.
    pub const fn of(code: u8) -> Self {
        match code {
            0x01 => Self::IllegalFunction,
            0x02 => Self::IllegalDataAddress,
            0x03 => Self::IllegalDataValue,
            0x04 => Self::DeviceFailure,
            0x05 => Self::Acknowledge,
            0x06 => Self::Busy,
            0x07 => Self::NegativeAcknowledge,
            0x08 => Self::MemoryParity,
            0x0A => Self::GatewayPath,
            0x0B => Self::GatewayTarget,
            other => Self::Other(other),
        }
    }

    /// Its code in a frame.
    pub const fn code(self) -> u8 {
        match self {
            Self::IllegalFunction => 0x01,
            Self::IllegalDataAddress => 0x02,
            Self::IllegalDataValue => 0x03,
            Self::DeviceFailure => 0x04,
            Self::Acknowledge => 0x05,
            Self::Busy => 0x06,
            Self::NegativeAcknowledge => 0x07,
            Self::MemoryParity => 0x08,
            Self::GatewayPath => 0x0A,
            Self::GatewayTarget => 0x0B,
            Self::Other(code) => code,
        }
    }

    /// Whether the same question may be answered a little later.
    pub const fn is_busy(self) -> bool {
        matches!(self, Self::Acknowledge | Self::Busy)
    }

    /// Whether the meter does not have what was asked for, now or later.
    pub const fn lacks(self) -> bool {
        matches!(self, Self::IllegalFunction | Self::IllegalDataAddress | Self::IllegalDataValue)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::IllegalFunction => "illegal function",
            Self::IllegalDataAddress => "illegal data address",
            Self::IllegalDataValue => "illegal data value",
            Self::DeviceFailure => "server device failure",
            Self::Acknowledge => "acknowledge",
            Self::Busy => "server device busy",
            Self::NegativeAcknowledge => "negative acknowledge",
            Self::MemoryParity => "memory parity error",
            Self::GatewayPath => "gateway path unavailable",
            Self::GatewayTarget => "gateway target device failed to respond",
            Self::Other(_) => "a code of the maker's own",
        }
    }
}

/// `illegal data address (02)`.
impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:02X})", self.name(), self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_its_own() {
        for code in 0..=u8::MAX {
            assert_eq!(Exception::of(code).code(), code);
        }
    }
}
