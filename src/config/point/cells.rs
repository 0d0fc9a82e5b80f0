//! The texts of what the archive says of a point, and the proof of them.

use super::{Class, InUse, Metering, Phase, Point};
use crate::config::date::date;
use crate::config::exchange::cells as exchange;
use crate::config::findings::{At, Findings};
use crate::config::keys::not_among;
use crate::config::plan::{Dialect, Protocol};
use crate::config::protocol::Speaks;
use jiff::civil::Date;
use std::fmt::Display;
use std::str::FromStr;

/// Keys of one text; `tariffs` is a list, and exchanges are tables.
const TEXTS: [&str; 18] = [
    "customer",
    "customer_name",
    "area",
    "class",
    "asset",
    "measuring_point",
    "digits",
    "phase",
    "state",
    "total_meter",
    "metering",
    "capacity",
    "installed",
    "state_since",
    "state_until",
    "tariff_count",
    "major_class",
    "minor_class",
];
/// Those of [`TEXTS`] that are whole numbers, without quotes in `meterd.toml`.
const NUMBERS: [&str; 3] = ["tariff_count", "major_class", "minor_class"];
/// Tariffs of DL/T 645-2007 (appendix A: rates 1 to 63).
const TARIFFS: u8 = 63;
/// Kinds of customers of the head-end: four bits each.
const CLASSES: u8 = 15;
/// Characters of one text.
const LONGEST: usize = 128;

/// The texts of one meter point, wherever it is written.
#[derive(Debug, Default)]
pub(in crate::config) struct Cells {
    texts: [Option<At<String>>; TEXTS.len()],
    tariffs: Option<At<Vec<At<String>>>>,
    exchanges: Vec<exchange::Cells>,
}

impl Cells {
    /// Each text by its key, and whether it is a number; an empty one is not written.
    pub(in crate::config) fn of(
        mut text: impl FnMut(&'static str, bool) -> Option<At<String>>,
        tariffs: Option<At<Vec<At<String>>>>,
        exchanges: Vec<exchange::Cells>,
    ) -> Self {
        let filled = |key| text(key, NUMBERS.contains(&key)).filter(|text| !text.value.is_empty());
        Self { texts: TEXTS.map(filled), tariffs, exchanges }
    }

    /// The labels of one cell of a spreadsheet, parted by `|`.
    pub(in crate::config) fn labels(cell: At<String>) -> At<Vec<At<String>>> {
        let At { value, here } = cell;
        let each = value.split('|').map(|label| At { value: label.trim().to_owned(), here: here.clone() });
        At { value: each.collect(), here }
    }

    /// The total meter above, as it is written.
    pub(in crate::config) const fn total_meter(&self) -> Option<&At<String>> {
        let [_, _, _, _, _, _, _, _, _, above, ..] = &self.texts;
        above.as_ref()
    }
}

/// Proves them; `None` after a fault. `dialect` and address are those of the meter that hangs there now.
pub(in crate::config) fn read(
    cells: &Cells,
    dialect: Option<Dialect>,
    (speaks, address): (Speaks, Option<Protocol>),
    findings: &mut Findings,
) -> Option<Point> {
    let Cells { texts, tariffs, exchanges } = cells;
    let [
        customer,
        customer_name,
        area,
        class,
        asset,
        measuring_point,
        digits,
        phase,
        state,
        total_meter,
        metering,
        capacity,
        installed,
        state_since,
        state_until,
        tariff_count,
        major_class,
        minor_class,
    ] = texts.each_ref().map(Option::as_ref);
    let found = &mut *findings;
    let customer = numbered(customer, "customer", found);
    let customer_name = plain(customer_name, "customer_name", found);
    let area = plain(area, "area", found);
    let class = word(class, "class", Class::ALL, (Class::read, Class::word, Class::word_zh), found);
    let asset = numbered(asset, "asset", found);
    let measuring_point = numbered(measuring_point, "measuring_point", found);
    let digits = parsed(digits, "digits", found);
    let phase = word(phase, "phase", Phase::ALL, (Phase::read, Phase::word, Phase::word_zh), found);
    let in_use = word(state, "state", InUse::ALL, (InUse::read, InUse::word, InUse::word_zh), found);
    let total_meter = plain(total_meter, "total_meter", found);
    let words =
        (Metering::read as fn(&str) -> _, Metering::word as fn(_) -> _, Metering::word_zh as fn(_) -> _);
    let metering = word(metering, "metering", Metering::ALL, words, found);
    let capacity = parsed(capacity, "capacity", found);
    let installed = day(installed, "installed", found);
    let since = day(state_since, "state_since", found);
    let until = day(state_until, "state_until", found);
    let tariff_count = whole(tariff_count, "tariff_count", (1, TARIFFS), found);
    let major_class = whole(major_class, "major_class", (0, CLASSES), found);
    let minor_class = whole(minor_class, "minor_class", (0, CLASSES), found);
    let labels = tariffs_of(tariffs.as_ref(), found);
    if let (Some(labels), Some(Some(count)), Some(here)) = (&labels, tariff_count, tariffs)
        && labels.len() != usize::from(count)
    {
        let labels = labels.len();
        found.fault(
            &here.here,
            format!("tariffs has {labels} labels and tariff_count says {count}; write a label for each"),
        );
    }
    let (digits_of, installed_on) = (digits.flatten(), installed.flatten());
    let of = exchange::Of { dialect, speaks, address, digits: digits_of, installed: installed_on };
    let exchanges = exchange::read(exchanges, &of, found);
    let (in_use, since, until) = (in_use?, since?, until?);
    prove_state(in_use, (state_since, since), (state_until, until), found)?;
    Some(Point {
        exchanges: exchanges?,
        customer: customer?,
        customer_name: customer_name?,
        area: area?,
        total_meter: total_meter?,
        class: class?,
        major_class: major_class?,
        minor_class: minor_class?,
        asset: asset?,
        measuring_point: measuring_point?,
        metering: metering?,
        capacity: capacity?,
        digits: digits?,
        phase: phase?,
        installed: installed?,
        state: in_use,
        state_since: since,
        state_until: until,
        tariff_count: tariff_count?,
        tariffs: labels?,
    })
}

/// A text with the date that it says.
type Day<'a> = (Option<&'a At<String>>, Option<Date>);

