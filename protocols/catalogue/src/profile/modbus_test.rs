//! A request and an answer in a profile of Modbus, and what they are expected to say.

use super::read::Reader;
use crate::{Catalogue, Location, Register, TableFault, Wrong};
use dlt645::format::{NoValue, Value};
use modbus::Span;
use modbus::rtu::{Reply, Request};
use std::collections::BTreeMap;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

const KEYS: [&str; 6] = ["request", "frame", "map", "given", "source", "readings"];

/// An answer to a request, with its readings.
#[derive(Debug)]
pub(super) struct Test {
    file: String,
    /// Where its readings stand.
    line: u64,
    span: Span,
    words: Vec<u16>,
    map: Option<u8>,
    /// Powers of ten that other answers gave.
    given: BTreeMap<String, i32>,
    readings: BTreeMap<String, String>,
}

/// The tests of a file; `maps` are the names of its maps.
pub(super) fn read(reader: &mut Reader<'_>, root: &DeTable<'_>, maps: &[String]) -> Vec<Test> {
    let mut tests = Vec::new();
    for (table, at) in reader.tables(root, "test") {
        reader.check_keys(table, &KEYS);
        if reader.text_of(table, "source").is_none() && !table.contains_key("source") {
            let write = "source = \"…\": a capture of which meter, or computed from what";
            reader.fault(at.clone(), "source", Wrong::KeyMissing(write));
        }
        let map = match reader.text_of(table, "map") {
            Some((name, at)) => {
                let found = maps.iter().position(|map| *map == name).and_then(|n| u8::try_from(n).ok());
                if found.is_none() {
                    reader.fault(at, "map", Wrong::NoMap { found: name });
                }
                found
            }
            None => None,
        };
        let exchange = exchange(reader, table, at.clone());
        let given = given(reader, table);
        let readings = reader.readings(table, at);
        if let (Some((span, words)), Some((readings, line))) = (exchange, readings) {
            tests.push(Test { file: reader.file.to_owned(), line, span, words, map, given, readings });
        }
    }
    tests
}

fn exchange(reader: &mut Reader<'_>, table: &DeTable<'_>, at: Range<usize>) -> Option<(Span, Vec<u16>)> {
    let request = reader.text_of(table, "request");
    if request.is_none() && !table.contains_key("request") {
        let write = "request = \"01 04 00 00 00 02 71 CB\": what was asked";
        reader.fault(at.clone(), "request", Wrong::KeyMissing(write));
    }
    let frame = reader.text_of(table, "frame");
    if frame.is_none() && !table.contains_key("frame") {
        let write = "frame = \"01 04 04 …\": the octets of the answer in hexadecimal";
        reader.fault(at, "frame", Wrong::KeyMissing(write));
    }
    let ((request, request_at), (frame, frame_at)) = (request?, frame?);
    let request = match octets(&request).and_then(|octets| Request::parse(&octets).map_err(|e| e.to_string()))
    {
        Ok(request) => request,
        Err(why) => {
            reader.fault(request_at, "request", Wrong::NoRequest(why));
            return None;
        }
    };
    let Some(span) = request.span() else {
        reader.fault(request_at, "request", Wrong::NoRequest("it reads no registers by 03 or 04".to_owned()));
        return None;
    };
    let reply = octets(&frame).and_then(|octets| Reply::parse(&octets).map_err(|e| e.to_string()));
    let words = reply.and_then(|reply| {
        if reply.unit() != request.unit() {
            return Err("it is of another unit than the request".to_owned());
        }
        match reply.words().filter(|_| reply.function() == span.function as u8) {
            Some(words) if words.len() == usize::from(span.count) => Ok(words),
            Some(words) => {
                Err(format!("it has {} registers, and {} were asked for", words.len(), span.count))
            }
            None => Err("it is no registers of the function that was asked".to_owned()),
        }
    });
    words.map(|words| (span, words)).map_err(|why| reader.fault(frame_at, "frame", Wrong::NoAnswer(why))).ok()
}

fn octets(hex: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<u32> = hex
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| c.to_digit(16))
        .collect::<Option<_>>()
        .ok_or("write the octets in hexadecimal, from the unit to the CRC")?;
    if !digits.len().is_multiple_of(2) {
        return Err(format!("{} hexadecimal digits are no whole octets", digits.len()));
    }
    Ok(digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}

fn given(reader: &mut Reader<'_>, table: &DeTable<'_>) -> BTreeMap<String, i32> {
    const WRITE: &str = "given = { name = \"-2\" }: what other answers say that these readings need";
    let mut all = BTreeMap::new();
    let Some(value) = table.get("given") else { return all };
    let DeValue::Table(given) = value.get_ref() else {
        reader.fault(value.span(), "given", Wrong::Kind(WRITE));
        return all;
    };
    for (name, value) in given.iter() {
        let number = if let DeValue::String(text) = value.get_ref() { text.parse().ok() } else { None };
        match number {
            Some(number) => drop(all.insert(name.get_ref().to_string(), number)),
            None => reader.fault(value.span(), "given", Wrong::Kind(WRITE)),
        }
    }
    all
}

impl Test {
    /// Everything that the answer says otherwise than the test.
    pub(super) fn run(&self, catalogue: &'static Catalogue) -> Vec<TableFault> {
        let mut found = BTreeMap::new();
        for register in catalogue.registers() {
            if let Some(own) = register.location().and_then(|location| self.words_of(location)) {
                let exponent = self.exponent(catalogue, register);
                found.insert(register.name().to_string(), text(register.decode_words(own, exponent)));
            }
        }
        let nothing = || "nothing".to_owned();
        let names = found.keys().chain(self.readings.keys().filter(|name| !found.contains_key(*name)));
        let other = names.filter_map(|register| {
            let (is, expected) = (found.get(register), self.readings.get(register));
            (is != expected).then(|| TableFault {
                file: self.file.clone(),
                line: self.line,
                place: "key",
                column: "readings",
                wrong: Wrong::Reading {
                    register: register.clone(),
                    found: is.cloned().unwrap_or_else(nothing),
                    expected: expected.cloned().unwrap_or_else(nothing),
                },
            })
        });
        other.collect()
    }

    /// The words of a register that lies in the answer.
    fn words_of(&self, location: &Location) -> Option<&[u16]> {
        let fits = location.map.is_none() || location.map == self.map;
        let whole = !location.alone || location.span == self.span;
        if !fits || !whole || !self.span.contains(&location.span) {
            return None;
        }
        let from = usize::from(location.span.address - self.span.address);
        self.words.get(from..from + usize::from(location.span.count))
    }

    fn exponent(&self, catalogue: &'static Catalogue, register: Register) -> i32 {
        let Some(name) = register.location().and_then(|location| location.exponent.as_deref()) else {
            return 0;
        };
        if let Some(given) = self.given.get(name) {
            return *given;
        }
        let own = catalogue.registers().find(|other| other.name().to_string() == *name);
        let value = own.and_then(|own| own.decode_words(self.words_of(own.location()?)?, 0).ok());
        value.and_then(|value| i32::try_from(value.number()?).ok()).unwrap_or(0)
    }
}

fn text(value: Result<Value, NoValue>) -> String {
    match value {
        Ok(value) => value.to_string(),
        Err(NoValue::Missing | NoValue::Unset) => "missing".to_owned(),
        Err(NoValue::Implausible(_)) => "implausible".to_owned(),
    }
}
