//! From the store to the broker's receipt, against the bare library in the same run; a long backlog beside polling; the
//! start of a large daemon with that backlog.
//!
//! `cargo bench --bench delivery [-- --part whole,catch-up,start-up --messages N --rounds N --backlog N --lines N
//! --meters N --baud N]`
//!
//! Meters, broker and daemon are processes of their own. Exit code: 0 within all bounds, 1 a bound is broken.
#![allow(clippy::expect_used, reason = "a bench of what fails measures nothing")]
#![allow(clippy::disallowed_methods, reason = "a bench measures the real clock")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measured")]

#[path = "delivery/backlog.rs"]
mod backlog;
#[path = "delivery/bare.rs"]
mod bare;
#[path = "delivery/catch_up.rs"]
mod catch_up;
#[path = "delivery/compare.rs"]
mod compare;
#[allow(dead_code, reason = "the bench `fleet` uses all of it")]
#[path = "fleet/parts.rs"]
mod fleet;
#[path = "delivery/options.rs"]
mod options;
#[path = "delivery/start_up.rs"]
mod start_up;
#[path = "delivery/traffic.rs"]
mod traffic;
#[path = "delivery/whole.rs"]
mod whole;

use fleet::work::three_phase;
use fleet::{broker, emulator};
use meterd::config::Mqtt;
use options::{Options, Part};
use std::process::ExitCode;

/// What mosquitto allows in flight if its settings do not say more.
const STOCK: u16 = 20;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.split_first() {
        Some((role, rest)) if role == emulator::ROLE => emulator::main(rest),
        Some((role, _)) if role == broker::ROLE => broker::main(),
        Some(_) | None => match Options::parse(&args) {
            Ok(options) => return measure(&options),
            Err(why) => {
                eprintln!("delivery: {why}");
                return ExitCode::from(2);
            }
        },
    }
    ExitCode::SUCCESS
}

fn measure(options: &Options) -> ExitCode {
    let mut broken = Vec::new();
    for part in &options.parts {
        broken.extend(match part {
            Part::Whole => {
                // What the stock settings cost is worth a look; the bounds are those of a full window.
                drop(with_broker(STOCK, |broker| compare::measure(options, broker)));
                with_broker(Mqtt::WINDOW, |broker| compare::measure(options, broker))
            }
            Part::CatchUp => with_broker(Mqtt::WINDOW, |broker| catch_up::measure(options, broker)),
            Part::StartUp => start_up::measure(options),
        });
    }
    for what in &broken {
        println!("TOO MUCH: {what}");
    }
    ExitCode::from(u8::from(!broken.is_empty()))
}

/// With a broker that allows so many messages in flight.
fn with_broker<T>(in_flight: u16, measured: impl FnOnce(&broker::Broker) -> T) -> T {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let more = format!("max_inflight_messages {in_flight}\n");
    let broker = broker::Broker::start_with(folder.path(), &more);
    println!("\n{} that allows {in_flight} in flight", broker.name);
    measured(&broker)
}
