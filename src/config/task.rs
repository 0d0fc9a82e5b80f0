//! `[[task]]`: what is read when.

use super::findings::{At, Findings, Here};
use super::keys::{did_you_mean, nearest, not_among};
use super::meter;
use super::pattern;
use super::plan::{Dialect, Meter, Read, Registers, Task};
use super::profile;
use super::quiet::{Settlements, quiet};
use super::raw::{self, Section};
use super::registers::Resolve;
use super::when::{self, MonthDay, OnDay, When};
use crate::event::Broadcast;
use catalogue::Standard;
use dlt645::Edition;
use jiff::civil::{Date, Time};
use std::collections::{BTreeSet, HashMap};

/// Days that are fetched later by itself, and those that a meter keeps at most (05 06: 62 freezes).
const BACKFILL: u8 = 3;
const MOST_DAYS: i64 = 62;

/// Reads all tasks; those that are not sound are left out.
pub(super) fn read(
    sections: &[Section],
    meters: &[meter::Written],
    resolve: Resolve<'_>,
    findings: &mut Findings,
) -> Vec<Task> {
    let mut names: HashMap<String, Here> = HashMap::new();
    let mut tasks = Vec::with_capacity(sections.len());
    for section in sections {
        let name = section.required("name", "\"live\"", findings);
        if let Some(name) = &name {
            match names.get(&name.value) {
                Some(first) => {
                    let cited = findings.cite(first, &name.here);
                    findings.fault(
                        &name.here,
                        format!("name \"{}\" is taken by the task at {cited}", name.value),
                    );
                }
                None => drop(names.insert(name.value.clone(), name.here.clone())),
            }
        }
        let name = name.and_then(|text| raw::name(&text, "name", findings));
        let when = when::read(section, findings);
        let read = read_of(section, when.as_ref(), findings);
        let timing = timing(section, read, findings);
        let broadcast = broadcast(section, read, when.as_ref(), findings);
        let chosen = meters_of(section, meters, findings)
            .and_then(|chosen| able(section, read, chosen, meters, findings));
        let spoken = Spoken::by(meters, chosen.as_deref());
        let registers = registers(section, read, &spoken, resolve, findings);
        let sound = name.zip(when).zip(read.zip(timing).zip(broadcast)).zip(registers.zip(chosen));
        tasks.extend(sound.map(|(((name, when), ((read, timing), broadcast)), (registers, meters))| {
            let Timing { priority, window, backfill } = timing;
            Task { name, when, read, priority, window, backfill, broadcast, registers, meters }
        }));
    }
    tasks
}

/// What is read, where it goes together with when.
fn read_of(section: &Section, when: Option<&When>, findings: &mut Findings) -> Option<Read> {
    let text = match section.text("read", findings) {
        Some(text) => text,
        None if section.has("read") => return None,
        None => return Some(Read::Live),
    };
    let Some(read) = Read::ALL.into_iter().find(|read| read.word() == text.value) else {
        findings.fault(&text.here, not_among("read", &text.value, &Read::ALL.map(Read::word)));
        return None;
    };
    let (fits, remedy) = match (read, when) {
        (_, None) => (true, ""),
        (Read::DailyFreeze, Some(When::Every(_))) => (false, "write daily = \"00:05\" in place of every"),
        (Read::Month, Some(When::Every(_) | When::Daily(_))) => (false, "write monthly = \"1 00:05\""),
        (Read::LoadProfile, Some(When::Daily(_) | When::Monthly(_))) => {
            (false, "write every, the interval of the records, e.g. every = \"1h\"")
        }
        (Read::LoadProfile, Some(When::Every(every))) => {
            (every.as_secs().is_multiple_of(60), "write an interval of whole minutes, e.g. every = \"15m\"")
        }
        (_, Some(_)) => (true, ""),
    };
    if !fits {
        findings.fault(
            &text.here,
            format!("read \"{}\" does not go with when the task runs; {remedy}", text.value),
        );
    }
    fits.then_some(read)
}

/// Keys that say how a task goes among others.
struct Timing {
    priority: u8,
    window: Option<(Time, Time)>,
    backfill: u8,
}

