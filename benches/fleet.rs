//! The daemon with a whole fleet, against a bare poller of the same meters in the same run: CPU an exchange, memory,
//! how full its lines are.
//!
//! `cargo bench --bench fleet [-- --work block,three-phase --lines N --meters M --seconds S --baud 2400,9600 --pieces whole,8,1]`
//!
//! `three-phase` is the work of a concentrator: 27 registers of each meter by ten exchanges, one message. Its CPU is
//! bounded by four times that of the poller. `block` is the worst case: down to a message for each exchange, so that all
//! that a message costs (store, MQTT, receipt) falls on one exchange; its ratio is printed, and nobody is held to it.
//!
//! Meters, broker, poller and daemon are each a process of their own, so that the CPU time of one is not that of another.
//! Exit code: 0 within all bounds, 1 a bound is broken.
#![allow(clippy::expect_used, reason = "a bench of what fails measures nothing")]
#![allow(clippy::disallowed_methods, reason = "a bench measures the real clock")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a bench prints what it measured")]

mod fleet {
    pub(crate) mod broker;
    pub(crate) mod daemon;
    pub(crate) mod emulator;
    pub(crate) mod onlooker;
    pub(crate) mod options;
    pub(crate) mod poller;
    pub(crate) mod process;
    pub(crate) mod run;
    pub(crate) mod work;
}

use fleet::options::Options;
use fleet::{broker, emulator, poller, run};
use std::process::ExitCode;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.split_first() {
        Some((role, rest)) if role == emulator::ROLE => emulator::main(rest),
        Some((role, rest)) if role == poller::ROLE => poller::main(rest),
        Some((role, _)) if role == broker::ROLE => broker::main(),
        Some(_) | None => match Options::parse(&args) {
            Ok(options) => return run::main(&options),
            Err(why) => {
                eprintln!("fleet: {why}");
                return ExitCode::from(2);
            }
        },
    }
    ExitCode::SUCCESS
}
