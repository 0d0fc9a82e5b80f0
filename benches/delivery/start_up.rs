//! The start of a large daemon with a backlog and without a broker.

use super::backlog::Backlog;
use super::fleet::daemon::Daemon;
use super::fleet::emulator;
use super::fleet::process::{Part, memory_kib};
use super::fleet::run::{ask, wait_for_slot};
use super::fleet::work::{Kind, Work};
use super::options::Options;
use super::traffic::READINGS;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// From the start of the process to the first request on any line.
const MAX_FIRST: Duration = Duration::from_secs(2);
/// Resident memory, at most.
const MAX_PEAK_MIB: f64 = 64.0;
const LINES: usize = 256;
const METERS: usize = 10_000;
const LOOK: Duration = Duration::from_millis(5);
const END: Duration = Duration::from_secs(60);

/// Measures it, prints it and says what is broken.
pub(crate) fn measure(options: &Options) -> Vec<String> {
    let Options { baud, backlog: messages, .. } = *options;
    let work = Work::choose(Kind::Block, baud, METERS.div_ceil(LINES));
    println!(
        "\nstart-up: {METERS} meters on {LINES} lines of {baud} baud every {} s, {} readings of backlog, no broker",
        work.every_s,
        messages * READINGS
    );
    let args = [vec![LINES.to_string(), METERS.to_string()], work.args().to_vec()].concat();
    let mut emulator = Part::start(emulator::ROLE, &args);
    let folder = tempfile::tempdir().expect("a temporary folder");
    drop(Backlog::build(folder.path(), METERS, messages));

    wait_for_slot(work.every_s);
    let begin = Instant::now();
    let ports = emulator.ports.clone();
    let mut daemon = Daemon::start(folder.path(), &work, &ports, METERS, None);
    while ask(&mut emulator, "count").requests == 0 {
        assert!(begin.elapsed() < END, "nothing is read");
        sleep(LOOK);
    }
    let first = begin.elapsed();
    daemon.runs(folder.path());
    // Two slots, so that all lines are at work.
    sleep(Duration::from_secs(2 * work.every_s));
    let line = ask(&mut emulator, "count");
    let peak = memory_kib(daemon.pid(), "VmHWM") as f64 / 1024.0;
    daemon.stop(folder.path());
    println!(
        "  first request after {:.2} s (bound {} s); {peak:.1} MiB resident at most (bound {MAX_PEAK_MIB:.0} MiB) after {} exchanges",
        first.as_secs_f64(),
        MAX_FIRST.as_secs(),
        line.exchanges
    );
    let mut broken = Vec::new();
    if first > MAX_FIRST {
        broken.push(format!("start-up: {:.2} s", first.as_secs_f64()));
    }
    if peak > MAX_PEAK_MIB {
        broken.push(format!("start-up: {peak:.1} MiB resident"));
    }
    broken
}