fn timing(section: &Section, read: Option<Read>, findings: &mut Findings) -> Option<Timing> {
    let mut number = |key: &str, most: i64, usual: u8| {
        if !section.has(key) {
            return Some(usual);
        }
        let number = section.integer(key, findings)?;
        let sound = u8::try_from(number.value).ok().filter(|n| (1..=most).contains(&i64::from(*n)));
        if sound.is_none() {
            findings.fault(&number.here, format!("{key} {} must be 1 to {most}", number.value));
        }
        sound
    };
    let priority = number("priority", 9, 5);
    let backfill = number("backfill", MOST_DAYS, BACKFILL);
    if let Some(read) = read.filter(|read| section.has("backfill") && !read.is_kept()) {
        let here = section.here("backfill");
        findings.fault(
            &here,
            format!("read \"{}\" is of the instant and kept nowhere; leave backfill out", read.word()),
        );
        return None;
    }
    let window = when::window(section, findings);
    Some(Timing { priority: priority?, window: window?, backfill: backfill? })
}

/// What `broadcast` may be, and what is read where it is.
const BROADCASTS: [(&str, Broadcast, &[Read]); 2] = [
    ("time", Broadcast::Time, &[Read::Clock]),
    ("freeze", Broadcast::Freeze, &[Read::DailyFreeze, Read::Month]),
];
/// What it is where nothing goes out.
const OFF: &str = "off";

/// Reads `broadcast`; `Some(None)` where nothing goes out.
fn broadcast(
    section: &Section,
    read: Option<Read>,
    when: Option<&When>,
    findings: &mut Findings,
) -> Option<Option<Broadcast>> {
    let text = match section.text("broadcast", findings) {
        Some(text) if text.value == OFF => return Some(None),
        Some(text) => text,
        None if section.has("broadcast") => return None,
        None => return Some(None),
    };
    let Some((word, what, reads)) = BROADCASTS.into_iter().find(|(word, ..)| *word == text.value) else {
        findings.fault(&text.here, not_among("broadcast", &text.value, &["off", "time", "freeze"]));
        return None;
    };
    if let Some(read) = read.filter(|read| !reads.contains(read)) {
        let own: Vec<String> = reads.iter().map(|read| format!("read = \"{}\"", read.word())).collect();
        let (own, read) = (own.join(" or "), read.word());
        findings.fault(&text.here, format!("broadcast \"{word}\" goes with {own}, not with \"{read}\""));
        return None;
    }
    if let (Broadcast::Time, Some(refused)) = (what, when.and_then(|when| refused(section, when))) {
        findings.fault(
            &refused.here,
            format!("broadcast \"time\" {}; write a quiet time, e.g. daily = \"10:17\"", refused.value),
        );
        return None;
    }
    Some(Some(what))
}

/// Why the time would never be broadcast then.
fn refused(section: &Section, when: &When) -> Option<At<String>> {
    // Of a month in which nothing is settled but as the guard takes it where it does not know.
    let day = |on: MonthDay| on.of(Date::constant(2026, 1, 2));
    let times = match when {
        When::Every(_) => {
            let value = "goes with daily or monthly, not with every".to_owned();
            return Some(At { value, here: section.here("every") });
        }
        When::Daily(times) => times.iter().map(|time| (day(MonthDay::Nth(2)), *time)).collect(),
        When::Monthly(days) => {
            days.iter().map(|OnDay { day: on, time }| (day(*on), *time)).collect::<Vec<_>>()
        }
    };
    let busy = times.into_iter().find_map(|(day, time)| {
        let busy = quiet(day.to_datetime(time), &Settlements::Unknown).err()?;
        Some(format!("cannot go out at {}: {busy}", time.strftime("%H:%M")))
    })?;
    let key = if matches!(when, When::Daily(_)) { "daily" } else { "monthly" };
    Some(At { value: busy, here: section.here(key) })
}

/// How many meters of a task speak which dialect; 2007 before 1997, in the order of the meters.
struct Spoken(Vec<(Dialect, usize)>);

