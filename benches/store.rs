//! Appending messages of 27 readings to the store, against bare SQLite in the same run: one table, the same octets, the
//! same journal and the same commits of 100.
//!
//! `cargo bench --bench store [-- --messages N --rounds N]`
//!
//! Exit code: 0 within the bound, 1 the bound is broken.
#![allow(clippy::expect_used, reason = "a bench of what fails measures nothing")]
#![allow(clippy::disallowed_methods, reason = "a bench measures the real clock")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measured")]

#[path = "store/append.rs"]
mod append;
#[path = "line/three_phase.rs"]
mod three_phase;
#[path = "delivery/traffic.rs"]
mod traffic;

use append::{BATCH, Took};
use std::process::ExitCode;
use traffic::{READINGS, Traffic};

/// The store's rate, as a share of that of the bare table.
const LEAST: f64 = 0.5;
const METERS: usize = 400;

fn main() -> ExitCode {
    let (mut messages, mut rounds) = (4000, 5);
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    while let Some(key) = args.next() {
        let value = args.next().and_then(|value| value.parse().ok()).filter(|value| *value > 0);
        match (key.as_str(), value) {
            ("--messages", Some(value)) => messages = value,
            ("--rounds", Some(value)) => rounds = value,
            (_, _) => {
                eprintln!("store: {key} is not known or has no number; there are --messages N, --rounds N");
                return ExitCode::from(2);
            }
        }
    }
    let entries = Traffic::of(METERS, messages).entries(messages);
    let octets: usize = entries.iter().map(|entry| entry.topic.len() + entry.body.len()).sum();
    println!(
        "{rounds} rounds of {messages} messages of {READINGS} readings ({} octets each), {BATCH} a commit, WAL, synchronous FULL",
        octets / messages
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (mut ours, mut bare) = (Took::default(), Took::default());
    println!("  round |     store        bare   ratio");
    for round in 1..=rounds {
        let folder = || tempfile::tempdir().expect("a folder of our own");
        // First one, then the other: what else the machine does hits both.
        let (first, second) = (folder(), folder());
        let (ours_now, bare_now);
        if round % 2 == 1 {
            bare_now = append::bare(first.path(), &entries);
            ours_now = runtime.block_on(append::ours(second.path(), entries.clone()));
        } else {
            ours_now = runtime.block_on(append::ours(first.path(), entries.clone()));
            bare_now = append::bare(second.path(), &entries);
        }
        println!(
            "  {round:5} | {:7.0}/s  {:8.0}/s  {:6.2}",
            rate(messages, ours_now),
            rate(messages, bare_now),
            rate(messages, ours_now) / rate(messages, bare_now)
        );
        (ours, bare) = (ours.and(ours_now), bare.and(bare_now));
    }
    let all = messages * rounds;
    for (name, took) in [("store", ours), ("bare", bare)] {
        println!(
            "  {name:<5}: {:.0} messages/s, {:.0} readings/s; to the disk {:.0} octets a reading (write_bytes), to the kernel {:.0} (wchar)",
            rate(all, took),
            rate(all * READINGS, took),
            took.disk as f64 / (all * READINGS) as f64,
            took.handed as f64 / (all * READINGS) as f64,
        );
    }
    let ratio = rate(all, ours) / rate(all, bare);
    let holds = ratio >= LEAST;
    println!(
        "  store to bare: {ratio:.2} (bound: at least {LEAST}){}",
        if holds { "" } else { ": TOO SLOW" }
    );
    ExitCode::from(u8::from(!holds))
}

fn rate(count: usize, took: Took) -> f64 {
    count as f64 / took.time.as_secs_f64()
}
