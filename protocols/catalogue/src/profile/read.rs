//! From the text of a profile to the profile, or to all that is wrong with it.
//!
//! It knows the tables and keys of the file. What a register's keys mean is known by the reader of tables.

use super::{Profile, Test, head, modbus, test};
use crate::table::{self, Entry, FIELD_KEYS, REGISTER_KEYS, protocol_word};
use crate::{Catalogue, Standard, TableFault, TableFaults, Wrong};
use dlt645::Edition;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Of the head: the same in a profile of any protocol.
pub(super) const HEAD: [&str; 4] = ["protocol", "model", "source", "notes"];
const TABLES: [&str; 3] = ["register", "field", "test"];
const TEST: [&str; 3] = ["frame", "source", "readings"];

pub(super) fn profile(name: &str, file: &str, text: &str) -> Result<Profile, TableFaults> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { file, text, faults: Vec::new() };
    let (tree, broken) = DeTable::parse_recoverable(text);
    for error in &broken {
        let wrong = Wrong::NotToml(error.message().replace('\n', " "));
        reader.fault(error.span().unwrap_or(0..0), "", wrong);
    }
    if !broken.is_empty() {
        // What follows from a broken line is no second fault.
        return Err(TableFaults(reader.faults));
    }
    let root = tree.get_ref();
    let [protocol, model, source, notes] = HEAD.map(|key| reader.text_of(root, key));
    let standard = reader.standard(protocol);
    let model = reader.needed(model, "model", "model = \"…\", as it stands on the front of the meter");
    let source = reader.needed(source, "source", "source = \"…\": where this is from, in a sentence");
    if standard == Some(Standard::Modbus) {
        let (rows, manner, tests) = modbus::read(&mut reader, root);
        let mut faults = reader.faults;
        faults.sort_by_key(|fault| fault.line);
        return match (model, source) {
            (Some(model), Some(source)) if faults.is_empty() => Ok(Profile {
                name: name.to_owned(),
                standard: Standard::Modbus,
                model,
                source,
                notes: notes.map(|(notes, _)| notes),
                catalogue: Catalogue::of_modbus(rows, manner),
                tests: tests.into_iter().map(Test::Modbus).collect(),
            }),
            (_, _) => Err(TableFaults(faults)),
        };
    }
    let edition = standard.and_then(Standard::edition);
    let own = head::COMMON.into_iter().chain(head::DLT645).chain(TABLES);
    let all: Vec<&'static str> = HEAD.into_iter().chain(own).collect();
    match edition {
        Some(_) => reader.check_head(root, &all, &head::MODBUS, ("Modbus", "DL/T 645")),
        // Nobody knows whose keys they may be.
        None => reader.check_keys(root, &[&all[..], &head::MODBUS].concat()),
    }
    let manner = head::dlt645(&mut reader, root);
    let registers = reader.entries(root, "register", &REGISTER_KEYS);
    let fields = reader.entries(root, "field", &FIELD_KEYS);
    // A model may have the standard's registers alone and want to be asked otherwise.
    if registers.is_empty() && manner.is_none() {
        reader.fault(0..0, "register", Wrong::KeyMissing("[[register]], once for each register"));
    }
    let tests = reader.tests(root, edition);
    let mut faults = reader.faults;
    // Without the protocol a register cannot be judged; it is taken for the usual one, and the fault is said.
    let standard = Catalogue::of(edition.unwrap_or(Edition::E2007));
    let tables = (&*standard.rows, &*standard.layouts);
    let own = match edition {
        Some(edition) => table::own_rows(file, [registers, fields], edition, tables, &mut faults),
        None => Vec::new(),
    };
    faults.sort_by_key(|fault| fault.line);
    match (edition, model, source) {
        (Some(edition), Some(model), Some(source)) if faults.is_empty() => Ok(Profile {
            name: name.to_owned(),
            standard: edition.into(),
            model,
            source,
            notes: notes.map(|(notes, _)| notes),
            catalogue: Catalogue::with_own(own, manner, standard),
            tests: tests.into_iter().map(Test::Dlt645).collect(),
        }),
        (_, _, _) => Err(TableFaults(faults)),
    }
}

