//! A request as the octets of a frame, and back: inverse to each other.

use super::field::{
    Count, EventScope, Operator, OutputSignal, Password, Payload, Rate, RelayAction, RelayOrder,
};
use super::request::Request;
use super::time::{ClockTime, FreezeAt, RecordTime};
use super::{PASSWORD_1997, Unread, array, edition_of, function};
use crate::frame::{self, Control, Data, Frame, WAKE};
use crate::{Address, Edition};
use alloc::vec::Vec;

impl Request {
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
