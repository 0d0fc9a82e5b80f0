//! Energies that cannot be right: read once more, and then published as what the meter means, as `suspect`, or not at
//! all. The whole daemon on virtual time.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails loudly")]

mod support;

use meterd::bus::port::memory;
use meterd::clock::Clock;
use meterd::daemon::{Daemon, Running};
use meterd::mqtt::payload::{DataMessage, EventJson, EventMessage, JumpJson, ReadingJson, compose};
use meterd::reading::{Quality, Reason};
use meterd::store::Pending;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use support::{asked, reply};

const START: &str = "2026-11-21T10:00:30Z";
const METER: &str = "000000000101";

fn configuration(registers: &str) -> String {
    format!(
        r#"
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

[[task]]
name = "live"
every = "1m"
registers = [{registers}]
"#
    )
}

/// A daemon that reads one meter, and how often the meter was asked.
struct Bench {
    running: Running,
    asked: Arc<AtomicUsize>,
    /// The number of the last message that was looked at.
    seen: u64,
}

/// What a round of a minute brought.
#[derive(Debug, Default)]
struct Minute {
    readings: Vec<ReadingJson>,
    failures: Vec<(Reason, String, Option<String>)>,
    events: Vec<EventJson>,
    /// Questions that the meter was asked.
    asked: usize,
}

impl Bench {
    /// A meter that answers its n-th question, from 0 on, with the octets that `says` gives.
    async fn start(
        data: &Path,
        at: &str,
        registers: &str,
        says: impl FnMut(usize) -> Vec<u8> + Send + 'static,
    ) -> Self {
        Self::configured(data, at, &configuration(registers), says).await
    }

    async fn configured(
        data: &Path,
        at: &str,
        text: &str,
        mut says: impl FnMut(usize) -> Vec<u8> + Send + 'static,
    ) -> Self {
        let clock = Clock::virtual_at(at.parse().unwrap());
        let (supply, opener) = memory::opener();
        let (port, mut wire) = memory::pair();
        supply.send(port).await.unwrap();
        let plan = support::plan(text, data);
        let running = Daemon::new(plan, clock).with_line(0, opener).without_broker().start().unwrap();
        let count = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            while let Some(request) = wire.hear().await {
                let (di, address) = asked(&request);
                assert_eq!(address, METER);
                let octets = says(counted.fetch_add(1, Ordering::Relaxed));
                tokio::time::sleep(Duration::from_millis(60)).await;
                wire.say(&reply(METER, &di, &octets)).await;
            }
        });
        let mut bench = Self { running, asked: count, seen: 0 };
        bench.seen = bench.unsigned().await.last().map_or(0, |pending| pending.seq);
        bench
    }

    async fn unsigned(&self) -> Vec<Pending> {
        self.running.store().offer(self.seen, 1000).await.unwrap()
    }

    /// What the next round brings.
    async fn minute(&mut self) -> Minute {
        let before = self.asked.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let mut minute = Minute { asked: self.asked.load(Ordering::Relaxed) - before, ..Minute::default() };
        for pending in self.unsigned().await {
            self.seen = pending.seq;
            let message = compose("8f", pending.seq, &pending.body);
            if pending.topic.contains("/data/") {
                let body = DataMessage::parse(&message).unwrap().body;
                minute.readings.extend(body.readings);
                minute.failures.extend(body.failures.into_iter().map(|f| (f.reason, f.detail, f.raw)));
            } else if pending.topic.contains("/event/") && !pending.topic.ends_with("/archive_changed") {
                let event = EventMessage::parse(&message).unwrap().body.event;
                let word = pending.topic.rsplit('/').next().unwrap();
                assert!(pending.body.contains(&format!("\"event\":\"{word}\"")), "{}", pending.body);
                assert!(pending.topic.contains("/meter/flat-101/event/"), "{}", pending.topic);
                minute.events.push(event);
            }
        }
        minute
    }
}

impl Minute {
    /// The readings' values with their quality.
    fn values(&self) -> Vec<String> {
        let value = |r: &ReadingJson| format!("{} {}", r.value.as_ref().unwrap(), r.quality.word());
        self.readings.iter().map(value).collect()
    }

