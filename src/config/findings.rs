//! What was found while reading: faults and warnings, and the files they point into.
//!
//! A fault that only follows from another is held back here: what a syntax error has damaged is not
//! judged, and nothing is called missing while a part of the configuration could not be read.

use super::fault::{Fault, Faults, Place};
use std::fmt::Display;
use std::ops::Range;

/// A value with where it is written.
#[derive(Clone, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) here: Here,
}

/// A stretch of a file and what it belongs to.
#[derive(Clone, Debug)]
pub(super) struct Here {
    pub(super) file: usize,
    pub(super) span: Range<usize>,
    /// Begins every message: `[[bus]]`; empty in an archive.
    pub(super) label: &'static str,
    /// Path of the key.
    pub(super) key: String,
}

#[derive(Debug)]
struct Source {
    name: String,
    text: String,
}

/// Collects; nothing stops it.
#[derive(Debug, Default)]
pub(super) struct Findings {
    sources: Vec<Source>,
    faults: Vec<(usize, Fault)>,
    warnings: Vec<(usize, Fault)>,
    damaged: Vec<(usize, Range<usize>)>,
    meters_lost: bool,
}

impl Findings {
    /// Takes a file; a byte order mark is dropped.
    pub(super) fn open(&mut self, name: String, text: &str) -> usize {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        self.sources.push(Source { name, text });
        self.sources.len() - 1
    }

    pub(super) fn text(&self, file: usize) -> &str {
        self.sources.get(file).map_or("", |s| &s.text)
    }

    /// The value as it stands in the file.
    pub(super) fn written(&self, here: &Here) -> &str {
        self.text(here.file).get(here.span.clone()).unwrap_or("")
    }

    /// A fault at a place, unless a syntax error has damaged that place.
    pub(super) fn fault(&mut self, here: &Here, message: impl Display) {
        let hit =
            |(file, range): &(usize, Range<usize>)| *file == here.file && range.contains(&here.span.start);
        if !self.damaged.iter().any(hit) {
            self.faults.push((here.file, self.compose(here, message)));
        }
    }

    /// Something is not in the stretch `within`, unless a syntax error there may hide it.
    pub(super) fn missing(&mut self, here: &Here, within: &Range<usize>, message: impl Display) {
        let overlaps = |(file, range): &(usize, Range<usize>)| {
            *file == here.file && range.start < within.end && within.start < range.end
        };
        if !self.damaged.iter().any(overlaps) {
            self.faults.push((here.file, self.compose(here, message)));
        }
    }

    /// Something is nowhere in `meterd.toml`, unless a syntax error may hide it.
    pub(super) fn unresolved(&mut self, here: &Here, message: impl Display) {
        if self.damaged.is_empty() {
            self.fault(here, message);
        }
    }

    /// A meter is nowhere, unless a syntax error or an archive that could not be read may hide it.
    pub(super) fn unresolved_meter(&mut self, here: &Here, message: impl Display) {
        if !self.meters_lost {
            self.unresolved(here, message);
        }
    }

    /// Not a fault, but worth a look.
    pub(super) fn warn(&mut self, here: &Here, message: impl Display) {
        self.warnings.push((here.file, self.compose(here, message)));
    }

    /// A syntax error: `range` is not judged.
    pub(super) fn damage(&mut self, here: &Here, range: Range<usize>, message: impl Display) {
        self.faults.push((here.file, self.compose(here, message)));
        self.damaged.push((here.file, range));
    }

    /// Rows of an archive that could not be read.
    pub(super) fn unreadable(&mut self, here: &Here, message: impl Display) {
        self.fault(here, message);
        self.lose_meters();
    }

    /// Some meters are not known, and a fault already says why.
    pub(super) fn lose_meters(&mut self) {
        self.meters_lost = true;
    }

    /// `line 4`, or `meters.csv line 4` as seen from another file.
    pub(super) fn cite(&self, other: &Here, from: &Here) -> String {
        let line = self.place(other).line;
        match self.sources.get(other.file) {
            Some(source) if other.file != from.file => format!("{} line {line}", source.name),
            Some(_) | None => format!("line {line}"),
        }
    }

    /// True while no fault was found.
    pub(super) fn sound(&self) -> bool {
        self.faults.is_empty()
    }

    /// The warnings if there is no fault.
    pub(super) fn finish(self) -> Result<Vec<Fault>, Faults> {
        if self.faults.is_empty() { Ok(sorted(self.warnings)) } else { Err(Faults(sorted(self.faults))) }
    }

    fn compose(&self, here: &Here, message: impl Display) -> Fault {
        let space = if here.label.is_empty() { "" } else { " " };
        let mut line = format!("{}{space}{message}", here.label);
        // What a value holds may not break the line.
        if line.contains(char::is_control) {
            line = line
                .chars()
                .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() })
                .collect();
        }
        Fault {
            file: self.sources.get(here.file).map_or_else(String::new, |s| s.name.clone()),
            place: Some(self.place(here)),
            key: here.key.clone(),
            message: line,
        }
    }

    fn place(&self, here: &Here) -> Place {
        let before = self.text(here.file).get(..here.span.start).unwrap_or("");
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Place { line: before.matches('\n').count() + 1, column: before[line_start..].chars().count() + 1 }
    }
}

/// By file and line; what was found first at one place stands first.
fn sorted(mut faults: Vec<(usize, Fault)>) -> Vec<Fault> {
    faults.sort_by_key(|(file, fault)| (*file, fault.place));
    faults.into_iter().map(|(_, fault)| fault).collect()
}
