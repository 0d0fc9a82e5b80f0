//! The archive of meters (档案): a CSV file as installers keep it in a spreadsheet. Its columns are
//! the keys of `[[meter]]` or the heads of the trade (户号, 表地址) in any order; it says nothing that `[[meter]]` could
//! not say.

mod heads;
pub(super) mod text;

use super::exchange::cells as exchange;
use super::findings::{At, Findings, Here};
use super::meter::Cells;
use super::point::cells as point;
use super::ratio;
use csv::{ReaderBuilder, StringRecord, Trim};
use heads::Head;
use std::ops::Range;

const REQUIRED: [&str; 3] = ["name", "bus", "address"];
/// What points are called by where no column has their names: the number of the customer (户号) lasts, as a name does.
const NAME: &str = "customer";

/// Reads all rows; `file` is open already.
pub(super) fn read(file: usize, findings: &mut Findings) -> Vec<Cells> {
    let text = findings.text(file).to_owned();
    let separator = text::separator(&text);
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .delimiter(u8::try_from(separator).unwrap_or(b','))
        .flexible(true)
        .trim(Trim::All)
        .comment(Some(b'#'))
        .from_reader(text.as_bytes());
    let whole = Here { file, span: 0..0, label: "", key: String::new() };
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) if record.iter().all(str::is_empty) => {}
            Ok(record) => rows.push(Row::new(file, &text, separator, record)),
            Err(error) => findings.unreadable(&whole, format!("cannot be read as CSV: {error}")),
        }
    }
    let Some((header, rows)) = rows.split_first() else {
        findings.unreadable(
            &whole,
            format!("has no header row; write {}", heads::keys().collect::<Vec<_>>().join(",")),
        );
        return Vec::new();
    };
    let Some(columns) = columns(header, rows, findings) else { return Vec::new() };
    let mut meters = Vec::with_capacity(rows.len());
    for row in rows {
        if let Some(cell) = row.record.iter().position(|cell| cell.contains('\n')) {
            findings
                .unreadable(&row.here(cell, ""), "the cell goes over several lines; close its quote (\")");
            continue;
        }
        if let Some(extra) = (columns.len()..row.record.len()).find(|n| !row.record[*n].is_empty()) {
            findings.fault(
                &row.here(extra, ""),
                format!(
                    "\"{}\" stands right of the last column; the header has {}",
                    &row.record[extra],
                    columns.len()
                ),
            );
        }
        meters.push(row.cells(&columns, findings));
    }
    meters
}

/// Keys in the order of the columns; `None` for a column that is not understood.
fn columns(header: &Row<'_>, rows: &[Row<'_>], findings: &mut Findings) -> Option<Vec<Option<&'static str>>> {
    if header.record.len() == 1 && header.record[0].contains('，') {
        findings.unreadable(
            &header.here(0, ""),
            "the columns are separated by full-width commas; write plain ones (,)",
        );
        return None;
    }
    let mut columns: Vec<Option<&'static str>> = Vec::with_capacity(header.record.len());
    // What misspelt headings stand for: they are not called missing on top.
    let mut meant = Vec::new();
    for (index, word) in header.record.iter().enumerate() {
        let here = header.here(index, word);
        columns.push(match heads::read(word) {
            Head::Key(key) if columns.contains(&Some(key)) => {
                let as_key = if word == key { String::new() } else { format!(" ({key})") };
                findings.fault(&here, format!("column \"{word}\"{as_key} is there twice; keep one"));
                None
            }
            Head::Key(key) => Some(key),
            Head::Near(key, head) => {
                meant.push(key);
                findings.fault(&here, format!("column \"{word}\" is not known; did you mean \"{head}\"?"));
                None
            }
            Head::Strange if word.is_empty() => {
                // A spreadsheet leaves empty columns behind the last one.
                if rows.iter().any(|row| row.record.get(index).is_some_and(|cell| !cell.is_empty())) {
                    findings.fault(&here, "a column without a name has cells; name it, or leave it out");
                }
                None
            }
            Head::Strange => {
                findings.warn(&here, format!("column \"{word}\" is not one of ours and is not read"));
                None
            }
        });
    }
    let has = |key| columns.contains(&Some(key));
    for key in REQUIRED.into_iter().filter(|key| !has(key)) {
        if key == "name" && has(NAME) {
            continue;
        }
        if meant.contains(&key) {
            findings.lose_meters();
            continue;
        }
        let trade = heads::trade_head(key).unwrap_or_default();
        let instead = if key == "name" { ", or \"customer\" (户号) to call them by" } else { "" };
        findings.unreadable(
            &header.here(0, key),
            format!("there is no column \"{key}\" ({trade}); each meter needs one{instead}"),
        );
    }
    Some(columns)
}

