//! `meterd demo`: virtual meters on two virtual lines, a broker, the daemon, and the readings as they
//! arrive over MQTT, on a machine with nothing but this binary.

#![expect(clippy::print_stdout, reason = "the command line speaks to a person")]

mod broker;
mod view;

use crate::clock::Clock;
use crate::config;
use crate::daemon::{Daemon, Running};
use crate::mqtt;
use crate::simulator::{
    self, Listen, MeterSettings, ModbusMeter, ModbusSettings, Phases, VirtualLine, VirtualMeter,
};
use crate::telemetry::Snapshot;
use anyhow::{Context, bail};
use broker::Broker;
use catalogue::Profile;
use dlt645::Edition;
use modbus::UnitId;
use rust_decimal::Decimal;
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::sync::watch;

#[derive(Debug, clap::Args)]
#[command(after_help = WHAT)]
pub(super) struct DemoArgs {
    /// End by itself after this time, e.g. 30s
    #[arg(long = "for", value_name = "TIME", value_parser = crate::config::short)]
    time: Option<Duration>,
    /// Print readings line by line even on a terminal
    #[arg(long)]
    lines: bool,
}

const WHAT: &str = "\
Eleven virtual meters 电能表 on two virtual lines 总线 are read every few
seconds: old and new ones of DL/T 645, and Modbus meters on the same wires.
Those of DL/T 645 are asked for what they froze at the last four midnights
日冻结 and recorded in each hour of a day 负荷记录. Two old meters freeze
nothing: that is a gap, and said. The readings pass the store and a broker of
the demo's own, and are shown as they arrive: `of 11-20` is the day that a
frozen value closes 数据日期, `late` what was fetched after its time 补抄. It
needs no hardware, no network and no file, and leaves none behind.";

/// What the view is given to connect before the daemon starts.
const ONLOOKER: Duration = Duration::from_secs(2);
/// What the broker is given to sign for the last messages once the buses have stopped.
const LAST_RECEIPTS: Duration = Duration::from_secs(5);

pub(super) async fn run(args: DemoArgs) -> anyhow::Result<ExitCode> {
    let clock = Clock::system();
    let folder = Folder::new()?;
    let broker = Broker::start(&clock).await.context("the demo's broker does not start")?;
    let lines = start_lines(&folder.0, &clock).await?;
    let text = configuration(&folder.0, &lines, broker.v5.port());
    let loaded = match config::plan_from_text("demo.toml", &text, &folder.0) {
        Ok(loaded) => loaded,
        Err(faults) => bail!("the demo's own configuration is wrong\n{faults}"),
    };
    let plan = loaded.plan;
    println!("meterd demo  {} virtual meters 电能表 on {} lines 总线:", plan.meters.len(), plan.buses.len());
    for (bus, line) in plan.buses.iter().zip(&lines) {
        let meters = plan.meters.iter().filter(|m| plan.buses.get(m.bus) == Some(bus)).count();
        println!("  {:<8} {meters} meters  {}", bus.name.to_string(), line.bound().port_address());
    }
    println!("broker on {} (MQTT 3.1.1) and {} (MQTT 5);", broker.v4, broker.v5);
    println!("any MQTT client can watch:");
    println!("  mosquitto_sub -h 127.0.0.1 -p {} -v -t 'meterd/v1/#'", broker.v4.port());
    println!();
    let watched = view::Watched::of(&plan);
    let live = !args.lines && std::io::stdout().is_terminal();
    let (stop_view, stop) = watch::channel(false);
    let (looking, mut looks) = watch::channel(false);
    let viewer = tokio::spawn(view::show(watched, live, looking, stop));
    // The first readings are worth seeing; without an onlooker the demo runs all the same.
    let _ = tokio::time::timeout(ONLOOKER, looks.wait_for(|looks| *looks)).await;
    let mut interrupts = super::Interrupts::new()?;
    let mut running = Daemon::new(plan, clock.clone()).start()?;
    tokio::select! {
        () = interrupts.next() => {}
        () = wait(args.time) => {}
    }
    let left = finish(&mut running).await?;
    stop_view.send_replace(true);
    viewer.await.context("the view")?;
    let (counts, sent) = running.stop().await;
    for line in lines {
        line.stop().await.context("a virtual line")?;
    }
    println!("{}", closing(counts, sent, left));
    Ok(if left == 0 && counts.readings > 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn wait(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}

/// Stops polling and waits for the receipts; how many messages are still without one.
async fn finish(running: &mut Running) -> anyhow::Result<usize> {
    running.quiet(Duration::from_secs(10)).await;
    running.stop_polling().await;
    let unsigned = async {
        while !running.store().offer(0, 1).await?.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        anyhow::Ok(())
    };
    if let Ok(asked) = tokio::time::timeout(LAST_RECEIPTS, unsigned).await {
        asked?;
    }
    Ok(running.store().offer(0, 100_000).await?.len())
}

fn closing(counts: Snapshot, sent: mqtt::Counts, left: usize) -> String {
    format!(
        "\ntaken {} readings and {} failures in {} messages;\n\
         published {}, signed for {}, not signed for {left}",
        counts.readings, counts.failures, counts.reports, sent.published, sent.signed_for
    )
}

/// A folder of the demo's own, removed at its end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("meterd-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(e) = std::fs::remove_dir_all(&self.0) {
            tracing::debug!("{} stays behind: {e}", self.0.display());
        }
    }
}

