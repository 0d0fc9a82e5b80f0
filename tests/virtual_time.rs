//! The whole daemon but the broker on virtual time: virtual meters on lines in memory, and the
//! outbox signed through the same hands that the MQTT session uses.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

mod support;

use catalogue::Catalogue;
use dlt645::Edition;
use jiff::{SignedDuration, Timestamp};
use meterd::bus::port::memory::{self, MemoryPort, MemoryWire};
use meterd::clock::Clock;
use meterd::command::{Answer, Command, Verb};
use meterd::daemon::{Daemon, Running};
use meterd::simulator::{MeterSettings, VirtualLine, VirtualMeter};
use meterd::store::Pending;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

const START: &str = "2026-11-21T10:00:30Z";

const CONFIGURATION: &str = r#"
[gateway]
id = "gw01"
timezone = "Asia/Shanghai"
data_dir = "$DATA"

[[bus]]
name = "riser-1"
port = "/dev/null"

[[meter]]
name = "flat-101"
bus = "riser-1"
address = "101"

[[meter]]
name = "flat-102"
bus = "riser-1"
address = "102"
ct = "75/5"

[[task]]
name = "live"
every = "1m"
registers = ["active_energy_import", "active_energy_import_t*", "voltage_l1", "current_l1"]
"#;

struct Bench {
    running: Running,
    clock: Clock,
    supply: mpsc::Sender<MemoryPort>,
    _data: tempfile::TempDir,
}

impl Bench {
    async fn start(at: &str) -> Self {
        let data = tempfile::tempdir().unwrap();
        let clock = Clock::virtual_at(at.parse().unwrap());
        let (supply, opener) = memory::opener();
        let plan = support::plan(CONFIGURATION, data.path());
        let running = Daemon::new(plan, clock.clone()).with_line(0, opener).without_broker().start().unwrap();
        Self { running, clock, supply, _data: data }
    }

    /// Plugs in a line with these meters.
    async fn plug(&self, addresses: &[&str]) -> JoinHandle<()> {
        let (port, wire) = memory::pair();
        self.supply.send(port).await.unwrap();
        let meters = addresses
            .iter()
            .map(|a| VirtualMeter::new(MeterSettings::household(a.parse().unwrap()), 1))
            .collect();
        tokio::spawn(answer(wire, VirtualLine::new(meters), self.clock.clone()))
    }

    /// All that nobody has signed for.
    async fn unsigned(&self) -> Vec<Pending> {
        self.running.store().offer(0, 100_000).await.unwrap()
    }

    /// The data messages of it.
    async fn outbox(&self) -> Vec<Pending> {
        self.unsigned().await.into_iter().filter(|p| p.topic.contains("/data/")).collect()
    }

    /// The events and the meters' states of it, as the ends of their topics.
    async fn events(&self) -> Vec<String> {
        let all = self.unsigned().await;
        let topics = all.iter().filter(|p| !p.topic.contains("/data/") && !p.topic.contains("/round/"));
        topics.map(|p| p.topic.replace("meterd/v1/gw01/", "")).collect()
    }

    /// Lets virtual time pass.
    async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }
}

async fn answer(mut wire: MemoryWire, mut line: VirtualLine, clock: Clock) {
    while let Some(request) = wire.hear().await {
        for answer in line.hear(&request, clock.now()) {
            tokio::time::sleep(answer.after).await;
            if !wire.say(&answer.octets).await {
                return;
            }
        }
    }
}

fn slot(pending: &Pending) -> &str {
    let at = pending.body.find("\"slot\":\"").unwrap() + 8;
    &pending.body[at..at + 25]
}

fn failures(pending: &Pending, reason: &str) -> usize {
    pending.body.matches(&format!("\"reason\":\"{reason}\"")).count()
}

fn readings(pending: &Pending) -> usize {
    pending.body.matches("\"taken_at\"").count()
}

