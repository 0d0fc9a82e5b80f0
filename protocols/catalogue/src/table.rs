//! From the text of a table to its rows, or to all that is wrong with it.
//!
//! Every table goes through here, the built-in ones too. It collects; it never stops at the first fault.

mod form;
mod line;
mod parts;

use crate::axes::{Axis, Cell, Values, digits, hex, wild};
use crate::catalogue::{Tables, Text};
use crate::layout::Layout;
use crate::row::{Access, Edition, Row};
use crate::search::Pattern;
use crate::template::Template;
use crate::{Quantity, TableFault, TableFaults, Unit, Wrong};
use dlt645::{Di, Edition as Standard};
use line::Line;
pub(crate) use line::{Entry, Lines};
use std::fmt;
use std::sync::Arc;

/// In the column of blocks: the block of the last place holds the registers of other rows too.
const JOINED: &str = "F";

/// The columns of all tables; a table may have its own in any order.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Column {
    Di,
    Axes,
    Name,
    NameZh,
    Quantity,
    Unit,
    Obis,
    Format,
    Octets,
    Decimals,
    Sign,
    Blocks,
    Access,
    Clause,
    Edition,
    Layout,
    Field,
    Times,
    Word,
    Bits,
    Value,
}

const COLUMNS: [(Column, &str); 21] = [
    (Column::Di, "di"),
    (Column::Axes, "axes"),
    (Column::Name, "name"),
    (Column::NameZh, "name_zh"),
    (Column::Quantity, "quantity"),
    (Column::Unit, "unit"),
    (Column::Obis, "obis"),
    (Column::Format, "format"),
    (Column::Octets, "octets"),
    (Column::Decimals, "decimals"),
    (Column::Sign, "sign"),
    (Column::Blocks, "blocks"),
    (Column::Access, "access"),
    (Column::Clause, "clause"),
    (Column::Edition, "edition"),
    (Column::Layout, "layout"),
    (Column::Field, "field"),
    (Column::Times, "times"),
    (Column::Word, "word"),
    (Column::Bits, "bits"),
    (Column::Value, "value"),
];

/// What a register of a profile can have.
pub(crate) const REGISTER_KEYS: [&str; 16] = {
    let mut keys = [Column::Layout.text(); 16];
    let mut n = 0;
    while n < REGISTERS.len() {
        keys[n] = REGISTERS[n].text();
        n += 1;
    }
    keys
};

/// What a field of a record of a profile can have.
pub(crate) const FIELD_KEYS: [&str; 10] = {
    let mut keys = [""; 10];
    let mut n = 0;
    while n < parts::LAYOUTS.len() {
        keys[n] = parts::LAYOUTS[n].text();
        n += 1;
    }
    keys
};

/// What a table of registers has; `layout` only if one of them is a record.
const REGISTERS: [Column; 15] = [
    Column::Di,
    Column::Axes,
    Column::Name,
    Column::NameZh,
    Column::Quantity,
    Column::Unit,
    Column::Obis,
    Column::Format,
    Column::Octets,
    Column::Decimals,
    Column::Sign,
    Column::Blocks,
    Column::Access,
    Column::Clause,
    Column::Edition,
];

impl Column {
    const fn text(self) -> &'static str {
        COLUMNS[self as usize].1
    }
}

/// What a table holds: its registers in its order, and the layouts of its records.
pub(crate) type Read = (Vec<Row>, Vec<Arc<Layout>>);

/// The rows of a table, in its order.
pub(crate) fn rows(tables: Tables<'_>) -> Result<Read, TableFaults> {
    let mut faults = Vec::new();
    let mut layouts =
        tables.layouts.map(|text| parts::layouts(Lines::Csv(text), &mut faults)).unwrap_or_default();
    let bits = tables.bits.map(|text| parts::bits(text, &mut faults)).unwrap_or_default();
    let fields = parts::name_bits(&mut layouts, &bits);
    let layouts: Vec<_> = layouts.into_iter().map(Arc::new).collect();
    let mut rows = Vec::new();
    let mut line = Line::new(Lines::Csv(tables.registers), &REGISTERS, &[Column::Layout], faults);
    while line.next() {
        rows.extend(line.row(&layouts));
    }
    line.check_each_against_all(&rows);
    let mut faults = line.faults;
    if let Some(text) = tables.bits {
        parts::give_bits(text, &mut rows, &bits, &fields, &mut faults);
    }
    if faults.is_empty() { Ok((rows, layouts)) } else { Err(TableFaults(faults)) }
}

