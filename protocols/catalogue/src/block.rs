//! Blocks (数据块): one DI for several registers, and how the octets of its reply are cut.

use crate::Register;
use crate::axes::Axis;
use crate::row::Row;
use dlt645::Di;
use std::fmt;

/// A data identifier that stands for several registers (数据块): FF in DI2, DI1 or DI0.
#[derive(Clone, Copy)]
pub struct Block {
    pub(crate) row: &'static Row,
    pub(crate) di: Di,
    /// Whose byte is FF.
    pub(crate) axis: Axis,
}

/// One register of a block's reply with its octets.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// Which register.
    pub register: Register,
    /// Its octets after -33H.
    pub octets: &'a [u8],
}

/// Octets whose number fits no layout of a block or a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{got} octets do not fit {di}: one of its items, or the record, has {each}")]
pub struct LayoutFault {
    /// The block or the record.
    pub di: Di,
    /// Octets of the reply.
    pub got: usize,
    /// Octets of one item, or of the record as the standard has it.
    pub each: usize,
}

impl Block {
    /// The identifier to ask for.
    pub fn di(&self) -> Di {
        self.di
    }

    /// True if no register of it is of the past: what a meter refuses of it, it does not have.
    pub fn is_present(&self) -> bool {
        self.registers(0).all(|register| register.is_present())
    }

    /// Octets of one item on the wire.
    pub fn item_octets(&self) -> usize {
        self.register(0).map_or(self.row.octets, |first| first.octets())
    }

    /// Registers in wire order that a meter with this many tariffs answers: total, then tariff 1 to `tariffs` (at
    /// most 63); all phases; all harmonics; the present value, then all settlement days.
    pub fn registers(&self, tariffs: u8) -> impl Iterator<Item = Register> + use<> {
        let block = *self;
        let all = (0..block.len()).filter_map(move |n| block.register(n));
        all.filter(move |r| block.axis != Axis::Tariff || r.tariff().is_none_or(|tariff| tariff <= tariffs))
    }

    /// Cuts the reply's octets (after DI) into registers in wire order; the number of items follows from the length.
    ///
    /// A meter may have fewer tariffs, settlement days or harmonics than the block has room for: what came are the first
    /// ones. Of phases a single-phase meter sends one item (with a total: one or two); any other number below all of
    /// them has no documented meaning, so none is assumed.
    ///
    /// # Errors
    /// [`LayoutFault`] if the length is no multiple of an item, or is of a number of items that the block cannot have.
    pub fn items<'a>(
        &self,
        octets: &'a [u8],
    ) -> Result<impl Iterator<Item = Item<'a>> + use<'a>, LayoutFault> {
        let block = *self;
        let each = block.item_octets();
        let got = octets.len();
        let octets = block.tail(octets).map_or(octets, |(_, tail)| &octets[..got - tail.len()]);
        if !octets.len().is_multiple_of(each) || !block.can_have(octets.len() / each) {
            return Err(LayoutFault { di: block.di, got, each });
        }
        let cut = octets.chunks_exact(each).enumerate();
        Ok(cut.filter_map(move |(n, octets)| Some(Item { register: block.register(n)?, octets })))
    }

    /// What some meters send behind the last item.
    pub(crate) fn tail<'a>(&self, octets: &'a [u8]) -> Option<(Di, &'a [u8])> {
        let (di, length) = self.row.tail?;
        let items = self.len() * self.item_octets();
        octets.split_at_checked(items).filter(|(_, tail)| tail.len() == length).map(|(_, tail)| (di, tail))
    }

    fn can_have(&self, items: usize) -> bool {
        match (self.axis, self.len()) {
            (Axis::Phase, 3) => matches!(items, 1 | 3),
            (Axis::Phase, _) => matches!(items, 1 | 2 | 4),
            (Axis::Number, most) => items == most,
            (
                Axis::Field
                | Axis::Harmonic
                | Axis::Tariff
                | Axis::Settlement
                | Axis::Month
                | Axis::Day
                | Axis::Hour
                | Axis::Timed
                | Axis::Instant
                | Axis::Record,
                most,
            ) => (1..=most).contains(&items),
        }
    }

    /// Items of the longest reply.
    fn len(&self) -> usize {
        self.row.axis(self.axis).map_or(0, |(_, values)| values.len())
    }

    fn register(&self, n: usize) -> Option<Register> {
        let (byte, values) = self.row.axis(self.axis)?;
        Some(Register { row: self.row, di: self.di.with_byte(byte, values.byte(n)), item: 0 })
    }
}

impl PartialEq for Block {
    fn eq(&self, other: &Self) -> bool {
        self.di == other.di
    }
}
impl Eq for Block {}
impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({})", self.di)
    }
}
