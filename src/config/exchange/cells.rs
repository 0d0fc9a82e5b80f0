//! What is written of exchanges, in `[[meter.exchange]]` and in the columns of an archive, and the proof of it.

use super::{Exchange, Joint};
use crate::config::date;
use crate::config::findings::{At, Findings, Here};
use crate::config::keys::METER_EXCHANGE;
use crate::config::plan::{Dialect, Protocol};
use crate::config::point::Digits;
use crate::config::point::cells::parsed;
use crate::config::protocol::Speaks;
use crate::config::raw::Section;
use crate::reading::plausible::is_cumulative;
use jiff::civil::{Date, Time};
use rust_decimal::Decimal;

/// The register of a value that stands alone: 正向有功总.
const USUAL: &str = "active_energy_import";
/// Parts the exchanges of one cell of a spreadsheet.
const EXCHANGES: [char; 2] = [';', '；'];
/// Parts the registers of one cell.
const REGISTERS: char = '|';

/// Columns of an archive that say what `[[meter.exchange]]` says.
pub(in crate::config) const COLUMNS: [&str; 6] = [
    "exchange_date",
    "exchange_address",
    "exchange_asset",
    "exchange_digits",
    "exchange_last",
    "exchange_first",
];

/// The texts of one exchange.
#[derive(Debug, Default)]
pub(in crate::config) struct Cells {
    date: Option<At<String>>,
    address: Option<At<String>>,
    asset: Option<At<String>>,
    digits: Option<At<String>>,
    last: Vec<At<String>>,
    first: Vec<At<String>>,
}

/// Those of the `[[meter.exchange]]` of a meter.
pub(in crate::config) fn from_section(meter: &Section, findings: &mut Findings) -> Vec<Cells> {
    let mut all = Vec::new();
    for section in meter.inner_tables("exchange", &METER_EXCHANGE, findings) {
        let date = section.required("date", "\"2026-11-15\", the day of the exchange", findings);
        let mut text = |key| section.text(key, findings).filter(|text| !text.value.is_empty());
        let (address, asset, digits) = (text("address"), text("asset"), text("digits"));
        let mut several = |key| section.one_or_more(key, findings).map(|all| all.value).unwrap_or_default();
        let (last, first) = (several("last"), several("first"));
        // Without its day a fault is found already.
        if date.is_some() {
            all.push(Cells { date, address, asset, digits, last, first });
        }
    }
    all
}

/// Those of a row of an archive; `cell` gives a filled cell by its key.
pub(in crate::config) fn from_row(
    mut cell: impl FnMut(&'static str) -> Option<At<String>>,
    findings: &mut Findings,
) -> Vec<Cells> {
    let [dates, rest @ ..] = COLUMNS.map(|key| cell(key).map(|cell| parts(&cell, &EXCHANGES)));
    let Some(dates) = dates else {
        if let Some(first) = rest.iter().flatten().flatten().next() {
            findings.fault(
                &first.here,
                "an exchange (换表) is written without its day; fill exchange_date (换表日期), such as 2026-11-15",
            );
        }
        return Vec::new();
    };
    let count = dates.len();
    for (of, key) in rest.iter().zip(COLUMNS.iter().skip(1)) {
        if let Some(first) = of.as_ref().filter(|of| of.len() != count).and_then(|of| of.first()) {
            findings.fault(
                &first.here,
                format!("{key} has as many parts as exchange_date has days, {count}, with ; between them"),
            );
            return Vec::new();
        }
    }
    let mut rest = rest.map(|of| of.unwrap_or_default().into_iter());
    let mut exchanges = Vec::with_capacity(count);
    for date in dates {
        let [address, asset, digits, last, first] =
            rest.each_mut().map(|of| of.next().filter(|text| !text.value.is_empty()));
        let values =
            |cell: Option<At<String>>| cell.map(|cell| parts(&cell, &[REGISTERS])).unwrap_or_default();
        let (last, first) = (values(last), values(first));
        exchanges.push(Cells { date: Some(date), address, asset, digits, last, first });
    }
    exchanges
}

fn parts(cell: &At<String>, by: &[char]) -> Vec<At<String>> {
    let part = |text: &str| At { value: text.trim().to_owned(), here: cell.here.clone() };
    cell.value.split(by).map(part).collect()
}

/// What of a meter its exchanges are proved by.
#[derive(Debug)]
pub(in crate::config) struct Of {
    /// What the meter speaks that hangs there now.
    pub(in crate::config) dialect: Option<Dialect>,
    /// The same, as far as its addresses go.
    pub(in crate::config) speaks: Speaks,
    /// Its address.
    pub(in crate::config) address: Option<Protocol>,
    pub(in crate::config) digits: Option<Digits>,
    pub(in crate::config) installed: Option<Date>,
}

/// Proves those of one meter; `None` after a fault.
pub(in crate::config) fn read(all: &[Cells], of: &Of, findings: &mut Findings) -> Option<Vec<Exchange>> {
    let digits: Vec<Option<Option<Digits>>> =
        all.iter().map(|cells| parsed(cells.digits.as_ref(), "digits", findings)).collect();
    let mut before = None;
    let mut exchanges: Vec<Option<Exchange>> = Vec::with_capacity(all.len());
    for (n, (cells, own)) in all.iter().zip(&digits).enumerate() {
        // The meter that was put up is the one that the next exchange takes down.
        let put_up = digits.get(n + 1).copied().flatten().flatten().or(of.digits);
        let taken_down = own.flatten().or(of.digits);
        let moment = moment_of(cells, before, of.installed, findings);
        before = moment.or(before);
        let is_last = n + 1 == all.len();
        let address = address_of(cells, of.speaks, of.address.filter(|_| is_last), findings);
        let registers = joints(cells, taken_down, put_up, of.dialect, findings);
        let asset = cells.asset.as_ref().map(|text| text.value.trim().to_owned());
        exchanges.push(moment.zip(address).zip(registers).zip(*own).map(
            |((((date, time), address), registers), digits)| Exchange {
                date,
                time,
                address,
                asset,
                digits,
                registers,
            },
        ));
    }
    exchanges.into_iter().collect()
}

/// A day, and the time of it.
type Moment = (Date, Option<Time>);

fn moment_of(
    cells: &Cells,
    before: Option<Moment>,
    installed: Option<Date>,
    findings: &mut Findings,
) -> Option<Moment> {
    let text = cells.date.as_ref()?;
    let (date, time) = match date::moment(&text.value) {
        Ok(moment) => moment,
        Err(bad) => {
            findings
                .fault(&text.here, format!("date \"{}\" of an exchange cannot be used: {bad}", text.value));
            return None;
        }
    };
    if let Some(installed) = installed.filter(|installed| date < *installed) {
        findings.fault(
            &text.here,
            format!(
                "the exchange of {date} is before the point was installed, {installed}; write the right day"
            ),
        );
        return None;
    }
    // On one day, only times tell which was the first.
    let is_behind =
        |(day, of): &Moment| *day < date || (*day == date && of.zip(time).is_some_and(|(a, b)| a < b));
    match before.filter(|before| !is_behind(before)) {
        Some((day, _)) => {
            findings.fault(
                &text.here,
                format!("the exchange of {date} is not behind that of {day}; write them by their dates"),
            );
            None
        }
        None => Some((date, time)),
    }
}

/// The old meter's address with all its digits, or its unit id.
fn address_of(
    cells: &Cells,
    speaks: Speaks,
    current: Option<Protocol>,
    findings: &mut Findings,
) -> Option<Option<String>> {
    let Some(text) = &cells.address else { return Some(None) };
    let old = speaks.at(text, findings)?;
    let address = old.address();
    if current == Some(old) {
        findings.warn(
            &text.here,
            format!("the exchange names {address}, the address of the meter that hangs there now; write the old meter's, if it had another"),
        );
    }
    Some(Some(address))
}

/// A register with its value.
type Value<'a> = (String, Decimal, &'a Here);

