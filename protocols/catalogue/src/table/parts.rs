//! The tables beside that of the registers: layouts of records, names of bits.

use super::{Column, Line, Lines, Text, whole};
use crate::axes::Axis;
use crate::bits::BitSpec;
use crate::layout::{Layout, Spec, Times};
use crate::row::Row;
use crate::{Quantity, TableFault, Wrong};
use dlt645::format::Format;

pub(super) const LAYOUTS: [Column; 10] = [
    Column::Layout,
    Column::Field,
    Column::NameZh,
    Column::Quantity,
    Column::Unit,
    Column::Format,
    Column::Octets,
    Column::Decimals,
    Column::Sign,
    Column::Times,
];

const BITS: [Column; 6] =
    [Column::Word, Column::Bits, Column::Value, Column::Name, Column::NameZh, Column::Edition];

/// A meaning of bits, the words that have it, and its line.
pub(super) struct Meaning {
    words: Vec<String>,
    spec: BitSpec,
    line: u64,
}

/// The layouts; one line is one field, those of a layout stand together.
pub(super) fn layouts(lines: Lines<'_>, faults: &mut Vec<TableFault>) -> Vec<Layout> {
    let mut line = Line::new(lines, &LAYOUTS, &[], std::mem::take(faults));
    let mut layouts: Vec<(Box<str>, Vec<Spec>)> = Vec::new();
    while line.next() {
        let name: Box<str> = line.text(Column::Layout).into();
        let known = layouts.iter().any(|(own, _)| *own == name);
        match layouts.last_mut() {
            Some((last, specs)) if *last == name => specs.extend(line.field()),
            Some(_) | None if !known => layouts.push((name, line.field().into_iter().collect())),
            Some(_) | None => line.fault(Column::Layout, Wrong::Times),
        }
        // One number can follow from the length: either one field is repeated, or some are by tariffs.
        let specs = layouts.last().map(|(_, specs)| &**specs).unwrap_or_default();
        let several = specs.iter().filter(|spec| matches!(spec.times, Times::UpTo(_))).count();
        let tariffs = specs.iter().any(|spec| spec.times == Times::Tariffs);
        if several > 1 || (several == 1 && tariffs) {
            line.fault(Column::Times, Wrong::Times);
        }
    }
    *faults = line.faults;
    layouts.into_iter().map(|(name, specs)| Layout { name, specs: specs.into() }).collect()
}

/// The meanings of bits.
pub(super) fn bits(text: Text<'_>, faults: &mut Vec<TableFault>) -> Vec<Meaning> {
    let mut line = Line::new(Lines::Csv(text), &BITS, &[], std::mem::take(faults));
    let mut meanings = Vec::new();
    while line.next() {
        meanings.extend(line.meaning());
    }
    *faults = line.faults;
    meanings
}

impl Line<'_> {
    fn field(&mut self) -> Option<Spec> {
        let times = match self.text(Column::Times) {
            "" => Some(Times::Once),
            "tariffs" => Some(Times::Tariffs),
            "mark" => {
                let (name, zh) = (self.text(Column::Field).into(), self.text(Column::NameZh).into());
                let (quantity, format) = (Quantity::Record, Format::Hex);
                let bits = Box::default();
                return Some(Spec {
                    name,
                    zh,
                    quantity,
                    unit: None,
                    format,
                    octets: 1,
                    times: Times::Mark,
                    bits,
                });
            }
            text => {
                let most = whole(text, 2, 999).map(|n| Times::UpTo(n as u16));
                self.kept(Column::Times, most)
            }
        };
        for column in [Column::Field, Column::NameZh] {
            if self.text(column).is_empty() {
                self.fault(column, Wrong::Empty { write: "write a name" });
            }
        }
        let (quantity, unit) = (self.quantity(), self.unit());
        let (format, octets, _) = self.format()?;
        Some(Spec {
            name: self.text(Column::Field).into(),
            zh: self.text(Column::NameZh).into(),
            quantity: quantity?,
            unit: unit?,
            format,
            octets,
            times: times?,
            bits: Box::default(),
        })
    }

    fn meaning(&mut self) -> Option<Meaning> {
        let text = self.text(Column::Bits);
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let (first, last) = (whole(first, 0, 95), whole(last, 0, 95));
        let first = self.kept(Column::Bits, first)?;
        let last = self.kept(Column::Bits, last)?;
        let value = whole(self.text(Column::Value), 0, 255);
        let value = self.kept(Column::Value, value)? as u8;
        let edition = self.edition()?;
        let words = self.text(Column::Word).split_whitespace().map(str::to_owned).collect();
        let spec = BitSpec {
            number: None,
            first: first as u8,
            last: last as u8,
            value,
            name: self.text(Column::Name).into(),
            zh: self.text(Column::NameZh).into(),
            edition,
        };
        Some(Meaning { words, spec, line: self.number })
    }
}

/// Gives the fields of the layouts their bits; the words that were found.
pub(super) fn name_bits(layouts: &mut [Layout], meanings: &[Meaning]) -> Vec<String> {
    let mut found = Vec::new();
    for spec in layouts.iter_mut().flat_map(|layout| &mut layout.specs) {
        let own: Vec<_> = of_word(meanings, &spec.name).map(|meaning| meaning.spec.clone()).collect();
        if !own.is_empty() && spec.format == Format::Bits {
            found.push(spec.name.to_string());
            spec.bits = own.into();
        }
    }
    found
}

/// Gives the rows their bits; a word that neither a row nor a field has is a fault.
pub(super) fn give_bits(
    text: Text<'_>,
    rows: &mut [Row],
    meanings: &[Meaning],
    fields: &[String],
    faults: &mut Vec<TableFault>,
) {
    let mut found = fields.to_vec();
    for row in rows.iter_mut().filter(|row| row.format == Format::Bits) {
        let mut specs = Vec::new();
        let numbers =
            row.values(Axis::Number).map(|values| (0..values.len()).map(|n| values.byte(n)).collect());
        for number in numbers.unwrap_or_else(|| vec![0]) {
            let number = Some(number).filter(|&n| n != 0);
            let name = number.map_or_else(|| row.stem.to_string(), |n| format!("{}_{n}", row.stem));
            specs.extend(of_word(meanings, &name).map(|m| BitSpec { number, ..m.spec.clone() }));
            found.push(name);
        }
        row.bits = specs.into();
    }
    for meaning in meanings {
        for word in meaning.words.iter().filter(|word| !found.contains(word)) {
            let (file, line, column) = (text.file.to_owned(), meaning.line, Column::Word.text());
            let wrong = Wrong::NoWord { found: word.clone() };
            faults.push(TableFault { file, line, place: "column", column, wrong });
        }
    }
}

fn of_word<'a>(meanings: &'a [Meaning], word: &str) -> impl Iterator<Item = &'a Meaning> {
    meanings.iter().filter(move |meaning| meaning.words.iter().any(|own| own == word))
}
