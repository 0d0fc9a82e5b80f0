//! One fault of a configuration, and all of them, as text that an editor can jump to.

use std::fmt;

/// A line and a column, both from 1; the column counts characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column in characters.
    pub column: usize,
}

/// Something that must be changed (or, as a warning, looked at) in a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// The file, named as it was given.
    pub file: String,
    /// Where in it; `None` if the whole file is meant.
    pub place: Option<Place>,
    /// Path of the key, e.g. `bus[0].baud`, counted from 0; in an archive the column's name; empty if none is meant.
    pub key: String,
    /// What to write, in a sentence.
    pub message: String,
}

/// `meterd.toml:12:1: [[bus]] key "boud" is not known; did you mean "baud"?`
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.place {
            Some(Place { line, column }) => write!(f, "{}:{line}:{column}: {}", self.file, self.message),
            None => write!(f, "{}: {}", self.file, self.message),
        }
    }
}

/// Every fault that was found, by file (`meterd.toml` first) and line; never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Faults(pub Vec<Fault>);

/// One fault a line.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut faults = self.0.iter();
        if let Some(first) = faults.next() {
            write!(f, "{first}")?;
        }
        faults.try_for_each(|fault| write!(f, "\n{fault}"))
    }
}

impl std::error::Error for Faults {}
