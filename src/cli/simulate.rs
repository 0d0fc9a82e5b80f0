//! `meterd simulate`: virtual meters to read from, where there are none.

use super::profiles;
use super::protocol::Asked;
use crate::clock::Clock;
use crate::planner::{CharFormat, Line, RATES};
use crate::simulator::{
    self, BadInjection, Delivery, Injection, LineFault, Listen, MeterSettings, ModbusSettings, Pair, Scenario,
};
use anyhow::{Context, bail};
use catalogue::Standard;
use dlt645::{Address, Edition};
use jiff::tz::Offset;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SimulateArgs {
    /// How many households 户表; each fourth is three-phase, each fifth feeds in
    /// around noon. Of Modbus: how many meters of the profile
    #[arg(long, value_name = "N", required_unless_present_any = ["scenario", "fault"], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    meters: Option<u32>,

    /// Meters from a file, e.g. fixtures/scenarios/household.toml
    #[arg(long, value_name = "FILE", conflicts_with_all = ["meters", "start_address", "utc_offset"])]
    scenario: Option<PathBuf>,

    /// What these households' meters speak 规约
    #[arg(long, value_enum, default_value_t = Asked::Dlt645_2007, conflicts_with = "scenario")]
    protocol: Asked,

    /// Which model 表型 these meters are, of Modbus: a name of `meterd profiles`,
    /// or a file
    #[arg(long, value_name = "NAME", conflicts_with = "scenario")]
    profile: Option<String>,

    /// pty:PATH for a pseudo-terminal with a link at PATH, or tcp://HOST:PORT
    /// for a serial server or for Modbus TCP (port 0: any free one)
    #[arg(long, value_name = "WHERE", default_value = "pty:/tmp/bus1")]
    listen: Listen,

    /// Rate 波特率 of the line: characters take their time, answers that meet are
    /// garbled; without it answers come at once
    #[arg(long, value_name = "BAUD", value_parser = baud)]
    baud: Option<u32>,

    /// Bits of a character 帧格式; of use with a rate [default: 8E1]
    #[arg(long, value_name = "FRAME")]
    frame: Option<CharFormat>,

    /// How a serial server hands answers over: whole, or so many octets at a
    /// time [default: 1 with a rate, else whole]
    #[arg(long, value_name = "whole|N", value_parser = delivery)]
    pieces: Option<Delivery>,

    /// Faults 故障注入 by name, each with its probability; list shows them
    #[arg(long, value_name = "NAME[=RATE]", value_delimiter = ',')]
    fault: Vec<String>,

    /// The same seed gives the same values at the same time, and
    /// the same faults; it goes before
    /// the scenario's [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Address 通信地址 (Modbus: unit) of the first meter; the others follow
    #[arg(long, value_name = "ADDRESS", default_value = "000000000001")]
    start_address: Address,

    /// The meters' clocks against UTC
    #[arg(long, value_name = "±HH:MM", default_value = "+08:00", allow_hyphen_values = true, value_parser = simulator::utc_offset)]
    utc_offset: Offset,
}

const EXAMPLES: &str = "\
It answers reads until it is interrupted. When a reader may come it prints READY
and the port to read from.

Examples:
  meterd simulate --meters 3
  meterd simulate --meters 30 --listen tcp://127.0.0.1:4001 --seed 7
  meterd simulate --meters 3 --baud 2400 --fault late=0.05,noise --seed 7
  meterd simulate --meters 2 --protocol modbus-rtu --profile eastron-sdm630
  meterd simulate --fault list";

/// Runs until SIGINT or SIGTERM.
///
/// # Errors
/// A scenario that is at fault, or a place where it cannot listen, in a sentence that says what to do.
pub(crate) async fn run(args: SimulateArgs) -> anyhow::Result<ExitCode> {
    if args.fault.iter().any(|fault| fault == "list") {
        writeln!(std::io::stdout().lock(), "{}", LineFault::list())?;
        return Ok(ExitCode::SUCCESS);
    }
    let scenario = scenario(&args)?;
    let pair = pair(&args, &scenario)?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let port = simulator::bind(&listen(&args, &scenario)?).await?;
    let bound = port.bound();
    announce(&scenario, &args.fault, &bound).context("cannot print where it listens")?;
    let stop = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let served = simulator::serve(pair, port, Clock::system(), stop).await;
    served.with_context(|| format!("the virtual line {bound} broke"))?;
    Ok(ExitCode::SUCCESS)
}

fn scenario(args: &SimulateArgs) -> anyhow::Result<Scenario> {
    let mut scenario = match (&args.scenario, args.meters) {
        (Some(path), _) => {
            let text = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the scenario {}", path.display()))?;
            Scenario::parse(&path.display().to_string(), &text)?
        }
        (None, count) => households(args, count.unwrap_or(1))?,
    };
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    let frame = args.frame.or(scenario.rate.map(|rate| rate.frame)).unwrap_or(CharFormat::EVEN);
    let baud = args.baud.or(scenario.rate.map(|rate| rate.baud));
    scenario.rate = baud.map(|baud| Line { baud, frame });
    Ok(scenario)
}