/// A meter point of the demo: name, number, phases, bus, CT, edition of DL/T 645.
type Point = (&'static str, u32, Phases, usize, Option<&'static str>, Edition);

const POINTS: [Point; 8] = [
    ("flat-101", 101, Phases::One, 0, None, Edition::E2007),
    ("flat-102", 102, Phases::One, 0, None, Edition::E2007),
    ("flat-201", 201, Phases::One, 0, None, Edition::E2007),
    ("flat-202", 202, Phases::One, 0, None, Edition::E2007),
    ("shop 商铺", 301, Phases::Three, 1, Some("75/5"), Edition::E2007),
    ("lift 电梯", 303, Phases::Three, 1, None, Edition::E2007),
    ("pump 水泵", 305, Phases::Three, 1, None, Edition::E1997),
    ("cellar 地下室", 306, Phases::One, 1, None, Edition::E1997),
];

/// A Modbus meter of the demo: name, unit, model, bus, the CT ratio that it is set to.
type Submeter = (&'static str, u8, &'static str, usize, u32);

const SUBMETERS: [Submeter; 3] = [
    ("heat 热泵", 17, "eastron-sdm630", 0, 1),
    ("charger 充电", 21, "acrel-adl400", 1, 40),
    ("solar 光伏", 22, "carlo-gavazzi-em24", 1, 1),
];

/// Four flats and a heat pump on a pty, four others and two Modbus meters behind a serial server.
async fn start_lines(folder: &Path, clock: &Clock) -> anyhow::Result<Vec<simulator::Running>> {
    let tcp = Listen::Tcp { host: "127.0.0.1".to_owned(), port: 0 };
    let mut lines = Vec::new();
    for (bus, listen) in [Listen::Pty(folder.join("riser-1")), tcp].into_iter().enumerate() {
        let meters =
            POINTS.iter().filter(|point| point.3 == bus).map(|point| household(point.1, point.2, point.5));
        let modbus = SUBMETERS.iter().filter(|meter| meter.3 == bus).map(submeter);
        let line = VirtualLine::new(meters.collect::<anyhow::Result<Vec<_>>>()?)
            .with_modbus(modbus.collect::<anyhow::Result<Vec<_>>>()?);
        lines.push(simulator::spawn(line, &listen, clock.clone(), 0).await?);
    }
    Ok(lines)
}

fn household(address: u32, phases: Phases, edition: Edition) -> anyhow::Result<VirtualMeter> {
    let mut settings = MeterSettings::household(format!("2026{address:08}").parse()?);
    settings.edition = edition;
    settings.phases = phases;
    settings.response_delay = Duration::from_millis(20);
    settings.energy = u64::from(address) * 4321;
    Ok(VirtualMeter::new(settings, u64::from(address)))
}

