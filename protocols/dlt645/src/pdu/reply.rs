//! What a meter answers.

use super::field::{OutputSignal, Password, Rate};
use super::{Unread, array, edition_of, function};
use crate::frame::{self, Control, Data, Frame, TooLong};
use crate::{Address, Di, Edition, ErrorWord};
use alloc::vec::Vec;

/// DI3 of all identifiers of the security authentication.
const SECURITY_CLASS: u8 = 0x07;

/// What a meter answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply<'a> {
    /// 91H or B1H, 1997 81H or A1H: data read.
    Data {
        /// The address field.
        from: Address,
        /// What was read.
        di: Di,
        /// Octets after the DI, after -33H.
        octets: Data<'a>,
        /// B1H or A1H: follow-up frames exist, these octets are not all.
        more: bool,
    },
    /// 92H or B2H, 1997 82H or A2H: a follow-up frame.
    More {
        /// The address field.
        from: Address,
        /// What was read.
        di: Di,
        /// Octets after the DI, and before SEQ in 2007, after -33H.
        octets: Data<'a>,
        /// SEQ, as in the request; 1997 sends none, it is 0 there.
        sequence: u8,
        /// B2H or A2H: still more exist.
        more: bool,
    },
    /// 83H or A3H of 1997: the last answer again.
    Repeated {
        /// The address field.
        from: Address,
        /// What had been read.
        di: Di,
        /// Octets after the DI, after -33H.
        octets: Data<'a>,
        /// A3H: follow-up frames exist.
        more: bool,
    },
    /// 83H or A3H: what the security chip answers.
    Security {
        /// The address field.
        from: Address,
        /// 07xxxxxx.
        di: Di,
        /// Octets after the DI, after -33H.
        octets: Data<'a>,
        /// A3H.
        more: bool,
    },
    /// 93H: the address of the meter.
    Address {
        /// The address field.
        from: Address,
        /// The data field.
        address: Address,
    },
    /// It is done: 94H, 95H, 96H, 99H to 9CH, 1997 84H, 8AH and 90H, all without data.
    Done {
        /// The address field. After a write of the address it is the new one as a rule.
        from: Address,
        /// The function that was asked for.
        function: u8,
    },
    /// 97H, 1997 8CH: the rate changes after this frame; or, with FF in 1997, it does not.
    Rate {
        /// The address field.
        from: Address,
        /// As in the request.
        rate: Rate,
    },
    /// 98H, 1997 8FH: the password is now this.
    Password {
        /// The address field.
        from: Address,
        /// Whose function code it is.
        edition: Edition,
        /// As in the request.
        new: Password,
    },
    /// 9DH: the terminal puts out this.
    Output {
        /// The address field.
        from: Address,
        /// As in the request.
        signal: OutputSignal,
    },
    /// Any abnormal answer, D6 set.
    Refused {
        /// The address field.
        from: Address,
        /// The function that was asked for.
        function: u8,
        /// The error word; 00 if the meter sent none (L = 0).
        word: ErrorWord,
    },
}

impl<'a> Reply<'a> {
    /// The address field.
    pub const fn from(&self) -> Address {
        match self {
            Self::Data { from, .. }
            | Self::More { from, .. }
            | Self::Repeated { from, .. }
            | Self::Security { from, .. }
            | Self::Address { from, .. }
            | Self::Done { from, .. }
            | Self::Rate { from, .. }
            | Self::Password { from, .. }
            | Self::Output { from, .. }
            | Self::Refused { from, .. } => *from,
        }
    }

    /// Reads a meter's frame of either edition.
    ///
    /// # Errors
    /// As [`Reply::parse_of`].
    pub fn parse(frame: &Frame<'a>) -> Result<Self, Unread> {
        Self::parse_of(frame, None)
    }

    /// Reads a meter's frame of an edition, or of either; the rule for 83H is the [module](super)'s.
    ///
    /// # Errors
    /// [`Unread`] for a master's frame, a function that is not read here or not of this edition, and data
    /// of a wrong length.
    pub fn parse_of(frame: &Frame<'a>, hint: Option<Edition>) -> Result<Self, Unread> {
        let control = frame.control();
        if !control.from_meter() {
            return Err(Unread::Direction);
        }
        let function = control.function();
        let edition = edition_of(function, control.get(), hint)?;
        let mut data = frame.data();
        let bad_length = Unread::Length(data.len());
        if control.abnormal() {
            return if control.more() {
                Err(Unread::Control(control.get()))
            } else {
                let word = refusal(function, edition, data).ok_or(bad_length)?;
                Ok(Self::Refused { from: frame.address(), function, word })
            };
        }
        let has_data = matches!(
            function,
            function::READ
                | function::READ_1997
                | function::READ_MORE
                | function::READ_MORE_1997
                | function::SECURITY
        );
        if control.more() && !has_data {
            return Err(Unread::Control(control.get()));
        }
        let edition = edition.unwrap_or_else(|| match data.clone().nth(3) {
            Some(SECURITY_CLASS) => Edition::E2007,
            Some(_) | None => Edition::E1997,
        });
        if has_data {
            return Self::take_data(frame, edition).ok_or(bad_length);
        }
        let from = frame.address();
        let reply = match function {
            function::READ_ADDRESS => {
                array(&mut data).map(|octets| Self::Address { from, address: Address::from_wire(octets) })
            }
            function::WRITE
            | function::WRITE_1997
            | function::WRITE_ADDRESS
            | function::WRITE_ADDRESS_1997
            | function::FREEZE
            | function::RESET_DEMAND
            | function::RESET_DEMAND_1997
            | function::CLEAR_METER
            | function::CLEAR_EVENTS
            | function::RELAY => Some(Self::Done { from, function }),
            function::SET_RATE | function::SET_RATE_1997 => {
                data.next().map(|word| Self::Rate { from, rate: Rate::from_wire(edition, word) })
            }
            function::SET_PASSWORD | function::SET_PASSWORD_1997 => array(&mut data)
                .map(|octets| Self::Password { from, edition, new: Password::from_wire(octets) }),
            function::OUTPUT => data.next().map(|signal| Self::Output { from, signal: OutputSignal(signal) }),
            _ => return Err(Unread::Control(control.get())),
        };
        reply.filter(|_| data.len() == 0).ok_or(bad_length)
    }

