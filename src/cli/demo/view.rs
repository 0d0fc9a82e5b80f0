//! What the demo shows: a table that is drawn anew as readings arrive, or their lines where there is
//! no terminal.

use crate::cli::watch::lines::{self, Paint};
use crate::config::{Mqtt, Plan};
use crate::event::Passed;
use crate::mqtt::payload::{Body, EventBody, EventJson};
use crate::mqtt::watch::{Pattern, Seen, Watch, follow};
use crate::reading::Source;
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use unicode_width::UnicodeWidthStr;

/// What is watched: the broker, and the meters in their order.
pub(super) struct Watched {
    watch: Watch,
    meters: Vec<String>,
}

/// The table is drawn at most so often.
const REDRAW: Duration = Duration::from_millis(250);

impl Watched {
    /// All meters of a plan, over its own broker.
    pub(super) fn of(plan: &Plan) -> Self {
        let mqtt: Mqtt = plan.mqtt.clone();
        Self {
            watch: Watch { mqtt, gateway: plan.gateway.id.to_string(), meters: Pattern::new("*") },
            meters: plan.meters.iter().map(|m| m.name.to_string()).collect(),
        }
    }
}

/// Shows what arrives until `stop` turns true or its sender is gone; the last picture is of all that came.
/// `looking` turns true when nothing that is published will be missed any more.
pub(super) async fn show(
    watched: Watched,
    live: bool,
    looking: watch::Sender<bool>,
    mut stop: watch::Receiver<bool>,
) {
    let paint = Paint::of_terminal(live);
    let table = Mutex::new(Table::new(watched.meters));
    let arriving = follow(&watched.watch, |seen| {
        if seen == Seen::Connected {
            looking.send_replace(true);
        }
        let written = if live {
            match &seen {
                Seen::Data { message, .. } => lock(&table).take(&message.body),
                Seen::Event { message, .. } => lock(&table).miss(&message.body),
                Seen::Connected
                | Seen::Lost { .. }
                | Seen::MeterStatus { .. }
                | Seen::Status { .. }
                | Seen::Birth { .. }
                | Seen::Round { .. }
                | Seen::Unreadable { .. } => {}
            }
            Ok(())
        } else {
            let mut out = std::io::stdout().lock();
            let lines = lines::of(&seen, paint);
            lines.iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush())
        };
        // A pipe that was closed (head, less) ends the view, not the demo.
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    let drawing = async {
        let mut up = 0;
        loop {
            if live {
                up = lock(&table).draw(up, paint);
            }
            tokio::time::sleep(REDRAW).await;
        }
    };
    tokio::select! {
        () = arriving => {}
        () = drawing => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
    if live {
        let table = lock(&table);
        table.draw(table.height(), paint);
    }
}

fn lock<'a>(table: &'a Mutex<Table>) -> MutexGuard<'a, Table> {
    // Only this task holds it.
    table.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One row a meter.
struct Table {
    rows: Vec<(String, BTreeMap<String, String>)>,
    messages: u64,
    /// The newest day that midnight closed.
    day: Option<String>,
    /// Messages out of the meters' memory, and how many of them came late.
    kept: u64,
    late: u64,
}

/// Column heads, registers and widths; 80 columns in all.
const COLUMNS: [(&str, &str, usize); 5] = [
    ("kWh", ENERGY, 11),
    ("日冻结", FROZEN, 12),
    ("V", "voltage_l1", 7),
    ("A", "current_l1", 8),
    ("kW", "active_power", 9),
];
const ENERGY: &str = "active_energy_import";
/// Its value at midnight, in a column of its own.
const FROZEN: &str = "frozen";

impl Table {
    fn new(meters: Vec<String>) -> Self {
        let rows = meters.into_iter().map(|name| (name, BTreeMap::new())).collect();
        Self { rows, messages: 0, day: None, kept: 0, late: 0 }
    }

    fn take(&mut self, body: &Body) {
        self.messages += 1;
        if body.source != Source::Present || body.day.is_some() {
            return self.take_kept(body);
        }
        let Some(row) = self.row(&body.meter) else { return };
        for reading in &body.readings {
            if let Some(value) = &reading.value {
                row.insert(reading.register.clone(), value.to_string());
            }
        }
        for failure in &body.failures {
            row.insert(failure.register.clone(), failure.reason.word().to_owned());
        }
        // hh:mm:ss of the newest value.
        if let Some(time) = body.readings.last().and_then(|r| r.taken_at.get(11..19)) {
            row.insert("time".to_owned(), time.to_owned());
        }
    }

    /// Of days the newest is shown; all else that meters kept is counted.
    fn take_kept(&mut self, body: &Body) {
        self.kept += 1;
        self.late += u64::from(body.backfilled);
        if body.day.is_none() || body.day < self.day {
            return;
        }
        if body.day > self.day {
            // Of the first day a gap may have come before.
            if std::mem::replace(&mut self.day, body.day.clone()).is_some() {
                self.rows.iter_mut().for_each(|(_, row)| drop(row.remove(FROZEN)));
            }
        }
        let value = body.readings.iter().find(|r| r.register == ENERGY).and_then(|r| r.value.as_ref());
        if let (Some(row), Some(value)) = (self.row(&body.meter), value) {
            row.insert(FROZEN.to_owned(), value.to_string());
        }
    }

    /// A day of which a meter has nothing is said to be so.
    fn miss(&mut self, body: &EventBody) {
        self.messages += 1;
        let (EventJson::Gap(gap), Some(meter)) = (&body.event, &body.meter) else { return };
        if gap.reason == Passed::NotHeld
            && let Some(row) = self.row(meter)
        {
            row.entry(FROZEN.to_owned()).or_insert_with(|| "none 缺数".to_owned());
        }
    }

    fn row(&mut self, meter: &str) -> Option<&mut BTreeMap<String, String>> {
        self.rows.iter_mut().find(|(name, _)| name == meter).map(|(_, row)| row)
    }

    /// Lines that [`Table::draw`] writes.
    fn height(&self) -> usize {
        self.rows.len() + 3
    }

    /// Draws over the `up` lines above; how many lines it took. A terminal that is gone is no fault.
    fn draw(&self, up: usize, paint: Paint) -> usize {
        let mut out = std::io::stdout().lock();
        if let Err(e) = self.write(&mut out, up, paint).and_then(|()| out.flush()) {
            tracing::debug!("the table was not drawn: {e}");
        }
        self.height()
    }

    fn write(&self, out: &mut impl Write, up: usize, paint: Paint) -> std::io::Result<()> {
        if up > 0 {
            write!(out, "\x1b[{up}A")?;
        }
        let (dim, bold, end) = match paint {
            Paint::Plain => ("", "", ""),
            Paint::Colour => ("\x1b[2m", "\x1b[1m", "\x1b[0m"),
        };
        let day = self.day.as_deref().and_then(|day| day.get(5..)).unwrap_or_default();
        let heads: String = COLUMNS
            .iter()
            .map(|(head, register, width)| match *register {
                FROZEN => right(format!("{day} {head}").trim_start(), *width),
                _ => right(head, *width),
            })
            .collect();
        writeln!(out, "\x1b[2K{dim}{:<15}{heads}  time{end}", "meter 电能表")?;
        for (name, row) in &self.rows {
            let cells: String = COLUMNS
                .iter()
                .map(|(_, register, width)| {
                    let text = row.get(*register).map_or("·", String::as_str);
                    right(text, *width)
                })
                .collect();
            let time = row.get("time").map_or("", String::as_str);
            writeln!(out, "\x1b[2K{bold}{}{end}{cells}  {dim}{time}{end}", padded(name, 15))?;
        }
        writeln!(
            out,
            "\x1b[2K{dim}out of the meters' memory 冻结和负荷记录: {} messages, {} of them late 补抄{end}",
            self.kept, self.late
        )?;
        writeln!(out, "\x1b[2K{dim}{} messages over MQTT; Ctrl-C ends{end}", self.messages)
    }
}

/// Chinese characters take two columns of a terminal.
fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

/// A space, and the text at the right end of its column.
fn right(text: &str, width: usize) -> String {
    format!(" {}{text}", " ".repeat(width.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mqtt::payload::EventMessage;

    #[test]
    fn the_table_fits_80_columns_and_is_drawn_over_itself() {
        let table = Table::new(vec!["flat-101".to_owned(), "shop 商铺".to_owned()]);
        let mut out = Vec::new();
        table.write(&mut out, table.height(), Paint::Plain).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), table.height());
        assert!(text.starts_with("\x1b[5A"));
        assert!(text.lines().all(|line| line.split("\x1b[2K").all(|line| line.width() <= 80)), "{text}");
        let widest: usize = COLUMNS.iter().map(|(_, _, width)| width + 1).sum();
        assert!(15 + widest + 2 + 8 <= 80);
        assert_eq!(padded("shop 商铺", 15).chars().count(), 13);
    }

    #[test]
    fn the_newest_midnight_has_a_column_of_its_own_and_leaves_the_present_value() {
        let mut table = Table::new(vec!["a".to_owned(), "b".to_owned()]);
        let body = |source: &str, day: &str, value: &str| {
            let text = format!(
                r#"{{"gateway":"g","meter":"a","address":"1","archive":"x","task":"t","source":"{source}",
                "slot":"2026-11-21T00:00:00+08:00","day":{day},"meter_time":null,"clock_offset_s":null,
                "backfilled":true,"readings":[{{"register":"active_energy_import","di":"00010000","value":{value},
                "quality":"good","taken_at":"2026-11-21T10:15:00.431+08:00"}}],"failures":[]}}"#
            );
            serde_json::from_str::<Body>(&text).unwrap()
        };
        table.take(&body("present", "null", "3.50"));
        table.take(&body("daily_freeze", "\"2026-11-19\"", "1.50"));
        table.take(&body("daily_freeze", "\"2026-11-20\"", "2.50"));
        table.take(&body("daily_freeze", "\"2026-11-18\"", "0.50"));
        table.take(&body("load_record", "null", "0.10"));
        let gap = br#"{"v":1,"store":"8f","seq":7,"gateway":"g","meter":"b","address":"2","archive":"x",
            "taken_at":"2026-11-21T10:15:00+08:00","event":"gap","task":"t","source":"present",
            "first":"2026-11-21T00:00:00+08:00","until":"2026-11-22T00:00:00+08:00","reason":"not_held"}"#;
        table.miss(&EventMessage::parse(gap).unwrap().body);
        let mut out = Vec::new();
        table.write(&mut out, 0, Paint::Plain).unwrap();
        let text = String::from_utf8(out).unwrap();
        let words: Vec<Vec<&str>> =
            text.split("\x1b[2K").skip(1).map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(words[0][2..5], ["kWh", "11-20", "日冻结"]);
        assert_eq!(words[1][..3], ["a", "3.50", "2.50"]);
        assert_eq!(words[2][..4], ["b", "·", "none", "缺数"]);
        assert!(text.contains("4 messages, 4 of them late"), "{text}");
        assert!(text.split("\x1b[2K").all(|line| line.trim_end().width() <= 80), "{text}");
    }
}
