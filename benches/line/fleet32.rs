//! The whole daemon on virtual time, its 32 meters on a paced line in memory: what silent and late meters cost the
//! others, and how soon the pause between two exchanges is learned.

use super::three_phase::REGISTERS;
use super::{DELAY, line};
use meterd::clock::Clock;
use meterd::config::plan_from_text;
use meterd::daemon::{Daemon, Running};
use meterd::simulator::{InMemory, MeterSettings, Pair, Phases, VirtualLine, VirtualMeter, in_memory};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

const BAUD: u32 = 9600;
const METERS: usize = 32;
/// A round of 32 meters with ten exchanges each fits it well.
const PERIOD: &str = "40s";
const START: &str = "2026-11-21T10:00:15Z";
const TEN_MINUTES: Duration = Duration::from_secs(600);

pub(crate) fn run() {
    println!("\nthe daemon on virtual time: {METERS} meters at {BAUD}, 27 registers each {PERIOD}");
    let runtime =
        || tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let all = runtime().block_on(ten_minutes(&|_| Meter::Good));
    let silent = runtime().block_on(ten_minutes(&|n| if n % 10 == 9 { Meter::Absent } else { Meter::Good }));
    let late = runtime().block_on(ten_minutes(&|n| if n == 16 { Meter::Late } else { Meter::Good }));
    println!("  all good                  {:5} readings of each good meter in 10 min", all.least);
    println!(
        "  {} silent from the start   {:5}, {:.3} of it (goal >= 0.90)",
        silent.others,
        silent.least,
        silent.least as f64 / all.least as f64
    );
    println!(
        "  one that takes 450 ms     {:5}, {:.3} of it; {} of the late one",
        late.least,
        late.least as f64 / all.least as f64,
        late.of_others
    );
    println!(
        "  pause at its floor of 5 ms after {} rounds of a meter (goal <= 20)",
        runtime().block_on(learned())
    );
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Meter {
    Good,
    /// In the configuration, not on the line.
    Absent,
    Late,
}

struct Read {
    /// Readings of the good meter that has the fewest.
    least: usize,
    /// Meters that are not good, and the readings of them.
    others: usize,
    of_others: usize,
}

struct Bench {
    running: Running,
    line: InMemory,
    _data: tempfile::TempDir,
}

fn start(meters: usize, every: &str, kind: &dyn Fn(usize) -> Meter) -> Bench {
    let data = tempfile::tempdir().unwrap();
    let mut text = format!(
        "[gateway]\nid = \"gw\"\ntimezone = \"UTC\"\ndata_dir = \"{}\"\n\
         [[bus]]\nname = \"b\"\nport = \"/dev/null\"\nbaud = {BAUD}\n",
        data.path().display()
    );
    let mut virtual_meters = Vec::new();
    for meter in 0..meters {
        let address = 100 + meter;
        write!(
            text,
            "[[meter]]\nname = \"m{meter}\"\nbus = \"b\"\naddress = \"{address}\"\nwiring = \"3p4w\"\n"
        )
        .unwrap();
        if kind(meter) == Meter::Absent {
            continue;
        }
        let mut settings = MeterSettings::household(address.to_string().parse().unwrap());
        settings.phases = Phases::Three;
        settings.response_delay = if kind(meter) == Meter::Late { Duration::from_millis(450) } else { DELAY };
        virtual_meters.push(VirtualMeter::new(settings, meter as u64));
    }
    write!(text, "[[task]]\nname = \"live\"\nevery = \"{every}\"\nregisters = {REGISTERS:?}\n").unwrap();
    let plan =
        plan_from_text("bench.toml", &text, data.path()).unwrap_or_else(|faults| panic!("{faults}")).plan;
    let clock = Clock::virtual_at(START.parse().unwrap());
    let pair = Pair::from(VirtualLine::new(virtual_meters)).at(line(BAUD));
    let (opener, line) = in_memory(pair, clock.clone(), 100_000);
    let running = Daemon::new(plan, clock).with_line(0, opener).without_broker().start().unwrap();
    Bench { running, line, _data: data }
}

async fn ten_minutes(kind: &dyn Fn(usize) -> Meter) -> Read {
    let bench = start(METERS, PERIOD, kind);
    // The first slot is 15 s from the start.
    tokio::time::sleep(Duration::from_secs(15) + TEN_MINUTES).await;
    let mut readings = BTreeMap::<String, usize>::new();
    for pending in bench.running.store().offer(0, 1_000_000).await.unwrap() {
        if let Some(meter) = pending.topic.strip_suffix("/data/live") {
            *readings.entry(meter.rsplit('/').next().unwrap().to_owned()).or_default() +=
                pending.body.matches("\"taken_at\"").count();
        }
    }
    bench.running.stop().await;
    let of = |meter: usize| readings.get(&format!("m{meter}")).copied().unwrap_or(0);
    let good = (0..METERS).filter(|meter| kind(*meter) == Meter::Good);
    let others: Vec<usize> = (0..METERS).filter(|meter| kind(*meter) != Meter::Good).collect();
    Read {
        least: good.map(of).min().unwrap(),
        others: others.len(),
        of_others: others.into_iter().map(of).sum(),
    }
}

/// Rounds of one meter until the gaps on the wire are those of the floor.
async fn learned() -> usize {
    let bench = start(1, "5s", &|_| Meter::Good);
    tokio::time::sleep(Duration::from_secs(15 + 300)).await;
    let sent = bench.line.sent();
    bench.running.stop().await;
    let request = line(BAUD).octets(20);
    let gaps = sent.windows(2).map(|pair| {
        let began = pair[1].at.duration_since(pair[0].ended).unsigned_abs();
        began.saturating_sub(request)
    });
    let floor = Duration::from_millis(7);
    let exchanges = gaps.clone().position(|gap| gap <= floor).unwrap_or(sent.len());
    let within = gaps.skip(exchanges).filter(|gap| *gap < Duration::from_secs(1));
    assert!(within.clone().count() > 100 && within.into_iter().all(|gap| gap <= floor), "it stays there");
    exchanges.div_ceil(10)
}
