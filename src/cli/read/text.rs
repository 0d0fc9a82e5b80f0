//! What was read of a meter, as text and as JSON.

use super::{One, records};
use crate::mqtt::payload::{self, RegisterJson};
use crate::reading::{Decoded, Failure};
use jiff::tz::TimeZone;
use unicode_width::UnicodeWidthStr;

pub(super) fn json_lines(one: &One, zone: &TimeZone) -> String {
    let address = one.address.as_str();
    let readings = one.decoded.readings.iter().map(|reading| payload::reading_line(address, reading, zone));
    let failures = one.decoded.failures.iter().map(|failure| payload::failure_line(address, failure));
    let records = records(one).map(|record| record.line(address));
    readings.chain(records).chain(failures).map(|line| format!("{line}\n")).collect()
}

/// A load record, or why there is none.
pub(super) fn shown_record(came: records::Came, address: &str, json: bool) -> String {
    match came {
        records::Came::Record(record) if json => {
            format!("{}\n", record.line(address))
        }
        records::Came::Record(record) => {
            let mut text = String::new();
            crate::cli::decode::explain_register(&record, 2, &mut text);
            text
        }
        records::Came::Failed(failure) if json => {
            format!("{}\n", payload::failure_line(address, &failure))
        }
        records::Came::Failed(failure) => {
            failure_line(&failure).into_iter().map(|line| format!("{line}\n")).collect()
        }
    }
}

/// The records with their fields.
fn records(one: &One) -> impl Iterator<Item = RegisterJson> + '_ {
    one.records
        .iter()
        .flat_map(|(register, octets)| RegisterJson::of_reply(one.dialect.catalogue(), register.id(), octets))
}

pub(super) fn text_lines(one: &One) -> String {
    let mut text = format!("{}\n", one.address);
    for (reading, value) in one.decoded.readings.iter().filter_map(|r| Some((r, r.value()?))) {
        let unit = reading.register.unit().map_or("", catalogue::Unit::text);
        let at = value.at().map(|(date, time)| format!("at {date}T{time}")).unwrap_or_default();
        let line =
            format!("  {:<34} {:>14} {unit:<6} {at}", reading.register.name().to_string(), value.to_string());
        text.push_str(&format!("{}\n", line.trim_end()));
        if let Some(why) = &reading.why {
            let lines = wrapped("    ", &format!("{}: {why}", reading.quality.word()));
            text.extend(lines.into_iter().map(|line| format!("{line}\n")));
        }
    }
    for record in records(one) {
        crate::cli::decode::explain_register(&record, 2, &mut text);
    }
    text.extend(failure_lines(&one.decoded).into_iter().map(|line| format!("{line}\n")));
    text
}

/// A register a line; once for all of them where one reason kept the meter from saying anything.
fn failure_lines(decoded: &Decoded) -> Vec<String> {
    let failures = &decoded.failures;
    let alike = |a: &Failure, b: &Failure| a.reason == b.reason && a.detail == b.detail && b.raw.is_none();
    match failures.first() {
        Some(first)
            if decoded.readings.is_empty()
                && failures.len() > 1
                && failures.iter().all(|f| alike(first, f)) =>
        {
            wrapped("  ", &format!("{}: {}", first.reason, first.detail))
        }
        Some(_) | None => failures.iter().flat_map(failure_line).collect(),
    }
}

/// The detail stands on a line of its own where it would not fit a terminal of 80 columns.
fn failure_line(failure: &Failure) -> Vec<String> {
    let mut detail = failure.detail.clone();
    if let Some(raw) = &failure.raw {
        detail = format!("{detail} (raw {})", crate::cli::trace::hex(raw));
    }
    let name = failure.register.name().to_string();
    let mut lines = vec![format!("  {name:<34} {:>14}", failure.reason.word())];
    match lines.first_mut().filter(|line| line.width() + 1 + detail.width() <= COLUMNS) {
        Some(line) => *line += &format!(" {detail}"),
        None => lines.extend(wrapped("    ", &detail)),
    }
    lines
}

/// A terminal's columns.
const COLUMNS: usize = 80;

/// The words in lines that fit a terminal, as far as the words do.
fn wrapped(indent: &str, text: &str) -> Vec<String> {
    let mut lines = vec![indent.to_owned()];
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.width() == indent.len() => line.push_str(word),
            Some(line) if line.width() + 1 + word.width() <= COLUMNS => *line += &format!(" {word}"),
            Some(_) | None => lines.push(format!("{indent}{word}")),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_detail_is_wrapped_and_loses_no_word() {
        let text =
            "port_gone: /dev/ttyUSB0 cannot be opened: No such file or directory (os error 2) (is it there?)";
        let lines = wrapped("  ", text);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|line| line.width() <= COLUMNS && line.starts_with("  ")), "{lines:?}");
        assert_eq!(lines.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" "), text);
        assert_eq!(wrapped("  ", "short"), ["  short"]);
    }
}
