//! `[[task]]`: what is read when.

use super::every;
use super::findings::{At, Findings, Here};
use super::keys::{did_you_mean, nearest, not_among};
use super::meter;
use super::pattern;
use super::plan::{Read, Task};
use super::raw::{self, Section};
use super::registers::Resolve;
use catalogue::Register;
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
        let registers = registers(section, resolve, findings);
        let meters = meters_of(section, meters, findings);
        let sound = name.zip(every).zip(read).zip(registers.zip(meters));
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

/// Registers in the order they are written, each once.
fn registers(section: &Section, resolve: Resolve<'_>, findings: &mut Findings) -> Option<Vec<Register>> {
    let list = section.required_texts("registers", "[\"voltage_l1\", \"1-0:1.8.0\"]", findings)?;
    if list.value.is_empty() {
        findings.fault(&list.here, "registers is empty; write at least one, e.g. [\"voltage_l1\"]");
        return None;
    }
    let mut registers: Vec<Register> = Vec::new();
    let mut sound = true;
    for text in &list.value {
        match resolve(&text.value) {
            Ok(found) => {
                for register in found {
                    if !registers.contains(&register) {
                        registers.push(register);
                    }
                }
            }
            Err(unknown) => {
                findings.fault(&text.here, format!("registers: {unknown}"));
                sound = false;
            }
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