/// The rows of a profile, which are checked as those of a table are, and against the standard's.
pub(crate) fn own_rows(
    file: &str,
    [registers, fields]: [Vec<Entry>; 2],
    standard: Standard,
    (base, layouts): (&[Arc<Row>], &[Arc<Layout>]),
    faults: &mut Vec<TableFault>,
) -> Vec<Row> {
    let written = |entries| Lines::Written { file, entries };
    let own = parts::layouts(written(fields), faults).into_iter().map(Arc::new);
    // Its own layout is found before the standard's of the same name.
    let layouts: Vec<_> = own.chain(layouts.iter().map(Arc::clone)).collect();
    let mut line = Line::new(written(registers), &[], &[], std::mem::take(faults));
    let mut rows = Vec::new();
    while line.next() {
        let found = line.text(Column::Di).to_owned();
        if line.standard() != standard && matches!(found.len(), 4 | 8) {
            let (protocol, digits) = (protocol_word(standard), 4 * digits(standard));
            line.fault(Column::Di, Wrong::OtherProtocol { found, protocol, digits });
        } else {
            rows.extend(line.row(&layouts));
        }
    }
    line.check_each_against_all(&rows);
    line.check_against_standard(&rows, base);
    *faults = line.faults;
    rows
}

/// As a configuration names the protocol.
pub(crate) const fn protocol_word(standard: Standard) -> &'static str {
    match standard {
        Standard::E1997 => "dlt645-1997",
        Standard::E2007 => "dlt645-2007",
    }
}

