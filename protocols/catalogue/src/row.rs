//! One row of a table: a register with all values of its axes, and its blocks.
//!
//! A row is checked when it is read; nothing here can fail.

use crate::axes::{Axis, Cell, Values, place, wild, with_place, zero};
use crate::block::Layout;
use crate::template::Template;
use crate::{Block, Catalogue, Entry, Quantity, Register, Unit};
use dlt645::Di;
use dlt645::format::Format;

/// Who defined a register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Edition {
    /// The standard of the table itself: every meter of it has it, as far as it measures it.
    Standard,
    /// A later filing of State Grid (国网备案): a meter may refuse it.
    StateGrid,
}

/// What the standard allows with a register. Nothing in this crate writes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// Read only.
    Read,
    /// A meter can be told another value.
    ReadWrite,
    /// A meter can be told a value and never tells it: a password.
    Write,
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// Whose identifiers it has.
    pub(crate) standard: dlt645::Edition,
    /// By the place's number in the DI: the class is the last.
    pub(crate) cells: [Cell; 4],
    /// Axes whose place may be wild.
    pub(crate) blocks: Vec<Axis>,
    /// Whether the block of its last place holds the registers of other rows too, in the order of their DIs.
    pub(crate) joined: bool,
    /// The name without the suffixes of the axes.
    pub(crate) stem: Box<str>,
    pub(crate) zh: Template,
    pub(crate) obis: Option<Template>,
    pub(crate) quantity: Quantity,
    pub(crate) unit: Option<Unit>,
    pub(crate) format: Format,
    pub(crate) octets: usize,
    pub(crate) access: Access,
    pub(crate) clause: Box<str>,
    pub(crate) edition: Edition,
    /// Where it stands in its table.
    pub(crate) line: u64,
}

impl Row {
    /// The place of the DI that counts this axis, and its values.
    pub(crate) fn axis(&self, axis: Axis) -> Option<(usize, &Values)> {
        self.cells.iter().enumerate().find_map(|(n, cell)| match cell {
            Cell::Over(own, values) if *own == axis => Some((n, values)),
            Cell::Over(..) | Cell::Fixed(_) => None,
        })
    }

    /// What the DI has on this axis; None where the row has no such axis.
    pub(crate) fn number(&self, axis: Axis, di: Di) -> Option<u8> {
        let (n, _) = self.axis(axis)?;
        self.cells[n].number(place(di, n))
    }

    /// What the DI is of this row: a register, one of its blocks, or nothing.
    pub(crate) fn entry(&'static self, table: &'static Catalogue, di: Di) -> Option<Entry> {
        if di.edition() != self.standard {
            return None;
        }
        let mut block = None;
        for (n, cell) in self.cells.iter().enumerate() {
            let own = place(di, n);
            if cell.holds(own) {
                continue;
            }
            let asks = own == wild(self.standard) && block.is_none();
            match cell {
                _ if asks && n == 0 && self.joined => block = Some(Layout::Joined),
                Cell::Over(axis, _) if asks && self.blocks.contains(axis) => {
                    block = Some(Layout::Along(self, *axis));
                }
                Cell::Over(..) | Cell::Fixed(_) => return None,
            }
        }
        Some(match block {
            None => Entry::Register(Register { row: self, di, table }),
            Some(layout) => Entry::Block(Block { layout, di, table }),
        })
    }

    /// Every register of the row, DI ascending.
    pub(crate) fn registers(
        &'static self,
        table: &'static Catalogue,
    ) -> impl Iterator<Item = Register> + use<> {
        self.dis().map(move |di| Register { row: self, di, table })
    }

    /// Every identifier of the row, ascending.
    pub(crate) fn dis(&self) -> impl Iterator<Item = Di> {
        let count: usize = self.cells.iter().map(Cell::len).product();
        (0..count).map(|mut count| {
            let mut di = zero(self.standard);
            for (n, cell) in self.cells.iter().enumerate() {
                di = with_place(di, n, cell.byte(count % cell.len()));
                count /= cell.len();
            }
            di
        })
    }
}