fn submeter(&(_, unit, model, _, ct): &Submeter) -> anyhow::Result<ModbusMeter> {
    let unit = UnitId::new(unit).context("a unit of the demo")?;
    let mut settings = ModbusSettings::new(unit, Profile::named(model)?);
    settings.ct = Decimal::from(ct);
    settings.meter.response_delay = Duration::from_millis(20);
    settings.meter.energy = u64::from(unit.get()) * 98_765;
    Ok(ModbusMeter::new(settings, unit.get().into()))
}

fn configuration(folder: &Path, lines: &[simulator::Running], broker: u16) -> String {
    let mut text = format!(
        "[gateway]\nid = \"demo\"\ntimezone = \"Asia/Shanghai\"\ndata_dir = {:?}\nclock = \"set\"\n\n\
         [mqtt]\nurl = \"mqtt://127.0.0.1:{broker}\"\n",
        folder.join("store")
    );
    for (name, line) in ["riser-1", "shops"].into_iter().zip(lines) {
        let port = line.bound().port_address().to_string();
        text.push_str(&format!("\n[[bus]]\nname = {name:?}\nport = {port:?}\nbaud = 9600\n"));
    }
    for (name, number, phases, bus, ct, edition) in POINTS {
        let bus = if bus == 0 { "riser-1" } else { "shops" };
        let wiring = match phases {
            Phases::One => "1p2w",
            Phases::Three => "3p4w",
        };
        text.push_str(&format!(
            "\n[[meter]]\nname = {name:?}\nbus = {bus:?}\naddress = \"2026{number:08}\"\nwiring = {wiring:?}\n"
        ));
        match edition {
            Edition::E1997 => text.push_str("protocol = \"dlt645-1997\"\n"),
            Edition::E2007 => {}
        }
        if let Some(ct) = ct {
            text.push_str(&format!("ct = {ct:?}\n"));
        }
    }
    for (name, unit, model, bus, _) in SUBMETERS {
        let bus = if bus == 0 { "riser-1" } else { "shops" };
        text.push_str(&format!(
            "\n[[meter]]\nname = {name:?}\nbus = {bus:?}\nprotocol = \"modbus-rtu\"\nprofile = {model:?}\n\
             address = \"{unit}\"\n"
        ));
    }
    let named = |names: Vec<&str>| format!("meters = {names:?}");
    let dlt645 = named(POINTS.iter().map(|point| point.0).collect());
    let modbus = named(SUBMETERS.iter().map(|meter| meter.0).collect());
    // What the meters have kept of the last midnight and of each hour: the reason for it all.
    for (name, read, when, registers) in [
        (
            "day",
            "daily-freeze",
            format!("daily = \"00:05\"\npriority = 4\n{dlt645}"),
            "\"active_energy_import\"",
        ),
        // A day back is enough to see it; meters of 1997 keep no load records.
        (
            "hours",
            "load-profile",
            "every = \"1h\"\nbackfill = 1\nmeters = [\"flat-*\", \"shop*\", \"lift*\"]".to_owned(),
            "\"active_energy_import\"",
        ),
    ] {
        text.push_str(&format!(
            "\n[[task]]\nname = {name:?}\nread = {read:?}\n{when}\nregisters = [{registers}]\n"
        ));
    }
    // What changes at every look, and what may be looked at less often: together they fit the lines, and go first.
    for (name, every, registers, meters) in [
        ("live", "2s", "\"active_energy_import\", \"active_energy_import_t*\", \"active_power\"", &dlt645),
        ("network", "8s", "\"voltage_l1\", \"current_l1\", \"power_factor\"", &dlt645),
        ("submeters", "6s", "\"active_energy_import\", \"active_power\", \"voltage_l1\"", &modbus),
    ] {
        text.push_str(&format!(
            "\n[[task]]\nname = {name:?}\nevery = {every:?}\npriority = 1\nregisters = [{registers}]\n{meters}\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_demos_own_plan_fits_its_lines_with_room_for_retries() {
        let folder = tempfile::tempdir().unwrap();
        let lines = start_lines(folder.path(), &Clock::system()).await.unwrap();
        let text = configuration(folder.path(), &lines, 1883);
        let loaded = config::plan_from_text("demo.toml", &text, folder.path()).unwrap();
        assert_eq!(loaded.warnings, []);
        assert_eq!(loaded.plan.meters.len(), POINTS.len() + SUBMETERS.len());
    }
}
