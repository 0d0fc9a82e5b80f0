//! One frame (帧) as a checked view over octets, and its emission: DL/T 645-2007 clause 5.2, which the
//! 1997 edition shares.
//!
//! It never skips octets to find a frame (the [scanner](crate::scanner) does), knows no FE (前导字节),
//! and gives no meaning to data beyond printing it (the [pdu](crate::pdu) does).
//!
//! ```text
//! 68 A0 A1 A2 A3 A4 A5 68 C L data(L) CS 16
//! ```

mod explain;

use crate::{Address, Di, Edition};
use alloc::vec::Vec;
use core::fmt;
use core::iter::Copied;
use core::slice;
use nom::bytes::streaming::{tag, take};
use nom::number::streaming::u8 as octet;
use nom::{IResult, Parser};

/// The first octet of a frame and the eighth (帧起始符).
pub const START: u8 = 0x68;
/// The last octet (结束符). It may stand anywhere else too: frames end by length.
pub const END: u8 = 0x16;
/// Wakes a receiver; any number may stand before a frame (clause 5.3.1).
pub const WAKE: u8 = 0xFE;
/// What a sender adds to each data octet, modulo 256.
pub const OFFSET: u8 = 0x33;
/// A frame without data.
pub const MIN_LEN: usize = 12;
/// A frame whose L is 255. The standard ends at 200; meters do not.
pub const MAX_LEN: usize = MIN_LEN + MAX_DATA;
/// The most data octets that L can count.
pub const MAX_DATA: usize = 255;

/// Octets before the data: both start octets, address, control code and L.
pub(crate) const HEADER: usize = 10;

/// The control code C (控制码), clause 5.2.3.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Control(u8);

impl Control {
    /// Any octet: a frame may hold any.
    pub const fn new(octet: u8) -> Self {
        Self(octet)
    }

    /// A master's request of this function, 00 to 1F.
    pub const fn request(function: u8) -> Self {
        Self(function & 0x1F)
    }

    /// A meter's correct answer; `more` if follow-up frames exist.
    pub const fn reply(function: u8, more: bool) -> Self {
        Self(function & 0x1F | 0x80 | if more { 0x20 } else { 0 })
    }

    /// A meter's abnormal answer (异常应答).
    pub const fn refusal(function: u8) -> Self {
        Self(function & 0x1F | 0xC0)
    }

    /// The octet as sent.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// D7: sent by a meter.
    pub const fn from_meter(self) -> bool {
        self.0 & 0x80 != 0
    }

    /// D6: the meter refuses.
    pub const fn abnormal(self) -> bool {
        self.0 & 0x40 != 0
    }

    /// D5: follow-up frames exist (有后续数据).
    pub const fn more(self) -> bool {
        self.0 & 0x20 != 0
    }

    /// D4 to D0: the function (功能码), 00 to 1F.
    pub const fn function(self) -> u8 {
        self.0 & 0x1F
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02X}", self.0)
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Control({self})")
    }
}

/// A checked view over exactly one frame, 68H to 16H. Printed, it is one line for a person:
/// `reply 000000001234 read 91 DI 02010100 data 05 22`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a>(&'a [u8]);

/// Octets that are no frame, or not yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoFrame {
    /// What is there may be the beginning of a frame.
    #[error("the frame is incomplete: at least {missing} more octets belong to it")]
    Incomplete {
        /// At least so many octets are missing; exact once L is there.
        missing: usize,
    },
    /// No octet that could follow makes this a frame.
    #[error(transparent)]
    Not(#[from] NotAFrame),
}

/// Why octets are no frame. Length before checksum: with a false length the sum means nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotAFrame {
    /// The first octet is not 68H.
    #[error("no 68H at the start")]
    NoStart,
    /// The eighth octet is not 68H.
    #[error("no second 68H behind the address")]
    NoSecondStart,
    /// 16H is not where L says.
    #[error("no 16H where the length says that the frame ends")]
    NoEnd,
    /// All but the sum is right.
    #[error("the checksum is {stated:02X}, the octets sum up to {computed:02X}")]
    Checksum {
        /// In the frame.
        stated: u8,
        /// Of the octets.
        computed: u8,
    },
}

