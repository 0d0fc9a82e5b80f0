//! Requests and replies by control code and direction (DL/T 645-2007 clause 7).
//!
//! Parsing looks at one frame alone: whether a reply answers a request is the
//! [exchange](crate::exchange)'s question. Nothing here allocates but emission.

use crate::frame::{self, Control, Data, Frame, TooLong, WAKE};
use crate::{Address, Di, Edition, ErrorWord};
use alloc::vec::Vec;

/// Function codes (功能码), clause 5.2.3.
pub mod function {
    /// Broadcast time setting (广播校时); nobody answers it.
    pub const BROADCAST_TIME: u8 = 0x08;
    /// Read data (读数据).
    pub const READ: u8 = 0x11;
    /// Read follow-up data (读后续数据).
    pub const READ_MORE: u8 = 0x12;
    /// Read the communication address (读通信地址).
    pub const READ_ADDRESS: u8 = 0x13;
    /// Write the communication address (写通信地址); it has no abnormal answer.
    pub const WRITE_ADDRESS: u8 = 0x15;
}

/// The SEQ (帧序号) of the first follow-up frame; each next one is one more.
pub const FIRST_SEQUENCE: u8 = 1;

/// What a master asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Request {
    /// 11H: read data.
    Read {
        /// Whom; wildcard nibbles allowed.
        address: Address,
        /// What.
        di: Di,
    },
    /// 12H: read the data that the last reply announced. An [exchange](crate::exchange) asks so by itself.
    ReadMore {
        /// Whom; wildcard nibbles allowed.
        address: Address,
        /// As in the first request.
        di: Di,
        /// Which follow-up frame, counted from [`FIRST_SEQUENCE`].
        sequence: u8,
    },
    /// 13H: read the address of the one meter on the line.
    ReadAddress,
}

/// Why a sound frame is no request or reply of this list.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unread {
    /// A reply was looked at as a request, or the other way round.
    #[error("the frame goes the other way")]
    Direction,
    /// A function or a combination of control bits that has no meaning here.
    #[error("control code {0:02X} is not known here")]
    Control(u8),
    /// The data are too short or too long for the function.
    #[error("{0} data octets do not fit the function")]
    Length(usize),
}

impl Request {
    /// Whom the request goes to.
    pub const fn address(&self) -> Address {
        match self {
            Self::Read { address, .. } | Self::ReadMore { address, .. } => *address,
            Self::ReadAddress => Address::ANY,
        }
    }

    /// The function code.
    pub const fn function(&self) -> u8 {
        match self {
            Self::Read { .. } => function::READ,
            Self::ReadMore { .. } => function::READ_MORE,
            Self::ReadAddress => function::READ_ADDRESS,
        }
    }

    /// How many octets the frame has, FE not counted.
    pub const fn frame_len(&self) -> usize {
        frame::MIN_LEN
            + match self {
                Self::Read { .. } => 4,
                Self::ReadMore { .. } => 5,
                Self::ReadAddress => 0,
            }
    }

    /// Appends `preamble` FE octets and the frame.
    pub fn emit(&self, preamble: u8, out: &mut Vec<u8>) {
        let mut data = [0; 5];
        let len = match *self {
            Self::Read { di, .. } => {
                data[..4].copy_from_slice(&di.to_wire());
                4
            }
            Self::ReadMore { di, sequence, .. } => {
                data[..4].copy_from_slice(&di.to_wire());
                data[4] = sequence;
                5
            }
            Self::ReadAddress => 0,
        };
        out.extend(core::iter::repeat_n(WAKE, usize::from(preamble)));
        let emitted = frame::emit(self.address(), Control::request(self.function()), &data[..len], out);
        debug_assert!(emitted.is_ok(), "five octets fit");
    }