fn joints(
    cells: &Cells,
    taken_down: Option<Digits>,
    put_up: Option<Digits>,
    dialect: Option<Dialect>,
    findings: &mut Findings,
) -> Option<Vec<Joint>> {
    let mut of = |texts, key, digits| values(texts, key, digits, dialect, findings);
    let (last, first) = (of(&cells.last, "last", taken_down), of(&cells.first, "first", put_up));
    let (last, mut first) = (last?, first?);
    let mut joints: Vec<Joint> = Vec::with_capacity(last.len());
    for (register, last, here) in last {
        if joints.iter().any(|joint| joint.register == register) {
            findings.fault(here, format!("last has {register} twice; keep one"));
            return None;
        }
        let Some(place) = first.iter().position(|(name, ..)| *name == register) else {
            findings.fault(
                here,
                format!("first has no {register}; write what the new meter showed, such as 0.00"),
            );
            return None;
        };
        let (_, first, _) = first.remove(place);
        joints.push(Joint { register, last, first });
    }
    match first.first() {
        Some((register, _, here)) => {
            findings
                .fault(here, format!("last has no {register}; write what the old meter showed at the end"));
            None
        }
        None => Some(joints),
    }
}

/// All of them, or `None` after a fault; each fault is said.
fn values<'a>(
    texts: &'a [At<String>],
    key: &str,
    digits: Option<Digits>,
    dialect: Option<Dialect>,
    findings: &mut Findings,
) -> Option<Vec<Value<'a>>> {
    let read: Vec<_> = texts.iter().map(|text| value(text, key, digits, dialect, findings)).collect();
    read.into_iter().collect()
}

/// `12345.67`, or `active_energy_export=12.30`.
fn value<'a>(
    text: &'a At<String>,
    key: &str,
    digits: Option<Digits>,
    dialect: Option<Dialect>,
    findings: &mut Findings,
) -> Option<Value<'a>> {
    let (register, number) = text.value.split_once('=').unwrap_or((USUAL, &text.value));
    let (register, number) = (register.trim(), number.trim());
    let Ok(parsed) = Decimal::from_str_exact(number) else {
        findings.fault(
            &text.here,
            format!(
                "{key} \"{}\" cannot be used: write a value, such as 12345.67, or active_energy_export=12.30",
                text.value
            ),
        );
        return None;
    };
    let range = digits.filter(|digits| !digits.can_show(parsed));
    if range.is_some() || parsed.is_sign_negative() {
        let shows = range.map_or("no value below 0".to_owned(), |digits| format!("{digits} digits"));
        findings.fault(
            &text.here,
            format!("{key} {number} is not what a register with {shows} shows; write what was read off"),
        );
        return None;
    }
    let known = match dialect {
        None => return Some((register.to_owned(), parsed, &text.here)),
        Some(dialect) => dialect.catalogue().find(register, 4),
    };
    match known.as_deref() {
        Ok([one]) if is_cumulative(one) => Some((one.name().to_string(), parsed, &text.here)),
        Ok(_) => {
            findings.fault(
                &text.here,
                format!("{key}: {register} is no energy that only counts up, such as {USUAL}"),
            );
            None
        }
        Err(unknown) => {
            findings.fault(&text.here, format!("{key}: {unknown}"));
            None
        }
    }
}
