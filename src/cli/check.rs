//! `meterd check`: proves a configuration without hardware and prints the plan.

mod flash;

use crate::config::{self, BusLoad, Plan, air_time, percent, period, tenths};
use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

#[derive(Debug, clap::Args)]
#[command(after_help = CODES)]
pub(super) struct CheckArgs {
    /// Configuration 配置文件
    #[arg(long, value_name = "FILE", default_value = "/etc/meterd/meterd.toml")]
    config: PathBuf,
}

const CODES: &str = "\
Prints who is asked for what, and how busy that keeps each line; or every fault
at once, as FILE:LINE:COLUMN: what to write instead.

Exit code: 0 it can run, 1 it has faults";

pub(super) fn run(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let loaded = match config::load(&args.config) {
        Ok(loaded) => loaded,
        Err(faults) => return Ok(super::faulty(&faults, "the daemon would not start")),
    };
    let mut text = format!("{}\n", describe(&loaded.plan));
    let mut warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    warnings.extend(crate::mqtt::worth_a_look(&loaded.plan.mqtt));
    for warning in &warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    let path = args.config.display();
    text.push_str(&match warnings.len() {
        0 => format!("{path} can run\n"),
        count => format!("{path} can run, with {count} to look at\n"),
    });
    super::out(&text)?;
    Ok(ExitCode::SUCCESS)
}

/// The plan for a person: who is asked for what, and what it costs on the line.
fn describe(plan: &Plan) -> String {
    let mqtt = &plan.mqtt;
    let version = match mqtt.version {
        config::MqttVersion::V4 => "3.1.1",
        config::MqttVersion::V5 => "5",
    };
    let mut text = format!(
        "gateway  {}\nzone     {}\nstore    {}\nbroker   {}  MQTT {version}{}\ntopics   {}/{}/…\n\
         archive  {}  {} 电能表 on {} 总线\n",
        plan.gateway.id,
        plan.gateway.zone.iana_name().unwrap_or("?"),
        plan.gateway.data_dir.display(),
        mqtt.url(),
        signing_in(mqtt),
        mqtt.prefix,
        plan.gateway.id,
        plan.archive,
        counted(plan.meters.len(), "meter", "meters"),
        counted(plan.buses.len(), "bus", "buses"),
    );
    if !plan.commands.is_off() {
        let allowed: Vec<String> = plan.commands.allow.iter().map(ToString::to_string).collect();
        text.push_str(&format!("commands {}\n", allowed.join(", ")));
    }
    let loads = air_time(plan);
    let daily = flash::daily(plan, &loads);
    text.push_str(&format!(
        "flash    at most {} a day in {} commits, exposure {}\n",
        daily.mebibytes(),
        daily.commits,
        span(plan.store.exposure),
    ));
    for load in &loads {
        text.push('\n');
        text.push_str(&describe_bus(plan, load));
    }
    text
}

/// How the broker is told from another, and who signs in; never the password.
fn signing_in(mqtt: &config::Mqtt) -> String {
    let mut text = String::new();
    if let Some(login) = &mqtt.login {
        let password = match &login.password {
            Some(config::PasswordAt::File(file)) => format!("password in {}", file.display()),
            Some(config::PasswordAt::Env(name)) => format!("password in ${name}"),
            None => "no password".to_owned(),
        };
        text.push_str(&format!("\nuser     {}  {password}", login.user));
    }
    if let Some(tls) = &mqtt.tls {
        let ca =
            tls.ca_file.as_ref().map_or("CAs of the system".to_owned(), |ca| format!("CA {}", ca.display()));
        text.push_str(&format!("\ntls      1.2 or 1.3  {ca}"));
        if let Some(name) = &tls.server_name {
            text.push_str(&format!("  for {name}"));
        }
        if let Some(client) = &tls.client {
            text.push_str(&format!("\n         shows {}", client.cert_file.display()));
        }
    }
    text
}

