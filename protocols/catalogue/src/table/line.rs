//! The lines of a table one after the other, whether CSV or a profile has them, and the faults found in them.

use super::{COLUMNS, Column};
use crate::catalogue::Text;
use crate::{TableFault, Wrong};
use csv::StringRecord;

/// A table's lines, from CSV or from a profile.
pub(crate) enum Lines<'a> {
    /// The first line names the columns.
    Csv(Text<'a>),
    /// Keys and values, those of the columns.
    Written {
        /// As it is printed in faults.
        file: &'a str,
        /// In the order of the file.
        entries: Vec<Entry>,
    },
}

/// A table of a profile: what would be one line of CSV.
pub(crate) struct Entry {
    /// Where it begins.
    pub(crate) line: u64,
    /// Key, value and line of each.
    pub(crate) values: Vec<(String, String, u64)>,
}

/// One line of a table, and the faults of all lines so far.
pub(super) struct Line<'a> {
    file: &'a str,
    pub(super) number: u64,
    head: StringRecord,
    fields: StringRecord,
    /// Where each field stands, if not all on the line itself.
    pub(super) lines: Vec<u64>,
    rest: Rest<'a>,
    pub(super) faults: Vec<TableFault>,
}

/// The lines to come.
enum Rest<'a> {
    /// The head is at fault: nothing below it can be told.
    Nothing,
    Csv(csv::StringRecordsIntoIter<&'a [u8]>),
    Written(std::vec::IntoIter<Entry>),
}

impl<'a> Line<'a> {
    /// Before the first line, its head checked.
    pub(super) fn new(
        lines: Lines<'a>,
        needed: &[Column],
        allowed: &[Column],
        faults: Vec<TableFault>,
    ) -> Self {
        let (head, fields) = (StringRecord::new(), StringRecord::new());
        let (rest, lines_of) = (Rest::Nothing, Vec::new());
        match lines {
            Lines::Csv(text) => {
                let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.text.as_bytes());
                let head = reader.headers().cloned().unwrap_or_default();
                let before = faults.len();
                let mut line =
                    Self { file: text.file, number: 1, head, fields, lines: lines_of, rest, faults };
                line.check_head(needed, allowed);
                if line.faults.len() == before {
                    line.rest = Rest::Csv(reader.into_records());
                }
                line
            }
            Lines::Written { file, entries } => {
                let rest = Rest::Written(entries.into_iter());
                Self { file, number: 1, head, fields, lines: lines_of, rest, faults }
            }
        }
    }

    /// Goes to the next line that is CSV and has as many fields as the head; false behind the last.
    pub(super) fn next(&mut self) -> bool {
        loop {
            let record = match &mut self.rest {
                Rest::Nothing => return false,
                Rest::Csv(records) => records.next(),
                Rest::Written(entries) => {
                    let Some(entry) = entries.next() else { return false };
                    self.number = entry.line;
                    self.head = entry.values.iter().map(|(key, ..)| key.as_str()).collect();
                    self.fields = entry.values.iter().map(|(_, value, _)| value.as_str()).collect();
                    self.lines = entry.values.iter().map(|(.., line)| *line).collect();
                    return true;
                }
            };
            let Some(record) = record else { return false };
            match record {
                Ok(fields) => {
                    self.number = fields.position().map_or(self.number + 1, csv::Position::line);
                    let (found, expected) = (fields.len(), self.head.len());
                    self.fields = fields;
                    if found == expected {
                        return true;
                    }
                    self.fault(self.first(), Wrong::Fields { found, expected });
                }
                Err(fault) => {
                    self.number = fault.position().map_or(self.number + 1, csv::Position::line);
                    self.fault(self.first(), Wrong::NotCsv(fault.to_string()));
                }
            }
        }
    }

    /// Whether it is of a profile: what a table has to say in every line has a default there.
    pub(super) fn is_written(&self) -> bool {
        match self.rest {
            Rest::Nothing | Rest::Csv(_) => false,
            Rest::Written(_) => true,
        }
    }

    /// The column that stands for the whole line in a fault.
    fn first(&self) -> Column {
        let first = COLUMNS.into_iter().find(|(_, text)| self.head.iter().any(|own| own == *text));
        first.map_or(Column::Di, |(column, _)| column)
    }

    pub(super) fn fault(&mut self, column: Column, wrong: Wrong) {
        let field = self.head.iter().position(|own| own == column.text());
        let line = field.and_then(|n| self.lines.get(n)).copied().unwrap_or(self.number);
        let place = if self.is_written() { "key" } else { "column" };
        self.faults.push(TableFault {
            file: self.file.to_owned(),
            line,
            place,
            column: column.text(),
            wrong,
        });
    }

    /// The value, or the fault noted.
    pub(super) fn kept<T>(&mut self, column: Column, result: Result<T, Wrong>) -> Option<T> {
        result.map_err(|wrong| self.fault(column, wrong)).ok()
    }

    fn check_head(&mut self, needed: &[Column], allowed: &[Column]) {
        for column in needed {
            if !self.head.iter().any(|own| own == column.text()) {
                self.fault(*column, Wrong::ColumnMissing);
            }
        }
        let unknown = |own: &&str| !needed.iter().chain(allowed).any(|column| column.text() == *own);
        for found in self.head.iter().filter(unknown).map(str::to_owned).collect::<Vec<_>>() {
            self.fault(needed[0], Wrong::ColumnUnknown { found });
        }
    }

    pub(super) fn text(&self, column: Column) -> &str {
        let place = self.head.iter().position(|own| own == column.text());
        place.and_then(|n| self.fields.get(n)).unwrap_or("").trim()
    }
}
