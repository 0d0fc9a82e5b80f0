//! `[[task]]`: what is read when.

use super::every;
use super::findings::{At, Findings, Here};
use super::keys::{did_you_mean, nearest, not_among};
use super::meter;
use super::pattern;
use super::plan::{Read, Registers, Task};
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

/// How many meters of a task speak which edition.
struct Spoken {
    by_1997: usize,
    by_2007: usize,
}

impl Spoken {
    /// Meters that are at fault are nobody's here: what is wrong with them is said where they are written.
    fn by(meters: &[meter::Written], chosen: Option<&[usize]>) -> Self {
        let sound = chosen.unwrap_or_default().iter().filter_map(|&n| meters.get(n)?.meter.as_ref());
        let mut spoken = Self { by_1997: 0, by_2007: 0 };
        for meter in sound {
            match meter.protocol.edition() {
                Edition::E1997 => spoken.by_1997 += 1,
                Edition::E2007 => spoken.by_2007 += 1,
            }
        }
        spoken
    }

    /// Where no meter is known, a register of any edition may be meant.
    fn editions(&self) -> &'static [Edition] {
        match (self.by_2007, self.by_1997) {
            (0, 0) | (1.., 1..) => &[Edition::E2007, Edition::E1997],
            (_, 0) => &[Edition::E2007],
            (0, _) => &[Edition::E1997],
        }
    }

    fn meters(&self, edition: Edition) -> usize {
        match edition {
            Edition::E1997 => self.by_1997,
            Edition::E2007 => self.by_2007,
        }
    }
}

const fn standard(edition: Edition) -> &'static str {
    match edition {
        Edition::E1997 => "DL/T 645-1997",
        Edition::E2007 => "DL/T 645-2007",
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
        for &edition in spoken.editions() {
            match resolve(edition, &text.value) {
                Ok(found) => {
                    known = true;
                    registers.add(edition, found);
                }
                Err(why) => not_found.push((edition, why)),
            }
        }
        for (edition, _) in not_found.iter().filter(|_| known) {
            let meters = spoken.meters(*edition);
            if meters > 0 {
                let (name, standard) = (&text.value, standard(*edition));
                findings.warn(
                    &text.here,
                    format!("registers: {standard} has no {name}; {meters} meter(s) of the task will be read without it"),
                );
            }
        }
        if let Some((edition, why)) = not_found.first().filter(|_| !known) {
            let other = match edition {
                Edition::E1997 => Edition::E2007,
                Edition::E2007 => Edition::E1997,
            };
            let elsewhere = not_found.len() == 1 && resolve(other, &text.value).is_ok();
            let message = if elsewhere {
                let (name, own, other) = (&text.value, standard(*edition), standard(other));
                format!("registers: {name} is a register of {other}, but all meters of the task speak {own}")
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
