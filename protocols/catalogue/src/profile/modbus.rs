//! The part of a profile that only Modbus meters have: where each register is, and how its words are read.

use super::head;
pub(super) mod keys;

use self::keys::{
    address_of, flag_of, function_of, kind_of, missing_of, number_of, order_of, scale_of, whole,
};
use super::modbus_test::{self, Test};
use super::read::{HEAD, Reader};
use crate::manner::MOST;
use crate::names::{Meaning, ends, meaning};
use crate::row::{Access, Edition, Form, Row};
use crate::template::Template;
use crate::{Location, Manner, Map, Quantity, Standard, Unit, Wrong};
use ::modbus::{Format, Scale, Span, Type};
use std::ops::Range;
use toml::de::{DeTable, DeValue};

const TABLES: [&str; 2] = ["register", "test"];
const DEFAULTS: [&str; 7] = ["function", "type", "word_order", "byte_order", "missing", "primary", "source"];
const MAP: [&str; 2] = ["name", "probe"];
const PROBE: [&str; 6] = ["address", "type", "function", "word_order", "byte_order", "values"];
const REGISTER: [&str; 20] = [
    "address",
    "name",
    "unit",
    "type",
    "words",
    "function",
    "word_order",
    "byte_order",
    "scale",
    "digits",
    "missing",
    "exponent",
    "primary",
    "map",
    "alone",
    "source",
    "notes",
    "name_zh",
    "quantity",
    "obis",
];

/// A table of the file and where it begins.
type At<'t> = (&'t DeTable<'t>, Range<usize>);

/// Rows, how the meters want to be asked, and tests; what is wrong is with the reader.
pub(super) fn read(reader: &mut Reader<'_>, root: &DeTable<'_>) -> (Vec<Row>, Manner, Vec<Test>) {
    let own = head::COMMON.into_iter().chain(head::MODBUS).chain(TABLES);
    let all: Vec<&'static str> = HEAD.into_iter().chain(own).collect();
    reader.check_head(root, &all, &[&head::DLT645[..], &["field"]].concat(), ("DL/T 645", "Modbus"));
    let empty = DeTable::new();
    let defaults = match root.get("defaults").map(|value| (value.get_ref(), value.span())) {
        Some((DeValue::Table(table), _)) => table,
        Some((_, at)) => {
            reader.fault(at, "defaults", Wrong::Kind("a table: [defaults], or defaults = { … }"));
            &empty
        }
        None => &empty,
    };
    reader.check_keys(defaults, &DEFAULTS);
    let mut manner = manner(reader, root);
    let maps = reader.tables(root, "map");
    manner.maps = maps.into_iter().filter_map(|at| map(reader, at, defaults)).collect();
    let names: Vec<String> = manner.maps.iter().map(|map| map.name.to_string()).collect();
    let tables = reader.tables(root, "register");
    if tables.is_empty() {
        reader.fault(0..0, "register", Wrong::KeyMissing("[[register]], once for each register"));
    }
    let mut rows: Vec<Row> = Vec::with_capacity(tables.len());
    for (table, at) in tables {
        let from = at.start;
        if let Some(row) = register(reader, (table, at), defaults, &names) {
            check_twins(reader, from, &row, &rows);
            rows.push(row);
        }
    }
    for key in ["ct", "pt"] {
        let Some((name, at)) = reader.text_of(root, key) else { continue };
        if !has(&rows, &name) {
            reader.fault(at, key, Wrong::NoRegister { found: name.clone() });
        }
        let place = if key == "ct" { &mut manner.ct } else { &mut manner.pt };
        *place = Some(name.into());
    }
    for (table, _) in reader.tables(root, "register") {
        if let Some((name, at)) = reader.text_of(table, "exponent").filter(|(name, _)| !has(&rows, name)) {
            reader.fault(at, "exponent", Wrong::NoRegister { found: name });
        }
    }
    let tests = modbus_test::read(reader, root, &names);
    (rows, manner, tests)
}

