//! Data messages as texts, on their way into the store: the same octets that serde would write of [`Body`], without a
//! text for each key of each reading. What is always the same of a register is a text once.

use super::flat::flat;
use super::register::minute;
use super::times::Times;
use super::{Digits, FailureJson, ReadingJson};
use crate::config::{PayloadForm, Plan, Read};
use crate::mqtt::json::{self, Number};
use crate::mqtt::topics;
use crate::reading::{Content, Origin, Reading, Report};
use crate::store;
use catalogue::Register;
use dlt645::format::Value;
use std::fmt::Write;
use std::sync::Arc;

#[cfg(doc)]
use super::Body;

/// Lists of names that a task keeps; a fleet of one kind has one, and one for each kind of failure.
const LISTS: usize = 16;

/// Makes the entries of the store of reports.
#[derive(Debug)]
pub struct Bodies {
    plan: Arc<Plan>,
    times: Times,
    /// By index of the task.
    tasks: Vec<Texts>,
    /// Octets of the largest body so far: the next one begins with that room.
    largest: usize,
}

/// What is always the same of a task's registers.
#[derive(Debug, Default)]
struct Texts {
    known: Vec<Known>,
    /// Where the next register is looked for first: they come in one order.
    next: usize,
    /// Which registers had a value, by their places, and their names.
    lists: Vec<(Vec<usize>, Arc<[String]>)>,
}

#[derive(Debug)]
struct Known {
    register: Register,
    name: String,
    /// `{"register":"voltage_l1","obis":"1-0:32.7.0","di":"02010100"`
    head: String,
    /// `,"unit":"V"`, or nothing.
    unit: String,
}

impl Bodies {
    /// Of this plan's meters and tasks.
    pub fn new(plan: Arc<Plan>) -> Self {
        let tasks = plan.tasks.iter().map(|_| Texts::default()).collect();
        Self { times: Times::new(plan.gateway.zone.clone()), plan, tasks, largest: 0 }
    }

    /// Whether they are of this very plan.
    pub fn are_of(&self, plan: &Arc<Plan>) -> bool {
        Arc::ptr_eq(&self.plan, plan)
    }

    /// A report on its way into the store.
    pub fn entry(&mut self, report: &Report) -> store::Entry {
        let Self { plan, times, tasks, largest } = self;
        let plan: &Plan = plan;
        let (meter, task) = (&plan.meters[report.meter], &plan.tasks[report.task]);
        let texts = &mut tasks[report.task];
        let (gateway, name, of) = (plan.gateway.id.as_str(), meter.name.as_str(), task.name.as_str());
        let places: Vec<usize> = report.readings.iter().map(|one| texts.place(one.register)).collect();
        let body = match plan.mqtt.payload {
            PayloadForm::Full => {
                let mut out = String::with_capacity(*largest);
                full(&mut out, report, plan, places.iter().map(|place| &texts.known[*place]), times);
                *largest = out.len().max(*largest);
                out
            }
            PayloadForm::Flat => flat(report, plan),
        };
        store::Entry {
            topic: topics::data(&plan.mqtt.prefix, gateway, name, of),
            body,
            retain: topics::Kind::Data.retain(),
            worth: worth(task.read),
            identity: Some(store::Identity {
                meter: name.to_owned(),
                task: of.to_owned(),
                slot: report.slot,
                registers: texts.names(places),
            }),
            notes: Vec::new(),
        }
    }
}

/// What is dropped first when room is wanted: what nobody can bill by.
const fn worth(read: Read) -> store::Worth {
    match read {
        Read::DailyFreeze | Read::Month => store::Worth::Settlement,
        Read::Events => store::Worth::Event,
        Read::Live | Read::LoadProfile | Read::Clock | Read::Nameplate => store::Worth::Live,
    }
}