fn describe_bus(plan: &Plan, load: &BusLoad) -> String {
    let Some(bus) = plan.buses.get(load.bus) else { return String::new() };
    let meters: Vec<_> = plan.meters.iter().filter(|m| m.bus == load.bus).collect();
    let mut text = format!("bus {}  {}  {}\n", bus.name, bus.line, bus.port);
    if text.trim_end().width() > COLUMNS {
        text = format!("bus {}  {}\n  {}\n", bus.name, bus.line, bus.port);
    }
    if meters.is_empty() {
        text.push_str("  no meter\n");
        return text;
    }
    let profiled = meters.iter().any(|meter| meter.profile.is_some());
    let header = ["meter", "protocol", "address", "wiring", "ct", "pt", "profile"];
    let mut table = table(&header[..header.len() - usize::from(!profiled)]);
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for meter in meters.iter().take(SHOWN) {
        let mut row = vec![
            cut(meter.name.as_str()),
            meter.protocol.word().to_owned(),
            meter.protocol.address(),
            or_dash(meter.wiring.map(|w| w.word().to_owned())),
            or_dash(meter.ct().map(|r| r.to_string())),
            or_dash(meter.pt().map(|r| r.to_string())),
        ];
        if profiled {
            row.push(or_dash(meter.profile.map(|profile| profile.name().to_owned())));
        }
        table.add_row(row);
    }
    text.push_str(&trimmed(&table));
    if meters.len() > SHOWN {
        text.push_str(&format!("  … and {} more\n", meters.len() - SHOWN));
    }
    if load.tasks.is_empty() {
        text.push_str("  no task reads them\n");
        return text;
    }
    text.push('\n');
    let mut table = self::table(&["task", "every", "meters", "registers", "exchanges", "on air", "busy"]);
    for column in 1..7 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for task in &load.tasks {
        let planned = plan.tasks.get(task.task);
        table.add_row([
            planned.map(|t| cut(t.name.as_str())).unwrap_or_default(),
            planned.map(|t| t.when.to_string()).unwrap_or_default(),
            task.meters.to_string(),
            task.registers.to_string(),
            task.exchanges.to_string(),
            tenths(task.air),
            percent(task.per_mille()),
        ]);
    }
    text.push_str(&trimmed(&table));
    text.push_str(&format!("  the line is busy {} of the time\n", percent(load.per_mille())));
    text
}

/// Meters shown of one bus; the rest is counted.
const SHOWN: usize = 40;
/// A terminal's columns.
pub(super) const COLUMNS: usize = 80;
/// Columns of a name; a longer one is cut, so that a row fits a terminal of 80.
const NAME: usize = 22;

/// The name, or as much of it as fits.
pub(super) fn cut(name: &str) -> String {
    cut_at(name, NAME)
}

/// The text, or as much of it as fits so many columns.
pub(super) fn cut_at(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut width = 0;
    let fits = |c: &char| {
        width += c.width().unwrap_or(0);
        width < columns
    };
    text.chars().take_while(fits).chain(['…']).collect()
}

fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled)
        .set_header(header);
    table
}

pub(super) fn trimmed(table: &Table) -> String {
    table.lines().map(|line| format!(" {}\n", line.trim_end())).collect()
}

/// `500ms` or `1s`, as it is written.
fn span(time: Duration) -> String {
    if time.subsec_millis() == 0 { period(time) } else { format!("{}ms", time.as_millis()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_name_is_cut_by_its_columns_and_not_by_its_characters() {
        assert_eq!(cut("flat-101"), "flat-101");
        assert_eq!(cut(&"x".repeat(22)), "x".repeat(22));
        assert_eq!(cut(&"x".repeat(23)), format!("{}…", "x".repeat(21)));
        assert_eq!(cut(&"表".repeat(11)), "表".repeat(11));
        assert_eq!(cut(&"表".repeat(12)), format!("{}…", "表".repeat(10)));
    }

    #[test]
    fn the_plan_of_long_names_and_many_tasks_fits_80_columns() {
        let name = "配电室第三变压器出线柜-".repeat(4);
        let text = format!(
            "[gateway]\nid = \"gw01\"\ntimezone = \"Asia/Shanghai\"\n\
             [[bus]]\nname = \"riser-1\"\nport = \"/dev/serial/by-id/usb-FTDI_USB-RS485_Cable_FT0ABCDE-if00-port0\"\n\
             [[meter]]\nname = \"{name}\"\nbus = \"riser-1\"\naddress = \"1\"\nwiring = \"3p4w\"\n\
             ct = \"10000/5\"\npt = \"110000/100\"\n\
             [[task]]\nname = \"{name}\"\nevery = \"1d\"\nregisters = [\"*_energy_*\"]\n"
        );
        let plan = config::plan_from_text("m.toml", &text, std::path::Path::new("")).unwrap().plan;
        let printed = describe(&plan);
        for line in printed.lines() {
            assert!(line.width() <= COLUMNS, "{} columns: {line}", line.width());
        }
        assert!(printed.contains("110000/100") && printed.contains("the line is busy"), "{printed}");
    }
}
