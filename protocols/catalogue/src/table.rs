//! From the text of a table to its rows, or to all that is wrong with it.
//!
//! Every table goes through here, the built-in ones too. It collects; it never stops at the first fault.

use crate::axes::{Axis, Cell, Values, digits, hex, wild};
use crate::row::{Access, Edition, Row};
use crate::template::Template;
use crate::{Quantity, TableFault, TableFaults, Unit, Wrong};
use csv::StringRecord;
use dlt645::Edition as Standard;
use dlt645::format::Format;
use std::fmt;

/// In the column of blocks: the block of the last place holds the registers of other rows too.
const JOINED: &str = "F";

/// The columns in the order of the built-in tables; a table may have them in any order.
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
}

const COLUMNS: [(Column, &str); 15] = [
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
];

impl Column {
    const fn text(self) -> &'static str {
        COLUMNS[self as usize].1
    }
}

/// The rows of a table, in its order.
pub(crate) fn rows(file: &str, text: &str) -> Result<Vec<Row>, TableFaults> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let head = reader.headers().cloned().unwrap_or_default();
    let mut line = Line { file, number: 1, head, fields: StringRecord::new(), faults: Vec::new() };
    line.check_head();
    let mut rows = Vec::new();
    let mut records = if line.faults.is_empty() { Some(reader.into_records()) } else { None };
    while let Some(record) = records.as_mut().and_then(Iterator::next) {
        match record {
            Ok(fields) => {
                line.number = fields.position().map_or(line.number + 1, csv::Position::line);
                line.fields = fields;
                rows.extend(line.row());
            }
            Err(fault) => {
                line.number = fault.position().map_or(line.number + 1, csv::Position::line);
                line.fault(Column::Di, Wrong::NotCsv(fault.to_string()));
            }
        }
    }
    line.check_each_against_all(&rows);
    if line.faults.is_empty() { Ok(rows) } else { Err(TableFaults(line.faults)) }
}

/// One line of the table, and the faults of all lines so far.
struct Line<'a> {
    file: &'a str,
    number: u64,
    head: StringRecord,
    fields: StringRecord,
    faults: Vec<TableFault>,
}