/// So many meters of what the command line says.
fn households(args: &SimulateArgs, count: u32) -> anyhow::Result<Scenario> {
    let (seed, start) = (simulator::DEFAULT_SEED, args.start_address);
    match (args.protocol.standard().edition(), &args.profile) {
        (Some(edition), None) => Ok(Scenario::households(count, start, edition, seed, args.utc_offset)?),
        (Some(_), Some(_)) => {
            bail!("--profile is of Modbus here; write --protocol modbus-rtu or leave it out")
        }
        (None, None) => bail!(
            "Modbus meters are each of a model: write --profile NAME, e.g. eastron-sdm630; `meterd profiles` lists them"
        ),
        (None, Some(name)) => {
            let profile = profiles::of(name).map_err(anyhow::Error::msg)?;
            if let Standard::Dlt645(_) = profile.standard() {
                bail!("profile {} is of {}; choose one of Modbus", profile.name(), profile.standard());
            }
            let mut scenario = Scenario::units(count, start, profile, seed, args.utc_offset)?;
            scenario.is_modbus_tcp = args.protocol == Asked::ModbusTcp;
            Ok(scenario)
        }
    }
}

/// Where the meters are reached: those of Modbus TCP by a socket of their own.
fn listen(args: &SimulateArgs, scenario: &Scenario) -> anyhow::Result<Listen> {
    match (&args.listen, scenario.is_modbus_tcp) {
        (listen @ (Listen::Pty(_) | Listen::Tcp { .. }), false) => Ok(listen.clone()),
        (Listen::Tcp { host, port } | Listen::ModbusTcp { host, port }, true) => {
            Ok(Listen::ModbusTcp { host: host.clone(), port: *port })
        }
        (Listen::Pty(_), true) => bail!("Modbus TCP has a socket: write --listen tcp://127.0.0.1:1502"),
        (Listen::ModbusTcp { .. }, false) => {
            bail!(
                "these meters stand on a line and not behind Modbus TCP: write --listen tcp://127.0.0.1:4001"
            )
        }
    }
}

/// The scenario's wires, and what is wrong with them.
fn pair(args: &SimulateArgs, scenario: &Scenario) -> anyhow::Result<Pair> {
    let injections: Vec<Injection> =
        args.fault.iter().map(|fault| fault.parse()).collect::<Result<_, BadInjection>>()?;
    // Neither a pseudo-terminal nor TCP tells parity.
    let pair = scenario.pair().with_faults(&injections, scenario.seed, false);
    Ok(match args.pieces {
        Some(pieces) => pair.delivered(pieces),
        None => pair,
    })
}

fn baud(text: &str) -> Result<u32, String> {
    let rate = text.parse().ok().filter(|baud| RATES.contains(baud));
    rate.ok_or_else(|| format!("write one of {}", RATES.map(|rate| rate.to_string()).join(", ")))
}

fn delivery(text: &str) -> Result<Delivery, &'static str> {
    match text.parse() {
        Ok(octets) if octets > 0 => Ok(Delivery::Pieces(octets)),
        Err(_) if text == "whole" => Ok(Delivery::Whole),
        Ok(_) | Err(_) => Err("write whole, or a number of octets from 1"),
    }
}