impl<'a> Frame<'a> {
    /// Checks the frame at the very beginning of `octets`; what follows it is not looked at.
    ///
    /// # Errors
    /// [`NoFrame::Incomplete`] if more octets could make it a frame, [`NoFrame::Not`] if none could.
    pub fn parse(octets: &'a [u8]) -> Result<Self, NoFrame> {
        match layout(octets) {
            Ok((rest, (data, stated, end))) => {
                let frame = &octets[..octets.len() - rest.len()];
                let computed = sum(&frame[..HEADER + data.len()]);
                if end != END {
                    Err(NotAFrame::NoEnd.into())
                } else if stated != computed {
                    Err(NotAFrame::Checksum { stated, computed }.into())
                } else {
                    Ok(Self(frame))
                }
            }
            Err(nom::Err::Incomplete(_)) => {
                Err(NoFrame::Incomplete { missing: whole(octets) - octets.len() })
            }
            Err(nom::Err::Error(()) | nom::Err::Failure(())) => {
                let first = octets.first().is_some_and(|&first| first == START);
                Err(if first { NotAFrame::NoSecondStart } else { NotAFrame::NoStart }.into())
            }
        }
    }

    /// The address field: of the request's receiver, or of the reply's sender.
    pub fn address(&self) -> Address {
        let mut wire = [0; 6];
        wire.copy_from_slice(&self.0[1..7]);
        Address::from_wire(wire)
    }

    /// The control code.
    pub fn control(&self) -> Control {
        Control(self.0[8])
    }

    /// The data octets (数据域) after -33H.
    pub fn data(&self) -> Data<'a> {
        Data::as_sent(&self.0[HEADER..self.0.len() - 2])
    }

    /// L: how many data octets there are, 0 to 255.
    pub fn data_len(&self) -> usize {
        self.0.len() - MIN_LEN
    }

    /// The octets from 68H to 16H, as sent.
    pub fn octets(&self) -> &'a [u8] {
        self.0
    }

    /// For the scanner, of octets that `parse` has found to be one frame.
    pub(crate) fn checked(octets: &'a [u8]) -> Self {
        debug_assert!(Self::parse(octets).is_ok_and(|frame| frame.0.len() == octets.len()));
        Self(octets)
    }
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({self})")
    }
}

/// Data, stated checksum and end octet, after the header.
fn layout(octets: &[u8]) -> IResult<&[u8], (&[u8], u8, u8), ()> {
    let (rest, (_, _, _, _, len)) =
        (tag(&[START][..]), take(6usize), tag(&[START][..]), octet, octet).parse(octets)?;
    (take(len), octet, octet).parse(rest)
}

/// The length of the frame that begins here; the shortest, while L has not come.
fn whole(octets: &[u8]) -> usize {
    MIN_LEN + octets.get(HEADER - 1).map_or(0, |&len| usize::from(len))
}

fn sum(octets: &[u8]) -> u8 {
    octets.iter().fold(0, |sum, octet| sum.wrapping_add(*octet))
}

/// Data octets, each after -33H, first on the wire first. Cheap to clone; equal by what remains.
#[derive(Clone)]
pub struct Data<'a>(Copied<slice::Iter<'a, u8>>);

impl<'a> Data<'a> {
    fn as_sent(octets: &'a [u8]) -> Self {
        Self(octets.iter().copied())
    }

    /// Takes the first octets as a data identifier: four of 2007, two of 1997; `None` (and nothing
    /// taken) if there are fewer.
    pub fn take_di(&mut self, edition: Edition) -> Option<Di> {
        let len = edition.di_octets();
        if self.len() < len {
            return None;
        }
        let mut octets = [0; 4];
        octets[..len].iter_mut().zip(self.by_ref()).for_each(|(octet, own)| *octet = own);
        Di::from_wire(edition, &octets[..len])
    }
}

impl Iterator for Data<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        self.0.next().map(|sent| sent.wrapping_sub(OFFSET))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Data<'_> {
    fn next_back(&mut self) -> Option<u8> {
        self.0.next_back().map(|sent| sent.wrapping_sub(OFFSET))
    }
}

impl ExactSizeIterator for Data<'_> {}

impl PartialEq for Data<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.clone().eq(other.clone())
    }
}

impl Eq for Data<'_> {}

impl fmt::Debug for Data<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone().map(|octet| alloc::format!("{octet:02X}"))).finish()
    }
}

/// More data than L can count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0} data octets do not fit one frame: 255 do")]
pub struct TooLong(pub usize);

