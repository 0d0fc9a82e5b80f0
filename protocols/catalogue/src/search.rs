//! Rows of the table by words, for people who look for a register.

use crate::axes::{Axis, Cell, digits, hex};
use crate::row::Row;
use crate::{Access, Catalogue, Edition, Quantity, Register, Unit};
use dlt645::Di;
use std::fmt;
use std::ops::Range;

/// A row of the table: a register with all its tariffs, phases and days.
#[derive(Clone, Copy)]
pub struct Summary {
    row: &'static Row,
    table: &'static Catalogue,
}

impl Catalogue {
    /// Rows in which every word of the text is found, in the order of the table; all rows for no word.
    ///
    /// A word is found as a DI or the beginning of one (`0001FF00`, `020A`), as a name or a part of one
    /// (`active_energy_import_t1`, `harmonic`), as an OBIS code or a part of one, as a part of the Chinese name, as a
    /// quantity or a unit.
    pub fn search(&'static self, text: &str) -> impl Iterator<Item = Summary> + use<> {
        self.search_rows(0..self.rows.len(), text)
    }

    pub(crate) fn search_rows(
        &'static self,
        rows: Range<usize>,
        text: &str,
    ) -> impl Iterator<Item = Summary> + use<> {
        let words: Vec<Wanted> = text.split_whitespace().map(|word| self.wanted(word)).collect();
        self.rows[rows]
            .iter()
            .filter(move |row| words.iter().all(|word| word.is_of(row, self)))
            .map(move |row| Summary { row, table: self })
    }

    fn wanted(&'static self, word: &str) -> Wanted {
        let di = word.parse::<Di>();
        // A name with its ends, or a code with its numbers, is not in the row's own text.
        let pattern = word.contains('*') && !word.contains('.');
        let register = self.find(word, 63).ok().filter(|_| di.is_err() && !pattern);
        // Four digits can be the beginning of a longer identifier as well: no row has one of another edition.
        let di = di.ok();
        let register = register.and_then(|found| found.first().copied());
        Wanted { text: word.to_lowercase(), di, register }
    }
}

struct Wanted {
    text: String,
    di: Option<Di>,
    register: Option<Register>,
}

impl Wanted {
    fn is_of(&self, row: &'static Row, table: &'static Catalogue) -> bool {
        let text = &*self.text;
        self.register.is_some_and(|register| std::ptr::eq(register.row, row))
            || self.di.is_some_and(|di| row.entry(table, di).is_some())
            || starts_with(row, text)
            || row.stem.contains(text)
            || row.zh.to_string().contains(text)
            || row.obis.as_ref().is_some_and(|code| text.contains('.') && code.to_string().contains(text))
            || row.quantity.text().contains(text)
            || row.unit.is_some_and(|unit| unit.text().to_lowercase() == text)
    }
}

/// Whether the text is the beginning of a DI of the row, two digits at least.
fn starts_with(row: &Row, text: &str) -> bool {
    let Some(edition) = row.standard.edition() else { return false };
    let width = digits(edition);
    if !text.len().is_multiple_of(width) || !(2..=4 * width).contains(&text.len()) || !text.is_ascii() {
        return false;
    }
    let places = text.as_bytes().chunks(width).map(|part| hex(edition, str::from_utf8(part).ok()?));
    row.cells.iter().rev().zip(places).all(|(cell, place)| place.is_some_and(|place| cell.holds(place)))
}

impl Summary {
    /// The identifiers as the table has them: `0001ttss`; of a Modbus register `04 0034+2`.
    pub fn di(&self) -> impl fmt::Display + use<> {
        Pattern(self.row)
    }

    /// The values of the letters: `tt=00-3F ss=00-0C`; empty where there are none.
    pub fn axes(&self) -> impl fmt::Display + use<> {
        Axes(self.row)
    }

    /// The name with what ends it: `active_energy_import[_tN][_sN]`.
    pub fn name(&self) -> impl fmt::Display + use<> {
        Names(self.row)
    }

    /// The Chinese name with its places: `正向有功{t}电能`.
    pub fn name_zh(&self) -> impl fmt::Display + use<> {
        &self.row.zh
    }

    /// The OBIS code with its places: `1-0:1.8.{t}`.
    pub fn obis(&self) -> Option<impl fmt::Display + use<>> {
        self.row.obis.as_ref()
    }

    /// What it measures.
    pub fn quantity(&self) -> Quantity {
        self.row.quantity
    }

    /// Its unit.
    pub fn unit(&self) -> Option<Unit> {
        self.row.unit
    }

    /// Octets of one register.
    pub fn octets(&self) -> usize {
        self.row.octets
    }

    /// What the standard allows with it.
    pub fn access(&self) -> Access {
        self.row.access
    }

    /// Who defined it.
    pub fn edition(&self) -> Edition {
        self.row.edition
    }

    /// The table of the standard's annex.
    pub fn clause(&self) -> &'static str {
        &self.row.clause
    }

    /// Whether it is a row of the profile itself, where one is looked through.
    pub fn is_of_profile(&self) -> bool {
        self.table.rows[..self.table.own].iter().any(|own| std::ptr::eq(&**own, self.row))
    }

    /// Its registers, one by one.
    pub fn registers(&self) -> impl Iterator<Item = Register> + use<> {
        self.table.registers_of(self.row)
    }
}

impl fmt::Debug for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Summary({} {})", self.di(), self.name())
    }
}

/// The identifiers of a row as a table has them.
pub(crate) struct Pattern<'a>(pub(crate) &'a Row);

impl fmt::Display for Pattern<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(edition) = self.0.standard.edition() else {
            return self.0.location().map_or(Ok(()), |location| location.span.fmt(f));
        };
        self.0.cells.iter().rev().try_for_each(|cell| match cell {
            Cell::Fixed(value) => write!(f, "{value:0width$X}", width = digits(edition)),
            Cell::Over(axis, _) => f.write_str(axis.letters_of(edition)),
        })
    }
}

struct Axes(&'static Row);

impl fmt::Display for Axes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(edition) = self.0.standard.edition() else { return Ok(()) };
        let inside = self.0.cells.iter().rev().filter_map(|cell| match cell {
            Cell::Fixed(_) => None,
            Cell::Over(axis, values) => Some(("", *axis, values)),
        });
        let items = self.0.items.iter().map(|(axis, values)| ("+", *axis, values));
        for (n, (plus, axis, values)) in inside.chain(items).enumerate() {
            let space = if n > 0 { " " } else { "" };
            write!(f, "{space}{plus}{}={values}", axis.letters_of(edition))?;
        }
        Ok(())
    }
}

struct Names(&'static Row);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.stem)?;
        for (axis, number) in self.0.fixed.iter() {
            write!(f, "_{}{number}", axis.word())?;
        }
        for axis in Axis::ALL.into_iter().filter(|&axis| self.0.counts(axis)) {
            match axis {
                Axis::Field => f.write_str("_<field>")?,
                Axis::Harmonic | Axis::Number => f.write_str("_N")?,
                Axis::Phase => f.write_str("[_lN]")?,
                Axis::Tariff => f.write_str("[_tN]")?,
                Axis::Settlement => f.write_str("[_sN]")?,
                Axis::Month | Axis::Day | Axis::Hour | Axis::Timed | Axis::Instant | Axis::Record => {
                    write!(f, "_{}N", axis.word())?;
                }
            }
        }
        Ok(())
    }
}
