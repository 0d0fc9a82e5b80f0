//! What a master asks.

use super::field::{Count, EventScope, Operator, OutputSignal, Password, Payload, Rate, RelayOrder};
use super::function;
use super::time::{ClockTime, FreezeAt, RecordTime};
use crate::frame::Frame;
use crate::{Address, Di, Edition};
use alloc::vec::Vec;
use core::fmt;

/// What a master asks. Printed, even by `Debug`, it is the line of its frame, passwords masked.
///
/// 1997 has no read address. A single meter on a line is found there by a [`Request::Read`] of C032 (the
/// meter number) or 901F from [`Address::ANY`], then from [`Address::BROADCAST`], to which many meters
/// answer a read: the address stands in the reply's address field ([`Request::discovery`]).
#[derive(Clone, PartialEq, Eq)]
pub enum Request {
    /// 11H, 1997 01H: read data.
    Read {
        /// Whom; wildcard nibbles allowed.
        address: Address,
        /// What.
        di: Di,
    },
    /// 11H: read load records.
    ReadRecords {
        /// Whom; wildcard nibbles allowed.
        address: Address,
        /// 06xx0000 the earliest, 06xx0001 from a time, 06xx0002 the latest.
        di: Di,
        /// How many.
        count: Count,
        /// From when, with 06xx0001 (m = 6); without it m = 1.
        from: Option<RecordTime>,
    },
    /// 12H, 1997 02H: read the data that the last reply announced. An [exchange](crate::exchange) asks so
    /// by itself.
    ReadMore {
        /// Whom; wildcard nibbles allowed.
        address: Address,
        /// As in the first request.
        di: Di,
        /// Which follow-up frame, counted from [`FIRST_SEQUENCE`](super::FIRST_SEQUENCE); 1997 sends
        /// none, it is 0 there.
        sequence: u8,
    },
    /// 03H of 1997: repeat the last answer.
    ReRead {
        /// Whom.
        address: Address,
    },
    /// 13H: read the address of the one meter on the line.
    ReadAddress,
    /// 14H, 1997 04H: write data.
    Write {
        /// Whom.
        address: Address,
        /// What.
        di: Di,
        /// With what right.
        password: Password,
        /// Who; 1997 sends none, it is [`Operator::NONE`] there.
        operator: Operator,
        /// The octets to be written.
        data: Payload,
    },
    /// 15H, 1997 0AH: write the address of the one meter on the line.
    WriteAddress {
        /// [`Address::ANY`] in 2007, [`Address::BROADCAST`] or the old address in 1997.
        address: Address,
        /// Whose function code is meant.
        edition: Edition,
        /// What the meter is called from now on.
        new: Address,
    },
    /// 08H: set all clocks that are wrong by up to five minutes. Nobody answers.
    BroadcastTime {
        /// [`Address::BROADCAST`].
        address: Address,
        /// The time.
        time: ClockTime,
    },
    /// 16H: freeze.
    Freeze {
        /// One meter, which answers, or [`Address::BROADCAST`].
        address: Address,
        /// When.
        at: FreezeAt,
    },
    /// 17H, 1997 0CH: change the baud rate. The answer comes at the old one.
    SetRate {
        /// Whom.
        address: Address,
        /// To what, in a word of the edition that is meant.
        rate: Rate,
    },
    /// 18H, 1997 0FH: change a password.
    SetPassword {
        /// Whom.
        address: Address,
        /// 04000C0n; C212 for the command of 1997, which does not send it.
        di: Di,
        /// The present password, or one of a higher level.
        old: Password,
        /// The new one.
        new: Password,
    },
    /// 19H, 1997 10H: reset maximum demand.
    ResetDemand {
        /// Whom.
        address: Address,
        /// Whose function code is meant.
        edition: Edition,
        /// With what right.
        password: Password,
        /// Who; 1997 sends none, it is [`Operator::NONE`] there.
        operator: Operator,
    },
    /// 1AH: clear the meter.
    ClearMeter {
        /// Whom.
        address: Address,
        /// With what right.
        password: Password,
        /// Who.
        operator: Operator,
    },
    /// 1BH: clear event records.
    ClearEvents {
        /// Whom.
        address: Address,
        /// With what right.
        password: Password,
        /// Who.
        operator: Operator,
        /// Which.
        scope: EventScope,
    },
    /// 1CH: trip, close, alarm, keep power.
    Relay {
        /// Whom.
        address: Address,
        /// With what right.
        password: Password,
        /// Who.
        operator: Operator,
        /// N1 to N8.
        order: RelayOrder,
    },
    /// 1DH: what the multi-function terminal puts out.
    Output {
        /// Whom.
        address: Address,
        /// What.
        signal: OutputSignal,
    },
    /// 03H: security authentication; its parameters are the security chip's.
    Security {
        /// Whom.
        address: Address,
        /// 07xxxxxx.
        di: Di,
        /// Who.
        operator: Operator,
        /// The parameters.
        data: Payload,
    },
}

