//! The measurement: what is started when, and what is printed.

use super::broker::Broker;
use super::daemon::{self, Daemon};
use super::emulator::{self, Counts, Pieces};
use super::onlooker::{Came, Onlooker};
use super::options::Options;
use super::poller;
use super::process::{Part, cpu, memory_kib};
use super::work::Work;
use std::path::Path;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// CPU of the daemon for an exchange of three-phase work, against that of the bare poller.
const MAX_RATIO: f64 = 4.0;
/// Resident memory of the daemon.
const MAX_RSS_MIB: f64 = 64.0;
/// So long before a slot the lines have nothing to do: then it is counted.
const BEFORE: Duration = Duration::from_millis(300);
/// How long the poller is measured, before and after the daemon each; first it comes up to speed.
const POLLED: Duration = Duration::from_secs(4);
const SPEED: Duration = Duration::from_secs(1);

/// CPU and exchanges of one process.
#[derive(Clone, Copy, Debug, Default)]
struct Spent {
    exchanges: u64,
    cpu: Duration,
    time: Duration,
}

impl Spent {
    fn and(self, other: Self) -> Self {
        Self {
            exchanges: self.exchanges + other.exchanges,
            cpu: self.cpu + other.cpu,
            time: self.time + other.time,
        }
    }

    fn per_second(self) -> f64 {
        self.exchanges as f64 / self.time.as_secs_f64()
    }

    fn core_percent(self) -> f64 {
        100.0 * self.cpu.as_secs_f64() / self.time.as_secs_f64()
    }

    fn us_each(self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / self.exchanges.max(1) as f64
    }
}

/// A stretch of the daemon's work.
struct Measured {
    pieces: Pieces,
    spent: Spent,
    line: Counts,
    came: Came,
    emulator: Duration,
    rss_kib: u64,
}

