//! `meterd simulate`: virtual meters to read from, where there are none.

use super::read::Speaks;
use crate::clock::Clock;
use crate::planner::{CharFormat, Line, RATES};
use crate::simulator::{
    self, BadInjection, Delivery, Injection, LineFault, Listen, MeterSettings, Pair, Scenario,
};
use anyhow::Context;
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
    /// around noon
    #[arg(long, value_name = "N", required_unless_present_any = ["scenario", "fault"], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    meters: Option<u32>,

    /// Meters from a file, e.g. fixtures/scenarios/household.toml
    #[arg(long, value_name = "FILE", conflicts_with_all = ["meters", "start_address", "utc_offset"])]
    scenario: Option<PathBuf>,

    /// What these households' meters speak 规约
    #[arg(long, value_enum, default_value_t = Speaks::Dlt645_2007, conflicts_with = "scenario")]
    protocol: Speaks,

    /// pty:PATH for a pseudo-terminal with a link at PATH, or tcp://HOST:PORT
    /// for a serial server (port 0: any free one)
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

    /// Address 通信地址 of the first meter; the others follow
    #[arg(long, value_name = "ADDRESS", default_value = "000000000001")]
    start_address: Address,

    /// The meters' clocks against UTC
    #[arg(long, value_name = "±HH:MM", default_value = "+08:00", allow_hyphen_values = true, value_parser = simulator::utc_offset)]
    utc_offset: Offset,
}

const EXAMPLES: &str = "\
It answers DL/T 645-2007 reads until it is interrupted. When a reader may come
it prints READY and the port to read from.

Examples:
  meterd simulate --meters 3
  meterd simulate --meters 30 --listen tcp://127.0.0.1:4001 --seed 7
  meterd simulate --meters 3 --baud 2400 --fault late=0.05,noise --seed 7
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
    let port = simulator::bind(&args.listen).await?;
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
        (None, count) => {
            let seed = simulator::DEFAULT_SEED;
            {
                let edition = args.protocol.edition();
                Scenario::households(count.unwrap_or(1), args.start_address, edition, seed, args.utc_offset)?
            }
        }
    };
    scenario.seed = args.seed.unwrap_or(scenario.seed);
    let frame = args.frame.or(scenario.rate.map(|rate| rate.frame)).unwrap_or(CharFormat::EVEN);
    let baud = args.baud.or(scenario.rate.map(|rate| rate.baud));
    scenario.rate = baud.map(|baud| Line { baud, frame });
    Ok(scenario)
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
    let rate = scenario.rate.map_or(String::new(), |rate| format!(" at {rate}"));
    writeln!(out, "listening on {bound}{rate}, seed {}", scenario.seed)?;
    if !faults.is_empty() {
        writeln!(out, "faults: {}", faults.join(", "))?;
    }
    if let Some(meter) = scenario.meters.first() {
        let (port, address) = (bound.port_address(), meter.address);
        let protocol = match meter.edition {
            Edition::E1997 => " --protocol dlt645-1997",
            Edition::E2007 => "",
        };
        writeln!(out, "read it with:\n  meterd read --port {port} --address {address}{protocol} voltage_l1")?;
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
    fn wrong_words_are_told_what_to_write() {
        assert!(parse("simulate --meters 2 --listen /tmp/bus1").unwrap_err().contains("pty:/tmp/bus1"));
        assert!(parse("simulate --meters 2 --utc-offset Shanghai").unwrap_err().contains("+08:00"));
        assert!(parse("simulate --meters 2 --start-address x").unwrap_err().contains("12 decimal digits"));
        let args = parse("simulate --scenario /nowhere/s.toml").unwrap();
        assert!(scenario(&args).unwrap_err().to_string().contains("/nowhere/s.toml"));
    }
}