#[tokio::test(start_paused = true)]
async fn an_hour_of_slots_is_read_of_every_meter_without_a_hole() {
    let bench = Bench::start(START).await;
    let _line = bench.plug(&["101", "102"]).await;
    bench.pass(3600).await;
    let outbox = bench.outbox().await;
    assert_eq!(outbox.len(), 120, "60 slots of two meters");
    let mut expected: Timestamp = "2026-11-21T10:01:00Z".parse().unwrap();
    for pair in outbox.chunks(2) {
        for pending in pair {
            let zoned = expected.to_zoned(jiff::tz::TimeZone::get("Asia/Shanghai").unwrap());
            assert_eq!(slot(pending), zoned.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string());
            assert_eq!(
                (readings(pending), pending.body.contains("\"failures\":[]")),
                (7, true),
                "{}",
                pending.body
            );
        }
        expected += SignedDuration::from_secs(60);
    }
    let numbers: Vec<u64> = bench.unsigned().await.iter().map(|p| p.seq).collect();
    assert_eq!(
        numbers,
        (1..=182).collect::<Vec<u64>>(),
        "seq has no hole; two are of meters that came online, 60 of rounds"
    );
    assert_eq!(bench.events().await, ["meter/flat-101/status", "meter/flat-102/status"]);
    bench.running.store().forget(numbers).await.unwrap();
    assert_eq!(bench.unsigned().await, []);
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_ratio_stands_beside_the_value_of_the_meter_that_has_one() {
    let bench = Bench::start(START).await;
    let _line = bench.plug(&["101", "102"]).await;
    bench.pass(60).await;
    let outbox = bench.outbox().await;
    let of = |meter: &str| outbox.iter().find(|p| p.topic.contains(meter)).unwrap();
    assert!(!of("flat-101").body.contains("\"ratio\""));
    assert_eq!(of("flat-102").body.matches("\"ratio\":15").count(), 6, "energies and current by CT");
    assert_eq!(of("flat-102").body.matches("\"ratio\":1,").count(), 1, "voltage without PT");
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_meter_yields_a_message_with_failures_only_and_disturbs_no_other() {
    let bench = Bench::start(START).await;
    let _line = bench.plug(&["102"]).await;
    bench.pass(120).await;
    let outbox = bench.outbox().await;
    assert_eq!(outbox.len(), 4);
    for pending in outbox {
        let expected = if pending.topic.contains("flat-101") { (0, 7) } else { (7, 0) };
        assert_eq!((readings(&pending), failures(&pending, "silent")), expected, "{}", pending.body);
    }
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_unplugged_line_says_port_gone_and_is_read_again_when_it_is_back() {
    let bench = Bench::start(START).await;
    let line = bench.plug(&["101", "102"]).await;
    bench.pass(60).await;
    line.abort();
    bench.pass(180).await;
    let gone = bench.outbox().await;
    let said: Vec<_> = gone[2..].iter().map(|p| failures(p, "port_gone")).collect();
    assert_eq!(said, [7; 6], "each meter of each slot is accounted for");
    let _line = bench.plug(&["101", "102"]).await;
    bench.pass(120).await;
    let back = bench.outbox().await;
    assert!(back[back.len() - 2..].iter().all(|p| readings(p) == 7));
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_starts_in_1970_opens_no_slot_until_it_is_set() {
    let bench = Bench::start("1970-01-01T00:00:10Z").await;
    let _line = bench.plug(&["101", "102"]).await;
    bench.pass(600).await;
    assert_eq!(bench.outbox().await, [], "nothing under a wrong day");
    let right: Timestamp = "2026-11-21T10:20:15Z".parse().unwrap();
    bench.clock.step(right.duration_since(bench.clock.now()));
    bench.pass(120).await;
    let outbox = bench.outbox().await;
    assert_eq!(slot(&outbox[0]), "2026-11-21T18:21:00+08:00");
    assert_eq!(outbox.len(), 4);
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_stepped_back_reads_no_slot_twice() {
    let bench = Bench::start(START).await;
    let _line = bench.plug(&["101", "102"]).await;
    bench.pass(600).await;
    let before = bench.outbox().await.len();
    bench.clock.step(SignedDuration::from_mins(-5));
    bench.pass(240).await;
    assert_eq!(bench.outbox().await.len(), before);
    bench.pass(180).await;
    let outbox = bench.outbox().await;
    let mut identities: Vec<_> = outbox.iter().map(|p| (slot(p), &p.topic)).collect();
    let all = identities.len();
    identities.sort_unstable();
    identities.dedup();
    assert_eq!(identities.len(), all);
    assert!(all > before);
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_command_goes_between_two_exchanges_and_an_expired_one_does_nothing() {
    let bench = Bench::start(START).await;
    let _line = bench.plug(&["101", "102"]).await;
    // In the middle of the round of 10:01:00.
    tokio::time::sleep(Duration::from_millis(30_200)).await;
    let registers = Catalogue::dlt645_2007().find("frequency", 4).unwrap();
    let ask = |meter: &str, expires: Timestamp| {
        let (answer, answered) = oneshot::channel();
        let verb = Verb::Read { meter: String::from(meter), registers: registers.clone() };
        let command = Command { id: "1".into(), author: "test".into(), expires, verb, answer };
        bench.running.lanes()[0].offer(command).unwrap();
        answered
    };
    let now = bench.clock.now();
    let soon = now + SignedDuration::from_secs(10);
    let (read, void, unknown) = (ask("flat-101", soon), ask("flat-102", now), ask("flat-109", soon));
    let Answer::Read(decoded) = read.await.unwrap() else { panic!("the meter was not read") };
    assert_eq!((decoded.readings.len(), decoded.failures.len()), (1, 0));
    let waited = bench.clock.now().duration_since(now);
    assert!(waited < SignedDuration::from_secs(1), "at most the exchange under way and its own: {waited:?}");
    assert_eq!(void.await.unwrap(), Answer::Expired);
    assert_eq!(unknown.await.unwrap(), Answer::UnknownMeter);
    bench.pass(30).await;
    assert!(bench.outbox().await.iter().all(|p| readings(p) == 7), "the round went on");
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_the_middle_of_a_round_keeps_what_was_read_and_says_what_was_not() {
    let data = tempfile::tempdir().unwrap();
    let clock = Clock::virtual_at(START.parse().unwrap());
    let (supply, opener) = memory::opener();
    let plan = support::plan(CONFIGURATION, data.path());
    let running = Daemon::new(plan, clock.clone()).with_line(0, opener).without_broker().start().unwrap();
    let bench = Bench { running, clock, supply, _data: tempfile::tempdir().unwrap() };
    let _line = bench.plug(&["101", "102"]).await;
    tokio::time::sleep(Duration::from_millis(30_200)).await;
    let before = bench.clock.elapsed();
    bench.running.stop().await;
    assert!(bench.clock.elapsed() - before < Duration::from_secs(5));
    let mut writer = meterd::store::Writer::open(data.path()).unwrap();
    let kept: Vec<_> =
        writer.offer(0, 10).unwrap().into_iter().filter(|p| p.topic.contains("/data/")).collect();
    assert_eq!(kept.len(), 2, "one message a meter");
    let accounted: Vec<_> = kept.iter().map(|p| (readings(p), failures(p, "expired"))).collect();
    assert!(accounted.iter().all(|(read, not)| read + not == 7), "{accounted:?}");
    assert!(accounted[0].0 > 0);
}

const BOTH_EDITIONS: &str = r#"
[gateway]
id = "gw01"
timezone = "Asia/Shanghai"
data_dir = "$DATA"

[[bus]]
name = "riser-1"
port = "/dev/null"

[[meter]]
name = "flat-101"
bus = "riser-1"
address = "101"

[[meter]]
name = "pump-1"
bus = "riser-1"
address = "201"
protocol = "dlt645-1997"

[[task]]
name = "live"
every = "1m"
registers = ["active_energy_import", "active_energy_import_t*", "voltage_l1", "current_l1", "frequency"]
"#;

#[tokio::test(start_paused = true)]
async fn meters_of_1997_and_2007_on_one_line_are_read_in_the_same_round() {
    let data = tempfile::tempdir().unwrap();
    let clock = Clock::virtual_at(START.parse().unwrap());
    let (supply, opener) = memory::opener();
    let plan = support::plan(BOTH_EDITIONS, data.path());
    let running = Daemon::new(plan, clock.clone()).with_line(0, opener).without_broker().start().unwrap();
    let bench = Bench { running, clock: clock.clone(), supply, _data: data };
    let (port, wire) = memory::pair();
    bench.supply.send(port).await.unwrap();
    let meters = [("101", Edition::E2007), ("201", Edition::E1997)].map(|(address, edition)| {
        let mut settings = MeterSettings::household(address.parse().unwrap());
        settings.edition = edition;
        settings.energy = 1_234_567;
        VirtualMeter::new(settings, 1)
    });
    let _line = tokio::spawn(answer(wire, VirtualLine::new(meters.into()), clock));
    bench.pass(180).await;
    let outbox = bench.outbox().await;
    assert_eq!(outbox.len(), 6, "three slots of two meters");
    for pair in outbox.chunks(2) {
        assert_eq!(slot(&pair[0]), slot(&pair[1]));
        let of = |meter: &str| pair.iter().find(|p| p.topic.contains(meter)).unwrap();
        let (new, old) = (of("flat-101"), of("pump-1"));
        assert_eq!((readings(new), readings(old)), (8, 7), "1997 has no frequency");
        for pending in pair {
            assert!(pending.body.contains("\"failures\":[]"), "{}", pending.body);
        }
        let volts = |p: &Pending| support::digits_of(&p.body, "voltage_l1").unwrap().to_owned();
        assert!(volts(new).contains('.') && !volts(old).contains('.'), "whole volts in 1997");
        let energy = support::digits_of(&old.body, "active_energy_import").unwrap();
        assert!(energy.parse::<f64>().unwrap() > 12_345.67, "more than on the day of installation: {energy}");
        assert!(old.body.contains("\"di\":\"9010\"") && new.body.contains("\"di\":\"00010000\""));
    }
    bench.running.stop().await;
}