struct Row<'a> {
    file: usize,
    text: &'a str,
    separator: char,
    /// Where its first cell begins.
    start: usize,
    record: StringRecord,
}

impl<'a> Row<'a> {
    fn new(file: usize, text: &'a str, separator: char, record: StringRecord) -> Self {
        let before = record.position().map_or(0, |p| usize::try_from(p.byte()).unwrap_or(text.len()));
        Self { file, text, separator, start: first_cell(text, before), record }
    }

    fn cells(&self, columns: &[Option<&'static str>], findings: &mut Findings) -> Cells {
        let find = |key: &'static str| -> (Option<usize>, Option<At<String>>) {
            let index = columns.iter().position(|column| *column == Some(key));
            let value = index.and_then(|index| Some((index, self.record.get(index)?)));
            let filled = value.filter(|(_, value)| !value.is_empty());
            (index, filled.map(|(index, value)| At { value: value.to_owned(), here: self.here(index, key) }))
        };
        let cell = |key| find(key).1;
        let named_by = if columns.contains(&Some("name")) { "name" } else { NAME };
        let mut required = |key| {
            let key = if key == "name" { named_by } else { key };
            let (index, cell) = find(key);
            if let (Some(index), None) = (index, &cell) {
                let called = if key == NAME {
                    " (户号), which its point is called by; fill it, or write a column \"name\" (计量点名称)"
                } else {
                    ""
                };
                findings.fault(&self.here(index, key), format!("the row has no {key}{called}"));
            }
            if key == NAME && cell.as_ref().is_some_and(|cell| point::is_rounded(&cell.value)) {
                // Said of the customer already.
                findings.lose_meters();
                return None;
            }
            cell
        };
        let (name, bus, address) = (required("name"), required("bus"), required("address"));
        let tariffs = cell("tariffs").map(point::Cells::labels);
        let exchanges = exchange::from_row(cell, findings);
        Cells {
            point: point::Cells::of(|key, _| cell(key), tariffs, exchanges),
            name,
            bus,
            protocol: cell("protocol"),
            address,
            baud: cell("baud"),
            frame: cell("frame"),
            preamble: cell("preamble"),
            wiring: cell("wiring"),
            ratios: ratio::Cells { ct: cell("ct"), pt: cell("pt"), multiplier: cell("multiplier") },
            profile: cell("profile"),
        }
    }

    /// Where a cell begins; the end of the row if it has no such cell.
    fn here(&self, cell: usize, key: &str) -> Here {
        Here { file: self.file, span: self.span(cell), label: "", key: key.to_owned() }
    }

    fn span(&self, cell: usize) -> Range<usize> {
        let mut quoted = false;
        let mut left = cell;
        let mut start = self.start;
        for (offset, c) in self.text[self.start..].char_indices() {
            if left == 0 {
                break;
            }
            match c {
                '"' => quoted = !quoted,
                c if c == self.separator && !quoted => {
                    left -= 1;
                    start = self.start + offset + c.len_utf8();
                }
                '\n' if !quoted => break,
                _ => {}
            }
        }
        let blank = self.text[start..].chars().take_while(|c| *c == ' ').count();
        start + blank..start + blank
    }
}

/// Skips blank lines and comments, which the reader counts to the row below them.
fn first_cell(text: &str, mut start: usize) -> usize {
    while let Some(line) = text.get(start..).and_then(|rest| rest.split_inclusive('\n').next()) {
        if !(line.trim().is_empty() || line.starts_with('#')) {
            break;
        }
        start += line.len();
    }
    start.min(text.len())
}
