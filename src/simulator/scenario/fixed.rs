//! What a scenario makes a meter answer: `fixed` values, `raw` octets, `refuse`.
//!
//! Values go through the catalogue's formats once, here, so that a value that does not fit is a fault of
//! the file and not of a reply.

use super::super::calendar;
use super::super::meter::Fixed;
use super::table::{self, Reader, Section, Span};
use catalogue::{Catalogue, Entry, Register};
use dlt645::format::{Digits, Format, Text, Value, Word};
use dlt645::{Di, Edition};
use jiff::civil;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use toml::Spanned;
use toml::de::DeValue;

/// Octets at most: a block of 63 demands and their total.
const MOST_OCTETS: usize = 512;

/// Reads the three keys of a `[[meter]]`.
pub(super) fn read(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
    edition: Edition,
    tariffs: u8,
) -> BTreeMap<Di, Fixed> {
    let mut all = BTreeMap::new();
    let mut put = |reader: &mut Reader<'_>, span: Span, di: Di, answer: Fixed| {
        if all.insert(di, answer).is_some() {
            reader.fault(
                Some(span),
                format!("[[meter]] {di} is said twice; keep it in one of fixed, raw and refuse"),
            );
        }
    };
    for (key, value) in entries(reader, section, "fixed", "{ active_power = \"-12.3456\" }") {
        let Some(registers) = registers(reader, &key, edition, tariffs) else { continue };
        for register in registers {
            match register.di().zip(octets(register, value.get_ref())) {
                Some((di, octets)) => put(reader, value.span(), di, Fixed::Octets(octets)),
                None => {
                    let written = reader.written(value.span());
                    let want = wanted(register.format(), register.octets());
                    let message = section.says(format_args!("fixed.{}", key.get_ref()), written, want);
                    reader.fault(Some(value.span()), message);
                }
            }
        }
    }
    for (key, value) in entries(reader, section, "raw", "{ active_power = \"FFFFFF\" }") {
        let Some(dis) = dis(reader, &key, edition, tariffs) else { continue };
        match value.get_ref().as_str().and_then(hex) {
            Some(octets) => {
                dis.into_iter().for_each(|di| put(reader, value.span(), di, Fixed::Octets(octets.clone())));
            }
            None => {
                let want = "octets after -33H, low byte first, e.g. \"56 34 92\"";
                let written = reader.written(value.span());
                let message = section.says(format_args!("raw.{}", key.get_ref()), written, want);
                reader.fault(Some(value.span()), message);
            }
        }
    }
    if let Some(value) = section.value("refuse") {
        match names(value) {
            Some(names) => {
                for name in names {
                    let dis = dis(reader, &name, edition, tariffs).unwrap_or_default();
                    dis.into_iter().for_each(|di| put(reader, name.span(), di, Fixed::Refused));
                }
            }
            None => {
                let want = "names or identifiers, e.g. [\"current_l2\", \"0001FF00\"]";
                let message = section.says("refuse", reader.written(value.span()), want);
                reader.fault(Some(value.span()), message);
            }
        }
    }
    all
}

/// The texts of a list.
pub(super) fn names(value: &Spanned<DeValue<'_>>) -> Option<Vec<Spanned<String>>> {
    let text = |one: &Spanned<DeValue<'_>>| {
        one.get_ref().as_str().map(|text| Spanned::new(one.span(), text.to_owned()))
    };
    value.get_ref().as_array()?.iter().map(text).collect()
}

type Pair<'t> = (Spanned<String>, &'t Spanned<DeValue<'t>>);

/// The entries of an inline table.
pub(super) fn entries<'t>(
    reader: &mut Reader<'_>,
    section: &mut Section<'t>,
    key: &'static str,
    example: &str,
) -> Vec<Pair<'t>> {
    let Some(value) = section.value(key) else { return Vec::new() };
    let Some(table) = value.get_ref().as_table() else {
        let message =
            section.says(key, reader.written(value.span()), format_args!("a table, e.g. {example}"));
        reader.fault(Some(value.span()), message);
        return Vec::new();
    };
    table.iter().map(|(key, value)| (Spanned::new(key.span(), key.get_ref().to_string()), value)).collect()
}

