//! A report of consumption: for a terminal of 80 columns, for spreadsheets and for programs.

use super::data::number;
use super::table::{align_right, fitted};
use crate::cli::check::{cut, table as plain, trimmed};
use crate::config::Plan;
use crate::report::{Balance, Consumption, End, OfPoint, REGISTER};
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::value::RawValue;
use std::fmt::Write;

/// Of all values.
const UNIT: &str = "kWh";

// Writing to a String cannot fail.
pub(super) fn table(report: &Consumption, plan: &Plan) -> String {
    let (from, to) = (report.period.from, report.period.to);
    let mut text = format!("consumption 用电量 {from} to {to}   gateway {}   {UNIT}\n\n", plan.gateway.id);
    let mut points = plain(&["meter", "from 起", "to 止", "used 用", "ratio 倍率", "primary 电量"]);
    (1..6).for_each(|column| align_right(&mut points, column));
    for of in &report.points {
        let [first, last] = of.ends.each_ref().map(|end| end.as_ref().map_or("-".to_owned(), shown));
        let used = of.used.as_ref().map_or(["-".to_owned(), String::new(), "-".to_owned()], |used| {
            [used.value, used.ratio, used.primary].map(|number| number.to_string())
        });
        points.add_row([cut(&of.meter), first, last].into_iter().chain(used));
    }
    text.push_str(&trimmed(&points));
    if report.points.iter().any(|of| of.ends.iter().flatten().any(is_doubtful)) {
        text.push_str("  * suspect, not frozen or of a clock past its bound: --format csv says which\n");
    }
    let unknown: Vec<_> =
        report.points.iter().filter_map(|of| Some((&of.meter, of.used.as_ref().err()?))).collect();
    if !unknown.is_empty() {
        let mut table = plain(&["not known 未知", "why"]);
        for (meter, why) in unknown {
            table.add_row([cut(meter), why.clone()]);
        }
        text.push('\n');
        text.extend(trimmed(&table).lines().map(|line| fitted(line) + "\n"));
    }
    if !report.balances.is_empty() {
        let mut table =
            plain(&["total 总表", "under it", "supplied 供", "sold 售", "lost 损失", "loss % 线损率"]);
        (1..6).for_each(|column| align_right(&mut table, column));
        for Balance { total, members, loss } in &report.balances {
            let cells = loss.as_ref().map_or(["", "", "", "-"].map(str::to_owned), |loss| {
                let percent = loss.percent.map_or("-".to_owned(), |percent| percent.to_string());
                [loss.supplied.to_string(), loss.sold.to_string(), loss.lost.to_string(), percent]
            });
            table.add_row([cut(total), members.to_string()].into_iter().chain(cells));
        }
        text.push('\n');
        text.push_str(&trimmed(&table));
        for Balance { total, loss, .. } in &report.balances {
            if let Err(unknown) = loss {
                let line = format!("  {}: not known of {}", cut(total), unknown.join(", "));
                let _ = writeln!(text, "{}", fitted(&line));
            }
        }
    }
    text
}

const fn is_doubtful(end: &End) -> bool {
    !matches!(end.quality, crate::reading::Quality::Good)
}

fn shown(end: &End) -> String {
    format!("{}{}", end.value, if is_doubtful(end) { "*" } else { "" })
}

const HEAD: [&str; 19] = [
    "from",
    "to",
    "row",
    "name",
    "from_value",
    "from_quality",
    "from_address",
    "to_value",
    "to_quality",
    "to_address",
    "consumption",
    "ratio",
    "primary",
    "members",
    "supplied",
    "sold",
    "loss",
    "loss_percent",
    "why",
];