    /// A reply that has an identifier and data; `None` if they are too few.
    fn take_data(frame: &Frame<'a>, edition: Edition) -> Option<Self> {
        let from = frame.address();
        let more = frame.control().more();
        let mut octets = frame.data();
        let di = octets.take_di(edition)?;
        Some(match (frame.control().function(), edition) {
            (function::READ_MORE, _) => {
                let sequence = octets.next_back()?;
                Self::More { from, di, octets, sequence, more }
            }
            (function::READ_MORE_1997, _) => Self::More { from, di, octets, sequence: 0, more },
            (function::RE_READ_1997, Edition::E1997) => Self::Repeated { from, di, octets, more },
            (function::SECURITY, Edition::E2007) => Self::Security { from, di, octets, more },
            _ => Self::Data { from, di, octets, more },
        })
    }

    /// Appends the frame, without FE; the inverse of [`Reply::parse`] but for a refusal that had L = 0.
    ///
    /// # Errors
    /// [`TooLong`] if the octets do not fit one frame; `out` is as it was.
    pub fn emit(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let joined = |di: &Di, octets: &Data<'_>, sequence: Option<u8>| -> Vec<u8> {
            di.to_wire().iter().copied().chain(octets.clone()).chain(sequence).collect()
        };
        let (control, data) = match self {
            Self::Data { di, octets, more, .. } => {
                let function = by(di.edition(), function::READ_1997, function::READ);
                (Control::reply(function, *more), joined(di, octets, None))
            }
            Self::More { di, octets, sequence, more, .. } => {
                let function = by(di.edition(), function::READ_MORE_1997, function::READ_MORE);
                let sequence = (di.edition() == Edition::E2007).then_some(*sequence);
                (Control::reply(function, *more), joined(di, octets, sequence))
            }
            Self::Repeated { di, octets, more, .. } => {
                (Control::reply(function::RE_READ_1997, *more), joined(di, octets, None))
            }
            Self::Security { di, octets, more, .. } => {
                (Control::reply(function::SECURITY, *more), joined(di, octets, None))
            }
            Self::Address { address, .. } => {
                (Control::reply(function::READ_ADDRESS, false), address.to_wire().to_vec())
            }
            Self::Done { function, .. } => (Control::reply(*function, false), Vec::new()),
            Self::Rate { rate, .. } => {
                let function = by(rate.edition(), function::SET_RATE_1997, function::SET_RATE);
                (Control::reply(function, false), Vec::from([rate.word()]))
            }
            Self::Password { edition, new, .. } => {
                let function = by(*edition, function::SET_PASSWORD_1997, function::SET_PASSWORD);
                (Control::reply(function, false), new.to_wire().to_vec())
            }
            Self::Output { signal, .. } => (Control::reply(function::OUTPUT, false), Vec::from([signal.0])),
            Self::Refused { function, word, .. } => (
                Control::refusal(*function),
                match word {
                    ErrorWord::Of2007(bits) | ErrorWord::Of1997(bits) => Vec::from([*bits]),
                    ErrorWord::Security(bits) => bits.to_le_bytes().to_vec(),
                },
            ),
        };
        frame::emit(self.from(), control, &data, out)
    }
}

const fn by(edition: Edition, of_1997: u8, of_2007: u8) -> u8 {
    match edition {
        Edition::E1997 => of_1997,
        Edition::E2007 => of_2007,
    }
}

/// The error word of a refusal; a function that is in neither edition is refused in the words of 2007.
fn refusal(function: u8, edition: Option<Edition>, mut data: Data<'_>) -> Option<ErrorWord> {
    let old = match (function, edition) {
        (_, Some(edition)) => edition == Edition::E1997,
        (function::SECURITY, None) => data.len() < 2,
        (_, None) => false,
    };
    let word = match data.len() {
        2 if function == function::SECURITY && !old => {
            ErrorWord::Security(u16::from_le_bytes(array(&mut data)?))
        }
        0 | 1 => {
            let bits = data.next().unwrap_or(0);
            if old { ErrorWord::Of1997(bits) } else { ErrorWord::Of2007(bits) }
        }
        _ => return None,
    };
    Some(word)
}
