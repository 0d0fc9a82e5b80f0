//! Blocks (数据块): one DI for several registers, and how the octets of its reply are cut.

use crate::axes::{Axis, with_place};
use crate::row::Row;
use crate::{Catalogue, Identifier, Register};
use dlt645::{Di, Edition};
use std::fmt;

/// A data identifier that stands for several registers (数据块): FF in DI2, DI1 or DI0, in 1997 a last digit F.
#[derive(Clone, Copy)]
pub struct Block {
    pub(crate) layout: Layout,
    pub(crate) di: Di,
    pub(crate) table: &'static Catalogue,
}

/// Whose registers a block holds.
#[derive(Clone, Copy)]
pub(crate) enum Layout {
    /// All values of one axis of one row.
    Along(&'static Row, Axis),
    /// Several rows, in the order of their DIs.
    Joined,
}

/// Closes a block of 1997 where its next item would begin; no BCD octet.
const CLOSED: u8 = 0xAA;

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
#[error("{got} octets do not fit {id}: its first item, or the record, has {each}")]
pub struct LayoutFault {
    /// The block or the record.
    pub id: Identifier,
    /// Octets of the reply.
    pub got: usize,
    /// Octets of the first item, or of the record as the standard has it.
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

    /// Octets of the first item on the wire; all have as many, except where a block of 1997 joins unlike registers.
    pub fn item_octets(&self) -> usize {
        self.register(0).map_or(1, |register| register.octets())
    }

    /// Registers in wire order that a meter with this many tariffs answers: total, then tariff 1 to `tariffs` (at
    /// most 63); all phases; all harmonics; the present value, then all settlement days; all of a 1997 meter's
    /// neighbours.
    pub fn registers(&self, tariffs: u8) -> impl Iterator<Item = Register> + use<> {
        let block = *self;
        let by_tariff = matches!(block.layout, Layout::Along(_, Axis::Tariff));
        let all = (0..block.len()).filter_map(move |n| block.register(n));
        all.filter(move |r| !by_tariff || r.tariff().is_none_or(|tariff| tariff <= tariffs))
    }

    /// Cuts the reply's octets (after DI) into registers in wire order; the number of items follows from the length.
    ///
    /// A meter may have fewer tariffs, settlement days or harmonics than the block has room for: what came are the first
    /// ones. Of phases a single-phase meter sends one item (with a total: one or two); any other number below all of
    /// them has no documented meaning, so none is assumed. In 1997 AA where an item would begin ends the block.
    ///
    /// # Errors
    /// [`LayoutFault`] if the length is not that of whole items, or is of a number of items that the block cannot have.
    pub fn items<'a>(
        &self,
        octets: &'a [u8],
    ) -> Result<impl Iterator<Item = Item<'a>> + use<'a>, LayoutFault> {
        let fault = LayoutFault { id: self.di.into(), got: octets.len(), each: self.item_octets() };
        let mut items = Vec::new();
        let mut rest = self.tail(octets).map_or(octets, |(_, tail)| &octets[..octets.len() - tail.len()]);
        while let Some(&first) = rest.first() {
            let register = self.register(items.len());
            if first == CLOSED
                && self.di.edition() == Edition::E1997
                && register.is_none_or(|register| register.is_bcd())
            {
                break;
            }
            let cut =
                register.and_then(|register| Some((register, rest.split_at_checked(register.octets())?)));
            let Some((register, (octets, behind))) = cut else { return Err(fault) };
            items.push(Item { register, octets });
            rest = behind;
        }
        if self.can_have(items.len()) { Ok(items.into_iter()) } else { Err(fault) }
    }

    /// What some meters send behind the last item.
    pub(crate) fn tail<'a>(&self, octets: &'a [u8]) -> Option<(Di, &'a [u8])> {
        let (di, length) = match self.layout {
            Layout::Along(row, _) => row.tail?,
            Layout::Joined => return None,
        };
        let items = self.len() * self.item_octets();
        octets.split_at_checked(items).filter(|(_, tail)| tail.len() == length).map(|(_, tail)| (di, tail))
    }

    fn can_have(&self, items: usize) -> bool {
        let phases = |items, all| match all {
            3 => matches!(items, 1 | 3),
            _ => matches!(items, 1 | 2 | 4),
        };
        match (self.layout, self.len()) {
            (Layout::Along(_, Axis::Phase), all) => phases(items, all),
            (Layout::Along(row, Axis::Number), most) if row.standard.is(Edition::E2007) => items == most,
            (
                Layout::Along(
                    _,
                    Axis::Field
                    | Axis::Harmonic
                    | Axis::Number
                    | Axis::Tariff
                    | Axis::Settlement
                    | Axis::Month
                    | Axis::Day
                    | Axis::Hour
                    | Axis::Timed
                    | Axis::Instant
                    | Axis::Record,
                ),
                most,
            ) => (1..=most).contains(&items),
            // Registers of phases come before their neighbours.
            (Layout::Joined, most) => {
                let of_phases = |n: usize| Some(self.register(n)?.row.axis(Axis::Phase)?.1.len());
                let all = of_phases(0).unwrap_or(0);
                (1..=most).contains(&items) && (items >= all || phases(items, all))
            }
        }
    }

    /// Items of the longest reply.
    fn len(&self) -> usize {
        match self.layout {
            Layout::Along(row, axis) => row.axis(axis).map_or(0, |(_, values)| values.len()),
            Layout::Joined => (0..).take_while(|&n| self.table.joined(self.di, n).is_some()).count(),
        }
    }

    fn register(&self, n: usize) -> Option<Register> {
        match self.layout {
            Layout::Along(row, axis) => {
                let (place, values) = row.axis(axis)?;
                let value = (n < values.len()).then(|| values.byte(n))?;
                let id = with_place(self.di, place, value).into();
                Some(Register { row, id, item: 0, table: self.table })
            }
            Layout::Joined => self.table.joined(self.di, n),
        }
    }
}

impl PartialEq for Block {
    fn eq(&self, other: &Self) -> bool {
        self.di == other.di && self.register(0) == other.register(0)
    }
}
impl Eq for Block {}
impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block({})", self.di)
    }
}