/// Registers by name, pattern or identifier; a block has no value of its own.
fn registers(
    reader: &mut Reader<'_>,
    text: &Spanned<String>,
    edition: Edition,
    tariffs: u8,
) -> Option<Vec<Register>> {
    let catalogue = Catalogue::of(edition);
    if let Ok(di) = text.get_ref().parse::<Di>() {
        return match catalogue.by_di(di) {
            Some(Entry::Register(register)) => Some(vec![register]),
            Some(Entry::Block(_)) | None => {
                let message =
                    format!("[[meter]] {di} is no register that a value could be written for; use raw");
                reader.fault(Some(text.span()), message);
                None
            }
        };
    }
    catalogue
        .find(text.get_ref(), tariffs)
        .map_err(|unknown| reader.fault(Some(text.span()), format!("[[meter]] {unknown}")))
        .ok()
}

/// Identifiers by name or pattern, or any identifier: a block, or what the catalogue does not know.
fn dis(reader: &mut Reader<'_>, text: &Spanned<String>, edition: Edition, tariffs: u8) -> Option<Vec<Di>> {
    match text.get_ref().parse() {
        Ok(di) => Some(vec![di]),
        Err(_) => {
            Some(registers(reader, text, edition, tariffs)?.into_iter().filter_map(|r| r.di()).collect())
        }
    }
}

fn octets(register: Register, value: &DeValue<'_>) -> Option<Vec<u8>> {
    let value = parse(register.format(), register.octets(), &table::written(value)?)?;
    let mut octets = vec![0; register.octets()];
    register.format().encode(value, &mut octets).ok().map(|()| octets)
}

/// The value of a text in the register's format.
fn parse(format: Format, octets: usize, text: &str) -> Option<Value> {
    let number = |text| Decimal::from_str_exact(text).ok();
    Some(match format {
        Format::Number { .. } => Value::Number(number(text)?),
        Format::Demand { .. } => match text.split_once(" at ") {
            None => Value::Demand { value: number(text)?, at: None },
            Some((value, at)) => {
                let at: civil::DateTime = at.parse().ok()?;
                Value::Demand {
                    value: number(value)?,
                    at: Some((calendar::date(at), calendar::time(at, false))),
                }
            }
        },
        Format::Date => Value::Date(calendar::date(text.parse::<civil::Date>().ok()?.at(0, 0, 0, 0))),
        Format::Time => {
            let time: civil::Time = text.parse().ok()?;
            Value::Time(calendar::time(civil::Date::ZERO.to_datetime(time), true))
        }
        Format::DateTime => {
            let at: civil::DateTime = text.parse().ok()?;
            Value::DateTime(calendar::date(at), calendar::time(at, true))
        }
        Format::Digits => {
            let padded = format!("{text:0>width$}", width = octets * 2);
            let mut octets = text.bytes().all(|b| b.is_ascii_digit()).then(|| hex(&padded))??;
            octets.reverse();
            Value::Digits(Digits::from_wire(&octets)?)
        }
        Format::Minute | Format::Second => {
            let at: civil::DateTime = text.parse().ok()?;
            Value::DateTime(calendar::date(at), calendar::time(at, format == Format::Second))
        }
        Format::DailyMinute => {
            let time: civil::Time = text.parse().ok()?;
            Value::Time(calendar::time(civil::Date::ZERO.to_datetime(time), false))
        }
        Format::Text | Format::TextAsTyped => Value::Text(Text::new(text)?),
        Format::Bits => Value::Bits(word(text, octets)?),
        Format::Hex => Value::Hex(word(text, octets)?),
        Format::Binary => Value::Number(number(text)?),
        // Given as octets.
        Format::YearlyMinute
        | Format::YearlyDay
        | Format::MonthlyHour
        | Format::Period
        | Format::Zone
        | Format::Holiday
        | Format::Composite => return None,
    })
}