    fn suspect(&self) -> &JumpJson {
        match &self.events[..] {
            [EventJson::Suspect(jump)] => jump,
            other => panic!("{other:?}"),
        }
    }
}

/// The octets of an energy, in hundredths of a kWh.
fn energy(digits: u32) -> Vec<u8> {
    u32::from_str_radix(&format!("{digits:08}"), 16).unwrap().to_le_bytes().to_vec()
}

/// A meter that answers these, one after the other, and the last of them for ever.
fn in_turn(answers: &[u32]) -> impl FnMut(usize) -> Vec<u8> + Send + use<> {
    let answers = answers.to_vec();
    move |n| energy(answers[n.min(answers.len() - 1)])
}

const TOTAL: &str = "\"active_energy_import\"";

#[tokio::test(start_paused = true)]
async fn a_value_that_falls_once_is_read_again_and_the_true_one_is_published_as_good() {
    let data = tempfile::tempdir().unwrap();
    // The second answer lost a digit on the line, the fifth gained one.
    let answers = [123_456, 23_456, 123_457, 123_458, 923_459, 123_459, 123_460];
    let mut bench = Bench::start(data.path(), START, TOTAL, in_turn(&answers)).await;
    let mut told = Vec::new();
    for _ in 0..5 {
        let minute = bench.minute().await;
        assert!(minute.failures.is_empty() && minute.events.is_empty(), "{minute:?}");
        told.push((minute.values(), minute.asked));
    }
    let expected = [("1234.56", 1), ("1234.57", 2), ("1234.58", 1), ("1234.59", 2), ("1234.60", 1)];
    assert_eq!(told, expected.map(|(value, asked)| (vec![format!("{value} good")], asked)));
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_confirmed_fall_is_published_once_as_suspect_with_why() {
    let data = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(data.path(), START, TOTAL, in_turn(&[123_456, 7, 7, 8])).await;
    assert_eq!(bench.minute().await.values(), ["1234.56 good"]);
    let fell = bench.minute().await;
    assert_eq!((fell.values(), fell.asked), (vec!["0.07 suspect".to_owned()], 2));
    let why = "it fell from 1234.56 to 0.07 kWh; a second reading confirmed it";
    assert_eq!((fell.readings[0].quality, fell.readings[0].why.as_deref()), (Quality::Suspect, Some(why)));
    let jump = fell.suspect();
    assert_eq!((jump.register.as_str(), jump.di.as_str()), ("active_energy_import", "00010000"));
    assert_eq!(jump.last_value.as_ref().unwrap().to_string(), "1234.56");
    assert!(jump.last_taken_at.as_ref().unwrap().starts_with("2026-11-21T18:01:00."), "{jump:?}");
    assert_eq!((jump.value.to_string().as_str(), jump.why.as_str()), ("0.07", why));
    for _ in 0..3 {
        let minute = bench.minute().await;
        assert_eq!((minute.values(), minute.asked), (vec!["0.08 good".to_owned()], 1), "{minute:?}");
        assert!(minute.events.is_empty(), "told once");
    }
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn two_answers_that_contradict_each_other_are_no_value_and_the_next_true_one_is() {
    let data = tempfile::tempdir().unwrap();
    let mut bench =
        Bench::start(data.path(), START, TOTAL, in_turn(&[123_456, 7, 99_000_000, 123_457])).await;
    bench.minute().await;
    let neither = bench.minute().await;
    assert_eq!((neither.values(), neither.asked), (vec![], 2));
    let (reason, detail, raw) = &neither.failures[0];
    assert_eq!((*reason, raw.as_deref()), (Reason::Implausible, Some("07000000")));
    let said = "it fell from 1234.56 to 0.07 kWh; read again, it rose from 1234.56 to 990000.00 kWh in 60 s";
    assert!(detail.starts_with(said), "{detail}");
    assert!(neither.events.is_empty());
    assert_eq!(bench.minute().await.values(), ["1234.57 good"], "the base is the last good value still");
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_rollover_is_accepted_with_its_event() {
    let data = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(data.path(), START, TOTAL, in_turn(&[99_999_998, 3, 4])).await;
    assert_eq!(bench.minute().await.values(), ["999999.98 good"]);
    let over = bench.minute().await;
    assert_eq!((over.values(), over.asked), (vec!["0.03 good".to_owned()], 1));
    let [EventJson::Rollover(jump)] = &over.events[..] else { panic!("{over:?}") };
    assert_eq!(jump.last_value.as_ref().unwrap().to_string(), "999999.98");
    assert_eq!(jump.value.to_string(), "0.03");
    let next = bench.minute().await;
    assert_eq!((next.values(), next.events.len()), (vec!["0.04 good".to_owned()], 0));
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_total_that_is_not_the_sum_of_its_tariffs_is_confirmed_before_it_is_believed() {
    let data = tempfile::tempdir().unwrap();
    let registers = r#""active_energy_import", "active_energy_import_t1", "active_energy_import_t2""#;
    let block = |items: [u32; 3]| items.map(energy).concat();
    let answers = [
        // Damaged once, within what could have been counted.
        [30_000, 10_100, 20_000],
        [30_000, 10_000, 20_000],
        // What the meter means.
        [30_150, 10_000, 20_000],
        [30_150, 10_000, 20_000],
        [30_151, 10_001, 20_000],
    ];
    let says = move |n: usize| block(answers[n.min(answers.len() - 1)]);
    let mut bench = Bench::start(data.path(), START, registers, says).await;
    let damaged = bench.minute().await;
    assert_eq!(damaged.values(), ["300.00 good", "100.00 good", "200.00 good"]);
    assert_eq!((damaged.asked, damaged.events.len(), damaged.failures.len()), (2, 0, 0));
    let meant = bench.minute().await;
    assert_eq!(meant.values(), ["301.50 suspect", "100.00 suspect", "200.00 suspect"]);
    let why = "the total 301.50 is not the sum 300.00 kWh of its 2 tariffs; a second reading confirmed it";
    assert!(meant.readings.iter().all(|reading| reading.why.as_deref() == Some(why)), "{meant:?}");
    let jump = meant.suspect();
    assert_eq!((jump.register.as_str(), jump.why.as_str()), ("active_energy_import", why));
    let after = bench.minute().await;
    assert_eq!(after.values(), ["301.51 good", "100.01 good", "200.00 good"], "the difference is known now");
    assert_eq!((after.asked, after.events.len()), (1, 0));
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn combined_energy_may_fall() {
    let data = tempfile::tempdir().unwrap();
    let both = r#""active_energy_combined", "reactive_energy_combined_1""#;
    // Two registers a round; the top bit is the sign.
    let answers = [123_456, 500, 12_345, 80_000_500, 80_000_007, 0];
    let mut bench = Bench::start(data.path(), START, both, in_turn(&answers)).await;
    for expected in
        [["1234.56 good", "5.00 good"], ["123.45 good", "-5.00 good"], ["-0.07 good", "0.00 good"]]
    {
        let minute = bench.minute().await;
        assert_eq!((minute.values(), minute.asked), (expected.map(str::to_owned).to_vec(), 2), "{minute:?}");
        assert!(minute.events.is_empty() && minute.failures.is_empty());
    }
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_restart_does_not_forget_the_last_good_value() {
    let data = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(data.path(), START, TOTAL, in_turn(&[123_456, 123_457])).await;
    bench.minute().await;
    bench.minute().await;
    bench.running.stop().await;
    // Two hours later the first answer is damaged.
    let later = "2026-11-21T12:00:30Z";
    let mut bench = Bench::start(data.path(), later, TOTAL, in_turn(&[23_457, 133_000, 133_000])).await;
    let first = bench.minute().await;
    assert_eq!((first.values(), first.asked), (vec!["1330.00 good".to_owned()], 2), "so much in two hours");
    bench.running.stop().await;
    // The meter was cleared while the daemon was off: it is said once, over restarts too.
    let again = "2026-11-21T13:00:30Z";
    let mut bench = Bench::start(data.path(), again, TOTAL, in_turn(&[5])).await;
    let cleared = bench.minute().await;
    assert_eq!(cleared.values(), ["0.05 suspect"]);
    assert_eq!(cleared.suspect().last_value.as_ref().unwrap().to_string(), "1330.00");
    bench.running.stop().await;
    let mut bench = Bench::start(data.path(), "2026-11-21T14:00:30Z", TOTAL, in_turn(&[6])).await;
    let next = bench.minute().await;
    assert_eq!((next.values(), next.events.len(), next.asked), (vec!["0.06 good".to_owned()], 0, 1));
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_meter_of_another_address_is_not_judged_by_the_one_before_it() {
    let data = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(data.path(), START, TOTAL, in_turn(&[123_456])).await;
    bench.minute().await;
    bench.running.stop().await;
    let clock = Clock::virtual_at("2026-11-21T12:00:30Z".parse().unwrap());
    let (supply, opener) = memory::opener();
    let (port, mut wire) = memory::pair();
    supply.send(port).await.unwrap();
    let text = configuration(TOTAL).replace("\"101\"", "\"102\"");
    let plan = support::plan(&text, data.path());
    let running = Daemon::new(plan, clock).with_line(0, opener).without_broker().start().unwrap();
    let seen = running.store().offer(0, 100).await.unwrap().last().unwrap().seq;
    tokio::spawn(async move {
        while let Some(request) = wire.hear().await {
            let (di, address) = asked(&request);
            tokio::time::sleep(Duration::from_millis(60)).await;
            wire.say(&reply(&address, &di, &energy(5))).await;
        }
    });
    tokio::time::sleep(Duration::from_secs(60)).await;
    let outbox = running.store().offer(seen, 100).await.unwrap();
    let read = outbox.iter().find(|p| p.topic.contains("/data/")).unwrap();
    assert!(read.body.contains(r#""value":0.05,"unit":"kWh","quality":"good""#), "{}", read.body);
    running.stop().await;
}

/// The configuration with an exchange (换表) of its meter for one of the same address.
fn exchanged(at: &str) -> String {
    let exchange =
        format!("[[meter.exchange]]\ndate = \"{at}\"\nlast = \"1234.57\"\nfirst = \"0.05\"\n\n[[task]]");
    configuration(TOTAL).replacen("[[task]]", &exchange, 1)
}

#[tokio::test(start_paused = true)]
async fn an_exchanged_meter_of_the_same_address_is_not_judged_by_the_old_one_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(data.path(), START, TOTAL, in_turn(&[123_456])).await;
    bench.minute().await;
    bench.running.stop().await;
    let text = exchanged("2026-11-21 19:00");
    let later = "2026-11-21T12:00:30Z";
    let mut bench = Bench::configured(data.path(), later, &text, in_turn(&[5, 6, 4])).await;
    let first = bench.minute().await;
    assert_eq!((first.values(), first.events.len(), first.asked), (vec!["0.05 good".to_owned()], 0, 1));
    bench.running.stop().await;
    let again = "2026-11-21T13:00:30Z";
    let mut bench = Bench::configured(data.path(), again, &text, in_turn(&[4])).await;
    assert_eq!(bench.minute().await.values(), ["0.04 suspect"], "by its own values it is");
    bench.running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_exchanged_meter_of_the_same_address_is_not_judged_by_the_old_one_after_a_reload() {
    let data = tempfile::tempdir().unwrap();
    let mut bench = Bench::start(data.path(), START, TOTAL, in_turn(&[123_456, 5, 4])).await;
    assert_eq!(bench.minute().await.values(), ["1234.56 good"]);
    let plan = support::plan(&exchanged("2026-11-21 18:01:20"), data.path());
    bench.running.reload(plan).await.unwrap();
    let first = bench.minute().await;
    assert_eq!((first.values(), first.events.len(), first.asked), (vec!["0.05 good".to_owned()], 0, 1));
    assert_eq!(bench.minute().await.values(), ["0.04 suspect"], "by its own values it is");
    bench.running.stop().await;
}
