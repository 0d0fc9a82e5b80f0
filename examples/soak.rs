//! The long campaign against the whole daemon: killed, cut from its broker, on lines and a disk that fail, by seed; with
//! an account of what meters sent, what was stored and what the broker signed for.
//!
//! `cargo build --release && cargo run --release --example soak -- --kills 2000 --seed 1`, or `-- --minutes 30 --seed 1`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it prints what it found")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a campaign that cannot go on ends loudly")]

#[path = "../tests/loss/mod.rs"]
mod loss;
#[path = "soak/steady.rs"]
mod steady;

use clap::Parser;
use loss::account::Account;
use loss::disk::Disk;
use loss::kills::{Kill, Tally, strike};
use loss::plant::{Design, Plant, beside};
use meterd::clock::Clock;
use meterd::simulator::{Dice, Injection, LineFault};
use std::process::ExitCode;
use std::time::Duration;

/// Kills and faults of the whole daemon on real time.
#[derive(Debug, Parser)]
struct Args {
    /// So many kills.
    #[arg(long, required_unless_present = "minutes")]
    kills: Option<u64>,
    /// So long, with all faults; one gateway is never killed, and its memory and descriptors are measured.
    #[arg(long, conflicts_with = "kills")]
    minutes: Option<u64>,
    /// The same seed gives the same kills and faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Gateways that are killed, at once.
    #[arg(long, default_value_t = 7)]
    gateways: u64,
}

/// What one gateway ended with.
struct Ended {
    tally: Tally,
    account: Account,
    /// Of the gateway that is not killed.
    steady: Option<steady::Measured>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let example = std::env::current_exe().expect("a program has a path");
    let Some(daemon) = beside(&example) else {
        eprintln!("there is no meterd beside {}; run cargo build --release first", example.display());
        return ExitCode::FAILURE;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let Some(disk) = Disk::build(folder.path()) else { return ExitCode::FAILURE };
    let limit = args.minutes.map(|minutes| Duration::from_secs(60 * minutes));
    println!("seed {}, {} gateways that are killed", args.seed, args.gateways);
    let design = |number: u64| Design {
        daemon: daemon.clone(),
        disk: disk.clone(),
        lines: 3,
        meters: 4,
        faults: if args.minutes.is_some() { faults(number) } else { Vec::new() },
        version: if number.is_multiple_of(2) { 5 } else { 4 },
        seed: args.seed.wrapping_mul(1000) + number,
    };
    let mut gateways = Vec::new();
    for number in 0..args.gateways {
        let design = design(number);
        let kills = args.kills.map(|kills| kills / args.gateways + u64::from(number < kills % args.gateways));
        gateways.push(std::thread::spawn(move || run(async { killed(design, kills, limit).await })));
    }
    if let Some(limit) = limit {
        let design = design(args.gateways);
        gateways.push(std::thread::spawn(move || run(async { steady::run(design, limit).await })));
    }
    let ended: Vec<Ended> = gateways.into_iter().map(|one| one.join().expect("a gateway's thread")).collect();
    report(&args, &ended)
}

fn run<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

/// A gateway that is killed so often, or for so long.
async fn killed(design: Design, kills: Option<u64>, limit: Option<Duration>) -> Ended {
    let (mut dice, version) = (Dice::new(design.seed), design.version);
    let mut plant = Plant::build(design).await;
    let (mut tally, clock) = (Tally::default(), Clock::system());
    while kills.is_none_or(|kills| tally.kills() < kills) && limit.is_none_or(|limit| clock.elapsed() < limit)
    {
        let kill = Kill::by(&mut dice, version);
        strike(&mut plant, &kill, &mut tally).await;
        plant.clear_log();
    }
    plant.drain().await;
    Ended { tally, account: plant.account, steady: None }
}

/// Faults of a line: each gateway has two, and none that a frame's checks may let through, since TCP tells no parity.
fn faults(gateway: u64) -> Vec<Injection> {
    const FAULTS: [(LineFault, f64); 10] = [
        (LineFault::Silent, 0.02),
        (LineFault::Late, 0.02),
        (LineFault::Cut, 0.05),
        (LineFault::Damaged, 0.05),
        (LineFault::Echo, 0.5),
        (LineFault::Glued, 0.05),
        (LineFault::Split, 0.02),
        (LineFault::ActiveReport, 0.02),
        (LineFault::BabbleFe, 0.001),
        (LineFault::Unplugged, 0.001),
    ];
    let one = |n: u64| FAULTS[(n as usize) % FAULTS.len()];
    [one(2 * gateway), one(2 * gateway + 1)].map(|(fault, rate)| Injection { fault, rate }).to_vec()
}

fn report(args: &Args, ended: &[Ended]) -> ExitCode {
    let mut tally = Tally::default();
    let sum = |of: fn(&Account) -> u64| ended.iter().map(|one| of(&one.account)).sum::<u64>();
    ended.iter().for_each(|one| tally.add(&one.tally));
    println!("kills: {} ({} of them losses of power)", tally.kills(), tally.power);
    for (at, count) in &tally.by {
        println!("  {at:?}: {count}");
    }
    println!("  the moment did not come, killed then: {}", tally.in_vain);
    println!("slowest start until the lines were open: {:.2} s", tally.slowest.as_secs_f64());
    println!("messages stored: {}, signed for: {}", sum(Account::stored), sum(Account::signed));
    println!("readings delivered: {}, failures said: {}", sum(|a| a.readings), sum(|a| a.failures));
    let most = ended.iter().map(|one| one.account.most_again).max().unwrap_or_default();
    println!("duplicates: {}, {most} at most that one connection left to another", sum(|a| a.duplicates));
    println!("lost: {}", sum(|a| a.missing().len() as u64));
    let mut flat = true;
    for measured in ended.iter().filter_map(|one| one.steady.as_ref()) {
        flat &= measured.print();
    }
    let wrong: Vec<(usize, &String)> =
        ended.iter().enumerate().flat_map(|(n, one)| one.account.wrong.iter().map(move |w| (n, w))).collect();
    println!("wrong: {}", wrong.len());
    for (gateway, sentence) in &wrong {
        println!("  gateway {gateway}: {sentence}");
    }
    if wrong.is_empty() && flat {
        return ExitCode::SUCCESS;
    }
    println!("again by: --seed {}", args.seed);
    ExitCode::FAILURE
}