    /// Reads a master's frame. A load-record request (L = 5 or 10) is not known here yet.
    ///
    /// # Errors
    /// [`Unread`]; the address of a 13H other than the wildcard is let pass and forgotten.
    pub fn parse(frame: &Frame<'_>) -> Result<Self, Unread> {
        let control = frame.control();
        if control.from_meter() {
            return Err(Unread::Direction);
        }
        let address = frame.address();
        let mut data = frame.data();
        let bad_length = Unread::Length(data.len());
        match control.get() {
            function::READ => match (data.take_di(Edition::E2007), data.next()) {
                (Some(di), None) => Ok(Self::Read { address, di }),
                _ => Err(bad_length),
            },
            function::READ_MORE => match (data.take_di(Edition::E2007), data.next(), data.next()) {
                (Some(di), Some(sequence), None) => Ok(Self::ReadMore { address, di, sequence }),
                _ => Err(bad_length),
            },
            function::READ_ADDRESS if data.len() == 0 => Ok(Self::ReadAddress),
            function::READ_ADDRESS => Err(bad_length),
            unknown => Err(Unread::Control(unknown)),
        }
    }
}

/// What a meter answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply<'a> {
    /// 91H or B1H: data read.
    Data {
        /// The address field.
        from: Address,
        /// What was read.
        di: Di,
        /// Octets after the DI, after -33H.
        octets: Data<'a>,
        /// B1H: follow-up frames exist, these octets are not all.
        more: bool,
    },
    /// 92H or B2H: a follow-up frame.
    More {
        /// The address field.
        from: Address,
        /// What was read.
        di: Di,
        /// Octets between DI and SEQ, after -33H.
        octets: Data<'a>,
        /// SEQ, as in the request.
        sequence: u8,
        /// B2H: still more exist.
        more: bool,
    },
    /// 93H: the address of the meter.
    Address {
        /// The address field.
        from: Address,
        /// The data field.
        address: Address,
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
            | Self::Address { from, .. }
            | Self::Refused { from, .. } => *from,
        }
    }

    /// Reads a meter's frame.
    ///
    /// # Errors
    /// [`Unread`] for a master's frame, a function that is not read here, and data of a wrong length.
    pub fn parse(frame: &Frame<'a>) -> Result<Self, Unread> {
        let control = frame.control();
        if !control.from_meter() {
            return Err(Unread::Direction);
        }
        let from = frame.address();
        let function = control.function();
        let more = control.more();
        let mut data = frame.data();
        let len = data.len();
        let bad_length = Unread::Length(len);
        if control.abnormal() {
            return match (more, len) {
                (false, 0 | 1) => {
                    Ok(Self::Refused { from, function, word: ErrorWord(data.next().unwrap_or(0)) })
                }
                (false, _) => Err(bad_length),
                (true, _) => Err(Unread::Control(control.get())),
            };
        }
        match (function, more) {
            (function::READ, _) => {
                let di = data.take_di(Edition::E2007).ok_or(bad_length)?;
                Ok(Self::Data { from, di, octets: data, more })
            }
            (function::READ_MORE, _) => {
                let di = data.take_di(Edition::E2007).ok_or(bad_length)?;
                let sequence = data.next_back().ok_or(bad_length)?;
                Ok(Self::More { from, di, octets: data, sequence, more })
            }
            (function::READ_ADDRESS, false) if len == 6 => {
                let address = Address::from_wire(core::array::from_fn(|_| data.next().unwrap_or(0)));
                Ok(Self::Address { from, address })
            }
            (function::READ_ADDRESS, false) => Err(bad_length),
            _ => Err(Unread::Control(control.get())),
        }
    }

    /// Appends the frame, without FE; the inverse of [`Reply::parse`] but for a D1H that had L = 0.
    ///
    /// # Errors
    /// [`TooLong`] if the octets do not fit one frame; `out` is as it was.
    pub fn emit(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        match self {
            Self::Data { from, di, octets, more } => {
                let data: Vec<u8> = di.to_wire().iter().copied().chain(octets.clone()).collect();
                frame::emit(*from, Control::reply(function::READ, *more), &data, out)
            }
            Self::More { from, di, octets, sequence, more } => {
                let data: Vec<u8> =
                    di.to_wire().iter().copied().chain(octets.clone()).chain([*sequence]).collect();
                frame::emit(*from, Control::reply(function::READ_MORE, *more), &data, out)
            }
            Self::Address { from, address } => {
                frame::emit(*from, Control::reply(function::READ_ADDRESS, false), &address.to_wire(), out)
            }
            Self::Refused { from, function, word } => {
                frame::emit(*from, Control::refusal(*function), &[word.0], out)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame_of(control: u8, data: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        frame::emit("1234".parse().unwrap(), Control::new(control), data, &mut out).unwrap();
        out
    }

    fn reply(control: u8, data: &[u8]) -> Result<&'static str, Unread> {
        let octets = frame_of(control, data);
        Reply::parse(&Frame::parse(&octets).unwrap()).map(|reply| match reply {
            Reply::Data { more: false, .. } => "data",
            Reply::Data { more: true, .. } => "data, more",
            Reply::More { .. } => "follow-up",
            Reply::Address { .. } => "address",
            Reply::Refused { .. } => "refused",
        })
    }

    #[test]
    fn reply_is_read_by_its_control_code() {
        assert_eq!(reply(0x91, &[0, 0, 1, 0]), Ok("data"));
        assert_eq!(reply(0xB1, &[0, 0, 1, 0, 7]), Ok("data, more"));
        assert_eq!(reply(0x92, &[0, 0, 1, 0, 1]), Ok("follow-up"));
        assert_eq!(reply(0x93, &[0; 6]), Ok("address"));
        assert_eq!(reply(0xD4, &[4]), Ok("refused"));
    }

    #[test]
    fn what_has_no_meaning_is_not_read() {
        assert_eq!(reply(0x11, &[0, 0, 1, 0]), Err(Unread::Direction));
        assert_eq!(reply(0x91, &[0, 0, 1]), Err(Unread::Length(3)));
        assert_eq!(reply(0x92, &[0, 0, 1, 0]), Err(Unread::Length(4)));
        assert_eq!(reply(0x93, &[0; 5]), Err(Unread::Length(5)));
        assert_eq!(reply(0xB3, &[0; 6]), Err(Unread::Control(0xB3)));
        assert_eq!(reply(0xF1, &[2]), Err(Unread::Control(0xF1)));
        assert_eq!(reply(0xD1, &[2, 0]), Err(Unread::Length(2)));
        assert_eq!(reply(0x9F, &[]), Err(Unread::Control(0x9F)));
    }

    #[test]
    fn refusal_without_an_error_word_counts_as_00() {
        let octets = frame_of(0xD1, &[]);
        let from = "1234".parse().unwrap();
        assert_eq!(
            Reply::parse(&Frame::parse(&octets).unwrap()),
            Ok(Reply::Refused { from, function: 0x11, word: ErrorWord(0) })
        );
    }

    #[test]
    fn request_has_its_preamble_and_the_length_it_states() {
        let address = "1234".parse().unwrap();
        let di = Di::new(0x0001_0000);
        for request in [
            Request::Read { address, di },
            Request::ReadMore { address, di, sequence: 2 },
            Request::ReadAddress,
        ] {
            let mut out = Vec::new();
            request.emit(4, &mut out);
            assert_eq!(out[..4], [WAKE; 4]);
            assert_eq!(out.len(), 4 + request.frame_len());
            assert_eq!(Request::parse(&Frame::parse(&out[4..]).unwrap()), Ok(request));
        }
    }

    #[test]
    fn request_of_another_function_or_length_is_not_read() {
        let request = |control, data: &[u8]| {
            let octets = frame_of(control, data);
            Request::parse(&Frame::parse(&octets).unwrap())
        };
        assert_eq!(request(0x91, &[0; 4]), Err(Unread::Direction));
        assert_eq!(request(0x11, &[0; 5]), Err(Unread::Length(5)));
        assert_eq!(request(0x13, &[0]), Err(Unread::Length(1)));
        assert_eq!(request(0x31, &[0; 4]), Err(Unread::Control(0x31)));
        assert_eq!(request(0x14, &[0; 12]), Err(Unread::Control(0x14)));
    }
}