fn has(rows: &[Row], name: &str) -> bool {
    let (stem, fixed) = ends(name);
    rows.iter()
        .any(|row| *row.stem == *name && row.fixed.is_empty() || *row.stem == *stem && *row.fixed == *fixed)
}

fn manner(reader: &mut Reader<'_>, root: &DeTable<'_>) -> Manner {
    let number = |reader: &mut Reader<'_>, key, least, most, usual| {
        number_of(reader, root, key, least, most).unwrap_or(usual)
    };
    Manner {
        line: head::line(reader, root),
        pause: head::pause(reader, root),
        most: number(reader, "most_registers", 1, MOST, MOST),
        align: number(reader, "align", 1, 8, 1),
        gaps: flag_of(reader, root, "gaps").unwrap_or(true),
        ..Manner::default()
    }
}

fn map(reader: &mut Reader<'_>, (table, at): At<'_>, defaults: &DeTable<'_>) -> Option<Map> {
    reader.check_keys(table, &MAP);
    let name = reader.text_of(table, "name");
    let name = reader.needed(name, "name", "name = \"…\": what its registers have under map");
    let write = "probe = { address = 0x000B, type = \"u16\", values = [71] }: what the meter answers if it has this map";
    let Some((DeValue::Table(probe), _)) = table.get("probe").map(|value| (value.get_ref(), value.span()))
    else {
        reader.fault(at, "probe", Wrong::KeyMissing(write));
        return None;
    };
    reader.check_keys(probe, &PROBE);
    let (address, function) = (address_of(reader, (probe, at.clone())), function_of(reader, probe, defaults));
    let (kind, order) = (kind_of(reader, (probe, at.clone()), defaults), order_of(reader, probe, defaults));
    let mut values = Vec::new();
    if let Some(value) = probe.get("values") {
        match value.get_ref() {
            DeValue::Array(items) => {
                values.extend(items.iter().filter_map(|item| whole(reader, item, "values", u64::MAX)));
            }
            DeValue::String(_)
            | DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Table(_) => {
                reader.fault(value.span(), "values", Wrong::Kind("a list of whole numbers: [71, 72]"));
            }
        }
    }
    let (kind, order) = (kind?, order?);
    let span = Span { function: function?, address: address?, count: kind.words() };
    let format = Format { kind, order, scale: Scale::ONE, digits: Some(0), missing: Vec::new(), shift: 0 };
    Some(Map { name: name?.into(), probe: span, format, values: values.into() })
}

fn register(
    reader: &mut Reader<'_>,
    (table, at): At<'_>,
    defaults: &DeTable<'_>,
    maps: &[String],
) -> Option<Row> {
    reader.check_keys(table, &REGISTER);
    let here = || (table, at.clone());
    let address = address_of(reader, here());
    let function = function_of(reader, table, defaults);
    let kind = kind_of(reader, here(), defaults);
    let order = order_of(reader, table, defaults);
    let name = reader.text_of(table, "name");
    let name_at = name.as_ref().map_or(at.clone(), |(_, at)| at.clone());
    let name = reader.needed(name, "name", "name = \"voltage_l1\": what the register is called");
    let meaning = name.as_deref().and_then(|name| meaning_of(reader, here(), name, name_at));
    let shift = meaning.as_ref().and_then(|meaning| shift_of(reader, here(), meaning));
    let scale = scale_of(reader, table);
    let is_float = matches!(kind, Some(Type::F32 | Type::F64));
    let digits = number_of(reader, table, "digits", 0, 9).and_then(|digits| u8::try_from(digits).ok());
    if digits.is_none() && !table.contains_key("digits") {
        if is_float {
            let write =
                "digits = 2: how many digits behind the point of a float are true, in the meter's unit";
            reader.fault(at.clone(), "digits", Wrong::KeyMissing(write));
        } else if scale.is_some_and(|scale| !scale.is_finite_decimal()) {
            let write = "digits = 2: this scale is no finite decimal";
            reader.fault(at.clone(), "digits", Wrong::KeyMissing(write));
        }
    }
    let missing = missing_of(reader, table, defaults);
    let map = match reader.text_of(table, "map") {
        Some((name, at)) => {
            let found = maps.iter().position(|map| *map == name).and_then(|n| u8::try_from(n).ok());
            if found.is_none() {
                reader.fault(at, "map", Wrong::NoMap { found: name });
            }
            Some(found?)
        }
        None => None,
    };
    let source = reader.text_of(table, "source").or_else(|| reader.text_of(defaults, "source"));
    let primary = flag_of(reader, table, "primary").or_else(|| flag_of(reader, defaults, "primary"));
    let alone = flag_of(reader, table, "alone");
    let exponent = reader.text_of(table, "exponent").map(|(name, _)| name.into());
    let notes = reader.text_of(table, "notes").map(|(notes, _)| notes.into());
    let (kind, scale, shift) = (kind?, scale?, shift?);
    let span = Span { function: function?, address: address?, count: kind.words() };
    let format = Format { kind, order: order?, scale, digits, missing: missing?, shift };
    let location = Location {
        span,
        format,
        alone: alone.unwrap_or(false),
        primary: primary.unwrap_or(false),
        map,
        exponent,
        source: source.map_or_else(Box::default, |(source, _)| source.into()),
        notes,
    };
    Some(row(meaning?, location, reader.line(at.start)))
}