impl Spoken {
    /// Meters that are at fault are nobody's here: what is wrong with them is said where they are written.
    fn by(meters: &[meter::Written], chosen: Option<&[usize]>) -> Self {
        let sound = chosen.unwrap_or_default().iter().filter_map(|&n| meters.get(n)?.meter.as_ref());
        let mut spoken: Vec<(Dialect, usize)> = Vec::new();
        for dialect in sound.map(Meter::dialect) {
            match spoken.iter_mut().find(|(own, _)| *own == dialect) {
                Some((_, count)) => *count += 1,
                None => spoken.push((dialect, 1)),
            }
        }
        spoken.sort_by_key(|(dialect, _)| !dialect.standard.is(Edition::E2007));
        // Where no meter is known, a register of any standard may be meant.
        if spoken.is_empty() {
            let all = [Edition::E2007.into(), Edition::E1997.into(), Standard::Modbus];
            spoken.extend(all.map(|standard| (Dialect::plain(standard), 0)));
        }
        Self(spoken)
    }
}

/// Registers in the order they are written, each once. What one kind of the task's meters does not have is worth a
/// warning, since the others are read all the same; what none has is a fault.
fn registers(
    section: &Section,
    read: Option<Read>,
    spoken: &Spoken,
    resolve: Resolve<'_>,
    findings: &mut Findings,
) -> Option<Registers> {
    let usual = read.map_or(&[][..], Read::usual);
    let is_written = section.has("registers") || usual.is_empty();
    let list = match is_written {
        true => section.required_texts("registers", "[\"voltage_l1\", \"1-0:1.8.0\"]", findings)?,
        false => {
            let here = section.here("read");
            let texts = usual.iter().map(|text| At { value: (*text).to_owned(), here: here.clone() });
            At { value: texts.collect(), here: here.clone() }
        }
    };
    if list.value.is_empty() {
        findings.fault(&list.here, "registers is empty; write at least one, e.g. [\"voltage_l1\"]");
        return None;
    }
    let mut registers = Registers::default();
    let mut sound = true;
    for text in &list.value {
        let mut known = false;
        let mut not_found = Vec::new();
        for &(dialect, meters) in &spoken.0 {
            match resolve(dialect, &text.value) {
                Ok(found) => {
                    known = true;
                    registers.add(dialect, found);
                }
                Err(why) => not_found.push((dialect, meters, why)),
            }
        }
        // What is usual is not everybody's: models of Modbus meters have what they have.
        not_found.retain(|(dialect, ..)| is_written || dialect.standard != Standard::Modbus);
        for (dialect, meters, _) in not_found.iter().filter(|(_, meters, _)| known && *meters > 0) {
            let name = &text.value;
            findings.warn(
                &text.here,
                format!("registers: {dialect} has no {name}; {meters} meter(s) of the task will be read without it"),
            );
        }
        if let Some((dialect, meters, why)) = not_found.first().filter(|_| !known) {
            let other = Dialect::plain(match dialect.standard {
                Standard::Dlt645(Edition::E2007) => Edition::E1997.into(),
                Standard::Dlt645(Edition::E1997) | Standard::Modbus => Edition::E2007.into(),
            });
            let elsewhere = not_found.len() == 1 && resolve(other, &text.value).is_ok();
            let message = if elsewhere {
                let name = &text.value;
                format!(
                    "registers: {name} is a register of {other}, but all meters of the task speak {dialect}"
                )
            } else if let Some(profile) = profile::with(&not_found, &text.value, resolve) {
                let name = &text.value;
                format!(
                    "registers: {name} is a register of profile {profile}, which none of the task's meters has; write profile = \"{profile}\" on those that are of it"
                )
            } else {
                let of_modbus = *meters > 0 && dialect.standard == Standard::Modbus;
                let of = if of_modbus { format!("of {dialect}, ") } else { String::new() };
                format!("registers: {of}{why}")
            };
            findings.fault(&text.here, message);
            sound = false;
        }
    }
    sound &= is_written || has_usual(&registers, usual, spoken, &list.here, findings);
    sound.then_some(registers)
}

