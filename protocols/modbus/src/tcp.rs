//! Modbus over TCP: the same functions in frames with a head instead of a CRC (MBAP).

use alloc::vec::Vec;
use core::fmt;

/// Octets of the head.
const HEAD: usize = 7;
/// Octets of a frame at most.
pub const MOST: usize = 260;

/// A frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Frame<'a> {
    /// By which an answer is told to its request.
    pub transaction: u16,
    /// Whom it is to, or from.
    pub unit: u8,
    /// The function and its data.
    pub pdu: &'a [u8],
}

/// Octets that are no whole frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BadFrame {
    /// More has to come.
    #[error("the frame is not complete")]
    Incomplete,
    /// The head is of another protocol, or says a length that no frame has.
    #[error("it is no head of Modbus over TCP")]
    NotAFrame,
}

impl<'a> Frame<'a> {
    /// The frame that these octets begin with.
    ///
    /// # Errors
    /// [`BadFrame`].
    pub fn parse(octets: &'a [u8]) -> Result<Self, BadFrame> {
        if octets.get(2..4).is_some_and(|protocol| protocol != [0, 0]) {
            return Err(BadFrame::NotAFrame);
        }
        let [t1, t0, _, _, l1, l0, unit, ..] = *octets else { return Err(BadFrame::Incomplete) };
        let length = usize::from(u16::from_be_bytes([l1, l0]));
        if !(2..=MOST - 6).contains(&length) {
            return Err(BadFrame::NotAFrame);
        }
        let pdu = octets.get(HEAD..6 + length).ok_or(BadFrame::Incomplete)?;
        Ok(Self { transaction: u16::from_be_bytes([t1, t0]), unit, pdu })
    }

    /// How many octets it has.
    pub const fn octets(&self) -> usize {
        HEAD + self.pdu.len()
    }

    /// Appends its octets.
    pub fn emit(&self, out: &mut Vec<u8>) {
        let length = u16::try_from(self.pdu.len() + 1).unwrap_or(u16::MAX);
        out.extend_from_slice(&self.transaction.to_be_bytes());
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&length.to_be_bytes());
        out.push(self.unit);
        out.extend_from_slice(self.pdu);
    }
}

/// `transaction 2, unit 1: 04 …`.
impl fmt::Display for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transaction {}, unit {}:", self.transaction, self.unit)?;
        self.pdu.iter().try_for_each(|octet| write!(f, " {octet:02X}"))
    }
}