/// Appends one frame; the inverse of [`Frame::parse`]. `data` is without +33H; no FE is written.
///
/// # Errors
/// [`TooLong`] for more than 255 data octets; `out` is as it was.
pub fn emit(address: Address, control: Control, data: &[u8], out: &mut Vec<u8>) -> Result<(), TooLong> {
    let len = u8::try_from(data.len()).map_err(|_| TooLong(data.len()))?;
    let begin = out.len();
    out.reserve(MIN_LEN + data.len());
    out.push(START);
    out.extend_from_slice(&address.to_wire());
    out.extend_from_slice(&[START, control.get(), len]);
    out.extend(data.iter().map(|octet| octet.wrapping_add(OFFSET)));
    let sum = sum(&out[begin..]);
    out.extend_from_slice(&[sum, END]);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 220.5 V of phase A, DL/T 645-2007 clause 5.2, computed.
    const REPLY: [u8; 18] =
        [0x68, 0x34, 0x12, 0, 0, 0, 0, 0x68, 0x91, 0x06, 0x33, 0x34, 0x34, 0x35, 0x38, 0x55, 0x0A, 0x16];

    #[test]
    fn frame_gives_its_parts_without_the_offset() {
        let frame = Frame::parse(&REPLY).unwrap();
        assert_eq!(frame.address(), "1234".parse().unwrap());
        assert_eq!(frame.control(), Control::reply(0x11, false));
        assert_eq!(frame.data().collect::<Vec<_>>(), [0x00, 0x01, 0x01, 0x02, 0x05, 0x22]);
        assert_eq!(frame.data_len(), 6);
        let mut data = frame.data();
        assert_eq!(data.take_di(Edition::E2007), Some(Di::new(0x0201_0100)));
        assert_eq!((data.take_di(Edition::E2007), data.len()), (None, 2));
    }

    #[test]
    fn every_proper_beginning_is_incomplete_and_says_how_much_is_missing() {
        for cut in 0..REPLY.len() {
            let least = if cut < HEADER { MIN_LEN } else { REPLY.len() };
            assert_eq!(
                Frame::parse(&REPLY[..cut]),
                Err(NoFrame::Incomplete { missing: least - cut }),
                "{cut} octets"
            );
        }
    }

    #[test]
    fn what_follows_a_frame_is_not_looked_at() {
        let mut octets = REPLY.to_vec();
        octets.extend([0x00, 0xFE, 0x68]);
        assert_eq!(Frame::parse(&octets).unwrap().octets(), REPLY);
    }

    #[test]
    fn each_fault_has_its_own_reason() {
        let with = |at: usize, octet: u8| {
            let mut octets = REPLY;
            octets[at] = octet;
            Frame::parse(&octets).map(|_| ()).unwrap_err()
        };
        assert_eq!(with(0, 0x69), NotAFrame::NoStart.into());
        assert_eq!(with(7, 0x69), NotAFrame::NoSecondStart.into());
        assert_eq!(with(17, 0x17), NotAFrame::NoEnd.into());
        assert_eq!(with(16, 0x0B), NotAFrame::Checksum { stated: 0x0B, computed: 0x0A }.into());
        assert_eq!(with(9, 0x05), NotAFrame::NoEnd.into());
        assert_eq!(with(9, 0x07), NoFrame::Incomplete { missing: 1 });
    }

    #[test]
    fn second_start_is_missed_as_soon_as_eight_octets_are_there() {
        let octets = [0x68, 0, 0, 0, 0, 0, 0, 0x11];
        assert_eq!(Frame::parse(&octets), Err(NotAFrame::NoSecondStart.into()));
    }

    #[test]
    fn longest_frame_has_267_octets_and_one_more_data_octet_is_refused() {
        let mut out = Vec::new();
        emit(Address::ANY, Control::new(0x91), &[0xCD; 255], &mut out).unwrap();
        assert_eq!(out.len(), MAX_LEN);
        assert_eq!(Frame::parse(&out).unwrap().data_len(), 255);
        let before = out.clone();
        assert_eq!(emit(Address::ANY, Control::new(0x91), &[0; 256], &mut out), Err(TooLong(256)));
        assert_eq!(out, before);
    }

    #[test]
    fn control_code_has_direction_answer_follow_up_and_function() {
        let b1 = Control::new(0xB1);
        assert!(b1.from_meter() && b1.more() && !b1.abnormal());
        assert_eq!(b1.function(), 0x11);
        assert_eq!(Control::reply(0x11, true), b1);
        assert_eq!(Control::refusal(0x11).get(), 0xD1);
        assert!(Control::refusal(0x11).abnormal());
        assert!(!Control::request(0x13).from_meter());
    }
}
