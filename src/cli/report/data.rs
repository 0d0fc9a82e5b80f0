//! A report for spreadsheets and programs.

use super::word;
use crate::config::{Class, Plan};
use crate::report::{By, Counts, Fraction, Report, TaskRate};
use crate::store::SlotState;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;

#[derive(Serialize)]
struct Day<'a> {
    gateway: &'a str,
    day: String,
    tasks: Vec<OfTask<'a>>,
}

#[derive(Serialize)]
struct OfTask<'a> {
    task: &'a str,
    kind: &'static str,
    first_slot: String,
    last_slot: String,
    #[serde(flatten)]
    numbers: Numbers,
    bar: Box<RawValue>,
    met: bool,
    not_due: usize,
    seconds: Option<u64>,
    customers: Vec<OfCustomers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    groups: Vec<OfGroup<'a>>,
    missing: Vec<OfMissing<'a>>,
}

#[derive(Serialize)]
struct Numbers {
    planned: usize,
    first_pass: usize,
    read: usize,
    backfilled: usize,
    gone: usize,
    first_pass_rate: Option<Box<RawValue>>,
    rate: Option<Box<RawValue>>,
}

#[derive(Serialize)]
struct OfCustomers {
    class: Option<&'static str>,
    due: usize,
    read: usize,
    rate: Option<Box<RawValue>>,
    bar: Option<Box<RawValue>>,
    met: Option<bool>,
}

#[derive(Serialize)]
struct OfGroup<'a> {
    name: Option<&'a str>,
    #[serde(flatten)]
    numbers: Numbers,
}

#[derive(Serialize)]
struct OfMissing<'a> {
    meter: &'a str,
    slots: usize,
    last_reading: Option<String>,
    state: &'static str,
    tries: u32,
    why: &'a str,
}

/// A number of JSON as it is written: no float.
pub(super) fn number(text: String) -> serde_json::Result<Box<RawValue>> {
    RawValue::from_string(text)
}

fn rate(of: Fraction) -> serde_json::Result<Option<Box<RawValue>>> {
    of.hundredths().map(|_| number(of.to_string())).transpose()
}

fn numbers(counts: &Counts) -> serde_json::Result<Numbers> {
    Ok(Numbers {
        planned: counts.planned,
        first_pass: counts.first,
        read: counts.read,
        backfilled: counts.read.saturating_sub(counts.first),
        gone: counts.gone,
        first_pass_rate: rate(counts.first_rate())?,
        rate: rate(counts.rate())?,
    })
}

/// A bar in per cent.
pub(super) fn bar(per_mille: u16) -> String {
    match (per_mille / 10, per_mille % 10) {
        (whole, 0) => whole.to_string(),
        (whole, tenths) => format!("{whole}.{tenths}"),
    }
}

/// How a missing slot is, in a word.
pub(super) const fn state(state: Option<SlotState>) -> &'static str {
    match state {
        None => "not_asked",
        Some(SlotState::Open) => "open",
        Some(SlotState::Settled) => "without_values",
        Some(SlotState::Gone) => "gone",
        Some(SlotState::GivenUp) => "given_up",
    }
}

fn local(at: Timestamp, plan: &Plan) -> String {
    at.to_zoned(plan.gateway.zone.clone()).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

pub(super) fn json(report: &Report, plan: &Plan, by: Option<By>) -> anyhow::Result<String> {
    let tasks = report.tasks.iter().map(|task| of_task(task, plan, by));
    let day = Day {
        gateway: plan.gateway.id.as_str(),
        day: report.day.to_string(),
        tasks: tasks.collect::<serde_json::Result<_>>()?,
    };
    Ok(serde_json::to_string(&day)? + "\n")
}

fn of_task<'a>(task: &'a TaskRate, plan: &Plan, by: Option<By>) -> serde_json::Result<OfTask<'a>> {
    let customers = task.customers.iter().map(|of| {
        Ok(OfCustomers {
            class: of.class.map(Class::word),
            due: of.read.of,
            read: of.read.done,
            rate: rate(of.read)?,
            bar: of.bar().map(|per_mille| number(bar(per_mille))).transpose()?,
            met: of.is_met(),
        })
    });
    let groups = task
        .groups
        .iter()
        .map(|group| Ok(OfGroup { name: group.name.as_deref(), numbers: numbers(&group.counts)? }));
    let missing = task.missing.iter().map(|one| OfMissing {
        meter: &one.meter,
        slots: one.slots,
        last_reading: one.last.map(|at| local(at, plan)),
        state: state(one.state),
        tries: one.tries,
        why: &one.why,
    });
    Ok(OfTask {
        task: &task.task,
        kind: task.read.word(),
        first_slot: local(task.slots.0, plan),
        last_slot: local(task.slots.1, plan),
        numbers: numbers(&task.counts)?,
        bar: number(bar(TaskRate::BAR))?,
        met: task.counts.rate().meets(TaskRate::BAR),
        not_due: task.not_due,
        seconds: task.seconds,
        customers: customers.collect::<serde_json::Result<_>>()?,
        by: by.map(word),
        groups: groups.collect::<serde_json::Result<_>>()?,
        missing: missing.collect(),
    })
}

const HEAD: [&str; 15] = [
    "day",
    "task",
    "row",
    "name",
    "planned",
    "first_pass",
    "read",
    "gone",
    "first_pass_rate",
    "rate",
    "bar",
    "met",
    "last_reading",
    "state",
    "why",
];

/// One table: a row for each task, kind of customer, group and missing meter.
pub(super) fn csv(report: &Report, plan: &Plan, by: Option<By>) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEAD)?;
    let day = report.day.to_string();
    for task in &report.tasks {
        let mut row = |kind: &str, name: &str, rest: [String; 11]| {
            let head = [&day, task.task.as_str(), kind, name];
            writer.write_record(head.into_iter().chain(rest.iter().map(String::as_str)))
        };
        let met = task.counts.rate().meets(TaskRate::BAR);
        row("task", &task.task, counted(&task.counts, &bar(TaskRate::BAR), &met.to_string()))?;
        for of in &task.customers {
            let mut cells = <[String; 11]>::default();
            cells[0] = of.read.of.to_string();
            cells[2] = of.read.done.to_string();
            cells[5] = of.read.to_string();
            cells[6] = of.bar().map(bar).unwrap_or_default();
            cells[7] = of.is_met().map(|met| met.to_string()).unwrap_or_default();
            row("customers", of.class.map_or("", Class::word), cells)?;
        }
        for group in &task.groups {
            let kind = by.map(word).unwrap_or_default();
            row(&kind, group.name.as_deref().unwrap_or_default(), counted(&group.counts, "", ""))?;
        }
        for one in &task.missing {
            let mut cells = <[String; 11]>::default();
            cells[0] = one.slots.to_string();
            cells[8] = one.last.map(|at| local(at, plan)).unwrap_or_default();
            cells[9] = state(one.state).to_owned();
            cells[10].clone_from(&one.why);
            row("missing", &one.meter, cells)?;
        }
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

fn counted(counts: &Counts, bar: &str, met: &str) -> [String; 11] {
    let empty = String::new;
    [
        counts.planned.to_string(),
        counts.first.to_string(),
        counts.read.to_string(),
        counts.gone.to_string(),
        counts.first_rate().to_string(),
        counts.rate().to_string(),
        bar.to_owned(),
        met.to_owned(),
        empty(),
        empty(),
        empty(),
    ]
}
