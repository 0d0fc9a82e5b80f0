//! The archive of meters (档案): a CSV file as installers keep it in a spreadsheet. Its columns are
//! the keys of `[[meter]]` in any order; it says nothing that `[[meter]]` could not say.

use super::findings::{At, Findings, Here};
use super::keys::{METER, did_you_mean, listed, nearest};
use super::meter::Cells;
use super::point;
use csv::{ReaderBuilder, StringRecord, Trim};
use std::ops::Range;

const REQUIRED: [&str; 3] = ["name", "bus", "address"];

/// Reads all rows; `file` is open already.
pub(super) fn read(file: usize, findings: &mut Findings) -> Vec<Cells> {
    let text = findings.text(file).to_owned();
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(Trim::All)
        .comment(Some(b'#'))
        .from_reader(text.as_bytes());
    let whole = Here { file, span: 0..0, label: "", key: String::new() };
    let mut rows = Vec::new();
    for record in reader.records() {
        match record {
            Ok(record) if record.iter().all(str::is_empty) => {}
            Ok(record) => rows.push(Row::new(file, &text, record)),
            Err(error) => findings.unreadable(&whole, format!("cannot be read as CSV: {error}")),
        }
    }
    let Some((header, rows)) = rows.split_first() else {
        findings.unreadable(&whole, format!("has no header row; write {}", METER.keys.join(",")));
        return Vec::new();
    };
    let Some(columns) = columns(header, findings) else { return Vec::new() };
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
fn columns(header: &Row<'_>, findings: &mut Findings) -> Option<Vec<Option<&'static str>>> {
    let first = &header.record[0];
    if header.record.len() == 1 && first.contains([';', '\t', '，']) {
        let sign = if first.contains(';') {
            "semicolons"
        } else if first.contains('\t') {
            "tabs"
        } else {
            "full-width commas"
        };
        findings.unreadable(
            &header.here(0, ""),
            format!("the columns are separated by {sign}; save the file with commas (CSV UTF-8)"),
        );
        return None;
    }
    let mut columns: Vec<Option<&'static str>> = Vec::with_capacity(header.record.len());
    // What misspelt headings stand for: they are not called missing on top.
    let mut meant = Vec::new();
    for (index, word) in header.record.iter().enumerate() {
        let known = METER.keys.iter().copied().find(|key| *key == word);
        let here = header.here(index, word);
        match known {
            Some(key) if columns.contains(&Some(key)) => {
                findings.fault(&here, format!("column \"{key}\" is there twice; keep one"));
                columns.push(None);
            }
            Some(key) => columns.push(Some(key)),
            None => {
                let filled = if word.is_empty() {
                    "a column without a name".to_owned()
                } else {
                    format!("column \"{word}\"")
                };
                let near = nearest(word, METER.keys.iter().copied());
                meant.extend(near);
                let hint = match near {
                    Some(_) => did_you_mean(near),
                    None => format!("; known: {}", listed(METER.keys)),
                };
                findings.fault(&here, format!("{filled} is not known{hint}"));
                columns.push(None);
            }
        }
    }
    for key in REQUIRED.into_iter().filter(|key| !columns.contains(&Some(key))) {
        if meant.contains(&key) {
            findings.lose_meters();
        } else {
            findings.unreadable(
                &header.here(0, key),
                format!("there is no column \"{key}\"; each meter needs one"),
            );
        }
    }
    Some(columns)
}

struct Row<'a> {
    file: usize,
    text: &'a str,
    /// Where its first cell begins.
    start: usize,
    record: StringRecord,
}

impl<'a> Row<'a> {
    fn new(file: usize, text: &'a str, record: StringRecord) -> Self {
        let before = record.position().map_or(0, |p| usize::try_from(p.byte()).unwrap_or(text.len()));
        Self { file, text, start: first_cell(text, before), record }
    }

    fn cells(&self, columns: &[Option<&'static str>], findings: &mut Findings) -> Cells {
        let mut cell = |key: &'static str| -> Option<At<String>> {
            let index = columns.iter().position(|column| *column == Some(key))?;
            let value = self.record.get(index).filter(|value| !value.is_empty());
            let here = self.here(index, key);
            if value.is_none() && REQUIRED.contains(&key) {
                findings.fault(&here, format!("the row has no {key}"));
            }
            value.map(|value| At { value: value.to_owned(), here })
        };
        let tariffs = cell("tariffs").map(point::Cells::labels);
        Cells {
            point: point::Cells::of(&mut cell, tariffs),
            name: cell("name"),
            bus: cell("bus"),
            protocol: cell("protocol"),
            address: cell("address"),
            baud: cell("baud"),
            frame: cell("frame"),
            preamble: cell("preamble"),
            wiring: cell("wiring"),
            ct: cell("ct"),
            pt: cell("pt"),
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
                ',' if !quoted => {
                    left -= 1;
                    start = self.start + offset + 1;
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