impl Line<'_> {
    fn fault(&mut self, column: Column, wrong: Wrong) {
        let (file, line) = (self.file.to_owned(), self.number);
        self.faults.push(TableFault { file, line, column: column.text(), wrong });
    }

    /// The value, or the fault noted.
    fn kept<T>(&mut self, column: Column, result: Result<T, Wrong>) -> Option<T> {
        result.map_err(|wrong| self.fault(column, wrong)).ok()
    }

    fn check_head(&mut self) {
        for (column, text) in COLUMNS {
            if !self.head.iter().any(|own| own == text) {
                self.fault(column, Wrong::ColumnMissing);
            }
        }
        let unknown = |own: &&str| !COLUMNS.iter().any(|(_, text)| text == own);
        for found in self.head.iter().filter(unknown).map(str::to_owned).collect::<Vec<_>>() {
            self.fault(Column::Di, Wrong::ColumnUnknown { found });
        }
    }

    fn text(&self, column: Column) -> &str {
        let place = self.head.iter().position(|own| own == column.text());
        place.and_then(|n| self.fields.get(n)).unwrap_or("").trim()
    }

    /// The row of this line, if nothing is wrong with it.
    fn row(&mut self) -> Option<Row> {
        let (found, expected) = (self.fields.len(), self.head.len());
        if found != expected {
            self.fault(Column::Di, Wrong::Fields { found, expected });
            return None;
        }
        let standard = self.standard();
        let cells = self.cells(standard);
        let stem = stem(self.text(Column::Name));
        let stem = self.kept(Column::Name, stem);
        let zh = self.name_zh(cells.as_ref());
        let obis = self.obis(cells.as_ref());
        let quantity = word(self.text(Column::Quantity), Quantity::ALL.map(|q| (q.text(), q)));
        let quantity = self.kept(Column::Quantity, quantity);
        let unit = match self.text(Column::Unit) {
            "" => Some(None),
            text => {
                let unit = word(text, Unit::ALL.map(|u| (u.text(), Some(u))));
                self.kept(Column::Unit, unit)
            }
        };
        let format = self.format();
        let joined = standard == Standard::E1997 && self.text(Column::Blocks) == JOINED;
        let blocks = if joined { Some(Vec::new()) } else { self.blocks(cells.as_ref()) };
        let access = word(
            self.text(Column::Access),
            [("r", Access::Read), ("rw", Access::ReadWrite), ("w", Access::Write)],
        );
        let access = self.kept(Column::Access, access);
        let edition =
            word(self.text(Column::Edition), [("std", Edition::Standard), ("sgcc", Edition::StateGrid)]);
        let edition = self.kept(Column::Edition, edition);
        let clause = self.text(Column::Clause).into();
        let (format, octets) = format?;
        Some(Row {
            standard,
            cells: cells?,
            blocks: blocks?,
            joined,
            stem: stem?.into(),
            zh: zh?,
            obis: obis?,
            quantity: quantity?,
            unit: unit?,
            format,
            octets,
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

    fn cells(&mut self, standard: Standard) -> Option<[Cell; 4]> {
        let faults = self.faults.len();
        let mut axes = Vec::new();
        for item in self.text(Column::Axes).to_owned().split_whitespace() {
            let read = item.split_once('=').and_then(|(letters, values)| {
                Some((Axis::from_letters(standard, letters)?, Values::parse(standard, values)?))
            });
            match read {
                Some((Axis::Phase, values)) if !matches!(values.len(), 3 | 4) => {
                    self.fault(Column::Axes, Wrong::Phases(values.len()));
                }
                Some((axis, values)) if axes.iter().all(|(own, _)| *own != axis) => {
                    axes.push((axis, values));
                }
                Some(_) | None => self.fault(Column::Axes, Wrong::Axis { found: item.to_owned() }),
            }
        }
        if self.faults.len() > faults {
            return None;
        }
        let found = self.text(Column::Di).to_owned();
        let mut cells = [const { Cell::Fixed(0) }; 4];
        let width = digits(standard);
        for (n, cell) in cells.iter_mut().enumerate() {
            let start = width * (3 - n);
            let part = found.get(start..start + width).filter(|_| found.len() == 4 * width).unwrap_or("");
            // Of a 1997 identifier only the last place asks for a block; F in another is a class or a vendor's.
            let fits = |fixed| fixed != wild(standard) || (standard == Standard::E1997 && n != 0);
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

    /// A text with places: one for each axis of the pattern but the settlement day, and no other.
    fn template(&mut self, column: Column, cells: Option<&[Cell; 4]>) -> Option<Template> {
        let found = self.text(column).to_owned();
        let Some(template) = Template::parse(&found) else {
            self.fault(column, Wrong::Template { found });
            return None;
        };
        let cells = cells?;
        let faults = self.faults.len();
        for axis in [Axis::Harmonic, Axis::Number, Axis::Phase, Axis::Tariff] {
            match (length(cells, axis), template.has(axis)) {
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

    fn name_zh(&mut self, cells: Option<&[Cell; 4]>) -> Option<Template> {
        if self.text(Column::NameZh).is_empty() {
            self.fault(Column::NameZh, Wrong::Empty { write: "write the Chinese name of the standard" });
            return None;
        }
        self.template(Column::NameZh, cells)
    }

    fn obis(&mut self, cells: Option<&[Cell; 4]>) -> Option<Option<Template>> {
        if self.text(Column::Obis).is_empty() {
            return Some(None);
        }
        let template = self.template(Column::Obis, cells)?;
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

    fn format(&mut self) -> Option<(Format, usize)> {
        let number = Format::Number { decimals: 0, signed: false };
        let demand = Format::Demand { decimals: 0, signed: false };
        // With the least and the most octets that the format can have.
        let known = [
            ("number", (number, 1, 7)),
            ("demand", (demand, 6, 12)),
            ("date", (Format::Date, 4, 4)),
            ("time", (Format::Time, 3, 3)),
            ("date_time", (Format::DateTime, 7, 7)),
            ("digits", (Format::Digits, 1, 6)),
            ("bits", (Format::Bits, 1, 12)),
        ];
        let format = word(self.text(Column::Format), known);
        let (format, least, most) = self.kept(Column::Format, format)?;
        let octets = whole(self.text(Column::Octets), least, most);
        let octets = self.kept(Column::Octets, octets);
        let format = match format {
            Format::Number { .. } => {
                let (decimals, signed) = self.scale(octets.unwrap_or(most))?;
                Format::Number { decimals, signed }
            }
            Format::Demand { .. } => {
                let (decimals, signed) = self.scale(octets.unwrap_or(most) - 5)?;
                Format::Demand { decimals, signed }
            }
            Format::Date | Format::Time | Format::DateTime | Format::Digits | Format::Bits => {
                for column in [Column::Decimals, Column::Sign] {
                    if !self.text(column).is_empty() {
                        self.fault(column, Wrong::NotEmpty);
                    }
                }
                format
            }
        };
        Some((format, octets?))
    }

    /// Decimals and sign of a number of so many octets.
    fn scale(&mut self, octets: usize) -> Option<(u8, bool)> {
        let decimals = whole(self.text(Column::Decimals), 0, 2 * octets);
        let decimals = self.kept(Column::Decimals, decimals);
        let signed = word(self.text(Column::Sign), [("signed", true), ("unsigned", false)]);
        let signed = self.kept(Column::Sign, signed);
        Some((decimals? as u8, signed?))
    }

    fn blocks(&mut self, cells: Option<&[Cell; 4]>) -> Option<Vec<Axis>> {
        let own = Axis::ALL.into_iter().filter(|&axis| cells.is_none_or(|c| length(c, axis).is_some()));
        let standard = self.standard();
        let own: Vec<_> = own.map(|axis| (axis.letters_of(standard), axis)).collect();
        let read: Vec<_> =
            self.text(Column::Blocks).split_whitespace().map(|t| word(t, own.iter().copied())).collect();
        let blocks: Vec<_> = read.into_iter().map(|result| self.kept(Column::Blocks, result)).collect();
        blocks.into_iter().collect()
    }

    /// No DI and no name of two rows; a row with several patterns would be a choice by chance.
    fn check_each_against_all(&mut self, rows: &[Row]) {
        for (n, row) in rows.iter().enumerate() {
            self.number = row.line;
            for other in &rows[..n] {
                let places = || row.cells.iter().zip(&other.cells);
                if row.standard == other.standard && places().all(|(mine, theirs)| mine.meets(theirs)) {
                    self.fault(Column::Di, Wrong::SameDi { line: other.line });
                }
                if row.stem == other.stem && Axis::ALL.into_iter().all(|axis| share(row, other, axis)) {
                    self.fault(Column::Name, Wrong::SameName { line: other.line });
                }
            }
        }
        self.faults.sort_by_key(|fault| fault.line);
    }
}

/// How many values the pattern has on an axis; None if it has no such axis.
fn length(cells: &[Cell; 4], axis: Axis) -> Option<usize> {
    cells.iter().find(|cell| matches!(cell, Cell::Over(own, _) if *own == axis)).map(Cell::len)
}

/// Whether two rows have a number of this axis in common; a row without the axis has 0.
fn share(one: &Row, other: &Row, axis: Axis) -> bool {
    let numbers = |row: &Row| -> Vec<u8> {
        let Some((at, values)) = row.axis(axis) else { return vec![0] };
        (0..values.len()).filter_map(|n| row.cells[at].number(values.byte(n))).collect()
    };
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
        part.strip_prefix(['l', 't', 's'])
            .is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
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
