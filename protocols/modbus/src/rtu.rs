//! Frames of a serial line (Modbus over serial line 1.02): unit, function, data, CRC.
//!
//! A frame has no head and no length: where it ends follows from its function. What a request and an answer of one
//! function are differs, so that the side has to be known.

pub use crate::pdu::{Reply, Request};
use alloc::vec::Vec;

/// Octets of a frame at most.
pub const MOST: usize = 256;
/// Octets of the shortest: unit, function and CRC.
const LEAST: usize = 4;

/// Who sent a frame.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// Who asks.
    Reader,
    /// A meter.
    Meter,
}

/// Octets that are no whole frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadFrame {
    /// More has to come.
    #[error("the frame is not complete")]
    Incomplete,
    /// No frame begins so.
    #[error("it is no frame: its CRC is another, or its function has no known length")]
    NotAFrame,
    /// Something stands behind the frame.
    #[error("{0} octet(s) stand behind the frame")]
    Behind(usize),
}

/// A frame whose CRC is right.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// Whom it is to, or who gives it.
    pub unit: u8,
    /// The function and its data.
    pub pdu: &'a [u8],
}

/// What octets are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Piece<'a> {
    /// A frame with all its octets.
    Frame(Frame<'a>, &'a [u8]),
    /// Octets that are of no frame.
    Noise(&'a [u8]),
}

/// The CRC of a frame (polynomial A001H, from FFFFH), sent with its low octet first.
pub fn crc(octets: &[u8]) -> u16 {
    octets.iter().fold(0xFFFF, |crc, octet| {
        (0..8).fold(crc ^ u16::from(*octet), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
    })
}

/// How many octets the frame has that begins so, its CRC too.
///
/// # Errors
/// [`BadFrame`]: more octets are needed to know, or no frame has this function.
pub fn length(octets: &[u8], side: Side) -> Result<usize, BadFrame> {
    let function = *octets.get(1).ok_or(BadFrame::Incomplete)?;
    let counted =
        |at: usize| octets.get(at).map(|count| at + 1 + usize::from(*count) + 2).ok_or(BadFrame::Incomplete);
    let length = match (side, function) {
        (Side::Reader, 0x01..=0x06) => 8,
        (Side::Reader, 0x0F | 0x10) => counted(6)?,
        (Side::Meter, 0x01..=0x04) => counted(2)?,
        (Side::Meter, 0x05 | 0x06 | 0x0F | 0x10) => 8,
        (Side::Meter, 0x81..) => 5,
        (_, _) => return Err(BadFrame::NotAFrame),
    };
    if length <= MOST { Ok(length) } else { Err(BadFrame::NotAFrame) }
}

impl<'a> Frame<'a> {
    /// The frame that these octets begin with, and how many of them it has.
    ///
    /// # Errors
    /// [`BadFrame`].
    pub fn first(octets: &'a [u8], side: Side) -> Result<(Self, usize), BadFrame> {
        let length = length(octets, side)?;
        let own = octets.get(..length).ok_or(BadFrame::Incomplete)?;
        Self::checked(own).map(|frame| (frame, length))
    }

    /// The frame that these octets are, whatever its function.
    ///
    /// # Errors
    /// [`BadFrame::NotAFrame`] where the CRC is another.
    pub fn checked(octets: &'a [u8]) -> Result<Self, BadFrame> {
        match octets {
            [body @ .., low, high] if octets.len() >= LEAST && crc(body).to_le_bytes() == [*low, *high] => {
                let (unit, pdu) = body.split_first().ok_or(BadFrame::NotAFrame)?;
                Ok(Self { unit: *unit, pdu })
            }
            _ => Err(BadFrame::NotAFrame),
        }
    }

    /// Appends its octets.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(self.unit);
        out.extend_from_slice(self.pdu);
        let crc = crc(out.get(start..).unwrap_or_default());
        out.extend_from_slice(&crc.to_le_bytes());
    }
}

impl Request {
    /// The request that these octets are.
    ///
    /// # Errors
    /// [`BadFrame`].
    pub fn parse(octets: &[u8]) -> Result<Self, BadFrame> {
        let frame = whole(octets, Side::Reader)?;
        Self::of_pdu(frame.unit, frame.pdu).ok_or(BadFrame::NotAFrame)
    }

    /// Its octets on a serial line.
    pub fn to_rtu(&self) -> Vec<u8> {
        rtu(self.unit(), &self.pdu())
    }
}

impl Reply {
    /// The answer that these octets are.
    ///
    /// # Errors
    /// [`BadFrame`].
    pub fn parse(octets: &[u8]) -> Result<Self, BadFrame> {
        let frame = whole(octets, Side::Meter)?;
        Self::of_pdu(frame.unit, frame.pdu).ok_or(BadFrame::NotAFrame)
    }