fn wanted(format: Format, octets: usize) -> String {
    match format {
        Format::Number { decimals, signed } => {
            let sign = if signed { "a sign or none and " } else { "no sign and " };
            format!("{sign}at most {} digits, {decimals} of them behind the point", octets * 2)
        }
        Format::Demand { decimals, .. } => {
            format!("a number with {decimals} digits behind the point, e.g. \"1.2345 at 2026-11-20T18:30\"")
        }
        Format::Date => "a day, e.g. \"2026-11-21\"".to_owned(),
        Format::Time => "a time, e.g. \"22:30:15\"".to_owned(),
        Format::DateTime => "day and time, e.g. \"2026-11-21T22:30:15\"".to_owned(),
        Format::Digits => format!("at most {} decimal digits", octets * 2),
        Format::Minute => "day and time, e.g. \"2026-11-21T22:30\"".to_owned(),
        Format::Second => "day and time, e.g. \"2026-11-21T22:30:15\"".to_owned(),
        Format::DailyMinute => "a time, e.g. \"22:30\"".to_owned(),
        Format::Text | Format::TextAsTyped => format!("at most {octets} printable ASCII characters"),
        Format::Bits | Format::Hex => format!("{} hexadecimal digits", octets * 2),
        Format::Binary => "a whole number".to_owned(),
        Format::YearlyMinute
        | Format::YearlyDay
        | Format::MonthlyHour
        | Format::Period
        | Format::Zone
        | Format::Holiday
        | Format::Composite => format!("no text: give its {octets} octets"),
    }
}

/// A word as it is printed, the high byte first.
fn word(text: &str, octets: usize) -> Option<Word> {
    let mut read = hex(text).filter(|read| read.len() == octets)?;
    read.reverse();
    Word::from_wire(&read)
}

/// Octets from pairs of hexadecimal digits, with or without spaces between the pairs.
pub(super) fn hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.bytes().filter(|b| *b != b' ').map(|b| char::from(b).to_digit(16));
    let digits: Vec<u8> = digits.map(|d| d.and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    let whole = digits.len().is_multiple_of(2) && !digits.is_empty() && digits.len() / 2 <= MOST_OCTETS;
    whole.then(|| digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |octet, d| octet << 4 | d)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_pairs_of_hexadecimal_digits() {
        assert_eq!(hex("56 34 92"), Some(vec![0x56, 0x34, 0x92]));
        assert_eq!(hex("ffFF"), Some(vec![0xFF, 0xFF]));
        for text in ["", "F", "0x12", "1 2 3", "GG", "１２"] {
            assert_eq!(hex(text), None, "{text}");
        }
    }

    #[test]
    fn a_text_is_read_in_the_format_of_its_register() {
        let demand = Format::Demand { decimals: 4, signed: false };
        let text = |format, octets, text| parse(format, octets, text).map(|v| v.to_string());
        assert_eq!(
            text(Format::Number { decimals: 2, signed: false }, 4, "999999.99").as_deref(),
            Some("999999.99")
        );
        assert_eq!(text(demand, 8, "12.3456 at 2026-11-20T18:30").as_deref(), Some("12.3456"));
        assert_eq!(text(Format::Date, 4, "2026-11-21").as_deref(), Some("2026-11-21"));
        assert_eq!(text(Format::Time, 3, "22:30:15").as_deref(), Some("22:30:15"));
        assert_eq!(text(Format::DateTime, 7, "2026-11-21T22:30:15").as_deref(), Some("2026-11-21T22:30:15"));
        assert_eq!(text(Format::Digits, 6, "12345678").as_deref(), Some("000012345678"));
        for (format, octets, no) in
            [(demand, 8, "12.3 at noon"), (Format::Digits, 6, "12x"), (Format::Digits, 6, "1234567890123")]
        {
            assert_eq!(parse(format, octets, no), None, "{no}");
        }
    }
}
