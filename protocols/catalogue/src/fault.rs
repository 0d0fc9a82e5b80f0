//! What is wrong with a table, by file, line and column, and what to write instead.

use std::fmt;

/// All that is wrong with a table; never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableFaults(pub(crate) Vec<TableFault>);

impl TableFaults {
    /// In the order of the lines.
    pub fn faults(&self) -> &[TableFault] {
        &self.0
    }
}

/// One fault a line.
impl fmt::Display for TableFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for TableFaults {}

/// One fault.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{file}, line {line}{}: {wrong}", named(.place, .column))]
pub struct TableFault {
    /// The table.
    pub file: String,
    /// Counted from 1, with the line of the column names.
    pub line: u64,
    /// What a field of this file is called: `column` of a table, `key` of a profile.
    pub place: &'static str,
    /// The column's or the key's name; empty where the fault itself has it.
    pub column: &'static str,
    /// What is wrong.
    pub wrong: Wrong,
}

/// What is wrong with one field of a table.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Wrong {
    /// The text is no CSV.
    #[error("this line cannot be read as CSV: {0}")]
    NotCsv(String),
    /// The head line lacks a column.
    #[error("the column is missing; the first line names every column")]
    ColumnMissing,
    /// The head line has a column that nobody reads.
    #[error("there is a column {found:?} that nobody reads; take it out or correct its name")]
    ColumnUnknown {
        /// Its name.
        found: String,
    },
    /// A line has fewer or more fields than the head line.
    #[error("the line has {found} fields; write {expected}, empty ones too")]
    Fields {
        /// Fields of the line.
        found: usize,
        /// Fields of the head line.
        expected: usize,
    },
    /// Not a pattern of a DI.
    #[error(
        "{found:?} is no pattern; write 8 hexadecimal digits, with tt, pp, ss, … (each once) for an axis, FF only of a record; or 4 of 1997 with t, p, h, n or s"
    )]
    Pattern {
        /// What stands there.
        found: String,
    },
    /// Not the values of an axis.
    #[error("{found:?} gives no values; write e.g. tt=00-3F or pp=15/29/3D, ascending, in hexadecimal")]
    Axis {
        /// What stands there.
        found: String,
    },
    /// An axis of the pattern has no values.
    #[error("the pattern has {0} but its values are missing; write {0}=first-last")]
    AxisMissing(&'static str),
    /// Values of an axis that the pattern has not.
    #[error("the pattern has no {0}; take its values out")]
    AxisUnused(&'static str),
    /// A phase axis of another length.
    #[error("a phase axis has 3 values (A, B, C) or 4 (total, A, B, C), not {0}")]
    Phases(usize),
    /// Not a name.
    #[error(
        "{found:?} is no name; write lower-case letters, digits and single _, without _l1 _t1 _s1: the axes add those"
    )]
    Name {
        /// What stands there.
        found: String,
    },
    /// Not one of the words of the column.
    #[error("{found:?} is not known here; write one of: {known}")]
    Word {
        /// What stands there.
        found: String,
        /// The words, with commas.
        known: String,
    },
    /// Not a number of the column.
    #[error("{found:?} does not fit; write a whole number from {least} to {most}")]
    Number {
        /// What stands there.
        found: String,
        /// Least that fits.
        least: usize,
        /// Most that fits.
        most: usize,
    },
    /// Something where nothing may be.
    #[error("leave it empty: {0} has none")]
    NotEmpty(&'static str),
    /// Nothing where something must be.
    #[error("it is empty; {write}")]
    Empty {
        /// What to write.
        write: &'static str,
    },
    /// A text with places is not right.
    #[error(
        "{found:?} has a brace that is not closed or holds no place; places are {{t}} {{p}} {{h}} {{n}} {{A/B/C}}"
    )]
    Template {
        /// What stands there.
        found: String,
    },
    /// A text that is the same for several registers.
    #[error("the text has no place for {0}, so several registers would share it")]
    PlaceMissing(&'static str),
    /// A place for an axis that the row has not.
    #[error("the text has a place for {0}, but the pattern has no such axis")]
    PlaceUnused(&'static str),
    /// A list of texts by phase of another length than the phases.
    #[error("a place lists {found} texts for {expected} values of pp")]
    PlaceList {
        /// Texts.
        found: usize,
        /// Values of the axis.
        expected: usize,
    },
    /// Not an OBIS code.
    #[error("{found:?} is no OBIS code; write A-B:C.D.E, e.g. 1-0:1.8.{{t}}")]
    Obis {
        /// What stands there, its places filled in.
        found: String,
    },
    /// Two rows for one DI.
    #[error("the pattern shares a DI with the row of line {line}")]
    SameDi {
        /// The other row.
        line: u64,
    },
    /// A layout that no table has.
    #[error("there is no layout {found:?}; write its fields into the table of layouts")]
    Layout {
        /// What stands there.
        found: String,
    },
    /// The fields of a record do not have the octets that the row says.
    #[error("the fields of the layout have {found} octets; write {found} or correct the layout")]
    LayoutOctets {
        /// Octets of the layout.
        found: usize,
    },
    /// A layout whose repeated fields cannot be told from the length.
    #[error("either one field is repeated or several by tariffs, and those of one layout stand together")]
    Times,
    /// A word that no row has.
    #[error("no register and no field is called {found:?}")]
    NoWord {
        /// What stands there.
        found: String,
    },
    /// Two rows for one name.
    #[error("the row shares a name with the row of line {line}")]
    SameName {
        /// The other row.
        line: u64,
    },
    /// A register of a profile that has the name of another register of the standard.
    #[error(
        "the standard's table has {di} under this name; write another name, or all identifiers of that row"
    )]
    StandardName {
        /// The pattern of the standard's row.
        di: String,
    },
    /// An identifier of another protocol than the profile's.
    #[error("{found:?} is no identifier of {protocol}, the protocol of this profile; write {digits} digits")]
    OtherProtocol {
        /// What stands there.
        found: String,
        /// The profile's.
        protocol: &'static str,
        /// Of an identifier.
        digits: usize,
    },
    /// The text is no TOML.
    #[error("this cannot be read as TOML: {0}")]
    NotToml(String),
    /// A key that nobody reads.
    #[error("key {found:?} is not known here; {}", known_or_near(.near, .known))]
    KeyUnknown {
        /// Its name.
        found: String,
        /// The nearest known key.
        near: Option<&'static str>,
        /// All that are known here, with commas.
        known: String,
    },
    /// A key that only profiles of another protocol have.
    #[error("only a profile of {theirs} has this key, and this one is of {own}; take it out")]
    OtherProfile {
        /// Whose key it is.
        theirs: &'static str,
        /// What the profile is of.
        own: &'static str,
    },
    /// A key or table that must be there.
    #[error("it is missing; write {0}")]
    KeyMissing(&'static str),
    /// A value of another kind.
    #[error("it must be {0}")]
    Kind(&'static str),
    /// A value that does not fit.
    #[error("{found:?} does not fit; write {write}")]
    Value {
        /// What stands there.
        found: String,
        /// What to write.
        write: &'static str,
    },
    /// A name that no table has, whose meaning is not written.
    #[error("no table has this name; {}write name_zh, quantity and, if there are any, unit and obis too", .near.as_ref().map(|near| format!("did you mean {near}? Else ")).unwrap_or_default())]
    Meaning {
        /// The nearest known name.
        near: Option<String>,
    },
    /// The meaning of a name that has one.
    #[error("{name} has this from its table; leave the key out, or write another name")]
    Meant {
        /// The name.
        name: String,
    },
    /// A unit that cannot be scaled to the catalogue's.
    #[error(
        "{found:?} cannot be scaled to {expected}, the unit of this name; write {expected} or one with k, M or m"
    )]
    Unit {
        /// What stands there.
        found: String,
        /// The catalogue's.
        expected: &'static str,
    },
    /// The name of a register that the profile does not have.
    #[error("no register of this profile is called {found:?}")]
    NoRegister {
        /// What stands there.
        found: String,
    },
    /// The name of a map that the profile does not have.
    #[error("there is no [[map]] {found:?}")]
    NoMap {
        /// What stands there.
        found: String,
    },
    /// Two registers of one map at one place.
    #[error("the register of line {line} is at the same place")]
    SamePlace {
        /// The other.
        line: u64,
    },
    /// A request of a test that does not go with its answer.
    #[error("the request does not fit: {0}")]
    NoRequest(String),
    /// A frame of a test that cannot be read.
    #[error("the frame is no answer to a read: {0}")]
    NoAnswer(String),
    /// A test's frame gives something else than it says.
    #[error("{register}: the frame says {found}, the test expects {expected}")]
    Reading {
        /// Its name; of a record with its field behind a point.
        register: String,
        /// What the frame says.
        found: String,
        /// What the test says.
        expected: String,
    },
}

fn named(place: &str, column: &str) -> String {
    if column.is_empty() { String::new() } else { format!(", {place} {column}") }
}

fn known_or_near(near: &Option<&'static str>, known: &str) -> String {
    match near {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("known: {known}"),
    }
}