/// A report's body in the full form; `known` is what is known of the register of each reading.
fn full<'a>(
    out: &mut String,
    report: &Report,
    plan: &Plan,
    known: impl Iterator<Item = &'a Known>,
    times: &mut Times,
) {
    let (meter, task) = (&plan.meters[report.meter], &plan.tasks[report.task]);
    for (key, value) in [
        ("\"gateway\":", plan.gateway.id.as_str()),
        (",\"meter\":", meter.name.as_str()),
        (",\"address\":", meter.protocol.address().as_str()),
        (",\"archive\":", plan.archive.as_str()),
        (",\"task\":", task.name.as_str()),
    ] {
        out.push_str(key);
        json::quote(out, value);
    }
    out.push_str(",\"source\":");
    let Origin { source, day, meter_time, clock_offset, backfilled } = report.origin;
    out.push_str(&json::text(&source));
    out.push_str(",\"slot\":\"");
    times.write(out, report.slot, Digits::Seconds);
    let (day, meter_time) = (day.map(super::day), meter_time.map(super::meter_time));
    let [day, meter_time] = [day, meter_time].map(|text| json::text(&text));
    let offset = json::text(&clock_offset.map(|offset| offset.as_secs()));
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "\",\"day\":{day},\"meter_time\":{meter_time},\"clock_offset_s\":{offset},\"backfilled\":{backfilled},\"readings\":["
    );
    for (nth, (one, known)) in report.readings.iter().zip(known).enumerate() {
        if nth > 0 {
            out.push(',');
        }
        reading(out, one, known, times, plan);
    }
    out.push_str("],\"failures\":[");
    for (nth, failure) in report.failures.iter().enumerate() {
        if nth > 0 {
            out.push(',');
        }
        out.push_str(&json::text(&FailureJson::of(failure)));
    }
    out.push_str("]}");
}

/// One reading as an object. What is rare goes by [`ReadingJson`].
fn reading(out: &mut String, reading: &Reading, known: &Known, times: &mut Times, plan: &Plan) {
    let value = match &reading.content {
        Content::Value(value) if reading.why.is_none() && reading.raw.is_none() && value.bits().is_none() => {
            value
        }
        Content::Value(_) | Content::Record(_) => {
            out.push_str(&json::text(&ReadingJson::of(reading, &plan.gateway.zone)));
            return;
        }
    };
    out.push_str(&known.head);
    out.push_str(",\"value\":");
    scalar(out, value);
    if let Some(at) = value.at() {
        out.push_str(",\"at\":");
        json::quote(out, &minute(at));
    }
    out.push_str(&known.unit);
    // Writing to a String cannot fail.
    if let Some(primary) = reading.primary {
        let (ratio, value) = (Number(primary.ratio), Number(primary.value));
        let _ = write!(out, ",\"ratio\":{ratio},\"primary\":{value}");
    }
    out.push_str(",\"quality\":\"");
    out.push_str(reading.quality.word());
    out.push_str("\",\"taken_at\":\"");
    times.write(out, reading.taken_at, Digits::Milliseconds);
    out.push_str("\"}");
}

/// A number with the digits that were sent, anything else as a text.
fn scalar(out: &mut String, value: &Value) {
    match value.number() {
        Some(number) => {
            // Writing to a String cannot fail.
            let _ = write!(out, "{}", Number(number));
        }
        None => json::quote(out, &value.to_string()),
    }
}

impl Texts {
    /// Where what is known of a register stands.
    fn place(&mut self, register: Register) -> usize {
        let (before, behind) = self.known.split_at(self.next.min(self.known.len()));
        let is_it = |known: &Known| known.register == register;
        let behind = behind.iter().position(is_it).map(|n| n + before.len());
        let place = behind.or_else(|| before.iter().position(is_it)).unwrap_or_else(|| {
            self.known.push(Known::of(register));
            self.known.len() - 1
        });
        self.next = place + 1;
        place
    }

    /// The names of what stands at these places.
    fn names(&mut self, places: Vec<usize>) -> Arc<[String]> {
        if let Some((_, names)) = self.lists.iter().find(|(of, _)| *of == places) {
            return Arc::clone(names);
        }
        if self.lists.len() == LISTS {
            self.lists.clear();
        }
        let names: Arc<[String]> = places.iter().map(|place| self.known[*place].name.clone()).collect();
        self.lists.push((places, Arc::clone(&names)));
        names
    }
}

impl Known {
    fn of(register: Register) -> Self {
        let name = register.name().to_string();
        let mut head = "{\"register\":".to_owned();
        json::quote(&mut head, &name);
        if let Some(obis) = register.obis() {
            head.push_str(",\"obis\":");
            json::quote(&mut head, &obis.to_string());
        }
        head.push_str(",\"di\":");
        json::quote(&mut head, &register.id().to_string());
        let mut unit = String::new();
        if let Some(of) = register.unit() {
            unit.push_str(",\"unit\":");
            json::quote(&mut unit, of.text());
        }
        Self { register, name, head, unit }
    }
}

#[cfg(test)]
#[path = "bodies_tests.rs"]
mod tests;