    /// Its octets on a serial line.
    pub fn to_rtu(&self) -> Vec<u8> {
        rtu(self.unit(), &self.pdu())
    }
}

fn whole(octets: &[u8], side: Side) -> Result<Frame<'_>, BadFrame> {
    let (frame, length) = Frame::first(octets, side)?;
    match octets.len() - length {
        0 => Ok(frame),
        behind => Err(BadFrame::Behind(behind)),
    }
}

fn rtu(unit: u8, pdu: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(pdu.len() + 3);
    Frame { unit, pdu }.emit(&mut out);
    out
}

/// Cuts octets into frames of one side and what is between them.
pub fn pieces(octets: &[u8], side: Side) -> impl Iterator<Item = Piece<'_>> {
    let mut left = octets;
    core::iter::from_fn(move || {
        let mut noise = 0;
        while noise < left.len() {
            let rest = left.get(noise..).unwrap_or_default();
            match Frame::first(rest, side) {
                Ok((frame, length)) if noise == 0 => {
                    let (own, behind) = rest.split_at(length);
                    left = behind;
                    return Some(Piece::Frame(frame, own));
                }
                Ok(_) => break,
                // A false head must not swallow the frame behind it.
                Err(BadFrame::Incomplete | BadFrame::NotAFrame | BadFrame::Behind(_)) => noise += 1,
            }
        }
        let (own, behind) = left.split_at(noise);
        left = behind;
        (!own.is_empty()).then_some(Piece::Noise(own))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use proptest::prelude::*;

    #[test]
    fn a_request_and_its_answer_are_read_and_said_in_words() {
        let asked = [0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB];
        let request = Request::parse(&asked).unwrap();
        assert_eq!(request.to_string(), "unit 1, read input registers (04), 0000+2");
        assert_eq!(request.to_rtu(), asked);
        let reply = Reply::registers(1, crate::Function::Input, &[0x4366, 0x3333]);
        assert_eq!(reply.to_string(), "unit 1, read input registers (04): 4366 3333");
        assert_eq!(Reply::parse(&reply.to_rtu()), Ok(reply));
        let refused = Reply::refusal(1, 4, crate::Exception::IllegalDataAddress);
        assert_eq!(refused.to_string(), "unit 1, read input registers (84): illegal data address (02)");
        assert_eq!(Reply::parse(&refused.to_rtu()), Ok(refused));
    }

    #[test]
    fn what_is_not_complete_is_told_from_what_is_no_frame() {
        let asked = [0x01, 0x04, 0x00, 0x00, 0x00, 0x02, 0x71, 0xCB];
        for length in 0..asked.len() {
            assert_eq!(Request::parse(&asked[..length]), Err(BadFrame::Incomplete), "{length}");
        }
        assert_eq!(Request::parse(&[0x01, 0x04, 0, 0, 0, 2, 0x71, 0xCC]), Err(BadFrame::NotAFrame));
        assert_eq!(Request::parse(&[0x68, 0x11, 0, 0, 0, 2, 0x71, 0xCC]), Err(BadFrame::NotAFrame));
        assert_eq!(Request::parse(&[&asked[..], &[0]].concat()), Err(BadFrame::Behind(1)));
    }

    fn frame() -> impl Strategy<Value = Vec<u8>> {
        let words = proptest::collection::vec(any::<u16>(), 1..=125);
        (1..=247_u8, words, any::<bool>()).prop_map(|(unit, words, input)| {
            let function = if input { crate::Function::Input } else { crate::Function::Holding };
            Reply::registers(unit, function, &words).to_rtu()
        })
    }

    proptest! {
        #[test]
        fn a_frame_is_found_behind_any_noise(noise in proptest::collection::vec(any::<u8>(), 0..40), frame in frame()) {
            let all = [&noise[..], &frame].concat();
            let mut at = 0;
            let mut found = false;
            for piece in pieces(&all, Side::Meter) {
                let (Piece::Frame(_, own) | Piece::Noise(own)) = piece;
                let (begins, ends) = (at, at + own.len());
                at = ends;
                // One in 65,536 beginnings of noise has a right CRC, and may reach into the frame.
                let reaches_in = begins < noise.len() && ends > noise.len();
                found |= matches!(piece, Piece::Frame(..)) && (own == frame || reaches_in);
            }
            prop_assert!(found);
        }

        #[test]
        fn pieces_are_all_of_the_octets_in_order(octets in proptest::collection::vec(any::<u8>(), 0..600), meter: bool) {
            let side = if meter { Side::Meter } else { Side::Reader };
            let mut all = vec![];
            for piece in pieces(&octets, side) {
                match piece { Piece::Frame(_, own) | Piece::Noise(own) => all.extend_from_slice(own) }
            }
            prop_assert_eq!(all, octets);
        }
    }
}
