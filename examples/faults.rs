//! The long campaign of faulty exchanges: fault by fault, then all at once.
//!
//! `cargo run --release --example faults -- --exchanges 1000000 --seed 1`
#![allow(clippy::print_stdout, reason = "it prints what it found")]

#[path = "../tests/faults/campaign.rs"]
mod campaign;

use campaign::{Campaign, Outcome, all_faults};
use clap::Parser;
use meterd::clock::Clock;
use meterd::simulator::{Delivery, Injection, LineFault, Per};
use std::process::ExitCode;

/// Faulty exchanges of the whole daemon on virtual time.
#[derive(Debug, Parser)]
struct Args {
    /// In all, the faults one by one and all at once half each.
    #[arg(long, default_value_t = 1_000_000)]
    exchanges: u64,
    /// The same seed gives the same faults.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only these faults, one by one.
    #[arg(long, value_name = "NAME[=RATE]", value_delimiter = ',')]
    fault: Vec<Injection>,
}

const REASONS: [&str; 8] =
    ["silent", "damaged", "stray", "refused", "missing", "implausible", "port_gone", "expired"];

fn main() -> ExitCode {
    let args = Args::parse();
    println!("seed {}; values are registers read, wrong ones must be 0", args.seed);
    print!("{:<18} {:>8} {:>9} {:>9} {:>9}", "fault", "rate", "exchanges", "injected", "values");
    println!(
        " {} {:>6} {:>9} {:>7}",
        REASONS.map(|reason| format!("{reason:>11}")).join(" "),
        "wrong",
        "no message",
        "seconds"
    );
    let singly = if args.fault.is_empty() {
        LineFault::ALL.map(|fault| Injection { fault, rate: usual(fault) }).to_vec()
    } else {
        args.fault.clone()
    };
    let each = if args.fault.is_empty() { args.exchanges / 2 } else { args.exchanges } / singly.len() as u64;
    let mut wrong = 0;
    for (n, injection) in singly.into_iter().enumerate() {
        let mut campaign = Campaign::of(&[(injection.fault, injection.rate)], each, args.seed + n as u64);
        campaign.delivery = delivery(n);
        wrong += run(injection.fault.word(), &injection.rate.to_string(), &campaign);
    }
    if args.fault.is_empty() {
        for n in 0..3 {
            let mut campaign = Campaign::of(&all_faults(), args.exchanges / 6, args.seed + 100 + n as u64);
            campaign.delivery = delivery(n);
            wrong += run("all", "", &campaign);
        }
    }
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Often enough that the fault is what is measured, rarely enough that the line still works.
fn usual(fault: LineFault) -> f64 {
    match (fault, fault.per()) {
        (LineFault::Burst, _) => 0.001,
        (LineFault::Twin, _) => 0.5,
        (_, Per::Octet | Per::Exchange) => fault.usual(),
    }
}

fn delivery(n: usize) -> Delivery {
    [Delivery::Pieces(1), Delivery::Whole, Delivery::Pieces(8)][n % 3]
}

/// Runs one campaign and prints its line; how many values were wrong.
fn run(name: &str, rate: &str, campaign: &Campaign) -> usize {
    let clock = Clock::system();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let outcome = match runtime {
        Ok(runtime) => runtime.block_on(campaign.run()),
        Err(e) => {
            println!("no runtime: {e}");
            return 1;
        }
    };
    let took = clock.elapsed().as_secs_f64();
    let Outcome { exchanges, injected, read, failed, wrong, without_message, .. } = outcome;
    let failed = REASONS.map(|reason| format!("{:>11}", failed.get(reason).copied().unwrap_or(0))).join(" ");
    let injected: u64 = injected.values().sum();
    println!(
        "{name:<18} {rate:>8} {exchanges:>9} {injected:>9} {read:>9} {failed} {:>6} {without_message:>9} {took:>7.1}",
        wrong.len()
    );
    for sentence in wrong.iter().take(5) {
        println!("  wrong: {sentence}");
    }
    wrong.len()
}