/// `None` after a fault.
fn prove_state(state: Option<InUse>, since: Day<'_>, until: Day<'_>, findings: &mut Findings) -> Option<()> {
    let text = until.0.or(since.0);
    let fault = match (state, since.1, until.1) {
        (_, None, None) => return Some(()),
        (None, ..) => {
            "state_since and state_until say when a state holds; write state (运行状态) too".to_owned()
        }
        (Some(state @ (InUse::Removed | InUse::Closed)), _, Some(_)) => format!(
            "state \"{}\" has no end; leave state_until out, or write \"suspended\" (暂停) or \"dismantled\" (暂拆)",
            state.word()
        ),
        (Some(_), Some(since), Some(until)) if until < since => {
            format!("state_until {until} is before state_since {since}; write the last day of the state")
        }
        (Some(_), ..) => return Some(()),
    };
    findings.fault(&text?.here, fault);
    None
}

/// `None` after a fault; `Some(None)` if nothing is written. So all below.
fn plain(text: Option<&At<String>>, key: &str, findings: &mut Findings) -> Option<Option<String>> {
    let Some(text) = text else { return Some(None) };
    sound(text, key, findings).then(|| Some(text.value.clone()))
}

fn sound(text: &At<String>, key: &str, findings: &mut Findings) -> bool {
    let value = &text.value;
    let count = value.chars().count();
    let fault = if value.chars().any(char::is_control) {
        format!("{key} has a control character; leave it out")
    } else if value.trim() != value {
        format!("{key} \"{value}\" has a space at its end; write \"{}\"", value.trim())
    } else if count > LONGEST {
        format!("{key} has {count} characters; {LONGEST} are the most")
    } else {
        return true;
    };
    findings.fault(&text.here, fault);
    false
}

/// A word by its text, its own text, and that of the trade.
type Words<T> = (fn(&str) -> Option<T>, fn(T) -> &'static str, fn(T) -> &'static str);

