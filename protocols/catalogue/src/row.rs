//! One row of a table: a register with all values of its axes, and its blocks.
//!
//! A row is checked when it is read; nothing here can fail.

use crate::axes::{Axis, Cell, Values, place, wild, with_place, zero};
use crate::bits::BitSpec;
use crate::block;
use crate::layout::Layout;
use crate::template::Template;
use crate::{Block, Catalogue, Entry, Identifier, Location, Quantity, Register, Standard, Unit};
use dlt645::Di;
use dlt645::format::Format;
use std::sync::Arc;

/// Who defined a register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Edition {
    /// The standard of the table itself: every meter of it has it, as far as it measures it.
    Standard,
    /// A later filing of State Grid (国网备案): a meter may refuse it.
    StateGrid,
    /// A maker, for some of its meters (厂家扩展): found by their profile alone.
    Vendor,
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
    /// Registers of a Modbus meter.
    Modbus(Box<Location>),
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
    /// Whose identifiers it has.
    pub(crate) standard: Standard,
    /// By the place's number in the DI: the class is the last. Empty where there is no DI.
    pub(crate) cells: Box<[Cell]>,
    /// What it counts though no place does: of a Modbus register, which is one of its row.
    pub(crate) fixed: Box<[(Axis, u8)]>,
    /// Axes whose place may be wild.
    pub(crate) blocks: Vec<Axis>,
    /// Whether the block of its last place holds the registers of other rows too, in the order of their DIs.
    pub(crate) joined: bool,
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
    /// The place of the DI that counts this axis, and its values.
    pub(crate) fn axis(&self, axis: Axis) -> Option<(usize, &Values)> {
        self.cells.iter().enumerate().find_map(|(n, cell)| match cell {
            Cell::Over(own, values) if *own == axis => Some((n, values)),
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
        Axis::BACK
            .into_iter()
            .all(|axis| self.numbers(axis).is_none_or(|mut numbers| numbers.any(|n| n == 0)))
    }

    /// All that it counts on this axis; None where it has no such axis.
    pub(crate) fn numbers(&self, axis: Axis) -> Option<impl Iterator<Item = u8>> {
        let values = self.values(axis);
        let cell = self.axis(axis).map(|(n, _)| &self.cells[n]);
        let counted = values.into_iter().flat_map(move |values| {
            (0..values.len()).filter_map(move |n| {
                let value = values.byte(n);
                cell.map_or(Some(value), |cell| cell.number(value))
            })
        });
        let fixed = self.fixed(axis);
        (values.is_some() || fixed.is_some()).then(|| counted.chain(fixed))
    }

    fn fixed(&self, axis: Axis) -> Option<u8> {
        self.fixed.iter().find(|(own, _)| *own == axis).map(|(_, number)| *number)
    }

    pub(crate) fn counts(&self, axis: Axis) -> bool {
        self.values(axis).is_some()
    }

    /// What the identifier has on this axis; None where the row has no such axis.
    pub(crate) fn number(&self, axis: Axis, id: Identifier) -> Option<u8> {
        let Some(di) = id.di() else { return self.fixed(axis) };
        let (n, _) = self.axis(axis)?;
        self.cells[n].number(place(di, n))
    }

    /// What the DI has on each axis of its places.
    pub(crate) fn all_numbers(&self, di: Di) -> impl Iterator<Item = (Axis, u8)> {
        self.cells.iter().enumerate().filter_map(move |(n, cell)| match cell {
            Cell::Over(axis, _) => Some((*axis, cell.number(place(di, n))?)),
            Cell::Fixed(_) => None,
        })
    }

    /// Whether it has every identifier of the other row.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let places = || self.cells.iter().zip(&other.cells);
        self.standard == other.standard
            && !self.cells.is_empty()
            && places().all(|(own, theirs)| (0..theirs.len()).all(|n| own.holds(theirs.byte(n))))
    }

    /// Whether it has an identifier of the other row.
    pub(crate) fn meets(&self, other: &Self) -> bool {
        let mut places = self.cells.iter().zip(&other.cells);
        self.standard == other.standard
            && !self.cells.is_empty()
            && places.all(|(own, theirs)| own.meets(theirs))
    }

    pub(crate) fn holds(&self, di: Di) -> bool {
        self.standard.is(di.edition())
            && self.cells.iter().enumerate().all(|(n, cell)| cell.holds(place(di, n)))
    }

    /// What the DI is of this row: a register, one of its blocks, or nothing.
    pub(crate) fn entry(&'static self, table: &'static Catalogue, di: Di) -> Option<Entry> {
        if !self.standard.is(di.edition()) {
            return None;
        }
        let mut asked = None;
        for (n, cell) in self.cells.iter().enumerate() {
            let own = place(di, n);
            if cell.holds(own) {
                continue;
            }
            let asks = own == wild(di.edition()) && asked.is_none();
            match cell {
                _ if asks && n == 0 && self.joined => asked = Some(block::Layout::Joined),
                Cell::Over(axis, _) if asks && self.blocks.contains(axis) => {
                    asked = Some(block::Layout::Along(self, *axis));
                }
                Cell::Over(..) | Cell::Fixed(_) => return None,
            }
        }
        match asked {
            None => Some(Entry::Register(Register { row: self, id: di.into(), item: 0, table })),
            Some(layout) => table.has_block(self, di).then_some(Entry::Block(Block { layout, di, table })),
        }
    }

    /// Every register of the row, DI ascending.
    pub(crate) fn registers(
        &'static self,
        table: &'static Catalogue,
    ) -> impl Iterator<Item = Register> + use<> {
        let modbus = self.span().map(|span| Register { row: self, id: span.into(), item: 0, table });
        self.dis().flat_map(move |di| self.items_of(table, di)).chain(modbus)
    }

    /// Of its registers those that are present or so far back, DI ascending: few of thousands.
    pub(crate) fn registers_at(
        &'static self,
        table: &'static Catalogue,
        back: Option<(Axis, u8)>,
    ) -> impl Iterator<Item = Register> + use<> {
        let fits = |cell: &Cell, byte: &u8| match cell {
            Cell::Over(axis, _) if Axis::BACK.contains(axis) => {
                cell.number(*byte).is_none_or(|n| n == 0 || back == Some((*axis, n)))
            }
            Cell::Over(..) | Cell::Fixed(_) => true,
        };
        let places: Vec<Vec<u8>> = self
            .cells
            .iter()
            .map(|cell| (0..cell.len()).map(|n| cell.byte(n)).filter(|byte| fits(cell, byte)).collect())
            .collect();
        let edition = self.standard.edition();
        let count = edition.map_or(0, |_| places.iter().map(Vec::len).product());
        let modbus = self.span().map(|span| Register { row: self, id: span.into(), item: 0, table });
        let dis = (0..count).map(move |mut count| {
            let mut di = zero(edition.unwrap_or(dlt645::Edition::E2007));
            for (n, bytes) in places.iter().enumerate() {
                di = with_place(di, n, bytes[count % bytes.len()]);
                count /= bytes.len();
            }
            di
        });
        dis.flat_map(move |di| self.items_of(table, di)).chain(modbus)
    }

    /// The registers of one identifier.
    fn items_of(&'static self, table: &'static Catalogue, di: Di) -> impl Iterator<Item = Register> + use<> {
        let items = self.items.as_ref().map_or(1, |(_, values)| values.len());
        (0..items).map(move |item| Register { row: self, id: di.into(), item: item as u8, table })
    }

    /// Where its registers are in a Modbus meter.
    fn span(&self) -> Option<modbus::Span> {
        self.location().map(|location| location.span)
    }

    /// How it is read of a Modbus meter.
    pub(crate) fn location(&self) -> Option<&Location> {
        if let Form::Modbus(location) = &self.form { Some(location) } else { None }
    }

    /// Every data identifier of the row, ascending.
    pub(crate) fn dis(&self) -> impl Iterator<Item = Di> {
        let edition = self.standard.edition();
        let count = edition.map_or(0, |_| self.cells.iter().map(Cell::len).product());
        (0..count).map(move |mut count| {
            let mut di = zero(edition.unwrap_or(dlt645::Edition::E2007));
            for (n, cell) in self.cells.iter().enumerate() {
                di = with_place(di, n, cell.byte(count % cell.len()));
                count /= cell.len();
            }
            di
        })
    }
}
