//! Requests and replies by control code and direction: DL/T 645-2007 clause 7 with the State Grid
//! functions, and those of 1997.
//!
//! Parsing looks at one frame alone: whether a reply answers a request is the
//! [exchange](crate::exchange)'s question. The edition is told by the function code, since the two
//! editions have no code in common but two:
//!
//! - 08H, broadcast time, is the same in both.
//! - 03H repeats the last answer in 1997 and is the security authentication of State Grid meters today.
//!   A caller who knows the edition says so (`parse_of`). Without that a request without data is of
//!   1997, a refusal with two octets of 2007, a reply of 2007 if its fourth octet is 07 (as DI3 of every
//!   security identifier is), and of 1997 otherwise.
//!
//! A request or reply that has a data identifier is emitted in the edition of that identifier.

mod field;
mod reply;
mod request;
#[cfg(test)]
mod tests;
mod time;
mod wire;

pub use field::{
    Count, EventScope, Operator, OutputSignal, Password, Payload, Rate, RelayAction, RelayOrder,
};
pub use reply::Reply;
pub use request::Request;
pub use time::{ClockTime, FreezeAt, RecordTime};

use crate::frame::Data;
use crate::{Di, Edition};

/// Function codes (功能码): DL/T 645-2007 clause 5.2.3, the State Grid additions, and those of 1997.
pub mod function {
    /// Read data (1997).
    pub const READ_1997: u8 = 0x01;
    /// Read follow-up data (1997).
    pub const READ_MORE_1997: u8 = 0x02;
    /// Repeat the last answer (重读数据, 1997); the number of [`SECURITY`].
    pub const RE_READ_1997: u8 = 0x03;
    /// Security authentication (安全认证, State Grid).
    pub const SECURITY: u8 = 0x03;
    /// Write data (1997).
    pub const WRITE_1997: u8 = 0x04;
    /// Broadcast time setting (广播校时); nobody answers it.
    pub const BROADCAST_TIME: u8 = 0x08;
    /// Write the communication address (1997).
    pub const WRITE_ADDRESS_1997: u8 = 0x0A;
    /// Change the baud rate (1997).
    pub const SET_RATE_1997: u8 = 0x0C;
    /// Change a password (1997).
    pub const SET_PASSWORD_1997: u8 = 0x0F;
    /// Reset maximum demand (1997).
    pub const RESET_DEMAND_1997: u8 = 0x10;
    /// Read data (读数据).
    pub const READ: u8 = 0x11;
    /// Read follow-up data (读后续数据).
    pub const READ_MORE: u8 = 0x12;
    /// Read the communication address (读通信地址).
    pub const READ_ADDRESS: u8 = 0x13;
    /// Write data (写数据).
    pub const WRITE: u8 = 0x14;
    /// Write the communication address (写通信地址); it has no abnormal answer.
    pub const WRITE_ADDRESS: u8 = 0x15;
    /// Freeze (冻结命令).
    pub const FREEZE: u8 = 0x16;
    /// Change the baud rate (更改通信速率).
    pub const SET_RATE: u8 = 0x17;
    /// Change a password (修改密码).
    pub const SET_PASSWORD: u8 = 0x18;
    /// Reset maximum demand (最大需量清零).
    pub const RESET_DEMAND: u8 = 0x19;
    /// Clear the meter (电表清零).
    pub const CLEAR_METER: u8 = 0x1A;
    /// Clear event records (事件清零).
    pub const CLEAR_EVENTS: u8 = 0x1B;
    /// Trip, close, alarm, keep power (跳合闸、报警、保电, State Grid).
    pub const RELAY: u8 = 0x1C;
    /// What the multi-function terminal puts out (多功能端子输出控制, State Grid).
    pub const OUTPUT: u8 = 0x1D;

    /// The edition that a function code belongs to; `None` for those of both and of neither.
    pub const fn edition(function: u8) -> Option<crate::Edition> {
        match function {
            READ_1997 | READ_MORE_1997 | WRITE_1997 | WRITE_ADDRESS_1997 | SET_RATE_1997
            | SET_PASSWORD_1997 | RESET_DEMAND_1997 => Some(crate::Edition::E1997),
            READ..=OUTPUT => Some(crate::Edition::E2007),
            _ => None,
        }
    }
}

/// The SEQ (帧序号) of the first follow-up frame; each next one is one more. 1997 has no SEQ.
pub const FIRST_SEQUENCE: u8 = 1;

/// The rate word that a 1997 meter sends back (8CH) when it refuses a rate.
pub const RATE_REFUSED_1997: u8 = 0xFF;

/// What 1997 calls its password item; its password command (0FH) names none.
const PASSWORD_1997: Di = Di::new_1997(0xC212);

/// Why a sound frame is no request or reply of this list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unread {
    /// A reply was looked at as a request, or the other way round.
    #[error("the frame goes the other way")]
    Direction,
    /// A function or a combination of control bits that has no meaning here, or not in this edition.
    #[error("control code {0:02X} is not known here")]
    Control(u8),
    /// The data are too short or too long for the function.
    #[error("{0} data octets do not fit the function")]
    Length(usize),
}

/// The edition of a frame; of the hint where the function code does not tell.
fn edition_of(function: u8, control: u8, hint: Option<Edition>) -> Result<Option<Edition>, Unread> {
    match (function::edition(function), hint) {
        (Some(own), Some(hinted)) if own != hinted => Err(Unread::Control(control)),
        (Some(own), _) => Ok(Some(own)),
        (None, hint) => Ok(hint),
    }
}

/// The next `N` octets; `None` if there are fewer, and then nothing of use is left.
fn array<const N: usize>(data: &mut Data<'_>) -> Option<[u8; N]> {
    let mut octets = [0; N];
    for octet in &mut octets {
        *octet = data.next()?;
    }
    Some(octets)
}
