//! A frame in a profile, and what it is expected to say.

use crate::{Catalogue, Decoded, TableFault, Wrong};
use dlt645::Di;
use dlt645::format::{NoValue, Value};
use dlt645::pdu::Reply;
use dlt645::scanner::Scanner;
use std::collections::BTreeMap;

/// An answer to a read, with its readings.
#[derive(Debug)]
pub(crate) struct Test {
    pub(crate) file: String,
    /// Where its readings stand.
    pub(crate) line: u64,
    pub(crate) di: Di,
    pub(crate) octets: Vec<u8>,
    /// What the frame says, by register; of a record by register and field with a point between.
    pub(crate) readings: BTreeMap<String, String>,
}

/// The identifier and the octets of an answer that is complete.
///
/// # Errors
/// Why it is none, in words.
pub(crate) fn answer(hex: &str) -> Result<(Di, Vec<u8>), String> {
    let digits: Vec<u32> =
        hex.chars().filter(|c| !c.is_whitespace()).map(|c| c.to_digit(16)).collect::<Option<_>>().ok_or(
            "write the octets in hexadecimal, from the first 68 to 16, e.g. 68 34 12 00 00 00 00 68 91 …",
        )?;
    if !digits.len().is_multiple_of(2) {
        return Err(format!("{} hexadecimal digits are no whole octets", digits.len()));
    }
    let octets: Vec<u8> = digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect();
    let mut scanner = Scanner::default();
    scanner.push(&octets);
    scanner.end();
    let frame = scanner.next_frame().ok_or("no sound frame is in it; look at length and checksum")?;
    let reply = Reply::parse(&frame).map_err(|e| e.to_string())?;
    let Reply::Data { di, octets, more, .. } = reply else { return Err(format!("it is {frame}")) };
    if more { Err("more frames follow it".to_owned()) } else { Ok((di, octets.collect())) }
}

impl Test {
    /// Everything that the frame says otherwise than the test.
    pub(crate) fn run(&self, catalogue: &'static Catalogue) -> Vec<TableFault> {
        let mut found = BTreeMap::new();
        for decoded in catalogue.decode(self.di, &self.octets) {
            readings(&decoded, &mut found);
        }
        let nothing = || "nothing".to_owned();
        let mut faults = Vec::new();
        let names = found.keys().chain(self.readings.keys().filter(|name| !found.contains_key(*name)));
        for register in names {
            let (is, expected) = (found.get(register), self.readings.get(register));
            if is != expected {
                faults.push(TableFault {
                    file: self.file.clone(),
                    line: self.line,
                    place: "key",
                    column: "readings",
                    wrong: Wrong::Reading {
                        register: register.clone(),
                        found: is.cloned().unwrap_or_else(nothing),
                        expected: expected.cloned().unwrap_or_else(nothing),
                    },
                });
            }
        }
        faults
    }
}

/// As text: a value as it is printed, `missing` or `implausible` for none, octets that have no layout in hexadecimal.
fn readings(decoded: &Decoded<'_>, into: &mut BTreeMap<String, String>) {
    let name = decoded.name.clone().unwrap_or_else(|| decoded.id.to_string());
    let text = |value: &Result<Value, NoValue>| match value {
        Ok(value) => value.to_string(),
        Err(NoValue::Missing | NoValue::Unset) => "missing".to_owned(),
        Err(NoValue::Implausible(_)) => "implausible".to_owned(),
    };
    match &decoded.value {
        Some(value) => drop(into.insert(name, text(value))),
        None if decoded.fields.is_empty() => {
            let octets: Vec<String> = decoded.octets.iter().map(|octet| format!("{octet:02X}")).collect();
            into.insert(name, octets.join(" "));
        }
        None => {
            for field in &decoded.fields {
                into.insert(format!("{name}.{}", field.name()), text(&field.value));
            }
        }
    }
}