/// One line a meter, where it listens, how to read it, and READY when a reader may come.
fn announce(scenario: &Scenario, faults: &[String], bound: &simulator::Bound) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    for MeterSettings { edition, address, phases, solar, .. } in &scenario.meters {
        let speaks = match edition {
            Edition::E1997 => ", DL/T 645-1997",
            Edition::E2007 => "",
        };
        let phases = phases.count();
        let solar = if *solar { ", feeds in at noon" } else { "" };
        writeln!(out, "meter {address}, {phases}-phase{solar}{speaks}")?;
    }
    let over = if scenario.is_modbus_tcp { "Modbus TCP" } else { "Modbus RTU" };
    for ModbusSettings { unit, profile, meter, .. } in &scenario.modbus {
        let solar = if meter.solar { ", feeds in at noon" } else { "" };
        writeln!(out, "meter {unit}, {}{solar}, {over}, profile {}", profile.model(), profile.name())?;
    }
    let rate = scenario.rate.map_or(String::new(), |rate| format!(" at {rate}"));
    writeln!(out, "listening on {bound}{rate}, seed {}", scenario.seed)?;
    if !faults.is_empty() {
        writeln!(out, "faults: {}", faults.join(", "))?;
    }
    let port = bound.port_address();
    let mut how = Vec::new();
    if let Some(meter) = scenario.meters.first() {
        let protocol = match meter.edition {
            Edition::E1997 => " --protocol dlt645-1997",
            Edition::E2007 => "",
        };
        how.push(format!("--address {}{protocol} voltage_l1", meter.address));
    }
    if let Some(meter) = scenario.modbus.first() {
        let protocol = if scenario.is_modbus_tcp { "modbus-tcp" } else { "modbus-rtu" };
        let profile = meter.profile.name();
        how.push(format!("--address {} --protocol {protocol} --profile {profile} voltage_l1", meter.unit));
    }
    if !how.is_empty() {
        writeln!(out, "read it with:")?;
    }
    for how in how {
        writeln!(out, "  meterd read --port {port} {how}")?;
    }
    writeln!(out, "READY {}", bound.port_address())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Args, Command, FromArgMatches};

    fn parse(line: &str) -> Result<SimulateArgs, String> {
        let command = SimulateArgs::augment_args(Command::new("simulate"));
        let matches = command.try_get_matches_from(line.split(' ')).map_err(|e| e.to_string())?;
        SimulateArgs::from_arg_matches(&matches).map_err(|e| e.to_string())
    }

    #[test]
    fn meters_or_a_scenario_are_asked_for_and_not_both() {
        assert!(parse("simulate").unwrap_err().contains("--meters"));
        assert!(parse("simulate --meters 0").is_err());
        assert!(parse("simulate --meters 2 --scenario x.toml").is_err());
        let args =
            parse("simulate --meters 2 --listen tcp://127.0.0.1:0 --utc-offset -03:30 --seed 5").unwrap();
        let scenario = scenario(&args).unwrap();
        assert_eq!((scenario.meters.len(), scenario.seed), (2, 5));
        assert_eq!(scenario.meters[1].utc_offset.seconds(), -12_600);
    }

    #[test]
    fn a_rate_pieces_and_faults_are_taken_over_and_checked() {
        let parsed = |more: &str| parse(&format!("simulate --meters 1 {more}"));
        let args = parsed("--baud 4800 --frame 8N1 --pieces 3 --fault late=0.05,noise").unwrap();
        let scenario = scenario(&args).unwrap();
        assert_eq!(scenario.rate.unwrap().to_string(), "4800 8N1");
        assert!(pair(&args, &scenario).unwrap().is_paced());
        assert!(parsed("--baud 4801").unwrap_err().contains("4800"));
        assert!(parsed("--pieces 0").unwrap_err().contains("whole"));
        let wrong = parsed("--fault late,latte").unwrap();
        let told = pair(&wrong, &scenario).unwrap_err().to_string();
        assert!(told.contains("\"latte\"") && told.contains("endless_follow_up 后续帧不止"), "{told}");
    }

    #[test]
    fn modbus_meters_are_of_a_profile_and_have_units_one_after_the_other() {
        let parsed = |more: &str| parse(&format!("simulate --meters 3 {more}")).unwrap();
        let args = parsed("--protocol modbus-rtu --profile eastron-sdm630 --start-address 17");
        let units = |args: &SimulateArgs| {
            scenario(args).map(|s| s.senders().map(|m| m.to_string()).collect::<Vec<_>>())
        };
        assert_eq!(units(&args).unwrap(), ["17", "18", "19"].map(str::to_owned).to_vec());
        let told = |more: &str| units(&parsed(more)).unwrap_err().to_string();
        assert!(told("--protocol modbus-rtu").contains("--profile NAME"));
        assert!(told("--protocol modbus-rtu --profile clou-1997").contains("DL/T 645-1997"));
        assert!(told("--profile eastron-sdm630").contains("--protocol modbus-rtu"));
        let told = told("--protocol modbus-rtu --profile eastron-sdm630 --start-address 246");
        assert!(told.contains("1 to 247"), "{told}");
    }

    #[test]
    fn modbus_tcp_has_a_socket_and_lines_have_none_of_it() {
        let parsed = |more: &str| {
            let args = parse(&format!("simulate --meters 1 --profile janitza-umg-b {more}")).unwrap();
            listen(&args, &scenario(&args).unwrap()).map_err(|e| e.to_string())
        };
        let tcp = Listen::ModbusTcp { host: "127.0.0.1".into(), port: 0 };
        assert_eq!(parsed("--protocol modbus-tcp --listen tcp://127.0.0.1:0"), Ok(tcp.clone()));
        assert_eq!(parsed("--protocol modbus-tcp --listen modbus-tcp://127.0.0.1:0"), Ok(tcp));
        assert!(parsed("--protocol modbus-tcp").unwrap_err().contains("--listen tcp://"));
        assert!(parsed("--protocol modbus-rtu --listen modbus-tcp://127.0.0.1:0").is_err());
    }

    #[test]
    fn wrong_words_are_told_what_to_write() {
        assert!(parse("simulate --meters 2 --listen /tmp/bus1").unwrap_err().contains("pty:/tmp/bus1"));
        assert!(parse("simulate --meters 2 --utc-offset Shanghai").unwrap_err().contains("+08:00"));
        assert!(parse("simulate --meters 2 --start-address x").unwrap_err().contains("12 decimal digits"));
        let args = parse("simulate --scenario /nowhere/s.toml").unwrap();
        assert!(scenario(&args).unwrap_err().to_string().contains("/nowhere/s.toml"));
    }
}