fn word<T: Copy>(
    text: Option<&At<String>>,
    key: &str,
    all: &[T],
    (read, own, trade): Words<T>,
    findings: &mut Findings,
) -> Option<Option<T>> {
    let Some(text) = text else { return Some(None) };
    let found = read(&text.value);
    if found.is_none() {
        // Who writes Chinese is answered so.
        let shown = if text.value.is_ascii() { own } else { trade };
        let known: Vec<&str> = all.iter().map(|one| shown(*one)).collect();
        findings.fault(&text.here, not_among(key, &text.value, &known));
    }
    found.map(Some)
}

/// A number that is no quantity; a spreadsheet takes it for one.
fn numbered(text: Option<&At<String>>, key: &str, findings: &mut Findings) -> Option<Option<String>> {
    match text.filter(|text| is_rounded(&text.value)) {
        Some(text) => {
            findings.fault(&text.here, format!("{key} \"{}\" {ROUNDED}", text.value));
            None
        }
        None => plain(text, key, findings),
    }
}

/// What to do about [`is_rounded`].
pub(in crate::config) const ROUNDED: &str = "was turned into a number by a spreadsheet and has lost digits; format the column as text (文本) and type it again";

/// Whether a spreadsheet made a number of it: `1.23457E+11`.
pub(in crate::config) fn is_rounded(text: &str) -> bool {
    text.split_once(['e', 'E']).is_some_and(|(number, power)| {
        let power = power.strip_prefix('+').unwrap_or(power);
        !number.is_empty()
            && number.bytes().all(|c| c.is_ascii_digit() || c == b'.')
            && !power.is_empty()
            && power.bytes().all(|c| c.is_ascii_digit())
    })
}

pub(in crate::config) fn parsed<T: FromStr<Err: Display>>(
    text: Option<&At<String>>,
    key: &str,
    findings: &mut Findings,
) -> Option<Option<T>> {
    let Some(text) = text else { return Some(None) };
    match text.value.parse() {
        Ok(value) => Some(Some(value)),
        Err(bad) => {
            findings.fault(&text.here, format!("{key} \"{}\" cannot be used: {bad}", text.value));
            None
        }
    }
}

fn day(text: Option<&At<String>>, key: &str, findings: &mut Findings) -> Option<Option<Date>> {
    let Some(text) = text else { return Some(None) };
    match date(&text.value) {
        Ok(date) => Some(Some(date)),
        Err(bad) => {
            findings.fault(&text.here, format!("{key} \"{}\" cannot be used: {bad}", text.value));
            None
        }
    }
}

fn whole(
    text: Option<&At<String>>,
    key: &str,
    (least, most): (u8, u8),
    findings: &mut Findings,
) -> Option<Option<u8>> {
    let Some(text) = text else { return Some(None) };
    let number = text.value.parse().ok().filter(|number| (least..=most).contains(number));
    if number.is_none() {
        let value = &text.value;
        findings.fault(
            &text.here,
            format!("{key} \"{value}\" cannot be used: write a whole number from {least} to {most}"),
        );
    }
    number.map(Some)
}

fn tariffs_of(tariffs: Option<&At<Vec<At<String>>>>, findings: &mut Findings) -> Option<Vec<String>> {
    let Some(At { value: labels, here }) = tariffs else { return Some(Vec::new()) };
    if labels.len() > usize::from(TARIFFS) {
        let count = labels.len();
        findings.fault(here, format!("tariffs has {count} labels; a meter has {TARIFFS} tariffs at most"));
        return None;
    }
    let mut all = Vec::with_capacity(labels.len());
    for label in labels {
        if label.value.is_empty() || label.value.contains('|') {
            let fault = "tariffs has a label that is empty or holds |; name each tariff, such as \"峰\"";
            findings.fault(&label.here, fault);
        } else if sound(label, "tariffs", findings) {
            all.push(label.value.clone());
        }
    }
    (all.len() == labels.len()).then_some(all)
}

#[cfg(test)]
mod tests {
    use super::is_rounded;

    #[test]
    fn a_number_that_a_spreadsheet_rounded_is_known_and_a_name_with_an_e_is_none() {
        assert!(["1.23457E+11", "3E+09", "1E5", "1.0e+21"].into_iter().all(is_rounded));
        assert!(!["E12", "3100201", "A12E4", "12E", "1.5", ""].into_iter().any(is_rounded));
    }
}
