//! How much of a line is used: what the exchanges need by the model of the limit, divided by what they took.
//!
//! ```text
//! cargo bench --bench line                      all of it, about a minute and a half
//! cargo bench --bench line -- --port /tmp/bus0  27 registers of the meter at any other emulator or line
//! ```
//!
//! The model is characters × 11 bits ÷ baud + response delay, and no time between exchanges. The first table is in real
//! time on a pseudo-terminal that a thread paces; the rest is the whole daemon on virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a bench fails loudly")]
#![allow(clippy::print_stdout, reason = "a bench prints what it measured")]
#![allow(missing_docs, reason = "a bench has no interface")]

#[path = "line/fleet32.rs"]
mod fleet32;
#[path = "line/reader.rs"]
mod reader;
#[path = "line/three_phase.rs"]
mod three_phase;

use meterd::clock::Clock;
use meterd::planner::{CharFormat, Line};
use meterd::simulator::{self, Listen, MeterSettings, Pair, Phases, VirtualLine, VirtualMeter};
use reader::{Pass, Reader, Way};
use std::time::Duration;

const RATES: [(u32, u32); 5] = [(1200, 2), (2400, 3), (4800, 5), (9600, 8), (19_200, 12)];
const DELAY: Duration = Duration::from_millis(30);
const ADDRESS: &str = "000000000100";
/// Answers that the log keeps: more than any rate has.
const KEPT: usize = 10_000;

fn main() {
    // cargo passes --bench along.
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let mut options = Options { port: None, address: ADDRESS.to_owned(), baud: 9600, delay: DELAY };
    while let Some(arg) = args.next() {
        let mut value = || args.next().unwrap_or_else(|| usage(&format!("{arg} needs a value")));
        match arg.as_str() {
            "--port" => options.port = Some(value()),
            "--address" => options.address = value(),
            "--baud" => options.baud = value().parse().unwrap_or_else(|_| usage("--baud is a number")),
            "--delay" => {
                options.delay = meterd::config::short(&value()).unwrap_or_else(|bad| usage(&bad.to_string()));
            }
            other => usage(&format!("{other} is not known")),
        }
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if options.port.is_some() {
        runtime.block_on(other_line(&options));
        return;
    }
    println!(
        "27 registers of a three-phase meter, response delay 30 ms, turnaround pinned to 0, four FE both ways"
    );
    println!(
        "goal: u >= 0.99 up to 4800, >= 0.985 at 9600, >= 0.97 at 19200; own gap p99 <= 2 ms; blocks <= 0.42\n"
    );
    println!(
        "  baud  singles: s/meter      u  gap p50  gap p99  |  blocks: s/meter      u  |  blocks/singles"
    );
    for (baud, rounds) in RATES {
        let (singles, blocks) = runtime.block_on(own_line(baud, rounds));
        println!(
            "{baud:6}  {:16.3}  {:.3}  {:4.2} ms  {:4.2} ms  |  {:15.3}  {:.3}  |  {:.3}",
            singles.seconds(),
            singles.utilisation(),
            singles.gap(50).as_secs_f64() * 1e3,
            singles.gap(99).as_secs_f64() * 1e3,
            blocks.seconds(),
            blocks.utilisation(),
            blocks.seconds() / singles.seconds(),
        );
    }
    fleet32::run();
}

struct Options {
    port: Option<String>,
    address: String,
    baud: u32,
    delay: Duration,
}

fn usage(why: &str) -> ! {
    panic!(
        "{why}; cargo bench --bench line -- [--port PATH|tcp://HOST:PORT] [--address 000000000001] [--baud 9600] [--delay 30ms]"
    )
}

fn line(baud: u32) -> Line {
    Line { baud, frame: CharFormat::EVEN }
}

/// Singles and blocks at our own emulator.
async fn own_line(baud: u32, rounds: u32) -> (Pass, Pass) {
    let dir = std::env::temp_dir().join(format!("meterd-bench-{}-{baud}", std::process::id()));
    let mut settings = MeterSettings::household(ADDRESS.parse().unwrap());
    settings.phases = Phases::Three;
    settings.response_delay = DELAY;
    let pair = Pair::from(VirtualLine::new(vec![VirtualMeter::new(settings, 7)])).at(line(baud));
    let running = simulator::spawn(pair, &Listen::Pty(dir.clone()), Clock::system(), KEPT).await.unwrap();
    let port = running.bound().port_address();
    let mut reader = Reader::new(&port, ADDRESS, line(baud), DELAY);
    // The first exchange opens the port.
    reader.pass(Way::Blocks, 1).await;
    let blocks = reader.pass(Way::Blocks, rounds).await;
    let singles = reader.pass(Way::Singles, rounds).await;
    drop(reader);
    running.stop().await.unwrap();
    (singles, blocks)
}

/// 27 single reads and 27 registers by blocks of one meter at whatever is there.
async fn other_line(options: &Options) {
    let port = options.port.as_ref().unwrap().parse().unwrap_or_else(|bad| usage(&format!("--port: {bad}")));
    let mut reader = Reader::new(&port, &options.address, line(options.baud), options.delay);
    for way in [Way::Singles, Way::Blocks] {
        let pass = reader.pass(way, 5).await;
        println!(
            "{way:?}: {} exchanges, {:.3} s a meter, u {:.4}, gap p50 {:.2} ms p99 {:.2} ms, {} without an answer",
            pass.exchanges(),
            pass.seconds(),
            pass.utilisation(),
            pass.gap(50).as_secs_f64() * 1e3,
            pass.gap(99).as_secs_f64() * 1e3,
            pass.failed,
        );
    }
}
