//! Replies under noise, from the wires to readings with their quality: how many wrong values the checks of a frame let
//! through, and how many of them are published as good, which must be none.
//!
//! `cargo run --release --example noise -- --replies 10000000 --seed 1`
#![allow(clippy::print_stdout, reason = "it prints what it found")]

#[path = "../tests/noise/drive.rs"]
mod drive;

use clap::Parser;
use drive::{Count, Kind, run};
use meterd::clock::Clock;
use meterd::simulator::NoiseModel;
use std::process::ExitCode;

/// Replies under noise, and the wrong values that are accepted of them.
#[derive(Debug, Parser)]
struct Args {
    /// Replies for each kind of noise.
    #[arg(long, default_value_t = 10_000_000)]
    replies: u64,
    /// The same seed gives the same noise.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Threads, a line each; the noise depends on their number.
    #[arg(long, default_value_t = 2)]
    threads: u64,
}

const KINDS: [Kind; 14] = [
    kind(NoiseModel::Bits, 0.001, true),
    kind(NoiseModel::Bits, 0.01, true),
    kind(NoiseModel::Bits, 0.03, true),
    kind(NoiseModel::Bits, 0.001, false),
    kind(NoiseModel::Bits, 0.01, false),
    kind(NoiseModel::Bits, 0.03, false),
    kind(NoiseModel::Octets, 0.001, true),
    kind(NoiseModel::Octets, 0.01, true),
    kind(NoiseModel::Octets, 0.03, true),
    kind(NoiseModel::Octets, 0.1, true),
    kind(NoiseModel::Octets, 0.001, false),
    kind(NoiseModel::Octets, 0.01, false),
    kind(NoiseModel::Octets, 0.03, false),
    kind(NoiseModel::Octets, 0.1, false),
];

const fn kind(model: NoiseModel, per_octet: f64, checked: bool) -> Kind {
    Kind { model, per_octet, checked }
}

fn main() -> ExitCode {
    let args = Args::parse();
    println!("seed {}, {} replies each, {} threads", args.seed, args.replies, args.threads);
    println!(
        "frame lets: answers that pass a frame's checks and are not what the meter sent; per 10^6 replies"
    );
    println!("raw wrong: those of them with a wrong value");
    println!("wrong: published values that the meter sent in none of its answers to the question");
    println!("moved: it sent them in another of these answers than the one at whose instant they stand");
    println!(
        "{:<6} {:>9} {:>7} {:>9} {:>9} {:>10} {:>9} {:>10} {:>6} {:>6} {:>9} {:>6} {:>9} {:>11} {:>7} {:>7}",
        "noise",
        "per octet",
        "parity",
        "replies",
        "damaged %",
        "frame lets",
        "raw wrong",
        "good",
        "wrong",
        "moved",
        "suspect",
        "wrong",
        "failed",
        "implausible",
        "again %",
        "seconds"
    );
    let mut wrong = 0;
    for kind in KINDS {
        let clock = Clock::system();
        let each = args.replies.div_ceil(args.threads.max(1));
        let count = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..args.threads.max(1))
                .map(|n| scope.spawn(move || run(kind, each, args.seed.wrapping_add(n << 40))))
                .collect();
            threads.into_iter().filter_map(|thread| thread.join().ok()).fold(Count::default(), Count::and)
        });
        print(kind, &count, clock.elapsed().as_secs_f64());
        // A thread that ended early has said why.
        wrong += count.good_wrong + u64::from(count.replies < args.replies);
    }
    if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(kind: Kind, count: &Count, seconds: f64) {
    let of = |part: u64, whole: u64| part as f64 / whole as f64;
    let model = match kind.model {
        NoiseModel::Bits => "bits",
        NoiseModel::Octets => "octets",
    };
    println!(
        "{model:<6} {:>9} {:>7} {:>9} {:>9.3} {:>10.3} {:>9.3} {:>10} {:>6} {:>6} {:>9} {:>6} {:>9} {:>11} {:>7.1} {:>7.1}",
        kind.per_octet,
        if kind.checked { "checked" } else { "none" },
        count.replies,
        of(count.hit, count.replies) * 100.0,
        of(count.let_through, count.replies) * 1e6,
        of(count.wrong, count.replies) * 1e6,
        count.good,
        count.good_wrong,
        count.moved,
        count.suspect,
        count.suspect_wrong,
        count.failed,
        count.implausible,
        of(count.again, count.questions - count.again) * 100.0,
        seconds
    );
    for sentence in &count.told {
        println!("  wrong: {sentence}");
    }
}
