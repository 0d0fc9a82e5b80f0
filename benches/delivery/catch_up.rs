//! The daemon with a backlog: how soon it is delivered, and what polling loses meanwhile.

use super::backlog::Backlog;
use super::fleet::broker::Broker;
use super::fleet::daemon::Daemon;
use super::fleet::emulator::{self, Counts};
use super::fleet::process::{Part, cpu, memory_kib};
use super::fleet::run::{ask, wait_for_slot};
use super::fleet::work::{Kind, Work};
use super::options::Options;
use super::traffic::READINGS;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// For the whole backlog, from the daemon's start on.
const MAX_DRAIN: Duration = Duration::from_secs(120);
/// Of the utilisation of the lines, in percent.
const MAX_LOSS: f64 = 1.0;
/// So often the store is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// Patience of the bench.
const END: Duration = Duration::from_secs(600);

/// A stretch of the daemon's work, from its start on.
struct Stretch {
    time: Duration,
    line: Counts,
    cpu: Duration,
    peak_kib: u64,
}

impl Stretch {
    /// Air time of an exchange in what it took with the pause after it: how full a line is while there is something to
    /// read.
    fn utilisation(&self) -> f64 {
        let air = self.line.air_us as f64 / self.line.exchanges.max(1) as f64;
        air / (air + self.pause_us())
    }

    fn pause_us(&self) -> f64 {
        self.line.turnaround_us as f64 / self.line.turnarounds.max(1) as f64
    }
}

/// Measures it, prints it and says what is broken.
pub(crate) fn measure(options: &Options, broker: &Broker) -> Vec<String> {
    let Options { lines, meters, baud, backlog: messages, .. } = *options;
    let work = Work::choose(Kind::Block, baud, meters.div_ceil(lines));
    let readings: usize = work.asks.iter().map(|ask| ask.wanted.len()).sum();
    println!(
        "catch-up: {} readings in {messages} messages, and {:.0} readings/s of {meters} meters on {lines} lines of {baud} baud",
        messages * READINGS,
        (readings * meters) as f64 / work.every_s as f64
    );
    let args = [vec![lines.to_string(), meters.to_string()], work.args().to_vec()].concat();
    let mut emulator = Part::start(emulator::ROLE, &args);

    let folder = tempfile::tempdir().expect("a temporary folder");
    let (backlog, took) = Backlog::build(folder.path(), meters, messages);
    println!("  the store took {:.1} s for the backlog", took.as_secs_f64());
    let draining = poll(folder.path(), &work, meters, broker, &mut emulator, |_| backlog.is_drained());
    drop(backlog);
    let folder = tempfile::tempdir().expect("a temporary folder");
    // As long, from the same place in a slot on, with as much to be learned of the lines.
    let plain = poll(folder.path(), &work, meters, broker, &mut emulator, |time| time >= draining.time);

    for (name, stretch) in [("draining", &draining), ("without", &plain)] {
        let seconds = stretch.time.as_secs_f64();
        println!(
            "  {name:<8} | {seconds:6.1} s | {:6.1} exchanges/s | pause {:6.2} ms | utilisation {:.4} | {:5.1} % of a core | {:.1} MiB at most",
            stretch.line.exchanges as f64 / seconds,
            stretch.pause_us() / 1e3,
            stretch.utilisation(),
            100.0 * stretch.cpu.as_secs_f64() / seconds,
            stretch.peak_kib as f64 / 1024.0,
        );
    }
    let loss = 100.0 * (1.0 - draining.utilisation() / plain.utilisation());
    println!(
        "  drained in {:.1} s (bound {} s), {:.0} readings/s; utilisation lost meanwhile {loss:.2} % (bound {MAX_LOSS} %)",
        draining.time.as_secs_f64(),
        MAX_DRAIN.as_secs(),
        (messages * READINGS) as f64 / draining.time.as_secs_f64(),
    );
    let mut broken = Vec::new();
    if draining.time > MAX_DRAIN {
        broken.push(format!("catch-up: {:.1} s", draining.time.as_secs_f64()));
    }
    if loss >= MAX_LOSS {
        broken.push(format!("catch-up: {loss:.2} % of the utilisation is lost"));
    }
    broken
}

/// Has a daemon poll until `is_over`, which gets the time since its start.
fn poll(
    folder: &Path,
    work: &Work,
    meters: usize,
    broker: &Broker,
    emulator: &mut Part,
    is_over: impl Fn(Duration) -> bool,
) -> Stretch {
    wait_for_slot(work.every_s);
    let (before, begin) = (ask(emulator, "count"), Instant::now());
    let ports = emulator.ports.clone();
    let mut daemon = Daemon::start(folder, work, &ports, meters, Some(broker));
    daemon.runs(folder);
    let time = loop {
        let time = begin.elapsed();
        if is_over(time) {
            break time;
        }
        assert!(time < END, "the backlog does not go");
        sleep(LOOK);
    };
    let line = ask(emulator, "count").since(before);
    let (cpu, peak_kib) = (cpu(daemon.pid()), memory_kib(daemon.pid(), "VmHWM"));
    daemon.stop(folder);
    Stretch { time, line, cpu, peak_kib }
}
