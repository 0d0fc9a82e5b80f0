//! `[store]`: how long a reading may be in memory only, and how much and how long is kept on disk.

use super::every::{BadSpan, span};
use super::findings::{At, Findings};
use super::plan::Store;
use super::raw::Section;
use std::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// A bound by the size of the file system.
const AUTO: &str = "auto";
const UNITS: [(&str, u64); 3] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];

/// Reads the table; all of it may be left out.
pub(super) fn read(section: Option<&Section>, findings: &mut Findings) -> Option<Store> {
    let usual = Store::default();
    let mut time = |key, default, least, most| match section.and_then(|s| s.text(key, findings)) {
        Some(text) => between(key, &text, least, most, findings),
        None => Some(default),
    };
    let exposure = time("exposure", usual.exposure, Duration::from_millis(10), Duration::from_secs(60));
    let max_age = time("max_age", usual.max_age, Duration::from_secs(3600), 3660 * DAY);
    let keep = time("keep", usual.keep, Duration::ZERO, 366 * DAY);
    let max_bytes = match section.and_then(|s| s.text("max_bytes", findings)) {
        Some(text) if text.value != AUTO => Some(bytes(&text, findings)?),
        Some(_) | None => None,
    };
    Some(Store { exposure: exposure?, max_bytes, max_age: max_age?, keep: keep? })
}

/// A span of time within bounds.
pub(super) fn between(
    key: &str,
    text: &At<String>,
    least: Duration,
    most: Duration,
    findings: &mut Findings,
) -> Option<Duration> {
    let wrong = match span(&text.value) {
        Ok(time) if (least..=most).contains(&time) => return Some(time),
        Ok(_) => format!("{key} \"{}\" is out of range; write {} to {}", text.value, word(least), word(most)),
        Err(BadSpan) => format!("{key} \"{}\" is no time: {BadSpan}", text.value),
    };
    findings.fault(&text.here, wrong);
    None
}

/// The bounds, as they are written.
fn word(time: Duration) -> String {
    match (time.as_millis(), time.as_secs()) {
        (0, _) => "0s".to_owned(),
        (ms, 0) => format!("{ms}ms"),
        (_, s) if s % 86_400 == 0 => format!("{}d", s / 86_400),
        (_, s) if s % 3600 == 0 => format!("{}h", s / 3600),
        (_, s) => format!("{s}s"),
    }
}

fn bytes(text: &At<String>, findings: &mut Findings) -> Option<u64> {
    let found = UNITS.iter().find_map(|(unit, size)| {
        let digits = text
            .value
            .strip_suffix(unit)
            .filter(|d| !d.is_empty() && d.bytes().all(|b| b.is_ascii_digit()))?;
        digits.parse::<u64>().ok()?.checked_mul(*size)
    });
    let least = Store::LEAST_BYTES >> 20;
    let wrong = match found {
        Some(bytes) if bytes >= Store::LEAST_BYTES => return Some(bytes),
        Some(_) => format!("max_bytes \"{}\" is too small; write {least}MiB or more", text.value),
        None => format!(
            "max_bytes \"{}\" is no size; write a whole number and KiB, MiB or GiB, e.g. 64MiB, or \"auto\"",
            text.value
        ),
    };
    findings.fault(&text.here, wrong);
    None
}