impl Line<'_> {
    /// The row of this line, if nothing is wrong with it.
    fn row(&mut self, layouts: &[Arc<Layout>]) -> Option<Row> {
        let standard = self.standard();
        let axes = self.axes(standard);
        let items = axes.as_ref().and_then(|axes| axes.1.clone());
        let cells = axes.and_then(|(axes, _)| self.cells(standard, axes));
        let stem = stem(self.text(Column::Name));
        let stem = self.kept(Column::Name, stem);
        let zh = self.name_zh(cells.as_ref(), items.as_ref());
        let obis = self.obis(cells.as_ref(), items.as_ref());
        let (quantity, unit) = (self.quantity(), self.unit());
        let form = self.form(layouts);
        let joined = standard == Standard::E1997 && self.text(Column::Blocks) == JOINED;
        let blocks = if joined { Some((Vec::new(), None)) } else { self.blocks(standard, cells.as_ref()) };
        let access = [("r", Access::Read), ("rw", Access::ReadWrite), ("w", Access::Write)];
        let written = self.text(Column::Access);
        let access = word(if written.is_empty() && self.is_written() { "r" } else { written }, access);
        let access = self.kept(Column::Access, access);
        let edition = self.edition();
        let clause = self.text(Column::Clause).into();
        let form::Octets { form, format, octets, lengths } = form?;
        let (blocks, tail) = blocks?;
        Some(Row {
            standard: standard.into(),
            cells: Box::new(cells?),
            fixed: Box::default(),
            blocks,
            joined,
            tail,
            items,
            stem: stem?.into(),
            zh: zh?,
            obis: obis?,
            quantity: quantity?,
            unit: unit?,
            form,
            format,
            octets,
            lengths,
            bits: Box::default(),
            access: access?,
            clause,
            edition: edition?,
            line: self.number,
        })
    }

    /// By the length of the pattern.
    fn standard(&self) -> Standard {
        if self.text(Column::Di).len() == 4 { Standard::E1997 } else { Standard::E2007 }
    }

    fn quantity(&mut self) -> Option<Quantity> {
        let quantity = word(self.text(Column::Quantity), Quantity::ALL.map(|q| (q.text(), q)));
        self.kept(Column::Quantity, quantity)
    }

    fn unit(&mut self) -> Option<Option<Unit>> {
        match self.text(Column::Unit) {
            "" => Some(None),
            text => {
                let unit = word(text, Unit::ALL.map(|u| (u.text(), Some(u))));
                self.kept(Column::Unit, unit)
            }
        }
    }

    fn edition(&mut self) -> Option<Edition> {
        let found = self.text(Column::Edition);
        let edition = match (self.is_written(), found) {
            (false, _) => word(found, [("std", Edition::Standard), ("sgcc", Edition::StateGrid)]),
            (true, "") => Ok(Edition::Vendor),
            (true, _) => word(found, [("vendor", Edition::Vendor), ("sgcc", Edition::StateGrid)]),
        };
        self.kept(Column::Edition, edition)
    }

    /// The axes of the pattern, and the axis of the items of one reply, which is written with a plus.
    fn axes(&mut self, standard: Standard) -> Option<(Vec<Counted>, Option<Counted>)> {
        let faults = self.faults.len();
        let (mut axes, mut items) = (Vec::new(), None);
        for item in self.text(Column::Axes).to_owned().split_whitespace() {
            let (plus, own) = item.strip_prefix('+').map_or((false, item), |own| (true, own));
            let read = own.split_once('=').and_then(|(letters, values)| {
                Some((Axis::from_letters(standard, letters)?, Values::parse(standard, values)?))
            });
            match read {
                Some((Axis::Phase, values)) if !matches!(values.len(), 3 | 4) => {
                    self.fault(Column::Axes, Wrong::Phases(values.len()));
                }
                Some(read) if plus && items.is_none() => items = Some(read),
                Some((axis, values)) if !plus && axes.iter().all(|(own, _)| *own != axis) => {
                    axes.push((axis, values));
                }
                Some(_) | None => self.fault(Column::Axes, Wrong::Axis { found: item.to_owned() }),
            }
        }
        (self.faults.len() == faults).then_some((axes, items))
    }

    fn cells(&mut self, standard: Standard, mut axes: Vec<Counted>) -> Option<[Cell; 4]> {
        let faults = self.faults.len();
        let found = self.text(Column::Di).to_owned();
        // A block is no row; a record, a command or a reply of several items may have FF in its DI.
        let several = self.text(Column::Axes).contains('+');
        let ff_fits = several || matches!(self.text(Column::Format), "record" | "raw");
        let mut cells = [const { Cell::Fixed(0) }; 4];
        let (width, written) = (digits(standard), self.is_written());
        for (n, cell) in cells.iter_mut().enumerate() {
            let start = width * (3 - n);
            let part = found.get(start..start + width).filter(|_| found.len() == 4 * width).unwrap_or("");
            // Of a 1997 identifier only the last place asks for a block; F in another is a class or a vendor's, as
            // is FF in DI2 of a profile.
            let vendor = |n| match standard {
                Standard::E1997 => n != 0,
                Standard::E2007 => n == 2 && written,
            };
            let fits = |fixed| fixed != wild(standard) || ff_fits || vendor(n);
            match (hex(standard, part), Axis::from_letters(standard, part)) {
                (Some(fixed), _) if fits(fixed) => *cell = Cell::Fixed(fixed),
                (None, Some(axis)) if found.matches(part).count() == 1 => {
                    match axes.iter().position(|(own, _)| *own == axis) {
                        Some(place) => *cell = Cell::Over(axis, axes.swap_remove(place).1),
                        None => self.fault(Column::Axes, Wrong::AxisMissing(axis.letters())),
                    }
                }
                (Some(_) | None, _) => {
                    self.fault(Column::Di, Wrong::Pattern { found });
                    return None;
                }
            }
        }
        for (axis, _) in axes {
            self.fault(Column::Axes, Wrong::AxisUnused(axis.letters()));
        }
        (self.faults.len() == faults).then_some(cells)
    }

    /// A text with places: one for each axis but the field and those that count backwards in time, and no other.
    fn template(
        &mut self,
        column: Column,
        cells: Option<&[Cell; 4]>,
        items: Option<&(Axis, Values)>,
    ) -> Option<Template> {
        let found = self.text(column).to_owned();
        let Some(template) = Template::parse(&found) else {
            self.fault(column, Wrong::Template { found });
            return None;
        };
        let cells = cells?;
        let faults = self.faults.len();
        for axis in [Axis::Harmonic, Axis::Number, Axis::Phase, Axis::Tariff] {
            let of_items = items.filter(|(own, _)| *own == axis).map(|(_, values)| values.len());
            match (of_items.or_else(|| length(cells, axis)), template.has(axis)) {
                (Some(_), false) => self.fault(column, Wrong::PlaceMissing(axis.letters())),
                (None, true) => self.fault(column, Wrong::PlaceUnused(axis.letters())),
                (Some(_), true) | (None, false) => {}
            }
        }
        if let (Some(found), Some(expected)) = (template.listed(), length(cells, Axis::Phase))
            && found != expected
        {
            self.fault(column, Wrong::PlaceList { found, expected });
        }
        (self.faults.len() == faults).then_some(template)
    }

    fn name_zh(&mut self, cells: Option<&[Cell; 4]>, items: Option<&(Axis, Values)>) -> Option<Template> {
        if self.text(Column::NameZh).is_empty() {
            self.fault(Column::NameZh, Wrong::Empty { write: "write the Chinese name of the standard" });
            return None;
        }
        self.template(Column::NameZh, cells, items)
    }

    fn obis(
        &mut self,
        cells: Option<&[Cell; 4]>,
        items: Option<&(Axis, Values)>,
    ) -> Option<Option<Template>> {
        if self.text(Column::Obis).is_empty() {
            return Some(None);
        }
        let template = self.template(Column::Obis, cells, items)?;
        let last = |axis| {
            let cell = cells?.iter().find(|cell| matches!(cell, Cell::Over(own, _) if *own == axis))?;
            cell.number(cell.byte(usize::MAX))
        };
        let code = Code(&template, last).to_string();
        if is_obis(&code) {
            Some(Some(template))
        } else {
            self.fault(Column::Obis, Wrong::Obis { found: code });
            None
        }
    }

    /// The axes whose byte may be FF, and what may follow the last item: `nn+04000508:4`.
    fn blocks(&mut self, standard: Standard, cells: Option<&[Cell; 4]>) -> Option<Blocks> {
        let own = Axis::of(standard)
            .iter()
            .copied()
            .filter(|&axis| cells.is_none_or(|c| length(c, axis).is_some()));
        let own: Vec<_> = own.map(|axis| (axis.letters_of(standard), axis)).collect();
        let (mut blocks, mut tail, faults) = (Vec::new(), None, self.faults.len());
        for text in self.text(Column::Blocks).to_owned().split_whitespace() {
            let (letters, behind) = text.split_once('+').map_or((text, None), |(l, b)| (l, Some(b)));
            let axis = word(letters, own.iter().copied());
            blocks.extend(self.kept(Column::Blocks, axis));
            if let Some(behind) = behind {
                let read = behind
                    .split_once(':')
                    .and_then(|(di, octets)| Some((di.parse::<Di>().ok()?, octets.parse().ok()?)));
                let wrong = Wrong::Word { found: text.to_owned(), known: "nn+04000508:4".to_owned() };
                tail = self.kept(Column::Blocks, read.ok_or(wrong));
            }
        }
        (self.faults.len() == faults).then_some((blocks, tail))
    }

    /// No DI and no name of two rows; a row with several patterns would be a choice by chance.
    fn check_each_against_all(&mut self, rows: &[Row]) {
        for (n, row) in rows.iter().enumerate() {
            self.number = row.line;
            self.lines.clear();
            for other in &rows[..n] {
                let places = || row.cells.iter().zip(&other.cells);
                if row.standard == other.standard
                    && !row.cells.is_empty()
                    && places().all(|(mine, theirs)| mine.meets(theirs))
                {
                    self.fault(Column::Di, Wrong::SameDi { line: other.line });
                }
                if share_a_name(row, other) {
                    self.fault(Column::Name, Wrong::SameName { line: other.line });
                }
            }
        }
        self.faults.sort_by_key(|fault| fault.line);
    }

    /// A name of the standard means the standard's register, unless the row has its identifiers instead.
    fn check_against_standard(&mut self, rows: &[Row], base: &[Arc<Row>]) {
        for row in rows {
            self.number = row.line;
            self.lines.clear();
            for other in base.iter().filter(|other| share_a_name(row, other) && !row.covers(other)) {
                let di = Pattern(other).to_string();
                self.fault(Column::Name, Wrong::StandardName { di });
            }
        }
    }
}