impl Request {
    /// The reads by which a single meter of 1997 is found, in the order to be tried.
    pub const fn discovery() -> [Self; 4] {
        const NUMBER: Di = Di::new_1997(0xC032);
        const ENERGY: Di = Di::new_1997(0x901F);
        [
            Self::Read { address: Address::ANY, di: NUMBER },
            Self::Read { address: Address::ANY, di: ENERGY },
            Self::Read { address: Address::BROADCAST, di: NUMBER },
            Self::Read { address: Address::BROADCAST, di: ENERGY },
        ]
    }

    /// Whom the request goes to.
    pub const fn address(&self) -> Address {
        match self {
            Self::Read { address, .. }
            | Self::ReadRecords { address, .. }
            | Self::ReadMore { address, .. }
            | Self::ReRead { address }
            | Self::Write { address, .. }
            | Self::WriteAddress { address, .. }
            | Self::BroadcastTime { address, .. }
            | Self::Freeze { address, .. }
            | Self::SetRate { address, .. }
            | Self::SetPassword { address, .. }
            | Self::ResetDemand { address, .. }
            | Self::ClearMeter { address, .. }
            | Self::ClearEvents { address, .. }
            | Self::Relay { address, .. }
            | Self::Output { address, .. }
            | Self::Security { address, .. } => *address,
            Self::ReadAddress => Address::ANY,
        }
    }

    /// The edition that is spoken; `None` for the broadcast time, which is the same in both.
    pub const fn edition(&self) -> Option<Edition> {
        Some(match self {
            Self::Read { di, .. }
            | Self::ReadMore { di, .. }
            | Self::Write { di, .. }
            | Self::SetPassword { di, .. } => di.edition(),
            Self::WriteAddress { edition, .. } | Self::ResetDemand { edition, .. } => *edition,
            Self::SetRate { rate, .. } => rate.edition(),
            Self::ReRead { .. } => Edition::E1997,
            Self::BroadcastTime { .. } => return None,
            Self::ReadRecords { .. }
            | Self::ReadAddress
            | Self::Freeze { .. }
            | Self::ClearMeter { .. }
            | Self::ClearEvents { .. }
            | Self::Relay { .. }
            | Self::Output { .. }
            | Self::Security { .. } => Edition::E2007,
        })
    }

    /// The function code.
    pub const fn function(&self) -> u8 {
        let old = matches!(self.edition(), Some(Edition::E1997));
        match self {
            Self::Read { .. } if old => function::READ_1997,
            Self::Read { .. } | Self::ReadRecords { .. } => function::READ,
            Self::ReadMore { .. } if old => function::READ_MORE_1997,
            Self::ReadMore { .. } => function::READ_MORE,
            Self::ReRead { .. } => function::RE_READ_1997,
            Self::ReadAddress => function::READ_ADDRESS,
            Self::Write { .. } if old => function::WRITE_1997,
            Self::Write { .. } => function::WRITE,
            Self::WriteAddress { .. } if old => function::WRITE_ADDRESS_1997,
            Self::WriteAddress { .. } => function::WRITE_ADDRESS,
            Self::BroadcastTime { .. } => function::BROADCAST_TIME,
            Self::Freeze { .. } => function::FREEZE,
            Self::SetRate { .. } if old => function::SET_RATE_1997,
            Self::SetRate { .. } => function::SET_RATE,
            Self::SetPassword { .. } if old => function::SET_PASSWORD_1997,
            Self::SetPassword { .. } => function::SET_PASSWORD,
            Self::ResetDemand { .. } if old => function::RESET_DEMAND_1997,
            Self::ResetDemand { .. } => function::RESET_DEMAND,
            Self::ClearMeter { .. } => function::CLEAR_METER,
            Self::ClearEvents { .. } => function::CLEAR_EVENTS,
            Self::Relay { .. } => function::RELAY,
            Self::Output { .. } => function::OUTPUT,
            Self::Security { .. } => function::SECURITY,
        }
    }

    /// True if it only reads: it may be asked again without a second thought.
    pub const fn is_read(&self) -> bool {
        match self {
            Self::Read { .. }
            | Self::ReadRecords { .. }
            | Self::ReadMore { .. }
            | Self::ReRead { .. }
            | Self::ReadAddress => true,
            Self::Write { .. }
            | Self::WriteAddress { .. }
            | Self::BroadcastTime { .. }
            | Self::Freeze { .. }
            | Self::SetRate { .. }
            | Self::SetPassword { .. }
            | Self::ResetDemand { .. }
            | Self::ClearMeter { .. }
            | Self::ClearEvents { .. }
            | Self::Relay { .. }
            | Self::Output { .. }
            | Self::Security { .. } => false,
        }
    }

    /// True if a meter that hears it must answer. Nobody answers the broadcast time, nor any other
    /// broadcast but a write of the address and what 1997 meters are asked.
    pub fn is_answered(&self) -> bool {
        let to_all = self.address() == Address::BROADCAST;
        let although = matches!(self, Self::WriteAddress { .. }) || self.edition() == Some(Edition::E1997);
        !matches!(self, Self::BroadcastTime { .. }) && (!to_all || although)
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut octets = Vec::new();
        self.emit(0, &mut octets);
        fmt::Display::fmt(&Frame::checked(&octets), f)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Request({self})")
    }
}