/// Measures everything, prints it and judges it.
pub(crate) fn main(options: &Options) -> ExitCode {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let broker = Broker::start(folder.path());
    let onlooker = Onlooker::of(broker.port);
    println!("{} meters on {} lines, store and MQTT ({}) on", options.meters, options.lines, broker.name);
    let fullest = options.meters.div_ceil(options.lines);
    let each = options.works.iter().flat_map(|kind| options.bauds.iter().map(move |baud| (*kind, *baud)));
    let works: Vec<Work> = each.map(|(kind, baud)| Work::choose(kind, baud, fullest)).collect();
    let takes: Duration = works.iter().map(|work| takes(work, options)).sum();
    println!("It takes {} minutes at most.", takes.as_secs().div_ceil(60));
    let mut broken = Vec::new();
    for work in &works {
        let folder = folder.path().join(format!("{}-{}", work.kind, work.line.baud));
        std::fs::create_dir(&folder).expect("the folder can be written");
        broken.extend(at(work, options, &folder, &broker, &onlooker));
    }
    for bound in &broken {
        println!("TOO MUCH: {bound}");
    }
    if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How long a work is measured: the poller twice, and of the daemon two slots at most before the measured ones.
fn takes(work: &Work, options: &Options) -> Duration {
    let ways = options.pieces.len() as u32;
    let slots = 2 + options.pieces.len() as u64 * work.slots(options.seconds);
    (SPEED + POLLED) * 2 * ways + Duration::from_secs(work.every_s * slots)
}

/// Measures one work at its rate; the bounds that are broken.
fn at(work: &Work, options: &Options, folder: &Path, broker: &Broker, onlooker: &Onlooker) -> Vec<String> {
    let &Options { lines, meters, seconds, ref pieces, .. } = options;
    let (kind, baud) = (work.kind, work.line.baud);
    let (registers, asks) = (work.registers.join(", "), work.asks.len());
    println!(
        "\n{kind} work at {baud} baud: {registers}: {asks} exchanges a meter every {} s, by the air-time model {}.{} % of the fullest line",
        work.every_s,
        work.per_mille / 10,
        work.per_mille % 10
    );
    let args = |first: String| [&[first, meters.to_string()], &work.args()[..]].concat();
    let mut emulator = Part::start(emulator::ROLE, &args(lines.to_string()));
    let ports: Vec<String> = emulator.ports.iter().map(u16::to_string).collect();
    let poller = args(ports.join(","));
    let mut bare: Vec<Spent> = pieces.iter().map(|pieces| poll(&poller, &mut emulator, *pieces)).collect();

    let begin = Instant::now();
    let mut daemon = Daemon::start(folder, work, &emulator.ports, meters, Some(broker));
    daemon.runs(folder);
    let started = begin.elapsed();
    let slots = work.slots(seconds);
    // A slot that runs at the start is left out, and the first one teaches the daemon its lines.
    wait_for_slot(work.every_s);
    sleep(Duration::from_secs(work.every_s));
    let mut all = Vec::new();
    for pieces in pieces {
        let line = ask(&mut emulator, &pieces.to_string());
        let (came, used, emulated) = (onlooker.came(), cpu(daemon.pid()), cpu(emulator.pid()));
        let begin = Instant::now();
        sleep(Duration::from_secs(work.every_s * slots));
        let time = begin.elapsed();
        let line = ask(&mut emulator, "count").since(line);
        let spent = Spent { exchanges: line.exchanges, cpu: cpu(daemon.pid()) - used, time };
        let (came, emulator) = (onlooker.came().since(came), cpu(emulator.pid()) - emulated);
        let rss_kib = memory_kib(daemon.pid(), "VmRSS");
        all.push(Measured { pieces: *pieces, spent, line, came, emulator, rss_kib });
    }
    let peak_kib = memory_kib(daemon.pid(), "VmHWM");
    daemon.stop(folder);
    for (spent, pieces) in bare.iter_mut().zip(pieces).rev() {
        *spent = spent.and(poll(&poller, &mut emulator, *pieces));
    }

    println!(
        "  pieces |   daemon           CPU          |   bare poller      CPU          | CPU ratio | readings  failures  messages | line busy  pace   late"
    );
    let mut broken = Vec::new();
    for (measured, bare) in all.iter().zip(&bare) {
        broken.extend(row(measured, *bare, work, options, slots));
    }
    let mib = |kib: u64| kib as f64 / 1024.0;
    let rss = mib(all.iter().map(|measured| measured.rss_kib).max().unwrap_or_default());
    println!(
        "  memory of the daemon: {rss:.1} MiB resident (bound {MAX_RSS_MIB:.0} MiB), {:.1} MiB at most; it ran after {:.2} s",
        mib(peak_kib),
        started.as_secs_f64()
    );
    if rss > MAX_RSS_MIB {
        broken.push(format!("{kind} at {baud} baud: {rss:.1} MiB resident"));
    }
    let said = daemon::log(folder);
    // That the lines are nearly full is meant.
    let is_meant = |line: &&str| line.contains("of its air time");
    let noise = said.lines().filter(|line| line.contains("WARN") || line.contains("ERROR"));
    for line in noise.filter(|line| !is_meant(line)).take(5) {
        println!("  the daemon said: {line}");
    }
    broken
}

fn row(measured: &Measured, bare: Spent, work: &Work, options: &Options, slots: u64) -> Vec<String> {
    let Measured { pieces, spent, line, came, emulator, .. } = measured;
    let (kind, baud) = (work.kind, work.line.baud);
    let ratio = spent.us_each() / bare.us_each();
    let seconds = spent.time.as_secs_f64();
    let wanted = options.meters as u64 * slots;
    let busy = line.air_us as f64 / 1e4 / seconds / options.lines as f64;
    // What the model takes an exchange to cost a line, against what it did.
    let model = work.air.as_secs_f64() * 1e6 / work.asks.len() as f64;
    let pause = line.turnaround_us as f64 / line.turnarounds.max(1) as f64;
    let pace = 100.0 * model / (line.air_us as f64 / line.exchanges.max(1) as f64 + pause);
    println!(
        "  {:<6} | {:7.1}/s {:5.1} % {:6.1} us each | {:7.1}/s {:5.1} % {:6.1} us each | {ratio:7.2} x | {:7.1}/s  {:8}  {:7.3} % | {busy:6.1} %  {pace:5.1} % {:5.2} ms",
        pieces.to_string(),
        spent.per_second(),
        spent.core_percent(),
        spent.us_each(),
        bare.per_second(),
        bare.core_percent(),
        bare.us_each(),
        came.readings as f64 / seconds,
        came.failures,
        100.0 * came.messages as f64 / wanted as f64,
        line.late_us as f64 / 1e3 / line.exchanges.max(1) as f64,
    );
    println!(
        "         | {:.1} us of CPU a reading; pause between exchanges {:.1} ms; the emulator took {:.1} % of a core",
        spent.cpu.as_secs_f64() * 1e6 / came.readings.max(1) as f64,
        pause / 1e3,
        100.0 * emulator.as_secs_f64() / seconds
    );
    let mut broken = Vec::new();
    let mut judge = |holds: bool, what: String| {
        if !holds {
            broken.push(format!("{kind} at {baud} baud, pieces {pieces}: {what}"));
        }
    };
    judge(!kind.is_bounded() || ratio <= MAX_RATIO, format!("{ratio:.2} times the CPU of the bare poller"));
    judge(came.failures == 0, format!("{} failures", came.failures));
    judge(came.messages == wanted, format!("{} messages of {wanted}", came.messages));
    judge(line.unanswered == 0, format!("{} requests that no meter answers", line.unanswered));
    broken
}

/// Polls for a while.
fn poll(args: &[String], emulator: &mut Part, pieces: Pieces) -> Spent {
    emulator.ask(&pieces.to_string());
    let mut poller = Part::start(poller::ROLE, args);
    sleep(SPEED);
    let count = |poller: &mut Part| {
        let said = poller.ask("count");
        let (good, bad) = said.split_once(' ').expect("two numbers");
        assert_eq!(bad, "0", "the poller had bad replies");
        good.parse::<u64>().expect("a number")
    };
    let (before, used, begin) = (count(&mut poller), cpu(poller.pid()), Instant::now());
    sleep(POLLED);
    let (time, used) = (begin.elapsed(), cpu(poller.pid()) - used);
    Spent { exchanges: count(&mut poller) - before, cpu: used, time }
}

pub(crate) fn ask(emulator: &mut Part, order: &str) -> Counts {
    Counts::parse(&emulator.ask(order)).expect("the emulator's counts")
}

/// Sleeps until shortly before a slot opens. The task's slots are aligned to UTC.
pub(crate) fn wait_for_slot(every_s: u64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970") + BEFORE;
    let every = Duration::from_secs(every_s);
    let into = Duration::from_nanos((now.as_nanos() % every.as_nanos()) as u64);
    sleep(every - into);
}
