//! What a scenario says about a meter's memory: freezes, load records, nights without power.

use super::super::freeze::Refreeze;
use super::super::memory::Memory;
use super::super::profile::{CLASSES, Intervals};
use super::table::{self, Reader, Section};
use jiff::SignedDuration;
use jiff::civil::{self, DateTime};
use toml::Spanned;
use toml::de::DeValue;

/// A clock that is further off is one that was never set.
const MOST_OFF: SignedDuration = SignedDuration::from_hours(24 * 366 * 30);
/// A clock that drifts more runs down, or does not run.
const MOST_DRIFT: SignedDuration = SignedDuration::from_mins(10);
/// 04000A0n has four digits; a day is the longest that a meter offers.
const LONGEST_INTERVAL: u16 = 1440;

/// Reads `clock_offset`.
pub(super) fn clock_offset(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<SignedDuration> {
    let want = "how far the meter's clock is fast, e.g. \"+90s\", or slow, e.g. \"-5m\"";
    section.get(reader, "clock_offset", want, |value| {
        value.as_str()?.parse().ok().filter(|off: &SignedDuration| off.abs() <= MOST_OFF)
    })
}

/// Reads `clock_drift`.
pub(super) fn clock_drift(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Option<SignedDuration> {
    let want = "how much faster the meter's clock gets in a day, e.g. \"+500ms\", or slower, e.g. \"-2s\"";
    section.get(reader, "clock_drift", want, |value| {
        value.as_str()?.parse().ok().filter(|drift: &SignedDuration| drift.abs() <= MOST_DRIFT)
    })
}

/// Reads the keys of a meter's memory; what a key does not say is as from the works.
pub(super) fn read(reader: &mut Reader<'_>, section: &mut Section<'_>) -> Memory {
    let works = Memory::default();
    let want = "true, false for a meter without it, or its time of day, e.g. \"00:00\"";
    let daily_freeze = section.get(reader, "daily_freeze", want, |value| match table::truth(value) {
        Some(true) => Some(works.daily_freeze),
        Some(false) => Some(None),
        None => minute(value.as_str()?).map(Some),
    });
    let want = "true, or false for a meter without it";
    let hourly_freeze = section.get(reader, "hourly_freeze", want, table::truth);
    let want = "an interval from 1m to 24h, e.g. \"15m\", false for a meter without them, or a list with six of these for classes 1 to 6";
    let load_records = section.get(reader, "load_record", want, intervals);
    let want = "\"each\", \"once\" or \"none\"";
    let refreeze = section.get(reader, "refreeze", want, |value| match value.as_str()? {
        "each" => Some(Refreeze::Each),
        "once" => Some(Refreeze::Once),
        "none" => Some(Refreeze::None),
        _ => None,
    });
    let power_cuts = power_cuts(reader, section);
    Memory {
        daily_freeze: daily_freeze.unwrap_or(works.daily_freeze),
        hourly_freeze: hourly_freeze.unwrap_or(works.hourly_freeze),
        load_records: load_records.unwrap_or(works.load_records),
        refreeze: refreeze.unwrap_or(works.refreeze),
        power_cuts: power_cuts.unwrap_or(works.power_cuts),
    }
}

/// Reads `power_cuts`.
pub(super) fn power_cuts(
    reader: &mut Reader<'_>,
    section: &mut Section<'_>,
) -> Option<Vec<(DateTime, DateTime)>> {
    let want = "true local times from and to, each cut after the one before it, e.g. [[\"2026-11-20T23:30\", \"2026-11-21T02:00\"]]";
    section.get(reader, "power_cuts", want, cuts)
}

/// `hh:mm`.
fn minute(text: &str) -> Option<civil::Time> {
    text.parse().ok().filter(|time: &civil::Time| text.len() == 5 && time.second() == 0)
}

fn intervals(value: &DeValue<'_>) -> Option<Intervals> {
    let Some(array) = value.as_array() else { return Some(Intervals([interval(value)?; CLASSES])) };
    let each: Option<Vec<_>> = array.iter().map(|one| interval(one.get_ref())).collect();
    each?.try_into().ok().map(Intervals)
}

/// Whole minutes; `Some(None)` for false.
fn interval(value: &DeValue<'_>) -> Option<Option<u16>> {
    if table::truth(value) == Some(false) {
        return Some(None);
    }
    let interval: SignedDuration = value.as_str()?.parse().ok()?;
    let whole = interval.as_secs() % 60 == 0 && interval.subsec_nanos() == 0;
    let minutes = u16::try_from(interval.as_secs() / 60).ok().filter(|_| whole)?;
    (1..=LONGEST_INTERVAL).contains(&minutes).then_some(Some(minutes))
}

fn cuts(value: &DeValue<'_>) -> Option<Vec<(DateTime, DateTime)>> {
    let time = |one: &Spanned<DeValue<'_>>| -> Option<DateTime> {
        let value = one.get_ref();
        let text = value.as_str().map(str::to_owned);
        let text = text.or_else(|| value.as_datetime().map(ToString::to_string))?;
        // A day alone is midnight to jiff and a slip here.
        text.parse().ok().filter(|_| text.contains(['T', ' ']) && !text.ends_with('Z'))
    };
    let mut all = Vec::new();
    for pair in value.as_array()?.iter() {
        let [from, to] = pair.get_ref().as_array()?.iter().map(time).collect::<Option<Vec<_>>>()?[..] else {
            return None;
        };
        let before = all.last().map(|(_, to): &(DateTime, DateTime)| *to);
        if from >= to || before.is_some_and(|before| from < before) {
            return None;
        }
        all.push((from, to));
    }
    Some(all)
}

#[cfg(test)]
mod tests {
    use super::super::Scenario;
    use super::*;
    use jiff::civil::date;

    fn parse(keys: &str) -> Result<(Memory, SignedDuration), String> {
        let text = format!("[[meter]]\naddress = \"1\"\n{keys}\n");
        let scenario = Scenario::parse("s.toml", &text).map_err(|faults| faults.to_string())?;
        let meter = scenario.meters.into_iter().next().unwrap();
        Ok((meter.memory, meter.clock_offset))
    }

    #[test]
    fn a_memory_is_as_from_the_works_or_as_it_is_said() {
        assert_eq!(parse("").unwrap(), (Memory::default(), SignedDuration::ZERO));
        let (memory, off) = parse(
            "daily_freeze = \"01:30\"\nhourly_freeze = false\nclock_offset = \"-1h 30s\"\nrefreeze = \"once\"\n\
             load_record = [\"15m\", false, false, \"1h\", false, false]\n\
             power_cuts = [[\"2026-11-20T23:30\", \"2026-11-21T02:00\"], [2026-11-22T00:00:00, 2026-11-22T00:00:30]]",
        )
        .unwrap();
        let night = (date(2026, 11, 20).at(23, 30, 0, 0), date(2026, 11, 21).at(2, 0, 0, 0));
        let moment = (date(2026, 11, 22).at(0, 0, 0, 0), date(2026, 11, 22).at(0, 0, 30, 0));
        assert_eq!(off, SignedDuration::from_secs(-3630));
        let expected = Memory {
            daily_freeze: Some(civil::time(1, 30, 0, 0)),
            hourly_freeze: false,
            load_records: Intervals([Some(15), None, None, Some(60), None, None]),
            refreeze: Refreeze::Once,
            power_cuts: vec![night, moment],
        };
        assert_eq!(memory, expected);
        let (memory, _) =
            parse("daily_freeze = false\nload_record = false\nclock_offset = \"+90s\"").unwrap();
        assert_eq!((memory.daily_freeze, memory.load_records), (None, Intervals::NONE));
    }

    #[test]
    fn every_fault_of_a_memory_is_told_at_once() {
        let faults = parse(
            "daily_freeze = \"24:00\"\nhourly_freeze = 1\nload_record = \"90s\"\nclock_offset = \"90\"\nclock_drift = \"1h\"\n\
             refreeze = \"twice\"\npower_cuts = [[\"2026-11-21T02:00\", \"2026-11-20T23:30\"]]",
        )
        .unwrap_err();
        let keys = [
            "daily_freeze",
            "hourly_freeze",
            "load_record",
            "clock_offset",
            "clock_drift",
            "refreeze",
            "power_cuts",
        ];
        assert_eq!(faults.lines().count(), keys.len(), "{faults}");
        for (key, (line, fault)) in keys.iter().zip((3..).zip(faults.lines())) {
            assert!(fault.starts_with(&format!("s.toml:{line}:")) && fault.contains(": write "), "{fault}");
            assert!(fault.contains(&format!("[[meter]] {key} = ")), "{fault}");
        }
        for bad in [
            "load_record = \"25h\"",
            "load_record = [\"15m\"]",
            "load_record = true",
            "daily_freeze = \"00:00:01\"",
            "power_cuts = [[\"2026-11-20\", \"2026-11-21\"]]",
            "power_cuts = [[\"2026-11-20T00:00\"]]",
            "power_cuts = [[\"2026-11-20T00:00\", \"2026-11-20T02:00\"], [\"2026-11-20T01:00\", \"2026-11-20T03:00\"]]",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
