//! One row of a table: a register with all values of its axes, and its blocks.
//!
//! A row is checked when it is read; nothing here can fail.

use crate::axes::{Axis, Cell, Values};
use crate::template::Template;
use crate::{Block, Entry, Quantity, Register, Unit};
use dlt645::Di;
use dlt645::format::Format;

/// Who defined a register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Edition {
    /// DL/T 645-2007 itself: every meter of the standard has it, as far as it measures it.
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
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// By the byte's number in the DI: the class is the last.
    pub(crate) cells: [Cell; 4],
    /// Axes whose byte may be FF.
    pub(crate) blocks: Vec<Axis>,
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
    /// The byte of the DI that counts this axis, and its values.
    pub(crate) fn axis(&self, axis: Axis) -> Option<(usize, &Values)> {
        self.cells.iter().enumerate().find_map(|(byte, cell)| match cell {
            Cell::Over(own, values) if *own == axis => Some((byte, values)),
            Cell::Over(..) | Cell::Fixed(_) => None,
        })
    }

    /// What the DI has on this axis; None where the row has no such axis.
    pub(crate) fn number(&self, axis: Axis, di: Di) -> Option<u8> {
        let (byte, _) = self.axis(axis)?;
        self.cells[byte].number(di.byte(byte))
    }

    /// What the DI is of this row: a register, one of its blocks, or nothing.
    pub(crate) fn entry(&'static self, di: Di) -> Option<Entry> {
        let mut wild = None;
        for (byte, cell) in self.cells.iter().enumerate() {
            if cell.holds(di.byte(byte)) {
                continue;
            }
            match cell {
                Cell::Over(axis, _)
                    if di.byte(byte) == 0xFF && wild.is_none() && self.blocks.contains(axis) =>
                {
                    wild = Some(*axis);
                }
                Cell::Over(..) | Cell::Fixed(_) => return None,
            }
        }
        Some(match wild {
            None => Entry::Register(Register { row: self, di }),
            Some(axis) => Entry::Block(Block { row: self, di, axis }),
        })
    }

    /// Every register of the row, DI ascending.
    pub(crate) fn registers(&'static self) -> impl Iterator<Item = Register> + use<> {
        let count = self.cells.iter().map(Cell::len).product();
        (0..count).map(move |n| self.nth(n))
    }

    fn nth(&'static self, mut n: usize) -> Register {
        let mut di = Di::new(0);
        for (byte, cell) in self.cells.iter().enumerate() {
            di = di.with_byte(byte, cell.byte(n % cell.len()));
            n /= cell.len();
        }
        Register { row: self, di }
    }
}
