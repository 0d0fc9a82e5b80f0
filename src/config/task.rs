//! `[[task]]`: what is read when.

use super::every;
use super::findings::{At, Findings, Here};
use super::keys::{did_you_mean, nearest, not_among};
use super::meter;
use super::pattern;
use super::plan::{Dialect, Meter, Read, Registers, Task};
use super::profile;
use super::raw::{self, Section};
use super::registers::Resolve;
use dlt645::Edition;
use std::collections::{BTreeSet, HashMap};

const READS: [&str; 1] = ["live"];

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
        let every =
            section.required("every", "\"15m\"", findings).and_then(|text| match every::parse(&text.value) {
                Ok(every) => Some(every),
                Err(bad) => {
                    findings.fault(&text.here, format!("every \"{}\" cannot be used: {bad}", text.value));
                    None
                }
            });
        let read = match section.text("read", findings) {
            Some(text) if !READS.contains(&text.value.as_str()) => {
                findings.fault(&text.here, not_among("read", &text.value, &READS));
                None
            }
            Some(_) | None => Some(Read::Live),
        };
        let chosen = meters_of(section, meters, findings);
        let registers = registers(section, &Spoken::by(meters, chosen.as_deref()), resolve, findings);
        let sound = name.zip(every).zip(read).zip(registers.zip(chosen));
        tasks.extend(sound.map(|(((name, every), read), (registers, meters))| Task {
            name,
            every,
            read,
            registers,
            meters,
        }));
    }
    tasks
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
        spoken.sort_by_key(|(dialect, _)| dialect.edition == Edition::E1997);
        // Where no meter is known, a register of any edition may be meant.
        if spoken.is_empty() {
            spoken.extend([Edition::E2007, Edition::E1997].map(|edition| (Dialect::plain(edition), 0)));
        }
        Self(spoken)
    }
}

/// Registers in the order they are written, each once. What one kind of the task's meters does not have is worth a
/// warning, since the others are read all the same; what none has is a fault.
fn registers(
    section: &Section,
    spoken: &Spoken,
    resolve: Resolve<'_>,
    findings: &mut Findings,
) -> Option<Registers> {
    let list = section.required_texts("registers", "[\"voltage_l1\", \"1-0:1.8.0\"]", findings)?;
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
        for (dialect, meters, _) in not_found.iter().filter(|(_, meters, _)| known && *meters > 0) {
            let name = &text.value;
            findings.warn(
                &text.here,
                format!("registers: {dialect} has no {name}; {meters} meter(s) of the task will be read without it"),
            );
        }
        if let Some((dialect, _, why)) = not_found.first().filter(|_| !known) {
            let other = Dialect::plain(match dialect.edition {
                Edition::E1997 => Edition::E2007,
                Edition::E2007 => Edition::E1997,
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
                format!("registers: {why}")
            };
            findings.fault(&text.here, message);
            sound = false;
        }
    }
    sound.then_some(registers)
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