/// A text, and where its value stands.
pub(super) type Written = Option<(String, Range<usize>)>;

pub(super) struct Reader<'a> {
    pub(super) file: &'a str,
    text: &'a str,
    faults: Vec<TableFault>,
}

impl Reader<'_> {
    pub(super) fn line(&self, at: usize) -> u64 {
        self.text.get(..at).map_or(1, |before| before.matches('\n').count() as u64 + 1)
    }

    pub(super) fn fault(&mut self, at: Range<usize>, key: &'static str, wrong: Wrong) {
        let line = self.line(at.start);
        self.faults.push(TableFault { file: self.file.to_owned(), line, place: "key", column: key, wrong });
    }

    pub(super) fn check_keys(&mut self, table: &DeTable<'_>, known: &[&'static str]) {
        for (key, _) in table.iter().filter(|(key, _)| !known.contains(&key.get_ref().as_ref())) {
            let found = key.get_ref().to_string();
            let near = known.iter().map(|own| (strsim::osa_distance(&found, own), *own));
            let bound = (found.chars().count() / 3).max(1);
            let near = near.filter(|(distance, _)| *distance <= bound).min().map(|(_, own)| own);
            let wrong = Wrong::KeyUnknown { found, near, known: known.join(", ") };
            self.fault(key.span(), "", wrong);
        }
    }

    /// As [`Reader::check_keys`]; keys of a profile of another protocol are told as such. `whose` is whose they are, and
    /// whose this profile is.
    pub(super) fn check_head(
        &mut self,
        root: &DeTable<'_>,
        known: &[&'static str],
        foreign: &[&'static str],
        whose: (&'static str, &'static str),
    ) {
        let (theirs, own) = whose;
        let mut met = known.to_vec();
        for key in foreign {
            if let Some((found, _)) = root.iter().find(|(found, _)| found.get_ref() == key) {
                self.fault(found.span(), key, Wrong::OtherProfile { theirs, own });
                met.push(key);
            }
        }
        self.check_keys(root, &met);
    }

    /// A text, or a whole number as it is written.
    pub(super) fn text(&mut self, key: &'static str, value: &Spanned<DeValue<'_>>) -> Written {
        match value.get_ref() {
            DeValue::String(text) => Some((text.to_string(), value.span())),
            DeValue::Integer(_) => {
                self.text.get(value.span()).map(|number| (number.to_owned(), value.span()))
            }
            DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => {
                self.fault(value.span(), key, Wrong::Kind("a text in quotes, or a whole number"));
                None
            }
        }
    }

    pub(super) fn text_of(&mut self, table: &DeTable<'_>, key: &'static str) -> Written {
        table.get(key).and_then(|value| self.text(key, value))
    }

    pub(super) fn needed(
        &mut self,
        found: Written,
        key: &'static str,
        write: &'static str,
    ) -> Option<String> {
        match found {
            Some((text, _)) if !text.trim().is_empty() => Some(text),
            Some((_, at)) => {
                self.fault(at, key, Wrong::Empty { write });
                None
            }
            None => {
                self.fault(0..0, key, Wrong::KeyMissing(write));
                None
            }
        }
    }

    fn standard(&mut self, protocol: Written) -> Option<Standard> {
        const WRITE: &str = "protocol = \"dlt645-2007\", \"dlt645-1997\" or \"modbus\"";
        let at = protocol.as_ref().map_or(0..0, |(_, at)| at.clone());
        let found = self.needed(protocol, "protocol", WRITE)?;
        let known = [Edition::E2007.into(), Edition::E1997.into(), Standard::Modbus];
        let standard = known.into_iter().find(|standard| standard.word() == found);
        if standard.is_none() {
            let known = known.map(Standard::word).join(", ");
            self.fault(at, "protocol", Wrong::Word { found, known });
        }
        standard
    }

    /// The tables of one kind, each with where it begins.
    pub(super) fn tables<'t>(
        &mut self,
        root: &'t DeTable<'_>,
        name: &'static str,
    ) -> Vec<(&'t DeTable<'t>, Range<usize>)> {
        let Some(value) = root.get(name) else { return Vec::new() };
        let mut tables = Vec::new();
        let kind = Wrong::Kind(
            "written in double brackets, [[register]], [[field]], [[map]] or [[test]], once for each",
        );
        match value.get_ref() {
            DeValue::Array(items) => {
                for item in items.iter() {
                    match item.get_ref() {
                        DeValue::Table(table) => tables.push((table, item.span())),
                        DeValue::String(_)
                        | DeValue::Integer(_)
                        | DeValue::Float(_)
                        | DeValue::Boolean(_)
                        | DeValue::Datetime(_)
                        | DeValue::Array(_) => self.fault(item.span(), name, kind.clone()),
                    }
                }
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => self.fault(value.span(), name, kind),
        }
        tables
    }

    fn entries<const N: usize>(
        &mut self,
        root: &DeTable<'_>,
        name: &'static str,
        known: &[&'static str; N],
    ) -> Vec<Entry> {
        let mut entries = Vec::new();
        for (table, at) in self.tables(root, name) {
            self.check_keys(table, known);
            let mut values = Vec::new();
            for key in known {
                if let Some((value, at)) = self.text_of(table, key) {
                    values.push(((*key).to_owned(), value, self.line(at.start)));
                }
            }
            entries.push(Entry { line: self.line(at.start), values });
        }
        entries
    }

    fn tests(&mut self, root: &DeTable<'_>, edition: Option<Edition>) -> Vec<test::Test> {
        let mut tests = Vec::new();
        for (table, at) in self.tables(root, "test") {
            self.check_keys(table, &TEST);
            let source = self.text_of(table, "source");
            if source.is_none() && !table.contains_key("source") {
                let write = "source = \"…\": a capture of which meter, or computed from what";
                self.fault(at.clone(), "source", Wrong::KeyMissing(write));
            }
            let answer = self.answer(table, at.clone(), edition);
            let readings = self.readings(table, at);
            if let (Some((di, octets)), Some((readings, line))) = (answer, readings) {
                tests.push(test::Test { file: self.file.to_owned(), line, di, octets, readings });
            }
        }
        tests
    }

    fn answer(
        &mut self,
        table: &DeTable<'_>,
        at: Range<usize>,
        edition: Option<Edition>,
    ) -> Option<(dlt645::Di, Vec<u8>)> {
        let Some((frame, at)) = self.text_of(table, "frame") else {
            if !table.contains_key("frame") {
                let write = "frame = \"68 …\": the octets of an answer in hexadecimal";
                self.fault(at, "frame", Wrong::KeyMissing(write));
            }
            return None;
        };
        let of_another = |edition: &Edition| format!("its identifier is not of {}", protocol_word(*edition));
        let answer = match test::answer(&frame) {
            Ok((di, _)) if edition.is_some_and(|edition| di.edition() != edition) => {
                Err(edition.as_ref().map(of_another).unwrap_or_default())
            }
            other => other,
        };
        answer.map_err(|why| self.fault(at, "frame", Wrong::NoAnswer(why))).ok()
    }

    pub(super) fn readings(
        &mut self,
        table: &DeTable<'_>,
        at: Range<usize>,
    ) -> Option<(BTreeMap<String, String>, u64)> {
        const WRITE: &str = "readings = { \"voltage_l1\" = \"220.5\" }: what the frame says of each register";
        let Some(value) = table.get("readings") else {
            self.fault(at, "readings", Wrong::KeyMissing(WRITE));
            return None;
        };
        let DeValue::Table(readings) = value.get_ref() else {
            self.fault(value.span(), "readings", Wrong::Kind(WRITE));
            return None;
        };
        let mut all = BTreeMap::new();
        for (register, value) in readings.iter() {
            let DeValue::String(text) = value.get_ref() else {
                let kind = "the value in quotes, with all its digits: \"220.0\"";
                self.fault(value.span(), "readings", Wrong::Kind(kind));
                continue;
            };
            all.insert(register.get_ref().to_string(), text.to_string());
        }
        Some((all, self.line(value.span().start)))
    }
}
