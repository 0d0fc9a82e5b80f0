//! `meterd check`: proves a configuration without hardware and prints the plan.

#![expect(clippy::print_stdout, reason = "the command line speaks to a person")]

use crate::config::{self, BusLoad, Plan, air_time};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

#[derive(Debug, clap::Args)]
pub(super) struct CheckArgs {
    /// The configuration
    #[arg(long, value_name = "FILE", default_value = "/etc/meterd/meterd.toml")]
    config: PathBuf,
}

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let loaded = match config::load(&args.config) {
        Ok(loaded) => loaded,
        Err(faults) => return Ok(super::fail(1, &faults.to_string())),
    };
    for warning in &loaded.warnings {
        println!("warning: {warning}");
    }
    print!("{}", describe(&loaded.plan));
    Ok(ExitCode::SUCCESS)
}

/// The plan for a person: who is asked for what, and what it costs on the line.
pub(super) fn describe(plan: &Plan) -> String {
    let mqtt = &plan.mqtt;
    let version = match mqtt.version {
        config::MqttVersion::V4 => "3.1.1",
        config::MqttVersion::V5 => "5",
    };
    let mut text = format!(
        "gateway {}  zone {}  store {}\nbroker  mqtt://{}:{}  MQTT {version}  topics {}/{}/…\narchive {}  {} meters 电能表 on {} buses 总线\n",
        plan.gateway.id,
        plan.gateway.zone.iana_name().unwrap_or("?"),
        plan.gateway.data_dir.display(),
        mqtt.host,
        mqtt.port,
        mqtt.prefix,
        plan.gateway.id,
        plan.archive,
        plan.meters.len(),
        plan.buses.len(),
    );
    for load in air_time(plan) {
        text.push('\n');
        text.push_str(&describe_bus(plan, &load));
    }
    text
}

fn describe_bus(plan: &Plan, load: &BusLoad) -> String {
    let Some(bus) = plan.buses.get(load.bus) else { return String::new() };
    let meters: Vec<_> = plan.meters.iter().filter(|m| m.bus == load.bus).collect();
    let mut text = format!("bus {}  {}  {}\n", bus.name, bus.port, bus.line);
    let mut table = table(&["meter", "protocol", "address", "wiring", "ct", "pt"]);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for meter in meters.iter().take(SHOWN) {
        table.add_row([
            meter.name.to_string(),
            meter.protocol.word().to_owned(),
            meter.protocol.address(),
            or_dash(meter.wiring.map(|w| w.word().to_owned())),
            or_dash(meter.ct().map(|r| r.to_string())),
            or_dash(meter.pt().map(|r| r.to_string())),
        ]);
    }
    text.push_str(&trimmed(&table));
    if meters.len() > SHOWN {
        text.push_str(&format!("  … and {} more\n", meters.len() - SHOWN));
    }
    let mut table = self::table(&["task", "every", "meters", "exchanges", "air time", "of the line"]);
    for column in 1..6 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for task in &load.tasks {
        table.add_row([
            plan.tasks.get(task.task).map(|t| t.name.to_string()).unwrap_or_default(),
            period(task.every),
            task.meters.to_string(),
            task.exchanges.to_string(),
            seconds(task.air),
            percent(task.per_mille()),
        ]);
    }
    text.push_str(&trimmed(&table));
    text.push_str(&format!("  busy {} of the time\n", percent(load.per_mille())));
    text
}

/// Meters shown of one bus; the rest is counted.
const SHOWN: usize = 40;

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    table
}

fn trimmed(table: &Table) -> String {
    table.lines().map(|line| format!(" {}\n", line.trim_end())).collect()
}

/// `15m`, as it is written.
pub(super) fn period(every: Duration) -> String {
    let seconds = every.as_secs();
    [(86_400, "d"), (3600, "h"), (60, "m")]
        .into_iter()
        .find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit))
        .map_or_else(|| format!("{seconds}s"), |(unit, letter)| format!("{}{letter}", seconds / unit))
}

fn seconds(time: Duration) -> String {
    format!("{}.{} s", time.as_secs(), time.subsec_millis() / 100)
}

fn percent(per_mille: u64) -> String {
    format!("{}.{} %", per_mille / 10, per_mille % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_printed_as_it_is_written() {
        for (secs, text) in [(1, "1s"), (60, "1m"), (90, "90s"), (900, "15m"), (3600, "1h"), (86_400, "1d")] {
            assert_eq!(period(Duration::from_secs(secs)), text);
        }
    }
}
