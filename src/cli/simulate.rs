//! `meterd simulate`: virtual meters to read from, where there are none.

use super::read::Speaks;
use crate::clock::Clock;
use crate::simulator::{self, Listen, MeterSettings, Scenario};
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
    #[arg(long, value_name = "N", required_unless_present = "scenario", value_parser = clap::value_parser!(u32).range(1..=100_000))]
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

    /// The same seed gives the same values at the same time; it goes before
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
  meterd simulate --meters 30 --listen tcp://127.0.0.1:4001 --seed 7";

/// Runs until SIGINT or SIGTERM.
///
/// # Errors
/// A scenario that is at fault, or a place where it cannot listen, in a sentence that says what to do.
pub(crate) async fn run(args: SimulateArgs) -> anyhow::Result<ExitCode> {
    let scenario = scenario(&args)?;
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let port = simulator::bind(&args.listen).await?;
    let bound = port.bound();
    announce(&scenario, &bound).context("cannot print where it listens")?;
    let stop = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let served = simulator::serve(scenario.line(), port, Clock::system(), stop).await;
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
    Ok(scenario)
}

/// One line a meter, where it listens, how to read it, and READY when a reader may come.
fn announce(scenario: &Scenario, bound: &simulator::Bound) -> std::io::Result<()> {
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
    writeln!(out, "listening on {bound}, seed {}", scenario.seed)?;
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
    fn wrong_words_are_told_what_to_write() {
        assert!(parse("simulate --meters 2 --listen /tmp/bus1").unwrap_err().contains("pty:/tmp/bus1"));
        assert!(parse("simulate --meters 2 --utc-offset Shanghai").unwrap_err().contains("+08:00"));
        assert!(parse("simulate --meters 2 --start-address x").unwrap_err().contains("12 decimal digits"));
        let args = parse("simulate --scenario /nowhere/s.toml").unwrap();
        assert!(scenario(&args).unwrap_err().to_string().contains("/nowhere/s.toml"));
    }
}
