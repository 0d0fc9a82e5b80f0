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

/// Octets whose number fits no layout of the block.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{got} octets do not fit the block {di}, whose items have {each}")]
pub struct LayoutFault {
    /// The block.
    pub di: Di,
    /// Octets of the reply.
    pub got: usize,
    /// Octets of one item.
    pub each: usize,
}

impl Block {
    /// The identifier to ask for.
    pub fn di(&self) -> Di {
        self.di
    }

    /// True if no register of it is of a past settlement day: what a meter refuses of it, it does not have.
    pub fn is_present(&self) -> bool {
        self.registers(0).all(|register| register.settlement() == 0)
    }

    /// Octets of one item on the wire.
    pub fn item_octets(&self) -> usize {
        self.row.octets
    }

    /// Registers in wire order that a meter with this many tariffs answers: total, then tariff 1 to `tariffs` (at
    /// most 63); all phases; all harmonics; the present value, then all settlement days.
    pub fn registers(&self, tariffs: u8) -> impl Iterator<Item = Register> + use<> {
        let block = *self;
        let most = match block.axis {
            Axis::Tariff => usize::from(tariffs) + 1,
            Axis::Harmonic | Axis::Phase | Axis::Settlement => usize::MAX,
        };
        (0..block.len().min(most)).filter_map(move |n| block.register(n))
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
        if !octets.len().is_multiple_of(each) || !block.can_have(octets.len() / each) {
            return Err(LayoutFault { di: block.di, got: octets.len(), each });
        }
        let cut = octets.chunks_exact(each).enumerate();
        Ok(cut.filter_map(move |(n, octets)| Some(Item { register: block.register(n)?, octets })))
    }

    fn can_have(&self, items: usize) -> bool {
        match (self.axis, self.len()) {
            (Axis::Phase, 3) => matches!(items, 1 | 3),
            (Axis::Phase, _) => matches!(items, 1 | 2 | 4),
            (Axis::Harmonic | Axis::Tariff | Axis::Settlement, most) => (1..=most).contains(&items),
        }
    }

    /// Items of the longest reply.
    fn len(&self) -> usize {
        self.row.axis(self.axis).map_or(0, |(_, values)| values.len())
    }

    fn register(&self, n: usize) -> Option<Register> {
        let (byte, values) = self.row.axis(self.axis)?;
        Some(Register { row: self.row, di: self.di.with_byte(byte, values.byte(n)) })
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