/// Whether any meter has something of what is read where nothing is written; a model of Modbus meters that has nothing
/// is told.
fn has_usual(
    registers: &Registers,
    usual: &[&str],
    spoken: &Spoken,
    here: &Here,
    findings: &mut Findings,
) -> bool {
    let has = |dialect: Dialect| dialect.standard != Standard::Modbus || !registers.of(dialect).is_empty();
    let any = spoken.0.iter().any(|(dialect, _)| has(*dialect));
    let names = usual.join(", ");
    for (dialect, meters) in spoken.0.iter().filter(|(dialect, _)| !has(*dialect)) {
        let said = format!("{dialect} has nothing of {names}, which is read where no registers are written");
        if !any {
            findings.fault(here, format!("{said}; write registers = [\"…\"]"));
            return false;
        }
        if *meters > 0 {
            findings.warn(here, format!("{said}; {meters} meter(s) of the task will not be read"));
        }
    }
    any
}

/// Indices of meters by name or pattern; all of them if nothing is written.
fn meters_of(section: &Section, meters: &[meter::Written], findings: &mut Findings) -> Option<Vec<usize>> {
    let Some(list) = section.texts("meters", findings) else { return Some((0..meters.len()).collect()) };
    if list.value.is_empty() {
        findings.fault(&list.here, "meters is empty; name meters, or leave the key out to read all of them");
        return None;
    }
    let mut chosen = BTreeSet::new();
    for text in &list.value {
        let fitting = meters
            .iter()
            .enumerate()
            .filter(|(_, m)| m.name.as_ref().is_some_and(|name| pattern::fits(&text.value, &name.value)));
        let mut any = false;
        for (index, _) in fitting {
            any = true;
            chosen.insert(index);
        }
        if !any {
            no_meter(text, meters, findings);
        }
    }
    Some(chosen.into_iter().collect())
}

/// What meters of a standard do not have that a task reads, and what to write instead.
const LACKS: [(Read, Standard, &str); 3] = [
    (
        Read::LoadProfile,
        Standard::Dlt645(Edition::E1997),
        "meters of DL/T 645-1997 keep no load records (负荷记录)",
    ),
    (Read::LoadProfile, Standard::Modbus, "Modbus meters keep no load records (负荷记录) that are read"),
    (Read::Clock, Standard::Modbus, "Modbus meters have no clock (时钟) that is compared"),
];

/// The meters that have what the task reads; the others are left out of it.
fn able(
    section: &Section,
    read: Option<Read>,
    mut chosen: Vec<usize>,
    meters: &[meter::Written],
    findings: &mut Findings,
) -> Option<Vec<usize>> {
    let all = chosen.len();
    let mut said = Vec::new();
    for (_, standard, lacks) in LACKS.into_iter().filter(|(of, ..)| Some(*of) == read) {
        let before = chosen.len();
        let of = |meter: &usize| meters.get(*meter).and_then(|written| written.meter.as_ref());
        chosen.retain(|meter| of(meter).is_none_or(|meter| meter.dialect().standard != standard));
        let left = before - chosen.len();
        said.extend((left > 0).then(|| format!("{lacks}: {left} of {all} meter(s)")));
    }
    let here = section.here("read");
    if chosen.is_empty() && !said.is_empty() {
        let instead = match read {
            Some(Read::Clock) => "name meters of DL/T 645, or leave the task out",
            Some(_) | None => "write read = \"live\", or name meters of 2007",
        };
        findings.fault(&here, format!("{}; {instead}", said.join("; ")));
        return None;
    }
    for said in said {
        findings.warn(&here, format!("{said} are left out of the task"));
    }
    Some(chosen)
}

fn no_meter(text: &At<String>, meters: &[meter::Written], findings: &mut Findings) {
    let names = meters.iter().filter_map(|m| m.name.as_ref()).map(|name| name.value.as_str());
    let asked = text.value.as_str();
    let sentence = if pattern::is_pattern(asked) {
        format!("meters: no meter's name fits \"{asked}\"")
    } else {
        format!("meters: no meter is called \"{asked}\"{}", did_you_mean(nearest(asked, names)))
    };
    findings.unresolved_meter(&text.here, sentence);
}