fn row(meaning: Meaning, location: Location, line: u64) -> Row {
    let octets = 2 * usize::from(location.span.count);
    let format = plain_format(&location.format, &meaning);
    let template = |text: &str| Template::parse(text).unwrap_or_else(|| Template::plain(text));
    Row {
        standard: Standard::Modbus,
        cells: Box::default(),
        fixed: meaning.fixed.into(),
        blocks: Vec::new(),
        joined: false,
        tail: None,
        items: None,
        stem: meaning.stem.into(),
        zh: template(&meaning.zh),
        obis: meaning.obis.as_deref().map(template),
        quantity: meaning.quantity,
        unit: meaning.unit,
        form: Form::Modbus(Box::new(location)),
        format,
        octets,
        lengths: Vec::new(),
        bits: Box::default(),
        access: Access::Read,
        clause: Box::default(),
        edition: Edition::Vendor,
        line,
    }
}

/// What the rest of the program takes the value for: how many decimals it has, and whether it can be below zero.
fn plain_format(format: &Format, meaning: &Meaning) -> dlt645::format::Format {
    let signed = match format.kind {
        Type::U16 | Type::U32 | Type::U64 | Type::Bcd { .. } => false,
        Type::I16 | Type::I32 | Type::I64 | Type::F32 | Type::F64 => !counts_up(meaning),
        Type::Text { .. } => return dlt645::format::Format::Text,
        Type::Bits { .. } => return dlt645::format::Format::Bits,
    };
    dlt645::format::Format::Number { decimals: format.decimals(), signed }
}

/// Whether it is an energy that only grows, whatever type holds it.
fn counts_up(meaning: &Meaning) -> bool {
    let is_energy = matches!(
        meaning.quantity,
        Quantity::ActiveEnergy | Quantity::ReactiveEnergy | Quantity::ApparentEnergy
    );
    is_energy
        && meaning.stem.split('_').all(|part| part != "net" && part != "combined" && part != "resettable")
}

