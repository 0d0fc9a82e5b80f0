//! What a master asks.

use super::field::{
    ClockTime, Count, EventScope, FreezeAt, Operator, OutputSignal, Password, Payload, Rate, RecordTime,
    RelayAction, RelayOrder,
};
use super::{PASSWORD_1997, Unread, array, edition_of, function};
use crate::frame::{self, Control, Data, Frame, WAKE};
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
        match self {
            Self::BroadcastTime { .. } => false,
            Self::WriteAddress { .. } => true,
            other => other.address() != Address::BROADCAST || other.edition() == Some(Edition::E1997),
        }
    }

    /// How many octets the frame has, FE not counted.
    pub fn frame_len(&self) -> usize {
        frame::MIN_LEN + self.data().len()
    }

    /// Appends `preamble` FE octets and the frame.
    pub fn emit(&self, preamble: u8, out: &mut Vec<u8>) {
        out.extend(core::iter::repeat_n(WAKE, usize::from(preamble)));
        let emitted = frame::emit(self.address(), Control::request(self.function()), &self.data(), out);
        debug_assert!(emitted.is_ok(), "a payload is bounded so that it fits");
    }

    /// The data field before +33H.
    fn data(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let old = self.edition() == Some(Edition::E1997);
        match self {
            Self::Read { di, .. } => out.extend_from_slice(&di.to_wire()),
            Self::ReadRecords { di, count, from, .. } => {
                out.extend_from_slice(&di.to_wire());
                out.push(count.to_wire());
                out.extend(from.iter().flat_map(|from| from.to_wire()));
            }
            Self::ReadMore { di, sequence, .. } => {
                out.extend_from_slice(&di.to_wire());
                out.extend((!old).then_some(*sequence));
            }
            Self::ReRead { .. } | Self::ReadAddress => {}
            Self::Write { di, password, operator, data, .. } => {
                out.extend_from_slice(&di.to_wire());
                out.extend(password.to_wire());
                if !old {
                    out.extend(operator.0);
                }
                out.extend_from_slice(data);
            }
            Self::WriteAddress { new, .. } => out.extend(new.to_wire()),
            Self::BroadcastTime { time, .. } => out.extend(time.to_wire()),
            Self::Freeze { at, .. } => out.extend(at.to_wire()),
            Self::SetRate { rate, .. } => out.push(rate.word()),
            Self::SetPassword { di, old: present, new, .. } => {
                if !old {
                    out.extend_from_slice(&di.to_wire());
                }
                out.extend(present.to_wire());
                out.extend(new.to_wire());
            }
            Self::ResetDemand { password, operator, .. } => {
                out.extend(password.to_wire());
                if !old {
                    out.extend(operator.0);
                }
            }
            Self::ClearMeter { password, operator, .. } => {
                out.extend(password.to_wire());
                out.extend(operator.0);
            }
            Self::ClearEvents { password, operator, scope, .. } => {
                out.extend(password.to_wire());
                out.extend(operator.0);
                out.extend(scope.to_wire());
            }
            Self::Relay { password, operator, order, .. } => {
                out.extend(password.to_wire());
                out.extend(operator.0);
                match order {
                    RelayOrder::Plain { action, delay, until } => {
                        out.extend([action.0, *delay]);
                        out.extend(until.to_wire());
                    }
                    RelayOrder::Sealed(octets) => out.extend(octets),
                }
            }
            Self::Output { signal, .. } => out.push(signal.0),
            Self::Security { di, operator, data, .. } => {
                out.extend_from_slice(&di.to_wire());
                out.extend(operator.0);
                out.extend_from_slice(data);
            }
        }
        out
    }

    /// Reads a master's frame of either edition.
    ///
    /// # Errors
    /// As [`Request::parse_of`].
    pub fn parse(frame: &Frame<'_>) -> Result<Self, Unread> {
        Self::parse_of(frame, None)
    }

    /// Reads a master's frame of an edition, or of either; the rule for 03H is the [module](super)'s.
    ///
    /// # Errors
    /// [`Unread`]; the address of a 13H other than the wildcard is let pass and forgotten.
    pub fn parse_of(frame: &Frame<'_>, hint: Option<Edition>) -> Result<Self, Unread> {
        let control = frame.control();
        if control.from_meter() {
            return Err(Unread::Direction);
        }
        let code = control.get();
        let edition = edition_of(code, code, hint)?;
        if !matches!(code, function::READ_1997..=function::WRITE_1997 | function::BROADCAST_TIME)
            && function::edition(code).is_none()
        {
            return Err(Unread::Control(code));
        }
        let mut data = frame.data();
        let bad_length = Unread::Length(data.len());
        let edition = edition.unwrap_or(if data.len() == 0 { Edition::E1997 } else { Edition::E2007 });
        let request = Self::take(code, edition, frame.address(), &mut data).ok_or(bad_length)?;
        if data.len() == 0 { Ok(request) } else { Err(bad_length) }
    }

    /// Takes the data of a known function; `None` if they are too few.
    fn take(code: u8, edition: Edition, address: Address, data: &mut Data<'_>) -> Option<Self> {
        let old = edition == Edition::E1997;
        let operator = |data: &mut Data<'_>| {
            if old { Some(Operator::NONE) } else { array(data).map(Operator) }
        };
        Some(match code {
            function::READ | function::READ_1997 => {
                let di = data.take_di(edition)?;
                match data.next() {
                    None => Self::Read { address, di },
                    Some(_) if old => return None,
                    Some(count) => {
                        let count = Count::from_wire(count);
                        let from =
                            if data.len() == 0 { None } else { Some(RecordTime::from_wire(array(data)?)) };
                        Self::ReadRecords { address, di, count, from }
                    }
                }
            }
            function::READ_MORE => {
                Self::ReadMore { address, di: data.take_di(edition)?, sequence: data.next()? }
            }
            function::READ_MORE_1997 => Self::ReadMore { address, di: data.take_di(edition)?, sequence: 0 },
            function::RE_READ_1997 if old => Self::ReRead { address },
            function::READ_ADDRESS => Self::ReadAddress,
            function::WRITE | function::WRITE_1997 => Self::Write {
                address,
                di: data.take_di(edition)?,
                password: password(data)?,
                operator: operator(data)?,
                data: payload(data)?,
            },
            function::WRITE_ADDRESS | function::WRITE_ADDRESS_1997 => {
                Self::WriteAddress { address, edition, new: Address::from_wire(array(data)?) }
            }
            function::BROADCAST_TIME => {
                Self::BroadcastTime { address, time: ClockTime::from_wire(array(data)?) }
            }
            function::FREEZE => Self::Freeze { address, at: FreezeAt::from_wire(array(data)?) },
            function::SET_RATE | function::SET_RATE_1997 => {
                Self::SetRate { address, rate: Rate::from_wire(edition, data.next()?) }
            }
            function::SET_PASSWORD | function::SET_PASSWORD_1997 => Self::SetPassword {
                address,
                di: if old { PASSWORD_1997 } else { data.take_di(edition)? },
                old: password(data)?,
                new: password(data)?,
            },
            function::RESET_DEMAND | function::RESET_DEMAND_1997 => {
                Self::ResetDemand { address, edition, password: password(data)?, operator: operator(data)? }
            }
            function::CLEAR_METER => {
                Self::ClearMeter { address, password: password(data)?, operator: operator(data)? }
            }
            function::CLEAR_EVENTS => Self::ClearEvents {
                address,
                password: password(data)?,
                operator: operator(data)?,
                scope: EventScope::from_wire(array(data)?),
            },
            function::RELAY => {
                let (password, operator) = (password(data)?, operator(data)?);
                let order = if data.len() == 8 {
                    RelayOrder::Plain {
                        action: RelayAction(data.next()?),
                        delay: data.next()?,
                        until: ClockTime::from_wire(array(data)?),
                    }
                } else {
                    RelayOrder::Sealed(array(data)?)
                };
                Self::Relay { address, password, operator, order }
            }
            function::OUTPUT => Self::Output { address, signal: OutputSignal(data.next()?) },
            function::SECURITY => Self::Security {
                address,
                di: data.take_di(edition)?,
                operator: operator(data)?,
                data: payload(data)?,
            },
            _ => return None,
        })
    }
}

fn password(data: &mut Data<'_>) -> Option<Password> {
    array(data).map(Password::from_wire)
}

fn payload(data: &mut Data<'_>) -> Option<Payload> {
    let payload = Payload::new(data.clone().collect()).ok()?;
    data.by_ref().for_each(drop);
    Some(payload)
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