/// An axis and its values.
type Counted = (Axis, Values);

/// Axes whose byte may be FF, and what may follow the last item.
type Blocks = (Vec<Axis>, Option<(Di, usize)>);

/// How many values the pattern has on an axis; None if it has no such axis.
fn length(cells: &[Cell; 4], axis: Axis) -> Option<usize> {
    cells.iter().find(|cell| matches!(cell, Cell::Over(own, _) if *own == axis)).map(Cell::len)
}

/// Whether two rows have a register of the same name.
fn share_a_name(one: &Row, other: &Row) -> bool {
    one.stem == other.stem && Axis::ALL.into_iter().all(|axis| share(one, other, axis))
}

/// Whether two rows have a number of this axis in common; a row without the axis has 0.
fn share(one: &Row, other: &Row, axis: Axis) -> bool {
    let numbers = |row: &Row| -> Vec<u8> { row.numbers(axis).map_or_else(|| vec![0], Iterator::collect) };
    let theirs = numbers(other);
    numbers(one).iter().any(|n| theirs.contains(n))
}

/// An OBIS code of a template, with the numbers that a function gives.
struct Code<'a, F>(&'a Template, F);

impl<F: Fn(Axis) -> Option<u8>> fmt::Display for Code<'_, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.numeric(f, &self.1)
    }
}