/// By its name; else by what is written beside it.
fn meaning_of(
    reader: &mut Reader<'_>,
    (table, at): At<'_>,
    name: &str,
    name_at: Range<usize>,
) -> Option<Meaning> {
    const OWN: [&str; 3] = ["name_zh", "quantity", "obis"];
    let [zh, quantity, obis] = OWN.map(|key| reader.text_of(table, key));
    if let Some(known) = meaning(name) {
        for (key, written) in OWN.into_iter().zip([&zh, &quantity, &obis]) {
            if let Some((_, at)) = written {
                reader.fault(at.clone(), key, Wrong::Meant { name: name.to_owned() });
            }
        }
        return Some(known);
    }
    if zh.is_none() && quantity.is_none() {
        let near = crate::Catalogue::dlt645_2007().find(name, 4).err().and_then(|unknown| unknown.nearest);
        reader.fault(name_at, "name", Wrong::Meaning { near });
        return None;
    }
    let sound = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.split('_').all(|part| {
            !part.is_empty() && part.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit())
        });
    if !sound {
        reader.fault(
            name_at,
            "name",
            Wrong::Value { found: name.to_owned(), write: "lower-case letters, digits and single _" },
        );
    }
    let zh = reader.needed(zh, "name_zh", "name_zh = \"…\": its Chinese name");
    let quantity_at = quantity.as_ref().map_or(at, |(_, at)| at.clone());
    let quantity = reader.needed(quantity, "quantity", "quantity = \"…\": what it measures");
    let known = quantity.and_then(|found| {
        let quantity = Quantity::ALL.into_iter().find(|quantity| quantity.text() == found);
        if quantity.is_none() {
            let known = Quantity::ALL.map(Quantity::text).join(", ");
            reader.fault(quantity_at, "quantity", Wrong::Word { found, known });
        }
        quantity
    });
    let unit = match reader.text_of(table, "unit") {
        Some((found, at)) if !found.is_empty() => {
            let unit = Unit::ALL.into_iter().find(|unit| shift(&found, unit.text()).is_some());
            if unit.is_none() {
                let known = Unit::ALL.map(Unit::text).join(", ");
                reader.fault(at, "unit", Wrong::Word { found, known });
                return None;
            }
            unit
        }
        Some(_) | None => None,
    };
    let (stem, fixed) = ends(name);
    let obis = obis.map(|(obis, _)| obis);
    sound.then_some(Meaning { stem: stem.to_owned(), fixed, zh: zh?, quantity: known?, unit, obis })
}

/// The power of ten from the meter's unit to the catalogue's.
fn shift_of(reader: &mut Reader<'_>, (table, at): At<'_>, meaning: &Meaning) -> Option<i8> {
    let Some(unit) = meaning.unit else {
        if let Some((_, at)) = reader.text_of(table, "unit").filter(|(unit, _)| !unit.is_empty()) {
            reader.fault(at, "unit", Wrong::NotEmpty("this name"));
        }
        return Some(0);
    };
    let Some((found, at)) = reader.text_of(table, "unit") else {
        let write = "unit = \"W\": the unit of the meter's own manual";
        reader.fault(at, "unit", Wrong::KeyMissing(write));
        return None;
    };
    let shift = shift(&found, unit.text());
    if shift.is_none() {
        reader.fault(at, "unit", Wrong::Unit { found, expected: unit.text() });
    }
    shift
}

/// `W` to `kW` is -3; `None` between units of another kind.
fn shift(from: &str, to: &str) -> Option<i8> {
    const BASES: [&str; 10] = ["W", "Wh", "var", "varh", "VA", "VAh", "V", "A", "Ah", "Hz"];
    if from == to {
        return Some(0);
    }
    let parts = |unit: &str| {
        let of = |prefix: &str, power: i8| {
            let base = unit.strip_prefix(prefix)?;
            BASES.iter().find(|own| **own == base).map(|base| (*base, power))
        };
        of("", 0).or(of("k", 3)).or(of("M", 6)).or(of("m", -3))
    };
    let ((one, from), (other, to)) = (parts(from)?, parts(to)?);
    (one == other).then_some(from - to)
}

fn check_twins(reader: &mut Reader<'_>, at: usize, row: &Row, rows: &[Row]) {
    let location = |row: &Row| row.location().map(|own| (own.span, own.map));
    let meets = |other: &&Row| {
        let maps = location(row).zip(location(other)).map(|((_, one), (_, other))| (one, other));
        maps.is_some_and(|(one, other)| one == other || one.is_none() || other.is_none())
    };
    for other in rows.iter().filter(meets) {
        if other.stem == row.stem && other.fixed == row.fixed {
            reader.fault(at..at, "name", Wrong::SameName { line: other.line });
        }
        if location(other).map(|own| own.0) == location(row).map(|own| own.0) {
            reader.fault(at..at, "address", Wrong::SamePlace { line: other.line });
        }
    }
}
