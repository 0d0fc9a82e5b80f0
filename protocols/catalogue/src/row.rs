//! One row of a table: a register with all values of its axes, and its blocks.
//!
//! A row is checked when it is read; nothing here can fail.

use crate::axes::{Axis, Cell, Values};
use crate::bits::BitSpec;
use crate::layout::Layout;
use crate::template::Template;
use crate::{Block, Entry, Quantity, Register, Unit};
use dlt645::Di;
use dlt645::format::Format;
use std::sync::Arc;

/// Who defined a register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Edition {
    /// DL/T 645-2007 itself: every meter of the standard has it, as far as it measures it.
    Standard,
    /// A later filing of State Grid (国网备案): a meter may refuse it.
    StateGrid,
}

/// What a row's octets are.
#[derive(Debug)]
pub(crate) enum Form {
    /// One value in the row's format.
    Plain,
    /// Fields; the first layout is the standard's, the others are documented of some meters and told by length.
    Record(Vec<Arc<Layout>>),
    /// One field of a record: `fi` counts them from 1.
    FieldOf(Arc<Layout>),
    /// Load records of six groups.
    Load(Vec<Arc<Layout>>),
    /// Octets whose layout is not documented.
    Raw,
}

/// What the standard allows with a register. Nothing in this crate writes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Access {
    /// Read only.
    Read,
    /// A meter can be told another value.
    ReadWrite,
    /// A meter can be told, and does not tell: passwords, commands of the security module.
    Write,
}

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// By the byte's number in the DI: the class is the last.
    pub(crate) cells: [Cell; 4],
    /// Axes whose byte may be FF.
    pub(crate) blocks: Vec<Axis>,
    /// What some meters send behind the last item of a block, and its octets.
    pub(crate) tail: Option<(Di, usize)>,
    /// What one reply has several of, one after the other, without a byte of the DI for it.
    pub(crate) items: Option<(Axis, Values)>,
    /// The name without the suffixes of the axes.
    pub(crate) stem: Box<str>,
    pub(crate) zh: Template,
    pub(crate) obis: Option<Template>,
    pub(crate) quantity: Quantity,
    pub(crate) unit: Option<Unit>,
    pub(crate) form: Form,
    /// `Composite` where the form is not plain.
    pub(crate) format: Format,
    /// Of one value, or of the standard's record; 0 where the length is open.
    pub(crate) octets: usize,
    /// Other lengths that are documented of some meters.
    pub(crate) lengths: Vec<usize>,
    pub(crate) bits: Box<[BitSpec]>,
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

    /// The values on this axis, whether a byte of the DI counts it or the items of a reply.
    pub(crate) fn values(&self, axis: Axis) -> Option<&Values> {
        let items = self.items.as_ref().filter(|(own, _)| *own == axis).map(|(_, values)| values);
        items.or_else(|| self.axis(axis).map(|(_, values)| values))
    }

    /// Whether it has a register that is of the present.
    pub(crate) fn has_present(&self) -> bool {
        Axis::BACK.into_iter().all(|axis| self.values(axis).is_none_or(|values| values.place(0).is_some()))
    }

    pub(crate) fn counts(&self, axis: Axis) -> bool {
        self.values(axis).is_some()
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
            None => Entry::Register(Register { row: self, di, item: 0 }),
            Some(axis) => Entry::Block(Block { row: self, di, axis }),
        })
    }

    /// Every register of the row, DI ascending.
    pub(crate) fn registers(&'static self) -> impl Iterator<Item = Register> + use<> {
        let count = self.cells.iter().map(Cell::len).product();
        let items = self.items.as_ref().map_or(1, |(_, values)| values.len());
        (0..count).flat_map(move |n| {
            let first = self.nth(n);
            (0..items).map(move |item| Register { item: item as u8, ..first })
        })
    }

    fn nth(&'static self, mut n: usize) -> Register {
        let mut di = Di::new(0);
        for (byte, cell) in self.cells.iter().enumerate() {
            di = di.with_byte(byte, cell.byte(n % cell.len()));
            n /= cell.len();
        }
        Register { row: self, di, item: 0 }
    }
}