fn stem(found: &str) -> Result<String, Wrong> {
    let good =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let suffix = |part: &str| {
        let ends = [Axis::Phase, Axis::Tariff].into_iter().chain(Axis::BACK).map(Axis::word);
        let mut counts = ends.filter_map(|word| part.strip_prefix(word));
        counts.any(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let starts = found.starts_with(|c: char| c.is_ascii_lowercase());
    if starts && found.split('_').all(|part| good(part) && !suffix(part)) {
        Ok(found.to_owned())
    } else {
        Err(Wrong::Name { found: found.to_owned() })
    }
}

fn word<T>(found: &str, known: impl IntoIterator<Item = (&'static str, T)>) -> Result<T, Wrong> {
    let mut words = Vec::new();
    for (text, meaning) in known {
        if text == found {
            return Ok(meaning);
        }
        words.push(text);
    }
    Err(Wrong::Word { found: found.to_owned(), known: words.join(", ") })
}

fn whole(found: &str, least: usize, most: usize) -> Result<usize, Wrong> {
    let number = found.parse().ok().filter(|n| (least..=most).contains(n));
    number.ok_or_else(|| Wrong::Number { found: found.to_owned(), least, most })
}

/// `A-B:C.D.E`, each group 0 to 255.
fn is_obis(code: &str) -> bool {
    let groups: Vec<_> = code.split(['-', ':', '.']).collect();
    let marks: String = code.chars().filter(|c| !c.is_ascii_digit()).collect();
    marks == "-:.." && groups.iter().all(|group| group.parse::<u8>().is_ok())
}
