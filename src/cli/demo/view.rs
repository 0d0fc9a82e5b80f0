//! What the demo shows: a table that is drawn anew as readings arrive, or their lines where there is
//! no terminal.

use crate::cli::watch::lines::{self, Paint};
use crate::config::{Mqtt, Plan};
use crate::mqtt::payload::Body;
use crate::mqtt::watch::{Pattern, Seen, Watch, follow};
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

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
            if let Seen::Data { message, .. } = &seen {
                lock(&table).take(&message.body);
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
}

/// Column heads, registers and widths; 80 columns in all.
const COLUMNS: [(&str, &str, usize); 5] = [
    ("kWh", "active_energy_import", 11),
    ("V", "voltage_l1", 7),
    ("A", "current_l1", 8),
    ("kW", "active_power", 9),
    ("cos φ", "power_factor", 7),
];

impl Table {
    fn new(meters: Vec<String>) -> Self {
        Self { rows: meters.into_iter().map(|name| (name, BTreeMap::new())).collect(), messages: 0 }
    }

    fn take(&mut self, body: &Body) {
        self.messages += 1;
        let Some((_, row)) = self.rows.iter_mut().find(|(name, _)| *name == body.meter) else { return };
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

    /// Lines that [`Table::draw`] writes.
    fn height(&self) -> usize {
        self.rows.len() + 2
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
        let heads: String = COLUMNS.iter().map(|(head, _, width)| format!(" {head:>width$}")).collect();
        writeln!(out, "\x1b[2K{dim}{:<15}{heads}  time{end}", "meter 电能表")?;
        for (name, row) in &self.rows {
            let cells: String = COLUMNS
                .iter()
                .map(|(_, register, width)| {
                    let text = row.get(*register).map_or("·", String::as_str);
                    format!(" {text:>width$}")
                })
                .collect();
            let time = row.get("time").map_or("", String::as_str);
            writeln!(out, "\x1b[2K{bold}{}{end}{cells}  {dim}{time}{end}", padded(name, 15))?;
        }
        writeln!(out, "\x1b[2K{dim}{} messages over MQTT; Ctrl-C ends{end}", self.messages)
    }
}

/// Chinese characters take two columns of a terminal.
fn padded(text: &str, width: usize) -> String {
    let columns: usize = text.chars().map(|c| if c >= '\u{2E80}' { 2 } else { 1 }).sum();
    format!("{text}{}", " ".repeat(width.saturating_sub(columns)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_fits_80_columns_and_is_drawn_over_itself() {
        let table = Table::new(vec!["flat-101".to_owned(), "shop 商铺".to_owned()]);
        let mut out = Vec::new();
        table.write(&mut out, table.height(), Paint::Plain).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), table.height());
        assert!(text.starts_with("\x1b[4A"));
        let widest: usize = COLUMNS.iter().map(|(_, _, width)| width + 1).sum();
        assert!(15 + widest + 2 + 8 <= 80);
        assert_eq!(padded("shop 商铺", 15).chars().count(), 13);
    }
}
