//! A TOML file as sections whose keys are taken one by one; what is wrong or left over becomes a fault.
//!
//! It knows no key by itself.

use std::fmt;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Octets of the file.
pub(super) type Span = Range<usize>;

/// Something to be changed in a scenario.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The file, as it was named.
    pub file: String,
    /// Line and column in characters, both from 1; `None` where the whole file is meant.
    pub place: Option<(usize, usize)>,
    /// What is there and what to write, in a sentence.
    pub message: String,
}

/// `s.toml:5:10: [[meter]] phases = 2: write 1 or 3`
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some((line, column)) => write!(f, "{}:{line}:{column}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

/// Every fault of a scenario, from the first line on; never empty.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Faults(pub Vec<Fault>);

/// The text of a file, and the faults found in it so far.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    file: &'a str,
    text: &'a str,
    faults: Vec<Fault>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(file: &'a str, text: &'a str) -> Self {
        Self { file, text, faults: Vec::new() }
    }

    /// Reads the syntax; what can be read despite faults is read.
    pub(super) fn root(&mut self) -> DeTable<'a> {
        let (root, errors) = DeTable::parse_recoverable(self.text);
        for error in errors {
            self.fault(error.span(), format!("this is no TOML: {}", error.message()));
        }
        root.into_inner()
    }

    /// Notes a fault.
    pub(super) fn fault(&mut self, span: Option<Span>, message: impl Into<String>) {
        let place = span.and_then(|span| {
            let before = self.text.get(..span.start)?;
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
            Some((line, column))
        });
        self.faults.push(Fault { file: self.file.to_owned(), place, message: message.into() });
    }

    /// As it is written in the file.
    pub(super) fn written(&self, span: Span) -> &'a str {
        self.text.get(span).unwrap_or_default()
    }

    /// All faults, by place; those of the whole file last.
    pub(super) fn end(mut self) -> Result<(), Faults> {
        self.faults.sort_by_key(|fault| (fault.place.is_none(), fault.place));
        if self.faults.is_empty() { Ok(()) } else { Err(Faults(self.faults)) }
    }
}

/// One table of the file.
#[derive(Debug)]
pub(super) struct Section<'t> {
    name: &'static str,
    table: &'t DeTable<'t>,
    /// Keys that were asked for: all that are known.
    known: Vec<&'static str>,
}

impl<'t> Section<'t> {
    pub(super) fn new(name: &'static str, table: &'t DeTable<'t>) -> Self {
        Self { name, table, known: Vec::new() }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// `[[meter]] raw.02030000 = "F": write …`
    pub(super) fn says(&self, key: impl fmt::Display, written: &str, want: impl fmt::Display) -> String {
        let space = if self.name.is_empty() { "" } else { " " };
        format!("{}{space}{key} = {written}: write {want}", self.name)
    }

    /// The value of a key, unread.
    pub(super) fn value(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.known.push(key);
        self.table.get(key)
    }

    /// The value of a key; `None` without it, and with a fault where `read` makes nothing of it.
    pub(super) fn get<T>(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
        want: &str,
        read: impl FnOnce(&DeValue<'_>) -> Option<T>,
    ) -> Option<T> {
        let value = self.value(key)?;
        let read = read(value.get_ref());
        if read.is_none() {
            let message = self.says(key, reader.written(value.span()), want);
            reader.fault(Some(value.span()), message);
        }
        read
    }

    /// The tables of `[[key]]`, each with its place.
    pub(super) fn tables(
        &mut self,
        reader: &mut Reader<'_>,
        key: &'static str,
    ) -> Vec<(&'t DeTable<'t>, Span)> {
        let Some(value) = self.value(key) else { return Vec::new() };
        let each = value.get_ref().as_array().map(|array| {
            array.iter().map(|one| Some((one.get_ref().as_table()?, one.span()))).collect::<Option<Vec<_>>>()
        });
        each.flatten().unwrap_or_else(|| {
            let want = format!("[[{key}]] on a line of its own and its keys under it");
            let message = self.says(key, reader.written(value.span()), want);
            reader.fault(Some(value.span()), message);
            Vec::new()
        })
    }

    /// Faults for the keys that nobody asked for.
    pub(super) fn end(self, reader: &mut Reader<'_>) {
        let space = if self.name.is_empty() { "" } else { " " };
        for key in self.table.keys().filter(|key| !self.known.contains(&key.get_ref().as_ref())) {
            let known = self.known.join(", ");
            let message =
                format!("{}{space}key \"{}\" is not known; known are {known}", self.name, key.get_ref());
            reader.fault(Some(key.span()), message);
        }
    }
}

/// A whole number that is not negative.
pub(super) fn whole(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

/// true or false.
pub(super) fn truth(value: &DeValue<'_>) -> Option<bool> {
    value.as_bool()
}

/// A text, or a number with the digits that were written.
pub(super) fn written(value: &DeValue<'_>) -> Option<String> {
    let decimal = value.as_integer().filter(|integer| integer.radix() == 10);
    value
        .as_str()
        .or_else(|| decimal.map(|integer| integer.as_str()))
        .or_else(|| value.as_float().map(|float| float.as_str()))
        .map(str::to_owned)
}
