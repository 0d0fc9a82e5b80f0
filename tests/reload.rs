//! Another configuration for the daemon while it runs, on virtual time: virtual meters on lines in memory, of which every
//! answer is known.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

#[path = "lines/oracle.rs"]
mod oracle;
mod support;

use meterd::bus::port::memory::{self, MemoryOpener, MemoryWire};
use meterd::clock::Clock;
use meterd::config::Plan;
use meterd::daemon::{Changed, Daemon, Running};
use meterd::mqtt::payload::{self, DataMessage};
use meterd::simulator::{Dice, Log, MeterSettings, Said, VirtualLine, VirtualMeter};
use meterd::store::Pending;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;

const START: &str = "2026-11-21T10:00:25Z";
/// Addresses that answer on every line.
const METERS: u8 = 6;
const REGISTERS: &str = r#"["active_energy_import", "voltage_l1", "frequency"]"#;

/// A configuration as it is written.
#[derive(Clone)]
struct Written {
    /// Name and further keys.
    buses: Vec<(&'static str, String)>,
    /// Bus and address; the name is both: `a-1`.
    meters: Vec<(&'static str, u8)>,
    /// Name, period, registers, further keys.
    tasks: Vec<(&'static str, &'static str, &'static str, String)>,
}

impl Written {
    fn of(buses: &[&'static str], meters: &[(&'static str, u8)], every: &'static str) -> Self {
        Self {
            buses: buses.iter().map(|name| (*name, String::new())).collect(),
            meters: meters.to_vec(),
            tasks: vec![("live", every, REGISTERS, String::new())],
        }
    }

    fn plan(&self, data: &Path) -> Plan {
        let mut text =
            String::from("[gateway]\nid = \"gw01\"\ntimezone = \"Asia/Shanghai\"\ndata_dir = \"$DATA\"\n");
        for (name, keys) in &self.buses {
            text += &format!("[[bus]]\nname = \"{name}\"\nport = \"/dev/{name}\"\nbaud = 9600\n{keys}\n");
        }
        for (bus, address) in &self.meters {
            text +=
                &format!("[[meter]]\nname = \"{bus}-{address}\"\nbus = \"{bus}\"\naddress = \"{address}\"\n");
        }
        for (name, every, registers, keys) in &self.tasks {
            text += &format!(
                "[[task]]\nname = \"{name}\"\nevery = \"{every}\"\nregisters = {registers}\n{keys}\n"
            );
        }
        support::plan(&text, data)
    }
}

/// A daemon that reads lines which all have the same addresses, and what the meters of each line said.
struct Bench {
    running: Running,
    clock: Clock,
    logs: BTreeMap<&'static str, Log>,
    data: TempDir,
}

impl Bench {
    /// `lines` are the lines in the order in which buses need them; one that is named twice is opened twice.
    async fn start(written: &Written, lines: &[&'static str]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let clock = Clock::virtual_at(START.parse().unwrap());
        let mut daemon = Daemon::new(written.plan(data.path()), clock.clone()).without_broker();
        let mut logs = BTreeMap::new();
        for line in lines {
            let log = logs.entry(*line).or_insert_with(|| Log::keeping(1_000_000)).clone();
            daemon = daemon.with_line_of(line, plugged(line, log, &clock).await);
        }
        Self { running: daemon.start().unwrap(), clock, logs, data }
    }

    async fn reload(&mut self, written: &Written) -> Changed {
        self.running.reload(written.plan(self.data.path())).await.unwrap()
    }

    async fn pass_ms(&self, ms: u64) {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }

    /// Until this many seconds after 10:00.
    async fn until(&self, seconds: u64) {
        let start: jiff::Timestamp = START.parse().unwrap();
        let second = Duration::from_secs(seconds - (start.as_second() % 60) as u64);
        tokio::time::sleep_until(self.clock.instant(second)).await;
    }

    async fn outbox(&self) -> Vec<Pending> {
        self.running.store().flush().await.unwrap();
        self.running.store().offer(0, 1_000_000).await.unwrap()
    }

    /// Data messages; each reading in them is what that very meter sent.
    async fn messages(&self) -> Vec<DataMessage> {
        let sent: BTreeMap<_, _> = self.logs.iter().map(|(line, log)| (*line, log.sent())).collect();
        let data = self.outbox().await.into_iter().filter(|pending| pending.topic.contains("/data/"));
        let parse = |pending: Pending| {
            DataMessage::parse(&payload::compose("store", pending.seq, &pending.body)).unwrap()
        };
        let messages: Vec<DataMessage> = data.map(parse).collect();
        for message in &messages {
            let (line, address) = message.body.meter.split_once('-').unwrap();
            assert_eq!(message.body.address.trim_start_matches('0'), address);
            for reading in &message.body.readings {
                let value = reading.value.as_ref().unwrap().to_string();
                let last = oracle::sent_for(reading, &message.body.address, &sent[line]);
                assert_eq!(value, last, "{} of {} is of another meter", reading.register, message.body.meter);
            }
        }
        messages
    }

    /// Slots of a meter for a task as minute and second, with how many readings and failures each has.
    async fn slots(&self, meter: &str, task: &str) -> Vec<(String, usize, usize)> {
        let messages = self.messages().await.into_iter();
        let of = messages.filter(|m| m.body.meter == meter && m.body.task == task);
        of.map(|m| (m.body.slot[14..19].to_owned(), m.body.readings.len(), m.body.failures.len())).collect()
    }

    async fn events(&self, end: &str) -> usize {
        self.outbox().await.iter().filter(|pending| pending.topic.ends_with(end)).count()
    }
}

async fn plugged(line: &str, log: Log, clock: &Clock) -> MemoryOpener {
    let (supply, opener) = memory::opener();
    let (port, wire) = memory::pair();
    supply.send(port).await.unwrap();
    let seed = u64::from(line.as_bytes()[0]);
    let meters = (1..=METERS).map(|address| {
        let mut settings = MeterSettings::household(address.to_string().parse().unwrap());
        settings.energy = 100_000 * seed + 1_000 * u64::from(address);
        VirtualMeter::new(settings, seed * 100 + u64::from(address))
    });
    tokio::spawn(answer(wire, VirtualLine::new(meters.collect()).logged(log), clock.clone()));
    opener
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

#[tokio::test(start_paused = true)]
async fn no_reading_is_credited_to_another_meter_however_meters_come_and_go_in_the_middle_of_rounds() {
    const RELOADS: usize = 120;
    let always = [("a", 2), ("b", 5)];
    let mut dice = Dice::new(7);
    let mut pick = |below: u64| dice.between(0, below);
    let mut written = Written::of(&["a", "b"], &always, "10s");
    let mut bench = Bench::start(&written, &["a", "b"]).await;
    for _ in 0..RELOADS {
        bench.pass_ms(50 + pick(7_000)).await;
        written.meters = (1..=METERS)
            .flat_map(|address| [("a", address), ("b", address)])
            .filter(|meter| always.contains(meter) || pick(2) == 0)
            .collect();
        for at in (1..written.meters.len()).rev() {
            written.meters.swap(at, pick(at as u64 + 1) as usize);
        }
        if pick(2) == 0 {
            written.buses.reverse();
        }
        written.tasks.retain(|task| task.0 == "live");
        if pick(2) == 0 {
            let other = ("other", "1m", r#"["voltage_l1"]"#, String::new());
            written.tasks.insert(pick(2) as usize, other);
        }
        let changed = bench.reload(&written).await;
        assert_eq!((changed.kept.len(), changed.restarted.len()), (2, 0));
    }
    bench.pass_ms(20_000).await;
    let messages = bench.messages().await;
    let readings: usize = messages.iter().map(|m| m.body.readings.len()).sum();
    assert!(readings > 500, "{readings}");
    let mut said = BTreeSet::new();
    for message in &messages {
        let body = &message.body;
        let of = (body.meter.clone(), body.task.clone(), body.slot.clone());
        assert!(said.insert(of), "{} {} {} is said twice", body.meter, body.task, body.slot);
    }
    // Those that were there all the time have a whole message for every slot.
    for (bus, address) in always {
        let slots = bench.slots(&format!("{bus}-{address}"), "live").await;
        let (first, last) = (&slots.first().unwrap().0, slots.len());
        assert_eq!(first, "00:30");
        assert!(slots.iter().all(|(_, readings, failures)| (*readings, *failures) == (3, 0)), "{slots:?}");
        let elapsed = bench.clock.elapsed().as_secs() as usize;
        assert!(last.abs_diff(elapsed / 10) <= 1, "{last} slots in {elapsed} s");
    }
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_did_not_change_keeps_its_connection_its_round_and_what_it_learned() {
    let old = Written::of(&["a"], &[("a", 2), ("a", 3)], "1m");
    // Its line can be opened once.
    let mut bench = Bench::start(&old, &["a", "b"]).await;
    bench.until(60).await;
    bench.pass_ms(250).await;
    let said = bench.messages().await.len();
    let mut new = Written::of(&["b", "a"], &[("b", 2), ("a", 1), ("a", 2), ("a", 3)], "1m");
    new.tasks.insert(0, ("first", "15m", r#"["frequency"]"#, String::new()));
    let changed = bench.reload(&new).await;
    assert!(said < 2, "it comes in the middle of the round");
    assert_eq!(
        changed.to_string().split("; archive").next().unwrap(),
        "buses: 1 go on, 1 new (b); meters: 2 new; tasks: 1 new (first), 1 changed (live)"
    );
    bench.until(185).await;
    for meter in ["a-2", "a-3"] {
        let whole = |slot: &str| (slot.to_owned(), 3, 0);
        assert_eq!(bench.slots(meter, "live").await, [whole("01:00"), whole("02:00"), whole("03:00")]);
        assert_eq!(bench.events(&format!("meter/{meter}/status")).await, 1, "it was online all the time");
    }
    assert_eq!(bench.slots("a-1", "live").await.len(), 2, "a new meter joins with the next slot");
    assert_eq!(bench.slots("b-2", "live").await.len(), 2);
    assert_eq!(bench.events("event/port_gone").await, 0);
    let archives: BTreeSet<String> = bench.messages().await.into_iter().map(|m| m.body.archive).collect();
    let (before, now) = changed.archive.unwrap();
    assert_eq!(archives, BTreeSet::from([before, now.clone()]));
    assert_eq!(bench.messages().await.last().unwrap().body.archive, now);
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_bus_with_other_settings_ends_in_order_and_starts_anew_with_what_it_learned() {
    let mut written = Written::of(&["a", "b"], &[("a", 1), ("a", 2), ("b", 1)], "1m");
    // Meters of one phase refuse the compensation of losses by phase.
    written.tasks[0].2 =
        r#"["active_energy_import", "voltage_l1", "active_energy_copper_loss_l1", "frequency"]"#;
    let mut bench = Bench::start(&written, &["a", "b", "a"]).await;
    let refused = |bench: &Bench| {
        let sent = bench.logs["a"].sent();
        sent.iter().filter(|sent| matches!(sent.said, Said::Refused { .. })).count()
    };
    bench.until(120).await;
    bench.pass_ms(150).await;
    let learned = refused(&bench);
    assert!(learned > 0);
    written.buses[0].1 = "latency = \"70ms\"".to_owned();
    let changed = bench.reload(&written).await;
    assert_eq!((changed.kept, changed.restarted), (vec!["b".to_owned()], vec!["a".to_owned()]));
    bench.until(245).await;
    for meter in ["a-1", "a-2"] {
        let slots = bench.slots(meter, "live").await;
        let at: Vec<&str> = slots.iter().map(|(slot, ..)| slot.as_str()).collect();
        assert_eq!(at, ["01:00", "02:00", "03:00", "04:00"], "each slot once");
        let whole = |at: usize| (slots[at].1, slots[at].2);
        assert_eq!((whole(0), whole(2), whole(3)), ((3, 1), (3, 1), (3, 1)));
        assert_eq!(slots[1].1 + slots[1].2, 4, "what was read is there, and what was not is said");
    }
    assert_eq!(refused(&bench), learned, "what a meter lacks is known");
    assert!(bench.slots("b-1", "live").await.iter().all(|(_, readings, _)| *readings == 3));
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_bus_that_is_removed_says_what_was_not_read_and_its_meters_are_asked_no_more() {
    let old = Written::of(&["a", "b"], &[("a", 1), ("a", 2), ("b", 1)], "1m");
    let mut bench = Bench::start(&old, &["a", "b"]).await;
    bench.until(60).await;
    bench.pass_ms(100).await;
    let changed = bench.reload(&Written::of(&["b"], &[("b", 1)], "1m")).await;
    assert_eq!((changed.ended, changed.meters_removed), (vec!["a".to_owned()], 2));
    bench.pass_ms(2_000).await;
    let asked = bench.logs["a"].sent().len();
    bench.until(185).await;
    assert_eq!(bench.logs["a"].sent().len(), asked);
    for meter in ["a-1", "a-2"] {
        let slots = bench.slots(meter, "live").await;
        assert_eq!(
            slots.iter().map(|(slot, r, f)| (slot.as_str(), r + f)).collect::<Vec<_>>(),
            [("01:00", 3)]
        );
    }
    assert_eq!(bench.slots("b-1", "live").await.len(), 3);
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_meter_that_moves_to_another_bus_is_read_there_from_the_next_slot_on() {
    let old = Written::of(&["a", "b"], &[("a", 1), ("b", 2)], "1m");
    let mut bench = Bench::start(&old, &["a", "b"]).await;
    bench.until(65).await;
    let mut plan = Written::of(&["a", "b"], &[("a", 1), ("b", 2)], "1m").plan(bench.data.path());
    plan.meters[0].bus = 1;
    let changed = bench.running.reload(plan).await.unwrap();
    assert_eq!((changed.meters_added, changed.meters_removed, changed.meters_changed), (0, 0, 1));
    bench.until(125).await;
    let asked = |bench: &Bench, line: &str| {
        bench.logs[line].sent().iter().filter(|sent| sent.meter.to_string() == "000000000001").count()
    };
    // What was learned of it has gone with it: the energy of the meter that answers there does not fit, and is read twice.
    assert_eq!((asked(&bench, "a"), asked(&bench, "b")), (3, 4));
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_task_with_another_period_opens_no_slot_twice_and_loses_none() {
    let mut written = Written::of(&["a"], &[("a", 1), ("a", 2), ("a", 3)], "1m");
    let mut bench = Bench::start(&written, &["a"]).await;
    bench.until(120).await;
    bench.pass_ms(200).await;
    written.tasks[0].1 = "30s";
    assert_eq!(bench.reload(&written).await.tasks_changed, ["live"]);
    bench.until(185).await;
    written.tasks[0].1 = "2m";
    bench.reload(&written).await;
    bench.until(370).await;
    for meter in ["a-1", "a-2", "a-3"] {
        let slots = bench.slots(meter, "live").await;
        let at: Vec<&str> = slots.iter().map(|(slot, ..)| slot.as_str()).collect();
        assert_eq!(at, ["01:00", "02:00", "02:30", "03:00", "04:00", "06:00"]);
        assert!(slots.iter().all(|(_, readings, _)| *readings == 3), "{slots:?}");
    }
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_configuration_for_another_store_is_refused_and_nothing_changes() {
    let written = Written::of(&["a"], &[("a", 1)], "1m");
    let mut bench = Bench::start(&written, &["a"]).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Written::of(&["a", "b"], &[("a", 2), ("b", 1)], "1m").plan(elsewhere.path());
    let refused = bench.running.reload(other).await.unwrap_err();
    assert_eq!(refused.0.len(), 1);
    assert!(
        refused.0[0].starts_with("[gateway] data_dir cannot change from ")
            && refused.0[0].ends_with("restart it")
    );
    assert_eq!(bench.running.plan().meters.len(), 1);
    bench.until(65).await;
    assert_eq!(bench.slots("a-1", "live").await, [("01:00".to_owned(), 3, 0)]);
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_same_configuration_changes_nothing() {
    let written = Written::of(&["a", "b"], &[("a", 1), ("b", 1)], "1m");
    let mut bench = Bench::start(&written, &["a", "b"]).await;
    let changed = bench.reload(&written).await;
    assert_eq!(changed.to_string(), "buses: 2 go on; meters: as they were; tasks: as they were");
    bench.running.stop().await;
}