/// One table: a row for each meter point, and for each total meter.
pub(super) fn csv(report: &Consumption) -> anyhow::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(HEAD)?;
    let days = [report.period.from, report.period.to].map(|day| day.to_string());
    for of in &report.points {
        let ends = of.ends.iter().flat_map(|end| {
            let of = |end: &End| [end.value.to_string(), end.quality.word().to_owned(), end.address.clone()];
            end.as_ref().map(of).unwrap_or_default()
        });
        let used = of.used.as_ref().map(|used| [used.value, used.ratio, used.primary].map(|n| n.to_string()));
        let why = of.used.as_ref().err().cloned().unwrap_or_default();
        let row = days.iter().cloned().chain(["point".to_owned(), of.meter.clone()]).chain(ends);
        let row = row.chain(used.unwrap_or_default()).chain(<[String; 5]>::default()).chain([why]);
        writer.write_record(row.collect::<Vec<_>>())?;
    }
    for Balance { total, members, loss } in &report.balances {
        let cells = loss.as_ref().map(|loss| {
            let percent = loss.percent.map(|percent| percent.to_string()).unwrap_or_default();
            [loss.supplied.to_string(), loss.sold.to_string(), loss.lost.to_string(), percent]
        });
        let why = loss.as_ref().err().map(|unknown| format!("not known of {}", unknown.join(", ")));
        let row = days.iter().cloned().chain(["total".to_owned(), total.clone()]);
        let row = row.chain(<[String; 9]>::default()).chain([members.to_string()]);
        let row = row.chain(cells.unwrap_or_default()).chain([why.unwrap_or_default()]);
        writer.write_record(row.collect::<Vec<_>>())?;
    }
    Ok(String::from_utf8(writer.into_inner()?)?)
}

#[derive(Serialize)]
struct All<'a> {
    gateway: &'a str,
    from: String,
    to: String,
    register: &'static str,
    unit: &'static str,
    points: Vec<Point<'a>>,
    totals: Vec<Total<'a>>,
}

#[derive(Serialize)]
struct Point<'a> {
    meter: &'a str,
    from: Option<Value<'a>>,
    to: Option<Value<'a>>,
    consumption: Option<Box<RawValue>>,
    ratio: Option<Box<RawValue>>,
    primary: Option<Box<RawValue>>,
    why: Option<&'a str>,
}

#[derive(Serialize)]
struct Value<'a> {
    value: Box<RawValue>,
    quality: &'static str,
    address: &'a str,
}

#[derive(Serialize)]
struct Total<'a> {
    meter: &'a str,
    members: usize,
    supplied: Option<Box<RawValue>>,
    sold: Option<Box<RawValue>>,
    loss: Option<Box<RawValue>>,
    loss_percent: Option<Box<RawValue>>,
    not_known: &'a [String],
}

pub(super) fn json(report: &Consumption, plan: &Plan) -> anyhow::Result<String> {
    let all = All {
        gateway: plan.gateway.id.as_str(),
        from: report.period.from.to_string(),
        to: report.period.to.to_string(),
        register: REGISTER,
        unit: UNIT,
        points: report.points.iter().map(point).collect::<serde_json::Result<_>>()?,
        totals: report.balances.iter().map(total).collect::<serde_json::Result<_>>()?,
    };
    Ok(serde_json::to_string(&all)? + "\n")
}

fn exact(of: Option<Decimal>) -> serde_json::Result<Option<Box<RawValue>>> {
    of.map(|of| number(of.to_string())).transpose()
}

fn value(end: &End) -> serde_json::Result<Value<'_>> {
    let End { value, quality, address } = end;
    Ok(Value { value: number(value.to_string())?, quality: quality.word(), address })
}

fn point(of: &OfPoint) -> serde_json::Result<Point<'_>> {
    let [from, to] = &of.ends;
    let used = of.used.as_ref().ok();
    Ok(Point {
        meter: &of.meter,
        from: from.as_ref().map(value).transpose()?,
        to: to.as_ref().map(value).transpose()?,
        consumption: exact(used.map(|used| used.value))?,
        ratio: exact(used.map(|used| used.ratio))?,
        primary: exact(used.map(|used| used.primary))?,
        why: of.used.as_ref().err().map(String::as_str),
    })
}

fn total(of: &Balance) -> serde_json::Result<Total<'_>> {
    let loss = of.loss.as_ref().ok();
    Ok(Total {
        meter: &of.total,
        members: of.members,
        supplied: exact(loss.map(|loss| loss.supplied))?,
        sold: exact(loss.map(|loss| loss.sold))?,
        loss: exact(loss.map(|loss| loss.lost))?,
        loss_percent: exact(loss.and_then(|loss| loss.percent))?,
        not_known: of.loss.as_ref().err().map(Vec::as_slice).unwrap_or_default(),
    })
}
