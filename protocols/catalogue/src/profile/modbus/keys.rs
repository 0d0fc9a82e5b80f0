//! The single keys of a profile of Modbus: addresses, types, orders, scales.

use super::At;
use crate::Wrong;
use crate::profile::read::Reader;
use ::modbus::{Function, Order, Scale, Type};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Words of a text or a BCD number at most.
const MOST_WORDS: u16 = 16;

pub(super) fn address_of(reader: &mut Reader<'_>, (table, at): At<'_>) -> Option<u16> {
    match table.get("address") {
        Some(value) => whole(reader, value, "address", u16::MAX.into()).and_then(|n| u16::try_from(n).ok()),
        None => {
            let write =
                "address = 0x0000: the address in the request, counted from 0 (a manual's 30001 is 0)";
            reader.fault(at, "address", Wrong::KeyMissing(write));
            None
        }
    }
}

pub(super) fn function_of(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    defaults: &DeTable<'_>,
) -> Option<Function> {
    let number = number_of(reader, table, "function", 3, 4).or_else(|| {
        if table.contains_key("function") { None } else { number_of(reader, defaults, "function", 3, 4) }
    });
    match number {
        Some(4) => Some(Function::Input),
        Some(_) => Some(Function::Holding),
        None if table.contains_key("function") || defaults.contains_key("function") => None,
        None => Some(Function::Holding),
    }
}

pub(super) fn kind_of(reader: &mut Reader<'_>, (table, at): At<'_>, defaults: &DeTable<'_>) -> Option<Type> {
    let words = number_of(reader, table, "words", 1, MOST_WORDS);
    let written = reader.text_of(table, "type").or_else(|| reader.text_of(defaults, "type"));
    let Some((found, at)) = written else {
        let write = "type = \"u16\" (i16 u32 i32 u64 i64 f32 f64 bcd text bits)";
        reader.fault(at, "type", Wrong::KeyMissing(write));
        return None;
    };
    let plain = [
        ("u16", Type::U16),
        ("i16", Type::I16),
        ("u32", Type::U32),
        ("i32", Type::I32),
        ("u64", Type::U64),
        ("i64", Type::I64),
        ("f32", Type::F32),
        ("f64", Type::F64),
    ];
    if let Some((_, kind)) = plain.into_iter().find(|(word, _)| *word == found) {
        if words.is_some_and(|words| words != kind.words()) {
            reader.fault(at, "words", Wrong::NotEmpty("this type"));
        }
        return Some(kind);
    }
    match (found.as_str(), words) {
        ("bits", words) => Some(Type::Bits { words: words.unwrap_or(1) }),
        ("bcd", Some(words)) => Some(Type::Bcd { words }),
        ("text", Some(words)) => Some(Type::Text { words }),
        ("bcd" | "text", None) => {
            reader.fault(at, "words", Wrong::KeyMissing("words = 2: how many registers it has"));
            None
        }
        _ => {
            let known = "u16, i16, u32, i32, u64, i64, f32, f64, bcd, text, bits".to_owned();
            reader.fault(at, "type", Wrong::Word { found, known });
            None
        }
    }
}

pub(super) fn order_of(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    defaults: &DeTable<'_>,
) -> Option<Order> {
    let mut low_first = |key| {
        let Some((found, at)) = reader.text_of(table, key).or_else(|| reader.text_of(defaults, key)) else {
            return Some(false);
        };
        let known = [("high-first", false), ("low-first", true)];
        let found_word = known.into_iter().find(|(word, _)| *word == found).map(|(_, low)| low);
        if found_word.is_none() {
            reader.fault(at, key, Wrong::Word { found, known: known.map(|(word, _)| word).join(", ") });
        }
        found_word
    };
    let (words, bytes) = (low_first("word_order"), low_first("byte_order"));
    Some(Order { low_word_first: words?, low_byte_first: bytes? })
}

pub(super) fn scale_of(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Option<Scale> {
    let Some((found, at)) = reader.text_of(table, "scale") else {
        return (!table.contains_key("scale")).then_some(Scale::ONE);
    };
    let scale = found.parse::<Scale>().ok();
    if scale.is_none() {
        reader.fault(
            at,
            "scale",
            Wrong::Value { found, write: "an exact number, \"0.1\", or a fraction, \"1/3600\"" },
        );
    }
    scale
}

pub(super) fn missing_of(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    defaults: &DeTable<'_>,
) -> Option<Vec<u64>> {
    const WRITE: &str = "a list of patterns in hexadecimal: [\"0xFFFFFFFF\"]";
    let Some(value) = table.get("missing").or_else(|| defaults.get("missing")) else {
        return Some(Vec::new());
    };
    let DeValue::Array(items) = value.get_ref() else {
        reader.fault(value.span(), "missing", Wrong::Kind(WRITE));
        return None;
    };
    let mut all = Vec::new();
    for item in items.iter() {
        let pattern = match item.get_ref() {
            DeValue::String(text) => {
                text.strip_prefix("0x").and_then(|digits| u64::from_str_radix(digits, 16).ok())
            }
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_)
            | DeValue::Array(_)
            | DeValue::Table(_) => None,
        };
        match pattern {
            Some(pattern) => all.push(pattern),
            None => reader.fault(item.span(), "missing", Wrong::Kind(WRITE)),
        }
    }
    Some(all)
}

pub(in crate::profile) fn number_of(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    key: &'static str,
    least: u16,
    most: u16,
) -> Option<u16> {
    let value = table.get(key)?;
    let number = whole(reader, value, key, u64::MAX)?;
    let fits = u16::try_from(number).ok().filter(|number| (least..=most).contains(number));
    if fits.is_none() {
        let (least, most) = (least.into(), most.into());
        reader.fault(value.span(), key, Wrong::Number { found: number.to_string(), least, most });
    }
    fits
}

/// A whole number, decimal or 0x….
pub(super) fn whole(
    reader: &mut Reader<'_>,
    value: &Spanned<DeValue<'_>>,
    key: &'static str,
    most: u64,
) -> Option<u64> {
    let number = match value.get_ref() {
        DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
        DeValue::String(_)
        | DeValue::Float(_)
        | DeValue::Boolean(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => None,
    };
    let number = number.filter(|number| *number <= most);
    if number.is_none() {
        reader.fault(value.span(), key, Wrong::Kind("a whole number, e.g. 0x0034 or 52"));
    }
    number
}

pub(in crate::profile) fn flag_of(
    reader: &mut Reader<'_>,
    table: &DeTable<'_>,
    key: &'static str,
) -> Option<bool> {
    let value = table.get(key)?;
    if let DeValue::Boolean(flag) = value.get_ref() {
        return Some(*flag);
    }
    reader.fault(value.span(), key, Wrong::Kind("true or false"));
    None
}
