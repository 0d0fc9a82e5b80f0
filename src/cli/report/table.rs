//! A report for a terminal of 80 columns.

use super::data::{bar, state};
use super::word;
use crate::cli::check::{COLUMNS, cut, table as plain, trimmed};
use crate::config::{Class, Plan, Read};
use crate::report::{By, Fraction, Report, TaskRate};
use comfy_table::CellAlignment;
use jiff::Timestamp;
use std::fmt::Write;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Meters shown that are missing something, and groups; the rest is counted.
const SHOWN: usize = 40;

pub(super) fn table(report: &Report, plan: &Plan, by: Option<By>) -> String {
    let mut text = format!("day 数据日期 {}   gateway {}\n", report.day, plan.gateway.id);
    for task in &report.tasks {
        text.push('\n');
        of_task(&mut text, task, plan, by);
    }
    text
}

// Writing to a String cannot fail.
fn of_task(text: &mut String, task: &TaskRate, plan: &Plan, by: Option<By>) {
    let (first, last) = task.slots;
    let kind = chinese(task.read);
    let _ = write!(text, "task {}  {} {kind}  {}", cut(&task.task), task.read.word(), local(first, plan));
    if last != first {
        let _ = write!(text, " to {}", local(last, plan).split_at(11).1);
    }
    text.push('\n');
    let mut rates = plain(&["", "due 应抄", "read 抄通", "rate %", "bar %", "met 达标"]);
    for column in 1..5 {
        align_right(&mut rates, column);
    }
    let met = |met: bool| if met { "yes" } else { "no" };
    let mut row = |name: String, of: Fraction, per_mille: Option<u16>| {
        let verdict = per_mille.map_or("", |per_mille| met(of.meets(per_mille)));
        let cells = [of.of.to_string(), of.done.to_string(), of.to_string()];
        let bar = per_mille.map(bar).unwrap_or_default();
        rates.add_row([name].into_iter().chain(cells).chain([bar, verdict.to_owned()]));
    };
    row("first pass 一次采集成功率".to_owned(), task.counts.first_rate(), None);
    row("by now 日采集成功率".to_owned(), task.counts.rate(), Some(TaskRate::BAR));
    for of in &task.customers {
        row(format!("customers 实抄率, {}", class(of.class)), of.read, of.bar());
    }
    if task.customers.len() > 1 {
        row("customers 实抄率, all".to_owned(), task.all_customers(), None);
    }
    text.push_str(&trimmed(&rates));
    let mut beside = Vec::new();
    beside.extend(task.seconds.map(|seconds| format!("first pass {seconds} s")));
    let backfilled = task.counts.read.saturating_sub(task.counts.first);
    beside.extend((backfilled > 0).then(|| format!("{backfilled} fetched later 补抄")));
    beside.extend((task.counts.gone > 0).then(|| format!("{} gone", task.counts.gone)));
    beside.extend((task.not_due > 0).then(|| format!("{} not due", task.not_due)));
    if !beside.is_empty() {
        let _ = writeln!(text, "  {}", beside.join(", "));
    }
    if let Some(by) = by {
        text.push('\n');
        text.push_str(&groups(task, by));
    }
    if !task.missing.is_empty() {
        text.push('\n');
        text.push_str(&missing(task, plan));
    }
}

fn groups(task: &TaskRate, by: By) -> String {
    let mut table = plain(&[&word(by), "due", "first", "first %", "by now", "rate %"]);
    for column in 1..6 {
        align_right(&mut table, column);
    }
    for group in task.groups.iter().take(SHOWN) {
        let counts = &group.counts;
        table.add_row([
            group.name.as_deref().map_or("-".to_owned(), cut),
            counts.planned.to_string(),
            counts.first.to_string(),
            counts.first_rate().to_string(),
            counts.read.to_string(),
            counts.rate().to_string(),
        ]);
    }
    trimmed(&table) + &more(task.groups.len())
}

/// The meters, each in one line.
fn missing(task: &TaskRate, plan: &Plan) -> String {
    let mut table = plain(&["missing 未抄", "slots", "last reading", "why"]);
    align_right(&mut table, 1);
    for one in task.missing.iter().take(SHOWN) {
        let why = match state(one.state).replace('_', " ") {
            state if one.tries == 0 && one.state.is_none() => state,
            state => format!("{state}: {}", one.why),
        };
        let last = one.last.map_or("never".to_owned(), |at| local(at, plan));
        table.add_row([cut(&one.meter), one.slots.to_string(), last, why]);
    }
    let lines = trimmed(&table);
    let fit: String = lines.lines().map(|line| fitted(line) + "\n").collect();
    fit + &more(task.missing.len())
}

fn more(count: usize) -> String {
    if count > SHOWN {
        format!("  … and {} more; --format csv has all\n", count - SHOWN)
    } else {
        String::new()
    }
}

/// As much of a line as a terminal shows.
pub(super) fn fitted(line: &str) -> String {
    if line.width() <= COLUMNS {
        return line.to_owned();
    }
    let mut width = 0;
    let fits = |c: &char| {
        width += c.width().unwrap_or(0);
        width < COLUMNS
    };
    line.chars().take_while(fits).chain(['…']).collect()
}

pub(super) fn align_right(table: &mut comfy_table::Table, column: usize) {
    if let Some(column) = table.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

fn local(at: Timestamp, plan: &Plan) -> String {
    at.to_zoned(plan.gateway.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string()
}

const fn class(class: Option<Class>) -> &'static str {
    match class {
        Some(Class::Household) => "household 居民",
        Some(Class::Other) => "other 非居民",
        Some(Class::Total) => "total 总表",
        Some(Class::Key) => "key 重点用户",
        None => "no class",
    }
}

const fn chinese(read: Read) -> &'static str {
    match read {
        Read::DailyFreeze => "日冻结",
        Read::Month => "月冻结",
        Read::LoadProfile => "负荷曲线",
        Read::Live | Read::Events | Read::Clock | Read::Nameplate => "",
    }
}
