//! What the demo shows: a table that is drawn anew as readings arrive, or their lines where there is
//! no terminal.

use crate::cli::watch::lines::{self, Paint};
use crate::clock::Clock;
use crate::config::{Mqtt, Plan};
use crate::mqtt::payload::Body;
use crate::mqtt::watch::{Pattern, Seen, Watch, follow};
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::ControlFlow;
use std::time::Duration;

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

/// Shows what arrives until it is dropped.
pub(super) async fn show(watched: Watched, clock: Clock, live: bool) {
    let paint = Paint::of_terminal(live);
    let mut table = Table::new(watched.meters);
    let mut drawn: Option<Duration> = None;
    follow(&watched.watch, |seen| {
        let mut out = std::io::stdout().lock();
        let written = if live {
            if let Seen::Data { message, .. } = &seen {
                table.take(&message.body);
            }
            let now = clock.elapsed();
            if drawn.is_none_or(|at| now - at >= REDRAW) {
                let up = drawn.map_or(0, |_| table.height());
                drawn = Some(now);
                table.draw(&mut out, up, paint)
            } else {
                Ok(())
            }
        } else {
            lines::of(&seen, paint).iter().try_for_each(|line| writeln!(out, "{line}"))
        };
        // A pipe that was closed (head, less) ends the view, not the demo.
        match written.and_then(|()| out.flush()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })
    .await;
}

/// One row a meter.
struct Table {
    rows: Vec<(String, BTreeMap<String, String>)>,
    messages: u64,
}

/// Column heads, registers and widths; 80 columns in all.
const COLUMNS: [(&str, &str, usize); 6] = [
    ("kWh", "active_energy_import", 11),
    ("V", "voltage_l1", 7),
    ("A", "current_l1", 8),
    ("kW", "active_power", 9),
    ("cos φ", "power_factor", 7),
    ("Hz", "frequency", 7),
];

impl Table {
    fn new(meters: Vec<String>) -> Self {
        Self { rows: meters.into_iter().map(|name| (name, BTreeMap::new())).collect(), messages: 0 }
    }

    fn take(&mut self, body: &Body) {
        self.messages += 1;
        let Some((_, row)) = self.rows.iter_mut().find(|(name, _)| *name == body.meter) else { return };
        for reading in &body.readings {
            row.insert(reading.register.clone(), reading.value.to_string());
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

    fn draw(&self, out: &mut impl Write, up: usize, paint: Paint) -> std::io::Result<()> {
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
        table.draw(&mut out, table.height(), Paint::Plain).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), table.height());
        assert!(text.starts_with("\x1b[4A"));
        let widest: usize = COLUMNS.iter().map(|(_, _, width)| width + 1).sum();
        assert!(15 + widest + 2 + 8 <= 80);
        assert_eq!(padded("shop 商铺", 15).chars().count(), 13);
    }
}
